//! Which kinds of schema stand in a node of a JSON Schema, as Confluent's library takes it apart.
//!
//! A node may say several things at once (`type` and `enum`, `oneOf` and `properties`): they all hold, so it is an `allOf` of
//! its parts. Then what else the node says (a title, `connect.type`) belongs to the whole and not to a part. A node without
//! `type` is known by the keywords in it.

use serde_json::{Map, Value as Json};

use super::document::Place;

/// A node, taken apart.
pub(super) struct Seen<'s> {
    pub part: Part<'s>,
    /// Titles and Connect's annotations, where they belong to this part.
    pub attributes: Option<&'s Map<String, Json>>,
    /// Where its references start from.
    pub place: Place<'s>,
}

pub(super) enum Part<'s> {
    Boolean,
    Null,
    Number {
        is_integer: bool,
    },
    Text {
        has_format: bool,
    },
    Array {
        items: Option<&'s Json>,
    },
    Object {
        properties: Option<&'s Map<String, Json>>,
        additional: Option<&'s Json>,
    },
    Enum,
    Const,
    Reference(&'s str),
    /// All of them hold.
    All(Vec<Seen<'s>>),
    /// `oneOf` or `anyOf`.
    Either(Vec<Seen<'s>>),
    /// What says nothing about a type: the word for it.
    Other(&'static str),
}

impl Part<'_> {
    /// What it is called in error texts.
    pub fn name(&self) -> &'static str {
        match self {
            Part::Boolean => "boolean",
            Part::Null => "null",
            Part::Number { .. } => "number",
            Part::Text { .. } => "string",
            Part::Array { .. } => "array",
            Part::Object { .. } => "object",
            Part::Enum => "enum",
            Part::Const => "const",
            Part::Reference(_) => "$ref",
            Part::All(_) => "allOf",
            Part::Either(_) => "oneOf",
            Part::Other(name) => name,
        }
    }
}

const ARRAY: &[&str] = &["items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"];
const OBJECT: &[&str] = &[
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
];
const TEXT: &[&str] = &["minLength", "maxLength", "pattern", "format"];
const NUMBER: &[&str] = &["minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"];

/// Takes a node apart, and those that it combines. `nodes` counts what is looked at, down to none.
///
/// # Errors
/// It is no schema, or there is too much of it.
pub(super) fn parts<'s>(place: &Place<'s>, nodes: &mut usize) -> Result<Seen<'s>, String> {
    *nodes = nodes.checked_sub(1).ok_or("The schema has too many parts")?;
    let whole = |part, attributes| Seen { part, attributes, place: place.clone() };
    let Json::Object(node) = place.node else {
        return match place.node {
            Json::Bool(_) => Ok(whole(Part::Other("a schema that takes anything or nothing"), None)),
            other => Err(format!("{other} is no schema")),
        };
    };
    let mut found: Vec<Part<'s>> = Vec::new();
    if let Some(reference) = node.get("$ref").and_then(Json::as_str) {
        if !place.is_modern {
            return Ok(whole(Part::Reference(reference), Some(node)));
        }
        found.push(Part::Reference(reference));
    }
    if node.contains_key("enum") {
        found.push(Part::Enum);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let Some(list) = node.get(keyword) else { continue };
        let mut subs = Vec::new();
        for sub in distinct(list.as_array().ok_or_else(|| format!("{keyword} is no array"))?) {
            subs.push(parts(&place.inner(sub), nodes)?);
        }
        found.push(if keyword == "allOf" { Part::All(subs) } else { Part::Either(subs) });
    }
    if node.contains_key("not") {
        found.push(Part::Other("not"));
    }
    if node.contains_key("const") {
        found.push(Part::Const);
    }
    let mut typed = Vec::new();
    match node.get("type") {
        Some(Json::String(name)) => {
            typed.push(name.as_str());
            found.push(of_type(name, node)?);
        }
        Some(Json::Array(names)) => {
            let mut subs = Vec::new();
            for name in distinct(names) {
                let name = name.as_str().ok_or_else(|| format!("type {name} is no text"))?;
                typed.push(name);
                subs.push(Seen { part: of_type(name, node)?, attributes: None, place: place.clone() });
            }
            found.push(Part::Either(subs));
        }
        Some(other) => return Err(format!("type {other} is no text")),
        None => {}
    }
    let sniffed: [(&[&str], &[&str], &str); 4] = [
        (ARRAY, &["array"], "array"),
        (OBJECT, &["object"], "object"),
        (NUMBER, &["number", "integer"], "number"),
        (TEXT, &["string"], "string"),
    ];
    for (keywords, types, name) in sniffed {
        let is_there = keywords.iter().any(|keyword| node.contains_key(*keyword));
        if is_there && !typed.iter().any(|name| types.contains(name)) {
            found.push(of_type(name, node)?);
        }
    }
    if ["if", "then", "else"].iter().any(|keyword| node.contains_key(*keyword)) {
        found.push(Part::Other("if"));
    }
    let last = found.pop();
    match last {
        None => Ok(whole(Part::Other("a schema that says nothing of its type"), Some(node))),
        Some(only) if found.is_empty() => Ok(whole(only, Some(node))),
        Some(last) => {
            let subs = found.into_iter().chain([last]).map(|part| whole(part, None)).collect();
            Ok(whole(Part::All(subs), Some(node)))
        }
    }
}

fn of_type<'s>(name: &str, node: &'s Map<String, Json>) -> Result<Part<'s>, String> {
    Ok(match name {
        "boolean" => Part::Boolean,
        "null" => Part::Null,
        "integer" => Part::Number { is_integer: true },
        "number" => Part::Number { is_integer: false },
        "string" => Part::Text { has_format: node.contains_key("format") },
        // Items of several types, each at its place, are no array's item.
        "array" => Part::Array { items: node.get("items").filter(|items| !items.is_array()) },
        "object" => Part::Object {
            properties: node.get("properties").and_then(Json::as_object),
            additional: node.get("additionalProperties").filter(|additional| additional.is_object()),
        },
        other => return Err(format!("unknown type: [{other}]")),
    })
}

/// Longer lists are not looked through for what stands in them twice.
const MAX_DISTINCT: usize = 64;

/// The items, each once.
fn distinct(items: &[Json]) -> Vec<&Json> {
    let mut kept: Vec<&Json> = Vec::new();
    for item in items {
        if kept.len() >= MAX_DISTINCT || !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}
