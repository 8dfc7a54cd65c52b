//! Runs of plain text in a JSON string: what is left when nothing has to be unescaped.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// From `start` on, the first byte that ends a run of plain text in a string (a quote, a backslash, a control character,
/// or the end), and whether any byte before it is not ASCII. Sixteen bytes at a time.
#[inline]
pub(super) fn plain_run(bytes: &[u8], start: usize) -> (usize, bool) {
    let mut at = start;
    let mut highs = 0;
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let block = u128::from_le_bytes(*block);
        let (low, high) = (block as u64, (block >> 64) as u64);
        let (low_ends, high_ends) = (ends(low), ends(high));
        if low_ends != 0 {
            let bits = low_ends.trailing_zeros() & !7;
            highs |= low & HIGHS & ((1u64 << bits) - 1);
            return (at + (bits / 8) as usize, highs != 0);
        }
        if high_ends != 0 {
            let bits = high_ends.trailing_zeros() & !7;
            highs |= (low | (high & ((1u64 << bits) - 1))) & HIGHS;
            return (at + 8 + (bits / 8) as usize, highs != 0);
        }
        highs |= (low | high) & HIGHS;
        at += 16;
    }
    let mut has_high = highs != 0;
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        has_high |= *byte >= 0x80;
        at += 1;
    }
    (at, has_high)
}

/// The high bit of each byte that ends a run; the lowest of them is right, higher ones may be false.
#[inline(always)]
fn ends(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    ((quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash) | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_at_the_first_special_byte_wherever_it_stands() {
        for length in 0..70 {
            for special in [b'"', b'\\', b'\n', 0, 0x1f] {
                for filler in [b'a', b' ', b'#', b'[', b']', b'!', 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![filler; length];
                    bytes.push(special);
                    bytes.extend_from_slice(b"\"\xc3\xa9 behind it, and more of that");
                    assert_eq!(plain_run(&bytes, 0), (length, filler >= 0x80 && length > 0));
                    assert_eq!(plain_run(&bytes[..length], 0).0, length);
                }
            }
        }
        assert_eq!(plain_run(b"", 5), (5, false));
    }
}
