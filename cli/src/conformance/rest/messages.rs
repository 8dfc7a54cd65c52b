//! Rows as messages of Protocol Buffers. A case writes them in Protocol Buffers' text form; here both that and the bytes of an
//! answer become trees in a normal form, which are compared like any other row.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost_reflect::{DynamicMessage, MapKey, Value};
use serde_json::{Value as Json, json};
use tidemill_engine::formats::protobuf_descriptors;
use tidemill_engine::registry::{Schema, SchemaKind};

/// How deep a message may be nested.
const MAX_DEPTH: usize = 64;

/// The entries of an answer and the expected ones, with messages as trees.
pub(super) fn told(expected: &[Json], actual: &[Json]) -> Result<(Vec<Json>, Vec<Json>), String> {
    let schema = actual.iter().find_map(|entry| entry["header"]["protoSchema"].as_str()).ok_or("the answer has no protoSchema")?;
    let file = protobuf_descriptors(&Schema::new(SchemaKind::Protobuf, schema))?;
    let descriptor = file.messages().next().ok_or("protoSchema has no message")?;
    let expected = expected.iter().map(|entry| match entry["row"].as_str() {
        Some(text) => Ok(json!({ "row": normal(Text::new(text).message(0)?) })),
        None => Ok(entry.clone()),
    });
    let actual = actual.iter().map(|entry| match entry["row"]["protobufBytes"].as_str() {
        Some(text) => {
            let bytes = BASE64.decode(text).map_err(|e| format!("protobufBytes: {e}"))?;
            let message = DynamicMessage::decode(descriptor.clone(), &*bytes).map_err(|e| format!("a row is no message: {e}"))?;
            Ok(json!({ "row": normal(fields(&message)) }))
        }
        None => Ok(entry.clone()),
    });
    Ok((expected.collect::<Result<_, String>>()?, actual.collect::<Result<_, String>>()?))
}

/// A field: its name, and its value or its message.
type Field = (String, Node);

enum Node {
    Word(String),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

/// As JSON: the values of each name, in their order, but for entries of maps, which have none.
fn normal(fields: Vec<Field>) -> Json {
    let mut out = serde_json::Map::new();
    for (name, node) in fields {
        let value = match node {
            Node::Word(word) => word.parse::<serde_json::Number>().map_or_else(|_| json!(word), Json::Number),
            Node::Bytes(bytes) => json!({ "bytes": BASE64.encode(bytes) }),
            Node::Message(fields) => normal(fields),
        };
        if let Json::Array(values) = out.entry(name).or_insert_with(|| json!([])) {
            values.push(value);
        }
    }
    let is_entry =
        |value: &Json| value.as_object().is_some_and(|of| of.contains_key("key") && of.keys().all(|n| n == "key" || n == "value"));
    for (_, values) in &mut out {
        if let Json::Array(values) = values
            && values.iter().all(is_entry)
        {
            values.sort_by_key(Json::to_string);
        }
    }
    Json::Object(out)
}

/// The fields of a message that are set.
fn fields(message: &DynamicMessage) -> Vec<Field> {
    let mut out = Vec::new();
    let mut set: Vec<_> = message.fields().collect();
    set.sort_by_key(|(field, _)| field.number());
    for (field, value) in set {
        let name = || field.name().to_owned();
        match value {
            Value::List(items) => out.extend(items.iter().map(|item| (name(), node(item)))),
            Value::Map(entries) => out.extend(entries.iter().map(|(key, value)| {
                let key = match key {
                    MapKey::String(text) => Node::Bytes(text.clone().into_bytes()),
                    MapKey::Bool(value) => Node::Word(value.to_string()),
                    MapKey::I32(value) => Node::Word(value.to_string()),
                    MapKey::I64(value) => Node::Word(value.to_string()),
                    MapKey::U32(value) => Node::Word(value.to_string()),
                    MapKey::U64(value) => Node::Word(value.to_string()),
                };
                (name(), Node::Message(vec![("key".to_owned(), key), ("value".to_owned(), node(value))]))
            })),
            value => out.push((name(), node(value))),
        }
    }
    out
}

fn node(value: &Value) -> Node {
    match value {
        Value::Message(message) => Node::Message(fields(message)),
        Value::String(text) => Node::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => Node::Bytes(bytes.to_vec()),
        Value::Bool(value) => Node::Word(value.to_string()),
        Value::I32(value) | Value::EnumNumber(value) => Node::Word(value.to_string()),
        Value::I64(value) => Node::Word(value.to_string()),
        Value::U32(value) => Node::Word(value.to_string()),
        Value::U64(value) => Node::Word(value.to_string()),
        Value::F32(value) => Node::Word(value.to_string()),
        Value::F64(value) => Node::Word(value.to_string()),
        Value::List(_) | Value::Map(_) => Node::Message(Vec::new()),
    }
}

/// Reads the text form: `NAME: value` and `NAME { … }`.
struct Text<'t> {
    rest: &'t str,
}

impl<'t> Text<'t> {
    fn new(text: &'t str) -> Self {
        Text { rest: text.trim_start() }
    }

    /// Fields up to the message's end.
    fn message(&mut self, depth: usize) -> Result<Vec<Field>, String> {
        if depth > MAX_DEPTH {
            return Err(format!("messages are nested more than {MAX_DEPTH} deep"));
        }
        let mut fields = Vec::new();
        loop {
            let name = self.word();
            if name.is_empty() {
                let is_whole = if depth == 0 { self.rest.is_empty() } else { self.take('}') };
                return if is_whole { Ok(fields) } else { Err(format!("a field's name is missing before {:?}", self.rest)) };
            }
            let has_colon = self.take(':');
            let node = if self.take('{') {
                Node::Message(self.message(depth + 1)?)
            } else if !has_colon {
                return Err(format!("{name} has neither ':' nor '{{'"));
            } else if self.rest.starts_with('"') {
                Node::Bytes(self.quoted()?)
            } else {
                Node::Word(self.word().to_owned())
            };
            fields.push((name.to_owned(), node));
        }
    }

    fn take(&mut self, c: char) -> bool {
        let Some(rest) = self.rest.strip_prefix(c) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn word(&mut self) -> &'t str {
        let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
        let end = self.rest.find(|c: char| !is_inside(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    /// A text in quotes; what is no plain character stands as `\n` or by its octal number.
    fn quoted(&mut self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut bytes = self.rest.bytes().enumerate().skip(1).peekable();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default().trim_start();
                    return Ok(out);
                }
                b'\\' => match bytes.next().map(|(_, byte)| byte) {
                    Some(b'n') => out.push(b'\n'),
                    Some(b'r') => out.push(b'\r'),
                    Some(b't') => out.push(b'\t'),
                    Some(first @ b'0'..=b'7') => {
                        let mut number = u32::from(first - b'0');
                        for _ in 0..2 {
                            let Some((_, digit)) = bytes.next_if(|(_, next)| matches!(next, b'0'..=b'7')) else { break };
                            number = number * 8 + u32::from(digit - b'0');
                        }
                        out.push(u8::try_from(number).map_err(|_| format!("\\{number:o} is no byte"))?);
                    }
                    Some(other) => out.push(other),
                    None => break,
                },
                byte => out.push(byte),
            }
        }
        Err("a quote is not closed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_bytes_make_the_same_trees() {
        let schema = "syntax = \"proto3\";\n\nmessage M {\n  int32 A = 1;\n  repeated E B = 2;\n  bytes C = 3;\n\n  \
                      message E {\n    string key = 1;\n    double value = 2;\n  }\n}\n";
        // A = 1; B of x and y; C of one byte.
        let bytes = [8, 1, 18, 3, 10, 1, b'x', 18, 12, 10, 1, b'y', 17, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 26, 1, 200];
        let actual = [json!({"header": {"protoSchema": schema}}), json!({"row": {"protobufBytes": BASE64.encode(bytes)}})];
        let told = |text: &str| {
            let (expected, actual) = told(&[json!({ "row": text })], &actual).expect("messages");
            expected[0] == actual[1]
        };
        assert!(told("A: 1\nB {\n  key: \"y\"\n  value: 1.5\n}\nB {\n  key: \"x\"\n}\nC: \"\\310\"\n"));
        for other in ["A: 1\n", "A: 1\nB {\n  key: \"x\"\n}\nB {\n  key: \"z\"\n  value: 1.5\n}\nC: \"\\310\"\n"] {
            assert!(!told(other), "{other}");
        }
        for wrong in ["A", "A {", "A: \"x", "{"] {
            assert!(Text::new(wrong).message(0).is_err(), "{wrong}");
        }
    }
}
