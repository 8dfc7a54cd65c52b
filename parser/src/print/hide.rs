//! Texts that can't be parsed, with the values of connectors hidden: such a text is quoted in errors, and errors travel.
//!
//! It is judged without the grammar, which the text does not follow, so rather too much is hidden than too little: what
//! stands after a `=`, and texts in single quotes that no `=` follows. Names and a connector's class stay.

use std::borrow::Cow;
use std::ops::Range;

/// The one value that is no secret.
const CLASS: &str = "connector.class";
/// What stands in a hidden value's place.
const HIDDEN: &str = "'[string]'";

/// Whether a text may hold a connector's properties.
fn concerns_connectors(text: &str) -> bool {
    let word = b"connector";
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// The text of a statement (or of a script) that was refused unread, as it may be shown: where it is about connectors, the
/// values of properties are `'[string]'`.
pub fn hide_values(text: &str) -> Cow<'_, str> {
    hide(text, |_| HIDDEN.to_owned())
}

/// As [`hide_values`], but every character keeps its place, so that a caret under it stands right.
pub(crate) fn blot_values(text: &str) -> Cow<'_, str> {
    let blot = |c: char| if c.is_whitespace() || c == '\'' { c } else { '*' };
    hide(text, |value| value.chars().map(blot).collect())
}

/// What `text` hides that a message may repeat.
pub(crate) fn hidden_words(text: &str) -> Vec<&str> {
    if !concerns_connectors(text) {
        return Vec::new();
    }
    let inner = |range: Range<usize>| text.get(range).unwrap_or("").trim().trim_matches(['\'', '"', '`']);
    values(text).into_iter().map(inner).filter(|word| !word.is_empty()).collect()
}

fn hide(text: &str, instead: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !concerns_connectors(text) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for value in values(text) {
        result += text.get(end..value.start).unwrap_or("");
        result += &instead(text.get(value.clone()).unwrap_or(""));
        end = value.end;
    }
    result += text.get(end..).unwrap_or("");
    Cow::Owned(result)
}

/// Where values stand, in order.
fn values(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut pieces = Pieces { text, at: 0 }.peekable();
    // The name before a `=`, and from where its value may begin.
    let (mut name, mut value): (&str, Option<Range<usize>>) = ("", None);
    let mut is_class = false;
    while let Some((kind, piece)) = pieces.next() {
        let part = text.get(piece.clone()).unwrap_or("");
        let followed_by_equals = matches!(pieces.peek(), Some((Kind::Mark('='), _)));
        match (kind, &mut value) {
            (Kind::Mark(',' | ')' | ';'), Some(_)) => found.extend(value.take().filter(|v| !is_class && v.start < v.end)),
            (_, Some(value)) => {
                if value.start == value.end {
                    value.start = piece.start;
                }
                value.end = piece.end;
                // Only a text on its own is a class.
                is_class &= value.start == piece.start;
            }
            (Kind::Mark('='), None) => {
                is_class = name.trim_matches(['\'', '"', '`']) == CLASS;
                value = Some(piece.end..piece.end);
            }
            (Kind::Quoted('\''), None) if !followed_by_equals => found.push(piece),
            (Kind::Quoted(_) | Kind::Other, None) => name = part,
            _ => {}
        }
    }
    found.extend(value.filter(|v| !is_class && v.start < v.end));
    found
}

/// What a stretch of text is.
#[derive(Clone, Copy)]
enum Kind {
    /// In these quotes, which belong to it; the last may not be closed.
    Quoted(char),
    /// One character that bears on where values stand.
    Mark(char),
    Other,
}

/// A text in pieces, without white space and comments.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Pieces<'_> {
    type Item = (Kind, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = rest.chars().next()?;
            let start = self.at;
            let after = |pattern: &str, from: usize| {
                let found = rest.get(from..).and_then(|tail| tail.find(pattern));
                found.map_or(rest.len(), |at| from + at + pattern.len())
            };
            let is_mark = |c: char| matches!(c, '=' | ',' | ')' | ';' | '\'' | '"' | '`') || c.is_whitespace();
            let (kind, length) = match first {
                _ if first.is_whitespace() => (None, first.len_utf8()),
                _ if rest.starts_with("--") => (None, after("\n", 2)),
                _ if rest.starts_with("/*") => (None, after("*/", 2)),
                '\'' | '"' | '`' => (Some(Kind::Quoted(first)), quoted(rest, first)),
                _ if is_mark(first) => (Some(Kind::Mark(first)), first.len_utf8()),
                // A comment may begin within: what follows is then hidden with it, or not looked at.
                _ => (Some(Kind::Other), rest.find(is_mark).unwrap_or(rest.len())),
            };
            self.at += length;
            if let Some(kind) = kind {
                return Some((kind, start..self.at));
            }
        }
    }
}

/// The length of what begins with a quote, up to the quote that closes it. A doubled quote is part of it.
fn quoted(text: &str, quote: char) -> usize {
    let mut from = quote.len_utf8();
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(quote)) {
        from += at + quote.len_utf8();
        if !text.get(from..).is_some_and(|rest| rest.starts_with(quote)) {
            return from;
        }
        from += quote.len_utf8();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_connectors_are_hidden_in_what_cannot_be_parsed() {
        for (text, expected) in [
            ("CREATE STREAM s WITH (kafka_topic='t'", "CREATE STREAM s WITH (kafka_topic='t'"),
            (
                "CREATE SOURCE CONNECTOR c WITH ('a.b'='s3', \"c\" = 'it''s')",
                "CREATE SOURCE CONNECTOR c WITH ('a.b'='[string]', \"c\" = '[string]')",
            ),
            (
                "CREATE SINK CONNECTR `c` WITH ('connector.class'='X', p = bare\n)",
                "CREATE SINK CONNECTR `c` WITH ('connector.class'='X', p = '[string]'\n)",
            ),
            ("create source connector c with ('p' 's3')", "create source connector c with ('[string]' '[string]')"),
            ("create source connector c with ('p' = 's3, 'q'='x');", "create source connector c with ('p' = '[string]'"),
            (
                "create source connector c with ('p' = /* ) */ -5, 'q'='open",
                "create source connector c with ('p' = /* ) */ '[string]', 'q'='[string]'",
            ),
            ("connector connector.class = 'X' y", "connector connector.class = '[string]'"),
        ] {
            assert_eq!(hide_values(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_blotted_keeps_its_place() {
        let text = "CREATE SOURCE CONNECTOR c\nWITH ('p'='sécret\nx', 'q' : 5)";
        let blotted = blot_values(text);
        assert_eq!(blotted, "CREATE SOURCE CONNECTOR c\nWITH ('p'='******\n*', '*' : 5)");
        assert_eq!(blotted.chars().count(), text.chars().count());
        assert_eq!(hidden_words(text), ["sécret\nx", "q"]);
    }

    #[test]
    fn any_text_is_taken() {
        for text in ["connector '", "connector = ", "connector=='", "connector /*", "connector é='é", "connector ''''='''", ""] {
            let _ = (hide_values(text), blot_values(text), hidden_words(text));
        }
    }
}
