//! Whether records that were written with one schema can be read with another: the rules that a registry holds the versions
//! of a subject to. One file a language; the rules and the texts are those of Confluent's registry.

mod avro;
mod json;
mod level;
mod protobuf;

pub use level::Level;

use super::language::{Model, ParsedSchema};

/// Bytes of an old schema that a message shows at most.
const MAX_SHOWN_SCHEMA: usize = 10 * 1024;

/// A version that a schema is held against.
#[derive(Debug)]
pub struct Previous {
    pub version: i32,
    pub schema: ParsedSchema,
}

/// Why a schema can't follow earlier versions; none: it can. `previous` comes oldest first.
pub fn check(level: Level, schema: &ParsedSchema, previous: &[Previous]) -> Vec<String> {
    let considered = if level.is_transitive() { previous.len() } else { 1 };
    for earlier in previous.iter().rev().take(considered) {
        let mut messages = against(level, schema, earlier);
        if !messages.is_empty() {
            messages.push(format!("{{validateFields: 'false', compatibility: '{level}'}}"));
            return messages;
        }
    }
    Vec::new()
}

fn against(level: Level, schema: &ParsedSchema, earlier: &Previous) -> Vec<String> {
    if level == Level::None {
        return Vec::new();
    }
    if schema.kind() != earlier.schema.kind() {
        return vec!["Incompatible because of different schema type".to_owned()];
    }
    let mut messages = Vec::new();
    if level.checks_forward() {
        messages.extend(can_read(&earlier.schema, schema).iter().map(|found| found.text("old", "new")));
    }
    if level.checks_backward() {
        messages.extend(can_read(schema, &earlier.schema).iter().map(|found| found.text("new", "old")));
    }
    if !messages.is_empty() {
        messages.push(format!("{{oldSchemaVersion: {}}}", earlier.version));
        messages.push(shown(&earlier.schema.canonical));
    }
    messages
}

fn shown(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_SHOWN_SCHEMA).last().unwrap_or_default();
    match text.get(..end) {
        Some(beginning) if text.len() > MAX_SHOWN_SCHEMA => format!("{{oldSchema: <truncated> '{beginning}...'}}"),
        _ => format!("{{oldSchema: '{text}'}}"),
    }
}

/// What keeps a reader from reading what a writer wrote.
fn can_read(reader: &ParsedSchema, writer: &ParsedSchema) -> Vec<Incompatibility> {
    match (&reader.model, &writer.model) {
        (Model::Avro(reader), Model::Avro(writer)) => avro::check(reader, writer),
        (Model::Json(reader), Model::Json(writer)) => json::check(writer, reader),
        (Model::Protobuf(reader), Model::Protobuf(writer)) => protobuf::check(writer, reader),
        _ => Vec::new(),
    }
}

/// One reason. The schemas are called new and old in its text, whichever of them reads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Incompatibility {
    /// With `{reader}` and `{writer}` where the schemas are named.
    text: String,
}

impl Incompatibility {
    /// `quote` stands around texts: AVRO's messages have single ones.
    fn new(error_type: &str, description: &str, quote: char, additional: Option<&str>) -> Self {
        let additional = additional.map(|info| format!(", additionalInfo:'{info}'")).unwrap_or_default();
        Incompatibility { text: format!("{{errorType:{quote}{error_type}{quote}, description:{quote}{description}{quote}{additional}}}") }
    }

    fn text(&self, reader: &str, writer: &str) -> String {
        self.text.replace(READER, reader).replace(WRITER, writer)
    }
}

/// Stand for the schemas in a description; no name in a schema holds these characters.
const READER: &str = "\u{1}";
const WRITER: &str = "\u{2}";

#[cfg(test)]
mod tests;
