//! AVRO schemas. apache-avro says whether a text is one; the model and the canonical text are read from the JSON, because
//! both must keep what apache-avro drops (the order of attributes, attributes of its own, aliases as written).

mod read;

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{Model, ParsedSchema, all_references};
use crate::registry::Schema;

/// A type. Named types stand in [`AvroModel::named`], so that a type may hold itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AvroType {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Box<AvroType>),
    Map(Box<AvroType>),
    Union(Vec<AvroType>),
    /// Index into [`AvroModel::named`].
    Named(usize),
}

/// A record, enum or fixed.
#[derive(Debug, Clone)]
pub struct NamedType {
    pub full_name: String,
    /// Full names.
    pub aliases: Vec<String>,
    pub body: NamedBody,
}

impl NamedType {
    /// The name without its namespace.
    pub fn name(&self) -> &str {
        self.full_name.rsplit('.').next().unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub enum NamedBody {
    Record(Vec<AvroField>),
    Enum { symbols: Vec<String>, default: Option<String> },
    Fixed { size: u64 },
}

#[derive(Debug, Clone)]
pub struct AvroField {
    pub name: String,
    pub aliases: Vec<String>,
    pub has_default: bool,
    pub field_type: AvroType,
}

/// A schema with all its named types.
#[derive(Debug)]
pub struct AvroModel {
    pub root: AvroType,
    pub named: Vec<NamedType>,
}

/// # Errors
/// The text is no AVRO schema, or refers to a type that is nowhere.
pub(super) fn parse(schema: &Schema, normalize: bool) -> Result<ParsedSchema, String> {
    let references = all_references(schema)?;
    let mut names = read::Names::default();
    for reference in &references {
        let json = to_json(&reference.schema.text)?;
        read::read(&json, &mut names, normalize).map_err(|why| format!("reference '{}': {why}", reference.name))?;
    }
    let json = to_json(&schema.text)?;
    let (root, canonical) = read::read(&json, &mut names, normalize)?;
    let canonical = canonical.to_string();
    // What it refuses, a record could not be read with either.
    let named = references.iter().map(|reference| &reference.schema.text).filter(|text| text.trim_start().starts_with('{'));
    apache_avro::Schema::parse_str_with_list(&canonical, named).map_err(|error| error.to_string())?;
    Ok(ParsedSchema { identity: canonical.clone(), canonical, model: Model::Avro(AvroModel { root, named: names.into_types() }) })
}

/// A schema's text with all that it refers to within it.
///
/// # Errors
/// As for [`parse`].
pub fn resolved_text(schema: &Schema) -> Result<String, String> {
    let mut texts: HashMap<String, Json> = HashMap::new();
    for reference in all_references(schema)? {
        let mut names = read::Names::default();
        let json = to_json(&reference.schema.text)?;
        if let Some(name) = read::full_name_of(&json) {
            texts.insert(name, json);
        } else {
            read::read(&json, &mut names, false)?;
        }
    }
    let mut names = read::Names::with_texts(texts);
    let (_, canonical) = read::read(&to_json(&schema.text)?, &mut names, false)?;
    Ok(canonical.to_string())
}

fn to_json(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|error| format!("The schema is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Reference, SchemaKind};
    use std::sync::Arc;

    fn canonical(text: &str) -> Result<String, String> {
        parse(&Schema::new(SchemaKind::Avro, text), false).map(|parsed| parsed.canonical)
    }

    #[test]
    fn texts_are_written_as_java_writes_them() {
        for (text, expected) in [
            (r#" "string" "#, r#""string""#),
            (r#"{"type":"string"}"#, r#""string""#),
            (r#"{"type": "string", "avro.java.string": "String"}"#, r#"{"type":"string","avro.java.string":"String"}"#),
            (r#"["null", {"type": "int"}]"#, r#"["null","int"]"#),
            (r#"{"items": "long", "type": "array"}"#, r#"{"type":"array","items":"long"}"#),
            (
                r#"{"namespace":"a.b","name":"R","type":"record","x":1,"doc":"d","fields":[
                    {"default":null,"type":["null","a.b.R"],"name":"next","aliases":["n"],"order":"ascending","y":[true]},
                    {"name":"e","type":{"type":"enum","symbols":["A"],"name":"E","default":"A"}},
                    {"name":"f","type":{"name":"other.F","type":"fixed","size":2},"order":"ignore"},
                    {"name":"g","type":"other.F"}]}"#,
                concat!(
                    r#"{"type":"record","name":"R","namespace":"a.b","doc":"d","fields":["#,
                    r#"{"name":"next","type":["null","R"],"default":null,"aliases":["n"],"y":[true]},"#,
                    r#"{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},"#,
                    r#"{"name":"f","type":{"type":"fixed","name":"F","namespace":"other","size":2},"order":"ignore"},"#,
                    r#"{"name":"g","type":"other.F"}],"x":1}"#
                ),
            ),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(canonical(expected).as_deref(), Ok(expected), "again");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for (text, part) in [
            ("string", "no JSON"),
            (r#""nowhere""#, "nowhere"),
            (r#"{"type":"record","name":"R"}"#, "fields"),
            (r#"{"type":"record","name":"1R","fields":[]}"#, "1R"),
            (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#, "a"),
            (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "A"),
            (r#"["int","int"]"#, "int"),
            (r#"{"type":"fixed","name":"F","size":-1}"#, "size"),
            ("5", "5"),
        ] {
            let why = canonical(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn references_are_known_by_their_names() {
        let inner = Arc::new(Schema::new(SchemaKind::Avro, r#"{"type":"record","name":"a.Inner","fields":[]}"#));
        let reference = Reference { name: "a.Inner".into(), subject: "inner".into(), version: 1, schema: inner };
        let text = r#"{"type":"record","name":"a.Outer","fields":[{"name":"i","type":"a.Inner"}]}"#;
        assert!(canonical(text).is_err());
        let outer = Schema { references: vec![reference], ..Schema::new(SchemaKind::Avro, text) };
        let parsed = parse(&outer, false).expect("reads");
        assert_eq!(parsed.canonical, r#"{"type":"record","name":"Outer","namespace":"a","fields":[{"name":"i","type":"Inner"}]}"#);
        assert_eq!(
            resolved_text(&outer).as_deref(),
            Ok(concat!(
                r#"{"type":"record","name":"Outer","namespace":"a","fields":["#,
                r#"{"name":"i","type":{"type":"record","name":"Inner","fields":[]}}]}"#
            ))
        );
    }
}
