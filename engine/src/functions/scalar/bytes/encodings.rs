//! Text encodings of bytes: hex, utf8, ascii, base64.

use crate::functions::EvalError;
use crate::types::text::{parse_base64, to_text, write_base64};

/// An encoding by its name, any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::functions::scalar) enum Encoding {
    Hex,
    Utf8,
    Ascii,
    Base64,
}

impl Encoding {
    /// # Errors
    /// Names the encoding and lists those that there are.
    pub fn parse(name: &str) -> Result<Self, EvalError> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Encoding::Hex),
            "utf8" => Ok(Encoding::Utf8),
            "ascii" => Ok(Encoding::Ascii),
            "base64" => Ok(Encoding::Base64),
            _ => {
                Err(EvalError::new(format!("Unknown encoding type '{name}'. Supported formats are 'hex', 'utf8', 'ascii', and 'base64'.")))
            }
        }
    }

    /// Bytes as text. What is no text of the encoding becomes U+FFFD; hex digits are capitals.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode_upper(bytes),
            Encoding::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Encoding::Ascii => bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{FFFD}' }).collect(),
            Encoding::Base64 => to_text(|out| write_base64(bytes, out)).as_str().to_owned(),
        }
    }

    /// Text as bytes. ASCII has a question mark for characters that it lacks.
    ///
    /// # Errors
    /// The text is no hex or base64.
    pub fn decode(self, text: &str) -> Result<Vec<u8>, EvalError> {
        match self {
            Encoding::Hex => hex::decode(text).map_err(|_| EvalError::new(format!("'{text}' is no hex"))),
            Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
            Encoding::Ascii => Ok(text.chars().map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?')).collect()),
            // The padding may be missing, but not in part.
            Encoding::Base64 => Some(text.as_bytes())
                .filter(|text| text.last() != Some(&b'=') || text.len() % 4 == 0)
                .and_then(parse_base64)
                .ok_or_else(|| EvalError::new(format!("'{text}' is no base64"))),
        }
    }
}

/// Base64 as Apache Commons Codec reads it: both alphabets; what belongs to neither is passed over, and so is a last
/// character that alone makes no byte; the first `=` ends it.
pub(in crate::functions::scalar) fn decode_loose_base64(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.extend((bits >> count).to_le_bytes().first());
            bits &= (1 << count) - 1;
        }
    }
    decoded
}

/// Hex as it is, as `0x…` (where an odd number of digits gets a zero in front), or as `X'…'`.
///
/// # Errors
/// It is none of these.
pub(in crate::functions::scalar) fn decode_loose_hex(text: &str) -> Result<Vec<u8>, EvalError> {
    let quoted = text.strip_prefix("X'").or_else(|| text.strip_prefix("x'")).and_then(|rest| rest.strip_suffix('\''));
    let decoded = match (text.strip_prefix("0x"), quoted) {
        (Some(digits), _) if digits.len() % 2 == 1 => hex::decode(format!("0{digits}")),
        (Some(digits), _) | (None, Some(digits)) => hex::decode(digits),
        (None, None) => hex::decode(text),
    };
    decoded.map_err(|_| EvalError::new(format!("'{text}' is no hex")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_three_forms() {
        for (text, bytes) in [
            ("4578", Some(&b"Ex"[..])),
            ("0x4578", Some(b"Ex")),
            ("X'4578'", Some(b"Ex")),
            ("x'4578'", Some(b"Ex")),
            ("0x", Some(b"")),
            ("x''", Some(b"")),
            ("0x578", Some(b"\x05x")),
            ("578", None),
            ("x'578'", None),
            ("0x0x", None),
            ("X'", None),
            ("x'4578", None),
        ] {
            assert_eq!(decode_loose_hex(text).ok().as_deref(), bytes, "{text}");
            assert_eq!(Encoding::Hex.decode(text).is_ok(), text == "4578", "{text}");
        }
    }

    #[test]
    fn loose_base64_passes_over_what_is_none() {
        for (text, bytes) in [
            ("RXhhbXBsZSE=", &b"Example!"[..]),
            (" R X\nhh?bX*BsZSE", b"Example!"),
            ("RXh=hbXBsZSE=", b"Ex"),
            ("--__", b"\xfb\xef\xff"),
            ("++//", b"\xfb\xef\xff"),
            ("é漢", b""),
            ("R", b""),
            ("RX", b"E"),
            ("", b""),
        ] {
            assert_eq!(decode_loose_base64(text), bytes, "{text}");
        }
    }

    #[test]
    fn foreign_characters_are_replaced() {
        assert_eq!(Encoding::Ascii.encode(&[104, 255]), "h\u{FFFD}");
        assert_eq!(Encoding::Utf8.encode(&[255, 255]), "\u{FFFD}\u{FFFD}");
        assert_eq!(Encoding::Ascii.decode("é😀a"), Ok(b"??a".to_vec()));
        assert!(Encoding::parse("nope").is_err());
    }
}
