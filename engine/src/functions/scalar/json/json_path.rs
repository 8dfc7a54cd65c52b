//! Paths into JSON: `$.name[0]["quoted name"]`.

use serde_json::Value as Json;

use crate::functions::EvalError;

/// A parsed path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<String>);

impl JsonPath {
    /// # Errors
    /// The path does not begin with `$` or breaks off.
    pub fn parse(path: &str) -> Result<Self, EvalError> {
        let invalid = || EvalError::new(format!("Invalid JSON path: '{path}'"));
        let mut rest = path.strip_prefix('$').ok_or_else(invalid)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = if let Some(name) = rest.strip_prefix('.') {
                take_while(name, is_path_char)
            } else {
                let subscript = rest.strip_prefix('[').ok_or_else(invalid)?;
                let (step, behind) = match subscript.strip_prefix('"') {
                    Some(quoted) => take_quoted(quoted).ok_or_else(invalid)?,
                    None => take_while(subscript, is_subscript_char),
                };
                (step, behind.strip_prefix(']').ok_or_else(invalid)?)
            };
            if step.is_empty() {
                return Err(invalid());
            }
            steps.push(step);
            rest = behind;
        }
        Ok(JsonPath(steps))
    }

    /// What the path leads to.
    pub fn follow<'j>(&self, root: &'j Json) -> Option<&'j Json> {
        self.0.iter().try_fold(root, |value, step| match value {
            Json::Object(fields) => fields.get(step),
            Json::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

fn is_subscript_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

fn is_path_char(c: char) -> bool {
    is_subscript_char(c) || matches!(c, ':' | '@' | '$')
}

fn take_while(text: &str, belongs: fn(char) -> bool) -> (String, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    let (step, rest) = text.split_at(end);
    (step.to_owned(), rest)
}

/// A name up to its closing quote; a backslash keeps the next quote or backslash.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, text.get(at + 1..)?)),
            '\\' => name.push(chars.next().map(|(_, escaped)| escaped).filter(|c| matches!(c, '"' | '\\'))?),
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let json = serde_json::json!({"a": {"b.c": 7, "d": [10, {"@type": "x"}]}, "é": 1});
        for (path, found) in [
            ("$.a[\"b.c\"]", Some("7")),
            ("$.a.d[0]", Some("10")),
            ("$.a.d[1].@type", Some("\"x\"")),
            ("$[\"a\"][\"d\"][9]", None),
            ("$.é", Some("1")),
            ("$.a.d.b", None),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().follow(&json).map(ToString::to_string).as_deref(), found, "{path}");
        }
        for path in ["a", "", "$.", "$[", "$.a[b.c]", "$.a[\"b", "$a", "$.a b"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
