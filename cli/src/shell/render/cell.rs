//! One value of a result.

use serde_json::Value as Json;

/// NULL, or a value's text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Null,
    Text(String),
}

impl Cell {
    /// Texts bare, the rest as JSON.
    pub fn of(value: &Json) -> Self {
        match value {
            Json::Null => Cell::Null,
            Json::String(text) => Cell::Text(text.clone()),
            other => Cell::Text(other.to_string()),
        }
    }

    /// As people read it: NULL is `null`, the text null stands in quotes, control characters are escaped.
    pub fn shown(&self) -> String {
        match self {
            Cell::Null => "null".to_owned(),
            Cell::Text(text) if text.trim_matches('\'').eq_ignore_ascii_case("null") => format!("'{}'", text.replace('\'', "''")),
            Cell::Text(text) => escaped(text),
        }
    }

    pub fn json(&self) -> Json {
        match self {
            Cell::Null => Json::Null,
            Cell::Text(text) => Json::String(text.clone()),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

/// A value's text where NULL is nothing.
pub fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text that a terminal shows as it is: what would steer the terminal, end the line or turn the direction of writing is
/// escaped.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Marks of direction and separators of lines, which have no look of their own.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_told_from_the_text_null() {
        let shown = |value: Json| Cell::of(&value).shown();
        assert_eq!(shown(Json::Null), "null");
        assert_eq!(shown("null".into()), "'null'");
        assert_eq!(shown("NULL".into()), "'NULL'");
        assert_eq!(shown("'null'".into()), "'''null'''");
        assert_eq!(shown("nullable".into()), "nullable");
        assert_eq!(shown(serde_json::json!({"A": null})), "{\"A\":null}");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("a\x1b[31mb\n\tc\u{202e}d\u{85}é漢"), "a\\u{1b}[31mb\\n\\tc\\u{202e}d\\u{85}é漢");
    }
}
