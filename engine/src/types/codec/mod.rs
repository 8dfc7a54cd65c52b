//! Values as bytes: rows in stores and changelogs ([`encode_values`]), and keys whose byte order is the order of their
//! values ([`encode_key`]).
//!
//! Both describe themselves: decoding needs no schema. Both are kept on disk: a change of layout is a new version.

mod key;
mod row;
mod stored;
#[cfg(test)]
mod tests;

pub use key::{decode_key, decode_windowed_key, encode_key, encode_window, encode_windowed_key, key_of_windowed, visit_key, window_of};
pub use row::{Part, decode_entry, decode_parts, decode_values, encode_entry, encode_values};
pub use stored::{Stored, visit_parts};

/// Bytes that are no encoded values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed value: {0}")]
pub struct CodecError(pub(crate) &'static str);

/// Deepest nesting of collections that is read; a schema is never that deep, damaged bytes may be.
const MAX_NESTING: u32 = 100;

/// The bytes of a number in an order-preserving form.
pub fn to_ordered(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

/// The number of [`to_ordered`].
pub fn from_ordered(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

/// The smallest bytes that are larger than everything with this prefix; `None` if there are none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// Bytes read from front to back.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    #[inline]
    fn byte(&mut self) -> Result<u8, CodecError> {
        let (byte, rest) = self.0.split_first().ok_or(CodecError("ends too early"))?;
        self.0 = rest;
        Ok(*byte)
    }

    #[inline]
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(CodecError("ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(CodecError("ends too early"))?;
        self.0 = rest;
        Ok(*bytes)
    }
}
