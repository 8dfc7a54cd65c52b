//! JSON whose numbers keep their digits: `1.50` and `1.5` are different decimals, and `5` is not `5.0`.

use serde_json::Value as Json;

/// Stands before the digits of a number in a string.
const MARK: char = '\u{1}';

/// Puts numbers in quotes, marked, so that a parser leaves their digits alone.
pub fn quote_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let (mut in_string, mut escaped, mut in_number) = (false, false, false);
    for c in text.chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        let of_number = if in_number { c.is_ascii_digit() || "+-.eE".contains(c) } else { c.is_ascii_digit() || c == '-' };
        if of_number != in_number {
            out.push_str(if of_number { "\"\\u0001" } else { "\"" });
            in_number = of_number;
        }
        in_string = c == '"';
        out.push(c);
    }
    if in_number {
        out.push('"');
    }
    out
}

/// Parses with marked numbers.
pub fn parse(text: &str) -> Option<Json> {
    serde_json::from_str(&quote_numbers(text)).ok()
}

/// The digits of a marked number.
pub fn number(json: &Json) -> Option<&str> {
    json.as_str().and_then(|text| text.strip_prefix(MARK))
}

#[test]
fn numbers_keep_their_digits() {
    assert_eq!(quote_numbers(r#"{"a1":[1.50,-2],"b":"x\"3"}"#), r#"{"a1":["\u00011.50","\u0001-2"],"b":"x\"3"}"#);
    let parsed = parse("[1.50]").expect("JSON");
    assert_eq!(number(&parsed[0]), Some("1.50"));
}
