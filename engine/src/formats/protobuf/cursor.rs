//! Protocol Buffers' wire format, read from a borrowed payload and appended to a buffer. Nothing here trusts a length or a
//! count that the payload states.

use crate::formats::DecodeError;
use crate::formats::varint::{self, Fault};

/// How deep groups may stand in one another, as in Google's own parsers.
const MAX_GROUPS: u32 = 100;

/// What was read. An error is rare, so that it is kept apart and the result small.
pub(super) type Read<T> = Result<T, Box<DecodeError>>;

/// How the bytes behind a tag are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Varint,
    Fixed64,
    Sized,
    StartGroup,
    EndGroup,
    Fixed32,
}

/// A place in a payload.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

#[cold]
fn ends_early() -> Box<DecodeError> {
    bad("the message ends in the middle of a field")
}

#[cold]
fn no_number(fault: Fault) -> Box<DecodeError> {
    match fault {
        Fault::Ends => ends_early(),
        Fault::Long => bad("a varint is longer than ten bytes"),
    }
}

#[cold]
pub(super) fn not_utf8() -> Box<DecodeError> {
    bad("a string is not UTF-8")
}

#[cold]
pub(super) fn bad(what: impl Into<String>) -> Box<DecodeError> {
    Box::new(DecodeError::new(what))
}

impl<'a> Cursor<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

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

    #[inline]
    pub fn fixed32(&mut self) -> Read<[u8; 4]> {
        self.array()
    }

    #[inline]
    pub fn fixed64(&mut self) -> Read<[u8; 8]> {
        self.array()
    }

    /// Passes over so many bytes, or all that are left.
    #[inline]
    pub fn pass(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// A number of up to ten bytes; what is beyond 64 bits is cut off, as everywhere.
    #[inline]
    pub fn varint(&mut self) -> Read<u64> {
        let (value, length) = varint::read(self.rest).map_err(no_number)?;
        self.pass(length);
        Ok(value)
    }

    /// Bytes behind their length.
    #[inline]
    pub fn sized(&mut self) -> Read<&'a [u8]> {
        let length = self.varint()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    #[inline]
    pub fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| not_utf8())
    }

    /// As [`Self::varint`], and whether the number takes no more bytes than it needs.
    #[inline]
    pub fn short_varint(&mut self) -> Read<(u64, bool)> {
        let (value, length) = varint::read(self.rest).map_err(no_number)?;
        let is_short = match self.rest.get(length - 1) {
            _ if length == 1 => true,
            // The tenth byte has one bit.
            Some(last) => *last != 0 && (length < varint::MAX_BYTES || *last == 1),
            None => false,
        };
        self.pass(length);
        Ok((value, is_short))
    }

    /// As [`Self::sized`], and whether the length takes no more bytes than it needs.
    #[inline]
    pub fn short_sized(&mut self) -> Read<(&'a [u8], bool)> {
        let (length, is_short) = self.short_varint()?;
        Ok((self.take(usize::try_from(length).unwrap_or(usize::MAX))?, is_short))
    }

    /// The number of the next field, and how it is laid out.
    #[inline]
    pub fn tag(&mut self) -> Read<(u32, Wire)> {
        // Java cuts tags to 32 bits; a number beyond that is no field's.
        let tag = u32::try_from(self.varint()?).map_err(|_| bad("a tag is longer than 32 bits"))?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Sized,
            3 => Wire::StartGroup,
            4 => Wire::EndGroup,
            5 => Wire::Fixed32,
            _ => return Err(bad("a tag has an invalid wire type")),
        };
        match tag >> 3 {
            0 => Err(bad("a tag has the invalid field number 0")),
            number => Ok((number, wire)),
        }
    }

    /// Passes over the content of a field.
    #[inline]
    pub fn skip(&mut self, number: u32, wire: Wire) -> Read<()> {
        match wire {
            Wire::Varint => self.varint().map(drop),
            Wire::Fixed64 => self.take(8).map(drop),
            Wire::Fixed32 => self.take(4).map(drop),
            Wire::Sized => self.sized().map(drop),
            Wire::StartGroup => self.skip_group(number, 1),
            Wire::EndGroup => Err(bad("a group ends that did not begin")),
        }
    }

    fn skip_group(&mut self, number: u32, depth: u32) -> Read<()> {
        if depth > MAX_GROUPS {
            return Err(bad("groups are nested too deep"));
        }
        loop {
            match self.tag()? {
                (end, Wire::EndGroup) if end == number => return Ok(()),
                (inner, Wire::StartGroup) => self.skip_group(inner, depth + 1)?,
                (inner, wire) => self.skip(inner, wire)?,
            }
        }
    }
}

#[inline]
pub(super) fn unzigzag32(value: u32) -> i32 {
    ((value >> 1) as i32) ^ -((value & 1) as i32)
}

#[inline]
pub(super) fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

#[inline]
pub(super) fn write_varint(value: u64, out: &mut Vec<u8>) {
    varint::write(value, out);
}

/// Appends bytes behind their length.
#[inline]
pub(super) fn write_sized(bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends what `write` writes behind its length. One byte is kept for the length; content of 128 bytes or more is moved.
pub(super) fn write_within<E>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let place = out.len();
    out.push(0);
    write(out)?;
    let length = out.len() - place - 1;
    if length < 0x80 {
        if let Some(byte) = out.get_mut(place) {
            *byte = length as u8;
        }
        return Ok(());
    }
    let mut prefix = Vec::with_capacity(varint::MAX_BYTES);
    write_varint(length as u64, &mut prefix);
    out.splice(place..=place, prefix);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
            let mut out = Vec::new();
            write_varint(value, &mut out);
            let mut cursor = Cursor::new(&out);
            assert_eq!((cursor.varint(), cursor.is_at_end()), (Ok(value), true));
            for end in 0..out.len() {
                assert!(Cursor::new(&out[..end]).varint().is_err(), "{value} cut at {end}");
            }
        }
        assert!(Cursor::new(&[0xff; 11]).varint().is_err());
        for value in [0, -1, 1, i32::MIN, i32::MAX] {
            assert_eq!(unzigzag32(zigzag32(value)), value);
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        let mut out = Vec::new();
        write_varint(u64::MAX, &mut out);
        assert!(Cursor::new(&out).sized().is_err());
        assert!(Cursor::new(&[0]).tag().is_err(), "field number 0");
        assert!(Cursor::new(&[0x0e]).tag().is_err(), "wire type 6");
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).tag().is_err(), "a tag of 36 bits");
    }

    #[test]
    fn groups_are_passed_over() {
        // Group 1 with a varint, a group 2 in it, and their ends.
        let mut cursor = Cursor::new(&[0x08, 5, 0x13, 0x14, 0x0c, 0x20]);
        assert_eq!(cursor.skip(1, Wire::StartGroup), Ok(()));
        assert_eq!(cursor.rest(), [0x20]);
        assert!(Cursor::new(&[0x14]).skip(1, Wire::StartGroup).is_err(), "the end of another group");
        assert!(Cursor::new(&[0x08]).skip(1, Wire::StartGroup).is_err(), "no end");
        assert!(Cursor::new(&[0x0b; 200]).skip(1, Wire::StartGroup).is_err(), "too deep");
        assert!(Cursor::new(&[]).skip(1, Wire::EndGroup).is_err());
    }

    #[test]
    fn long_content_makes_room_for_its_length() {
        for length in [0, 1, 127, 128, 300, 20_000] {
            let mut out = vec![7];
            let content = vec![9; length];
            write_within(&mut out, |out| {
                out.extend_from_slice(&content);
                Ok::<_, ()>(())
            })
            .unwrap();
            let mut cursor = Cursor::new(&out[1..]);
            assert_eq!(cursor.sized(), Ok(&content[..]));
            assert!(cursor.is_at_end());
        }
    }
}
