//! JSON Schema, drafts 4 to 2020-12: a schema as the kinds that the rules of compatibility tell apart.

mod read;

use serde_json::Value as Json;

use super::{Model, ParsedSchema, all_references};
use crate::registry::Schema;

/// A schema and all within it that was reached.
#[derive(Debug, Default)]
pub struct JsonModel {
    /// Index of the whole.
    pub root: usize,
    pub nodes: Vec<JsonNode>,
}

impl JsonModel {
    /// The node of an index, behind references.
    pub fn node(&self, index: usize) -> Option<&JsonNode> {
        self.nodes.get(self.target(index))
    }

    /// Where references lead; one that leads to itself only stays.
    pub fn target(&self, index: usize) -> usize {
        let mut at = index;
        for _ in 0..self.nodes.len().min(MAX_HOPS) {
            match self.nodes.get(at).map(|node| &node.body) {
                Some(JsonBody::Reference(next)) => at = *next,
                _ => break,
            }
        }
        at
    }
}

/// References that lead to references, at most.
const MAX_HOPS: usize = 64;

/// One schema within a schema.
#[derive(Debug, Default)]
pub struct JsonNode {
    pub id: Option<Json>,
    pub title: Option<Json>,
    pub description: Option<Json>,
    pub default: Option<Json>,
    pub body: JsonBody,
}

/// What a schema asks of a value. Indexes are of [`JsonModel::nodes`].
#[derive(Debug, Default)]
pub enum JsonBody {
    /// Everything passes.
    #[default]
    Empty,
    /// Nothing passes.
    False,
    Reference(usize),
    Null,
    Boolean,
    String(StringRules),
    Number(NumberRules),
    Object(Box<ObjectRules>),
    Array(Box<ArrayRules>),
    Enum(Vec<Json>),
    Const(Json),
    Not(usize),
    Combined(Criterion, Vec<usize>),
    /// `if`, `then`, `else`.
    Conditional,
}

/// Of how many schemas a value must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    All,
    Any,
    One,
}

impl Criterion {
    /// The keyword.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::All => "allOf",
            Criterion::Any => "anyOf",
            Criterion::One => "oneOf",
        }
    }
}

#[derive(Debug, Default)]
pub struct StringRules {
    pub min_length: Option<f64>,
    pub max_length: Option<f64>,
    pub pattern: Option<String>,
}

#[derive(Debug, Default)]
pub struct NumberRules {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: Option<f64>,
    pub exclusive_maximum: Option<f64>,
    pub multiple_of: Option<f64>,
    pub is_integer: bool,
}

#[derive(Debug)]
pub struct ObjectRules {
    pub properties: Vec<(String, usize)>,
    pub required: Vec<String>,
    pub patterns: Vec<(String, usize)>,
    /// `additionalProperties: false` forbids others.
    pub permits_additional: bool,
    pub additional: Option<usize>,
    pub property_dependencies: Vec<(String, Vec<String>)>,
    pub schema_dependencies: Vec<(String, usize)>,
    pub min_properties: Option<f64>,
    pub max_properties: Option<f64>,
}

#[derive(Debug)]
pub struct ArrayRules {
    /// Of all items.
    pub all_items: Option<usize>,
    /// Of the first items, each its own.
    pub items: Vec<usize>,
    pub permits_additional: bool,
    pub additional: Option<usize>,
    pub min_items: Option<f64>,
    pub max_items: Option<f64>,
    pub is_unique: bool,
}

/// # Errors
/// The text is no JSON Schema, or refers to what is nowhere.
pub(super) fn parse(schema: &Schema, normalize: bool) -> Result<ParsedSchema, String> {
    let to_json = |text: &str| serde_json::from_str::<Json>(text).map_err(|error| format!("The schema is no JSON: {error}"));
    let json = to_json(&schema.text)?;
    let references = all_references(schema)?;
    let others = references.iter().map(|r| Ok((r.name.as_str(), to_json(&r.schema.text)?))).collect::<Result<Vec<_>, String>>()?;
    let model = read::read(&json, &others)?;
    let canonical = if normalize { sorted(&json).to_string() } else { json.to_string() };
    Ok(ParsedSchema { identity: canonical.clone(), canonical, model: Model::Json(model) })
}

/// With the members of each object in the order of their names.
fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Json::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Reference, SchemaKind};
    use std::sync::Arc;

    fn parse_text(text: &str) -> Result<ParsedSchema, String> {
        parse(&Schema::new(SchemaKind::Json, text), false)
    }

    #[test]
    fn canonical_texts_have_no_spaces_and_keep_their_order() {
        let text = "{ \"type\": \"object\",\n \"properties\": {\"b\": {}, \"a\": true} }";
        assert_eq!(parse_text(text).expect("reads").canonical, r#"{"type":"object","properties":{"b":{},"a":true}}"#);
        let normal = parse(&Schema::new(SchemaKind::Json, text), true).expect("reads");
        assert_eq!(normal.canonical, r#"{"properties":{"a":true,"b":{}},"type":"object"}"#);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for (text, part) in [
            ("{", "no JSON"),
            ("5", "5"),
            (r#"{"type":"text"}"#, "text"),
            (r#"{"type":5}"#, "type"),
            (r#"{"properties":5}"#, "properties"),
            (r#"{"properties":{"a":5}}"#, "5"),
            (r##"{"$ref":"#/definitions/none"}"##, "none"),
            (r#"{"$ref":"other.json"}"#, "other.json"),
            (r#"{"pattern":"("}"#, "pattern"),
        ] {
            let why = parse_text(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn references_lead_within_and_to_others() {
        let inner = Arc::new(Schema::new(SchemaKind::Json, r#"{"$id":"http://x/inner.json","definitions":{"n":{"type":"integer"}}}"#));
        let reference = Reference { name: "inner.json".into(), subject: "inner".into(), version: 1, schema: inner };
        let text = r##"{"properties":{"a":{"$ref":"inner.json#/definitions/n"},"b":{"$ref":"http://x/inner.json#/definitions/n"},
            "c":{"$ref":"#/$defs/t~1x%20y"},"d":{"$ref":"#"},"e":{"$ref":"#it"}},
            "$defs":{"t/x y":{"type":"string"},"u":{"$anchor":"it","type":"null"}}}"##;
        let schema = Schema { references: vec![reference], ..Schema::new(SchemaKind::Json, text) };
        let Model::Json(model) = parse(&schema, false).expect("reads").model else { panic!("JSON") };
        let JsonBody::Object(rules) = &model.node(model.root).expect("root").body else { panic!("an object") };
        let bodies: Vec<&JsonBody> = rules.properties.iter().map(|(_, index)| &model.node(*index).expect("there").body).collect();
        assert!(matches!(
            bodies.as_slice(),
            [
                JsonBody::Number(NumberRules { is_integer: true, .. }),
                JsonBody::Number(_),
                JsonBody::String(_),
                JsonBody::Object(_),
                JsonBody::Null
            ]
        ));
    }
}
