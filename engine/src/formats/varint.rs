//! Numbers of seven bits a byte, the lowest first, each byte but the last with its highest bit set: as AVRO and PROTOBUF write
//! lengths and whole numbers, and as the origins of records are written (`operators/origin.rs`).

/// Bytes of the longest number of 64 bits.
pub(super) const MAX_BYTES: usize = 10;

/// Why no number begins at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The payload ends in it.
    Ends,
    /// It has more than ten bytes.
    Long,
}

/// The number that `bytes` begin with, and its length. Bits beyond 64 are cut off.
#[inline]
pub(crate) fn read(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    // Most numbers take one byte, most of the others up to eight.
    if let Some(first) = bytes.first()
        && *first < 0x80
    {
        return Ok((u64::from(*first), 1));
    }
    let Some(word) = bytes.first_chunk::<8>().map(|word| u64::from_le_bytes(*word)) else { return read_bytewise(bytes) };
    // The first byte without the bit that says that there is more.
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return read_bytewise(bytes);
    }
    let bits = (ends.trailing_zeros() | 7) + 1;
    Ok((joined(word & (u64::MAX >> (64 - bits))), bits as usize / 8))
}

/// The same near the end of a payload, or longer than eight bytes.
fn read_bytewise(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(MAX_BYTES) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(if bytes.len() < MAX_BYTES { Fault::Ends } else { Fault::Long })
}

/// The low seven bits of each byte, joined: pairs of bytes, then pairs of these, then both halves.
#[inline]
fn joined(word: u64) -> u64 {
    let word = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let word = word & 0x0000_3fff_0000_3fff | (word & 0x3fff_0000_3fff_0000) >> 2;
    word & 0x0000_0000_0fff_ffff | (word & 0x0fff_ffff_0000_0000) >> 4
}

/// The reverse of [`joined`], for numbers below 2^56.
#[inline]
fn parted(value: u64) -> u64 {
    let word = value & 0x0000_0000_0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let word = word & 0x0000_3fff_0000_3fff | (word & 0x0fff_c000_0fff_c000) << 2;
    word & 0x007f_007f_007f_007f | (word & 0x3f80_3f80_3f80_3f80) << 1
}

/// Appends a number.
#[inline]
pub(crate) fn write(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    if value >= 1 << 56 {
        return write_bytewise(value, out);
    }
    let length = (70 - value.leading_zeros() as usize) / 7;
    // All bytes but the last one say that there is more.
    let word = parted(value) | 0x8080_8080_8080_8080 >> (8 * (9 - length));
    let end = out.len() + length;
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

fn write_bytewise(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        let powers = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, (1 << bit) + 1, 0x8123_4567_89ab_cdef >> bit]);
        for value in powers.chain([0, u64::MAX]) {
            let (mut out, mut bytewise) = (Vec::new(), Vec::new());
            write(value, &mut out);
            write_bytewise(value, &mut bytewise);
            assert_eq!(out, bytewise, "{value}");
            assert_eq!(read(&out), Ok((value, out.len())));
            // With more behind it.
            for filler in [0, 0x7f, 0xff] {
                let more = [&out[..], &[filler; 9]].concat();
                assert_eq!(read(&more), Ok((value, out.len())), "{value}");
            }
            for end in 0..out.len() {
                assert_eq!(read(&out[..end]), Err(Fault::Ends), "{value} cut at {end}");
            }
            assert_eq!(unzigzag(zigzag(value.cast_signed())), value.cast_signed());
        }
        assert_eq!(read(&[0xff; 10]), Err(Fault::Long));
        assert_eq!(read(&[0xff; 20]), Err(Fault::Long));
        // The tenth byte has one bit within 64.
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03]), Ok((u64::MAX, 10)));
        assert_eq!((zigzag(-1), zigzag(1), zigzag(i64::MIN)), (1, 2, u64::MAX));
    }
}
