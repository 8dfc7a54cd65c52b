//! The code that HTTP/2's headers may be spelled in (RFC 7541, appendix B), read only.
//!
//! It is a canonical one: the lengths of the codes say what the codes are, in the order of their lengths, then of their symbols.

/// The length of each byte's code in bits, then that of the end, which never comes.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
/// Bits of the longest code.
const MAX_BITS: usize = 30;
/// A text ends with fewer bits than a byte has, all of them set.
const MAX_PADDING_BITS: u32 = 7;

/// How many codes have so many bits.
static COUNTS: [u32; MAX_BITS + 1] = counts();
/// What the codes mean, in their order.
static SYMBOLS: [u16; LENGTHS.len()] = symbols();

const fn counts() -> [u32; MAX_BITS + 1] {
    let mut counts = [0; MAX_BITS + 1];
    let mut symbol = 0;
    while symbol < LENGTHS.len() {
        counts[LENGTHS[symbol] as usize] += 1;
        symbol += 1;
    }
    counts
}

const fn symbols() -> [u16; LENGTHS.len()] {
    let mut symbols = [0; LENGTHS.len()];
    let (mut at, mut bits) = (0, 0);
    while bits <= MAX_BITS {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                symbols[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
}

/// `None`: the bytes spell no text.
pub fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    // Of the codes as long as what was read: the first, and how many shorter ones there are.
    let (mut code, mut first, mut shorter, mut bits) = (0u32, 0u32, 0u32, 0usize);
    for byte in coded {
        for shift in (0..8).rev() {
            code = (code << 1) | u32::from(byte >> shift & 1);
            first <<= 1;
            bits += 1;
            let count = *COUNTS.get(bits)?;
            if code - first < count {
                let symbol = *SYMBOLS.get((shorter + code - first) as usize)?;
                out.push(u8::try_from(symbol).ok()?);
                (code, first, shorter, bits) = (0, 0, 0, 0);
            } else {
                first += count;
                shorter += count;
            }
        }
    }
    let is_padding = bits <= MAX_PADDING_BITS as usize && code == (1 << bits) - 1;
    is_padding.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc_are_read() {
        for (coded, text) in [
            (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..], "www.example.com"),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f], "custom-key"),
            (&[0x64, 0x02], "302"),
            (&[0xff, 0xfb], "`"),
            (&[], ""),
        ] {
            assert_eq!(decode(coded).as_deref(), Some(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_spells_nothing_is_refused() {
        // A padding of zeros, one that is too long, and the end itself.
        for coded in [&[0x00][..], &[0x64, 0x02, 0xff], &[0xff; 4], &[0xff; 40]] {
            assert_eq!(decode(coded), None, "{coded:x?}");
        }
    }
}
