//! Avro's binary encoding, read from a borrowed payload. Nothing here trusts a length that the payload states.

use super::skip::Skip;
use crate::formats::DecodeError;
use crate::formats::carried::is_text;
use crate::formats::varint::{self, Fault, unzigzag, zigzag};

/// The longest array or map whose items take no bytes at all (an array of nulls): such a block states millions in ten bytes.
const MAX_EMPTY_ITEMS: usize = 1 << 16;

/// How deep records that contain themselves may nest in one payload.
const MAX_AGAIN: usize = 100;

/// A place in a payload.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Of the payload with what stands before it, bytes.
    length: usize,
    /// Records that contain themselves, by their number.
    named: &'a [Skip],
    depth: usize,
    /// How many more of them there may be: each takes a byte at least.
    again: usize,
}

/// What was read. An error is rare, so that it is kept apart and the result small.
pub(super) type Read<T> = Result<T, Box<DecodeError>>;

#[cold]
fn ends_early() -> Box<DecodeError> {
    bad("the payload ends in the middle of a value")
}

#[cold]
pub(super) fn bad(what: impl Into<String>) -> Box<DecodeError> {
    Box::new(DecodeError::new(what))
}

impl<'a> Cursor<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self::behind(0, payload, &[])
    }

    /// A cursor behind so many bytes that were read, which passes over records that contain themselves.
    #[inline]
    pub fn behind(before: usize, payload: &'a [u8], named: &'a [Skip]) -> Self {
        Cursor { rest: payload, length: before + payload.len(), named, depth: 0, again: payload.len() }
    }

    /// Bytes that were read, and those before them.
    #[inline]
    pub fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(ends_early)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A zigzag number of up to ten bytes.
    #[inline]
    pub fn long(&mut self) -> Read<i64> {
        let (value, length) = varint::read(self.rest).map_err(no_number)?;
        // The tenth byte of a number has one bit.
        if length == varint::MAX_BYTES && self.rest.get(length - 1).is_some_and(|last| *last > 1) {
            return Err(no_number(Fault::Long));
        }
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(unzigzag(value))
    }

    #[inline]
    pub fn int(&mut self) -> Read<i32> {
        i32::try_from(self.long()?).map_err(|_| bad("an int is longer than 32 bits"))
    }

    #[inline]
    pub fn boolean(&mut self) -> Read<bool> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(bad("a boolean is neither 0 nor 1")),
        }
    }

    #[inline]
    pub fn float(&mut self) -> Read<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub fn double(&mut self) -> Read<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// Bytes behind their length.
    #[inline]
    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.long()?).map_err(|_| bad("a length is negative"))?;
        self.take(length)
    }

    #[inline]
    pub fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| bad("a string is not UTF-8"))
    }

    /// Passes over a string, which must be one.
    #[inline]
    pub fn pass_text(&mut self) -> Read<()> {
        if is_text(self.bytes()?) { Ok(()) } else { Err(bad("a string is not UTF-8")) }
    }

    /// An index into a union's branches or an enum's symbols.
    #[inline]
    pub fn index(&mut self, count: usize) -> Read<usize> {
        let index = self.long()?;
        usize::try_from(index)
            .ok()
            .filter(|index| *index < count)
            .ok_or_else(|| bad(format!("there is no branch or symbol {index}: the schema has {count}")))
    }

    /// The index of a union of null and one type: whether it is the other type, whose index is the byte `some`.
    #[inline]
    pub fn is_some(&mut self, some: u8) -> Read<bool> {
        match self.rest {
            [byte @ (0 | 2), rest @ ..] => {
                self.rest = rest;
                Ok(*byte == some)
            }
            _ => Ok(self.index(2)? * 2 == usize::from(some)),
        }
    }

    /// Passes over a record that contains itself.
    pub fn again(&mut self, index: usize) -> Read<()> {
        if self.depth >= MAX_AGAIN || self.again == 0 {
            return Err(bad("records within records are nested too deep"));
        }
        self.depth += 1;
        self.again -= 1;
        let named = self.named;
        named.get(index).map_or(Ok(()), |skip| skip.run(self))?;
        self.depth -= 1;
        Ok(())
    }

    /// The items of an array or map, block by block; `item` reads one.
    pub fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        let mut empty_items = 0usize;
        loop {
            let count = self.long()?;
            if count < 0 {
                // The block's size in bytes follows, for readers that pass over it.
                self.long()?;
            }
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count.unsigned_abs() {
                let before = self.remaining();
                item(self)?;
                if self.remaining() == before {
                    empty_items += 1;
                    if empty_items > MAX_EMPTY_ITEMS {
                        return Err(bad("an array has too many items without content"));
                    }
                }
            }
        }
    }

    /// Passes over the items of an array or map: by the blocks' sizes where they are stated.
    pub fn skip_blocks(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        let mut empty_items = 0u64;
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                let size = usize::try_from(self.long()?).map_err(|_| bad("a block's size is negative"))?;
                self.take(size)?;
                continue;
            }
            for _ in 0..count {
                let before = self.remaining();
                item(self)?;
                if self.remaining() == before {
                    empty_items += 1;
                    if empty_items > MAX_EMPTY_ITEMS as u64 {
                        return Err(bad("an array has too many items without content"));
                    }
                }
            }
        }
    }
}

#[cold]
fn no_number(fault: Fault) -> Box<DecodeError> {
    match fault {
        Fault::Ends => ends_early(),
        Fault::Long => bad("a number is longer than 64 bits"),
    }
}

/// Appends a zigzag number.
#[inline]
pub(super) fn write_long(value: i64, out: &mut Vec<u8>) {
    varint::write(zigzag(value), out);
}

/// Appends bytes behind their length.
#[inline]
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        let powers = (0..63).flat_map(|bit| [1i64 << bit, (1 << bit) - 1, -(1 << bit), 0x0123_4567_89ab_cdef >> bit]);
        for value in powers.chain([0, i64::MIN, i64::MAX]) {
            let mut out = Vec::new();
            write_long(value, &mut out);
            let mut cursor = Cursor::new(&out);
            assert_eq!((cursor.long(), cursor.remaining()), (Ok(value), 0));
            // With more behind it.
            let more = [&out[..], &[0xff; 9]].concat();
            let mut cursor = Cursor::new(&more);
            assert_eq!((cursor.long(), cursor.remaining()), (Ok(value), 9));
            for end in 0..out.len() {
                assert!(Cursor::new(&out[..end]).long().is_err(), "{value} cut at {end}");
            }
        }
        assert!(Cursor::new(&[0xff; 10]).long().is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).long().is_err());
        assert!(Cursor::new(&[0xff; 20]).long().is_err());
    }

    #[test]
    fn stated_lengths_are_not_believed() {
        let mut out = Vec::new();
        write_long(i64::MAX, &mut out);
        assert!(Cursor::new(&out).bytes().is_err());
        assert!(Cursor::new(&out).blocks(|cursor| cursor.boolean().map(drop)).is_err());
        assert!(Cursor::new(&out).blocks(|_| Ok(())).is_err());
        assert!(Cursor::new(&out).skip_blocks(|_| Ok(())).is_err());
        out.clear();
        write_long(-1, &mut out);
        assert!(Cursor::new(&out).bytes().is_err());
        write_long(i64::MIN, &mut out);
        assert!(Cursor::new(&out).skip_blocks(|_| Ok(())).is_err());
    }
}
