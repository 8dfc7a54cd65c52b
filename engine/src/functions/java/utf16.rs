//! Positions in strings count UTF-16 units, as in Java. A cut through the middle of a pair leaves U+FFFD, because a lone
//! surrogate is no text here.

use crate::types::Text;

/// The length in UTF-16 units.
pub fn len_utf16(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// Units `start` to `end` (exclusive); what lies outside is left out.
pub fn cut(text: &str, start: usize, end: usize) -> Text {
    if start >= end {
        return Text::new();
    }
    if text.is_ascii() {
        let end = end.min(text.len());
        return Text::from(text.get(start.min(end)..end).unwrap_or_default());
    }
    let units: Vec<u16> = text.encode_utf16().skip(start).take(end - start).collect();
    Text::from(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_not_characters() {
        for (text, length, start, end, cut_out) in [
            ("hello", 5, 1, 3, "el"),
            ("hello", 5, 4, 99, "o"),
            ("hello", 5, 9, 12, ""),
            ("😀x", 3, 2, 3, "x"),
            ("😀x", 3, 1, 3, "\u{FFFD}x"),
            ("漢字", 2, 1, 2, "字"),
            ("a", 1, 1, 0, ""),
        ] {
            assert_eq!(len_utf16(text), length);
            assert_eq!(cut(text, start, end), cut_out, "{text}");
        }
    }
}
