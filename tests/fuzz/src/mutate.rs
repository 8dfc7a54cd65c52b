//! Payloads that are almost right.

use arbitrary::{Result, Unstructured};

/// Bytes that bear on lengths, signs, ends and quotes in one format or another.
const SHARP: &[u8] = b"\x00\x01\x02\x03\x05\x08\x0a\x7f\x80\xfe\xff{}[]\",:\\0-.eE'\n ";

/// Changes bytes in a few places: overwrites, inserts, removes, repeats, cuts off.
pub fn mutate(bytes: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..u.int_in_range(1..=4)? {
        let at = u.int_in_range(0..=bytes.len())?;
        match u.int_in_range(0..=5)? {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *u.choose(SHARP)?),
            2 => bytes.insert(at, u.arbitrary()?),
            3 => {
                if at < bytes.len() {
                    bytes.remove(at);
                }
            }
            4 => {
                let other = u.int_in_range(0..=bytes.len())?;
                let piece: Vec<u8> = bytes.get(at.min(other)..at.max(other)).unwrap_or_default().iter().copied().take(64).collect();
                bytes.splice(at..at, piece);
            }
            _ => {
                let sharp = if u.arbitrary()? { *u.choose(SHARP)? } else { u.arbitrary()? };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = sharp;
                }
            }
        }
    }
    Ok(())
}
