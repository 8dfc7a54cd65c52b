//! BYTES as text: base64 of the standard alphabet.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::TextOut;

/// Writes with padding; reads with or without it, and minds no stray bits in the last character, as Java does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// As [`BASE64`], but the padding has to be there: the rule of JSON payloads.
const PADDED_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical).with_decode_allow_trailing_bits(true),
);

/// Bytes encoded at a time, on the stack: a multiple of 3, so that only the last block is padded.
const BLOCK_BYTES: usize = 192;

/// Appends `bytes` as base64 with padding.
pub fn write_base64(bytes: &[u8], out: &mut impl TextOut) {
    let mut encoded = [0u8; BLOCK_BYTES / 3 * 4];
    for block in bytes.chunks(BLOCK_BYTES) {
        if let Ok(length) = BASE64.encode_slice(block, &mut encoded) {
            out.push_ascii(&encoded[..length]);
        }
    }
}

/// The bytes that `text` stands for; `None` where it is not base64.
pub fn parse_base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// As [`parse_base64`], where missing padding is an error.
pub fn parse_padded_base64(text: &[u8]) -> Option<Vec<u8>> {
    PADDED_BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_there_and_back() {
        for (bytes, text) in [(&b""[..], ""), (b"a", "YQ=="), (b"ab", "YWI="), (b"abc", "YWJj"), (b"\xff\xfe", "//4=")] {
            let mut out = String::new();
            write_base64(bytes, &mut out);
            assert_eq!(out, text);
            assert_eq!(parse_base64(text.as_bytes()).as_deref(), Some(bytes));
        }
        let long: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        let mut out = Vec::new();
        write_base64(&long, &mut out);
        assert_eq!(parse_base64(&out), Some(long));
        assert_eq!(parse_base64(b"YQ"), Some(b"a".to_vec()), "padding may be missing");
        assert_eq!((parse_padded_base64(b"YQ"), parse_padded_base64(b"YQ==")), (None, Some(b"a".to_vec())));
        for wrong in ["a", "a b=", "?x=="] {
            assert_eq!(parse_base64(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
