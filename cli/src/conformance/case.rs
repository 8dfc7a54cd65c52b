//! Query cases: statements, input records, expected output records. The shape is that of the conformance folder's README.

use std::path::Path;

use serde_json::Value as Json;

/// One case, after `format` and `config` are expanded.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name of the file without its folder and ending.
    pub file: String,
    pub name: String,
    pub statements: Vec<String>,
    /// Session properties.
    pub properties: Vec<(String, String)>,
    /// Topics that exist beforehand.
    pub topics: Vec<Json>,
    pub inputs: Vec<RecordSpec>,
    pub outputs: Vec<RecordSpec>,
    /// Set where the last statement must be refused; the text that the message must contain may be empty.
    pub expected_error: Option<String>,
    /// What must hold afterwards of sources and topics.
    pub post: Json,
    /// Whether the case asks a server over HTTP, too (`responses`), which this runner does not do.
    pub asks_over_http: bool,
}

/// A record as a case writes it.
#[derive(Debug, Clone)]
pub struct RecordSpec {
    pub topic: String,
    pub key: Json,
    pub value: Json,
    /// An input without one is at 0; an expected record without one may be at any time.
    pub timestamp: Option<i64>,
    pub window: Option<WindowSpec>,
    /// `KEY` and `VALUE` (base64) pairs.
    pub headers: Vec<(String, Option<String>)>,
}

/// The window of a windowed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    pub start: i64,
    pub end: i64,
    pub is_session: bool,
}

/// Reads a file of cases and expands them.
///
/// # Errors
/// The file can't be read or does not have the shape of a case file.
pub fn load(path: &Path) -> Result<Vec<Case>, String> {
    load_as(path, parse)
}

/// As [`load`], for what has more than a query case.
///
/// # Errors
/// As there.
pub(super) fn load_as<C>(path: &Path, parse: impl Fn(&str, &Json) -> Result<C, String>) -> Result<Vec<C>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let document: Json = serde_json::from_str(&without_lone_surrogates(&text)).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let tests = document.get("tests").and_then(Json::as_array).ok_or_else(|| format!("{}: no \"tests\"", path.display()))?;
    let mut cases = Vec::new();
    for test in tests {
        for variant in expand(test) {
            cases.push(parse(&file, &variant).map_err(|e| format!("{}: {e}", path.display()))?);
        }
    }
    Ok(cases)
}

/// Half an emoji is no text; whatever reads it sees the replacement character.
fn without_lone_surrogates(text: &str) -> String {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?;
        u16::from_str_radix(escape.strip_prefix("\\u")?, 16).ok()
    };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => {
                out.push_str(&text[at..at + 12]);
                at += 12;
            }
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                at += 6;
            }
            _ if c == '\\' => {
                // An escape is two characters at least: the second may be a backslash.
                let next = text[at + 1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&text[at..at + 1 + next]);
                at += 1 + next;
            }
            _ => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    out
}

/// One document for each entry of `format`, then of `config`, with the placeholder replaced everywhere.
fn expand(test: &Json) -> Vec<Json> {
    let mut variants = vec![test.clone()];
    for (list, placeholder) in [("format", "{FORMAT}"), ("config", "{CONFIG}")] {
        let Some(entries) = test.get(list).and_then(Json::as_array) else { continue };
        variants = variants
            .iter()
            .flat_map(|variant| {
                entries.iter().filter_map(Json::as_str).map(|entry| {
                    let mut replaced = replace(variant, placeholder, entry);
                    let name = replaced["name"].as_str().unwrap_or_default().to_owned();
                    replaced["name"] = Json::String(format!("{name} - {entry}"));
                    replaced
                })
            })
            .collect();
    }
    variants
}

fn replace(value: &Json, placeholder: &str, with: &str) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace(placeholder, with)),
        Json::Array(items) => Json::Array(items.iter().map(|item| replace(item, placeholder, with)).collect()),
        Json::Object(fields) => {
            Json::Object(fields.iter().map(|(k, v)| (k.replace(placeholder, with), replace(v, placeholder, with))).collect())
        }
        other => other.clone(),
    }
}

pub(super) fn parse(file: &str, test: &Json) -> Result<Case, String> {
    let name = test["name"].as_str().ok_or("a case without a name")?.to_owned();
    let texts =
        |field: &str| -> Vec<String> { test[field].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect() };
    let records = |field: &str| -> Result<Vec<RecordSpec>, String> {
        test[field].as_array().into_iter().flatten().map(|r| record(r).map_err(|e| format!("{name}: {e}"))).collect()
    };
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let expected = &test["expectedException"];
    Ok(Case {
        file: file.to_owned(),
        statements: texts("statements"),
        properties: test["properties"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect(),
        topics: test["topics"].as_array().cloned().unwrap_or_default(),
        inputs: records("inputs")?,
        outputs: records("outputs")?,
        expected_error: (!expected.is_null()).then(|| expected["message"].as_str().unwrap_or_default().to_owned()),
        post: test["post"].clone(),
        asks_over_http: !test["responses"].is_null(),
        name,
    })
}

/// Reads one record.
pub fn record(spec: &Json) -> Result<RecordSpec, String> {
    let window = match &spec["window"] {
        Json::Null => None,
        window => Some(WindowSpec {
            start: window["start"].as_i64().ok_or("a window without its start")?,
            end: window["end"].as_i64().ok_or("a window without its end")?,
            is_session: window["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("session")),
        }),
    };
    let headers = spec["headers"].as_array().into_iter().flatten();
    Ok(RecordSpec {
        topic: spec["topic"].as_str().ok_or("a record without its topic")?.to_owned(),
        key: spec["key"].clone(),
        value: spec["value"].clone(),
        timestamp: spec["timestamp"].as_i64(),
        window,
        headers: headers.map(|h| (h["KEY"].as_str().unwrap_or_default().to_owned(), h["VALUE"].as_str().map(str::to_owned))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn formats_and_configs_multiply() {
        let test = json!({"name": "n", "format": ["A", "B"], "config": ["x"], "statements": ["{FORMAT} {CONFIG}"]});
        let statements: Vec<_> = expand(&test).iter().map(|v| v["statements"][0].as_str().unwrap().to_owned()).collect();
        assert_eq!(statements, ["A x", "B x"]);
    }
}
