//! Where parameters stand in a statement's text: `?`, counted from the left, or `$1` and so on. What is quoted or a comment holds none.

use std::ops::Range;

/// See the module: each with its place in the text and its number from 0.
pub fn placeholders(text: &str) -> Vec<(Range<usize>, usize)> {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let behind =
        |from: usize, end: &str| text.get(from..).and_then(|rest| rest.find(end)).map_or(text.len(), |found| from + found + end.len());
    let mut found: Vec<(Range<usize>, usize)> = Vec::new();
    let (mut index, mut marks) = (0, 0);
    while index < bytes.len() {
        index = match (at(index), at(index + 1)) {
            // A quote within is doubled, which reads as two texts here.
            (b'\'', _) => behind(index + 1, "'"),
            (b'"', _) => behind(index + 1, "\""),
            (b'`', _) => behind(index + 1, "`"),
            (b'-', b'-') => behind(index + 2, "\n"),
            (b'/', b'*') => behind(index + 2, "*/"),
            (b'?', _) => {
                found.push((index..index + 1, marks));
                marks += 1;
                index + 1
            }
            (b'$', b'1'..=b'9') => {
                let end = (index + 1..bytes.len()).find(|end| !at(*end).is_ascii_digit()).unwrap_or(bytes.len());
                if let Some(number) = text.get(index + 1..end).and_then(|digits| digits.parse::<usize>().ok()) {
                    found.push((index..end, number - 1));
                }
                end
            }
            _ => index + 1,
        };
    }
    found
}

/// A text with something else in the parameters' places.
pub fn replaced<'a>(text: &str, places: &[(Range<usize>, usize)], by: impl Fn(usize) -> std::borrow::Cow<'a, str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (place, number) in places {
        out.push_str(text.get(from..place.start).unwrap_or_default());
        out.push_str(&by(*number));
        from = place.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// How many parameters there are.
pub fn count(places: &[(Range<usize>, usize)]) -> usize {
    places.iter().map(|(_, number)| number + 1).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_text_and_no_comment_is_a_parameter() {
        for (text, expected) in [
            ("SELECT ?, 'a?', \"b?\", `c?`, ? -- ?\n, ? /* ? */", "SELECT $1, 'a?', \"b?\", `c?`, $2 -- ?\n, $3 /* ? */"),
            ("SELECT 'it''s ?', ?", "SELECT 'it''s ?', $1"),
            ("SELECT $2, $1, ${x}, $", "SELECT $2, $1, ${x}, $"),
            ("SELECT 'ä?", "SELECT 'ä?"),
            ("?", "$1"),
        ] {
            let places = placeholders(text);
            assert_eq!(replaced(text, &places, |number| format!("${}", number + 1).into()), expected);
        }
        assert_eq!(count(&placeholders("$3")), 3);
        assert_eq!(count(&placeholders("$99999999999999999999999")), 0);
    }
}
