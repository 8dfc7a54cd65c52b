//! A JSON Schema as a type of Connect's data model, as Confluent's converter reads it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::document::{Documents, Place, Sources};
use super::java_order;
use super::parts::{Part, Seen, parts};

/// How many parts a schema may have, references followed.
const MAX_NODES: usize = 10_000;

/// How deep types may nest.
const MAX_DEPTH: usize = 64;

/// The name of the STRUCT that stands for a choice of several types, and what its fields begin with.
pub(super) const ONE_OF: &str = "io.confluent.connect.json.OneOf";

/// A type and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Connect {
    pub kind: Kind,
    pub is_optional: bool,
    /// The title: logical types are known by it.
    pub name: Option<String>,
    pub scale: Option<u32>,
    pub precision: Option<u32>,
    pub default: Option<Json>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Bytes,
    Text,
    Array(Box<Connect>),
    Map {
        key: Box<Connect>,
        value: Box<Connect>,
        /// An array of entries, not an object.
        as_entries: bool,
    },
    Struct(Vec<(String, Connect)>),
}

impl Kind {
    /// As Connect's own error texts call it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Int8 => "INT8",
            Kind::Int16 => "INT16",
            Kind::Int32 => "INT32",
            Kind::Int64 => "INT64",
            Kind::Float32 => "FLOAT32",
            Kind::Float64 => "FLOAT64",
            Kind::Bytes => "BYTES",
            Kind::Text => "STRING",
            Kind::Array(_) => "ARRAY",
            Kind::Map { .. } => "MAP",
            Kind::Struct(_) => "STRUCT",
        }
    }
}

impl Connect {
    fn plain(kind: Kind) -> Self {
        Connect { kind, is_optional: false, name: None, scale: None, precision: None, default: None }
    }
}

/// The type of a registered schema.
///
/// # Errors
/// It is not well formed, refers to what is not there, is recursive, or has what no type of Connect's holds.
pub(super) fn of_schema(schema: &crate::registry::Schema) -> Result<Connect, String> {
    let sources = Sources::parse(schema)?;
    let documents = Documents::of(&sources);
    let mut reading = Reading { documents: &documents, open: Vec::new(), nodes: MAX_NODES, path: Vec::new() };
    let root = documents.root().clone();
    reading.of_place(&root, false).map_err(|message| match reading.path.as_slice() {
        [] => message,
        path => format!("{message} (at {})", path.join(".")),
    })
}

struct Reading<'d, 's> {
    documents: &'d Documents<'s>,
    /// The nodes that references led to and that are being read.
    open: Vec<*const Json>,
    /// How many may still be looked at.
    nodes: usize,
    /// Fields, from the root to what is being read.
    path: Vec<String>,
}

impl<'s> Reading<'_, 's> {
    fn of_place(&mut self, place: &Place<'s>, is_optional: bool) -> Result<Connect, String> {
        let seen = parts(place, &mut self.nodes)?;
        self.of_seen(&seen, is_optional)
    }

    fn of_inner(&mut self, from: &Seen<'s>, node: &'s Json, is_optional: bool) -> Result<Connect, String> {
        self.of_place(&from.place.inner(node), is_optional)
    }

    fn of_seen(&mut self, seen: &Seen<'s>, is_optional: bool) -> Result<Connect, String> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(|| format!("The schema has more than {MAX_NODES} parts"))?;
        if self.path.len() > MAX_DEPTH || self.open.len() > MAX_DEPTH {
            return Err(format!("The schema nests deeper than {MAX_DEPTH} levels"));
        }
        let connect_type = seen.attributes.and_then(|attributes| attributes.get("connect.type")).and_then(Json::as_str);
        let kind = match &seen.part {
            Part::Boolean => Kind::Boolean,
            Part::Number { is_integer } => match connect_type {
                None if *is_integer => Kind::Int64,
                None => Kind::Float64,
                Some("int8") => Kind::Int8,
                Some("int16") => Kind::Int16,
                Some("int32") => Kind::Int32,
                Some("int64") => Kind::Int64,
                Some("float32") => Kind::Float32,
                Some("float64") => Kind::Float64,
                Some("bytes") => Kind::Bytes,
                Some(other) => return Err(format!("Unsupported type {other}")),
            },
            Part::Text { .. } if connect_type == Some("bytes") => Kind::Bytes,
            Part::Text { .. } | Part::Enum => Kind::Text,
            Part::Array { items } => {
                let items = items.ok_or("Array schema did not specify the items type")?;
                match self.entries(seen, items, connect_type)? {
                    Some(map) => map,
                    None => Kind::Array(Box::new(self.of_inner(seen, items, false)?)),
                }
            }
            Part::Object { properties, additional } => {
                // An object that has no fields of its own but a schema for any is a map, whether Connect wrote that or not.
                let has_fields = properties.is_some_and(|properties| !properties.is_empty());
                if connect_type == Some("map") || !has_fields && additional.is_some() {
                    let value = additional.ok_or("a map's schema does not say what its values are (additionalProperties)")?;
                    Kind::Map {
                        key: Box::new(Connect::plain(Kind::Text)),
                        value: Box::new(self.of_inner(seen, value, false)?),
                        as_entries: false,
                    }
                } else {
                    Kind::Struct(self.fields(seen, *properties)?)
                }
            }
            Part::Reference(reference) => return self.follow(reference, seen, |reading, place| reading.of_place(place, is_optional)),
            Part::All(subs) => return self.all_of(seen, subs, is_optional),
            Part::Either(subs) => match subs.as_slice() {
                [null, value] | [value, null] if matches!(null.part, Part::Null) => return self.of_seen(value, true),
                _ => return self.one_of(subs, is_optional),
            },
            Part::Null | Part::Const | Part::Other(_) => {
                return Err(format!("Unsupported schema type: {}", seen.part.name()));
            }
        };
        Ok(annotated(kind, seen.attributes, is_optional))
    }

    /// A map as Connect writes one whose keys are no plain strings: an array of objects with `key` and `value`.
    fn entries(&mut self, seen: &Seen<'s>, items: &'s Json, connect_type: Option<&str>) -> Result<Option<Kind>, String> {
        if connect_type != Some("map") {
            return Ok(None);
        }
        let entry = parts(&seen.place.inner(items), &mut self.nodes)?;
        let Part::Object { properties: Some(properties), .. } = &entry.part else { return Ok(None) };
        let mut side = |name: &str| {
            let node = properties.get(name).ok_or_else(|| format!("a map's schema has no {name}"))?;
            self.of_inner(&entry, node, false).map(Box::new)
        };
        Ok(Some(Kind::Map { key: side("key")?, value: side("value")?, as_entries: true }))
    }

    /// The fields of an object, in the order that `connect.index` gives them.
    fn fields(&mut self, seen: &Seen<'s>, properties: Option<&'s Map<String, Json>>) -> Result<Vec<(String, Connect)>, String> {
        // Of two with the same index the later one wins, as in a map by index.
        let mut by_index: BTreeMap<i64, (&'s str, &'s Json)> = BTreeMap::new();
        for (name, node) in in_java_order(properties) {
            let index = node.get("connect.index").and_then(Json::as_i64);
            let index = index.unwrap_or_else(|| i64::try_from(by_index.len()).unwrap_or(i64::MAX));
            by_index.insert(index, (name, node));
        }
        by_index.into_values().map(|(name, node)| self.field(seen, name, node)).collect()
    }

    fn field(&mut self, from: &Seen<'s>, name: &str, node: &'s Json) -> Result<(String, Connect), String> {
        self.path.push(name.to_owned());
        let field = self.of_inner(from, node, false)?;
        self.path.pop();
        Ok((name.to_owned(), field))
    }

    /// A choice of several types: a STRUCT with a field for each of them, of which one is there.
    fn one_of(&mut self, subs: &[Seen<'s>], is_optional: bool) -> Result<Connect, String> {
        let has_null = subs.iter().any(|sub| matches!(sub.part, Part::Null));
        let mut fields = Vec::new();
        for sub in subs.iter().filter(|sub| !matches!(sub.part, Part::Null)) {
            let name = format!("{ONE_OF}.field.{}", fields.len());
            fields.push((name, self.of_seen(sub, true)?));
        }
        let name = Some(ONE_OF.to_owned());
        Ok(Connect { name, is_optional: is_optional || has_null, ..Connect::plain(Kind::Struct(fields)) })
    }

    /// What holds all at once: the fields of all objects, or else the part that says most of the type.
    fn all_of(&mut self, seen: &Seen<'s>, subs: &[Seen<'s>], is_optional: bool) -> Result<Connect, String> {
        let mut fields = Vec::new();
        for sub in subs {
            self.collect_fields(sub, &mut fields)?;
        }
        if !fields.is_empty() {
            return Ok(Connect { is_optional, ..Connect::plain(Kind::Struct(fields)) });
        }
        let last = |wanted: fn(&Part<'s>) -> bool| subs.iter().rfind(|sub| wanted(&sub.part));
        let number = last(|part| matches!(part, Part::Number { .. }));
        let text = last(|part| matches!(part, Part::Text { .. }));
        let has_format = text.is_some_and(|text| matches!(text.part, Part::Text { has_format: true }));
        let has_const = last(|part| matches!(part, Part::Const)).is_some();
        let listed = last(|part| matches!(part, Part::Enum));
        let chosen = if let Some(combined) = last(|part| matches!(part, Part::All(_) | Part::Either(_))) {
            Some(combined)
        } else if has_const {
            text.or(number)
        } else if listed.is_some() {
            if text.is_some() { listed } else { number }
        } else if text.is_some() && (has_format || number.is_some()) {
            number.or(text)
        } else {
            last(|part| matches!(part, Part::Reference(_)))
        };
        match chosen {
            Some(chosen) => self.of_seen(chosen, is_optional),
            None => {
                let names: Vec<&str> = subs.iter().map(|sub| sub.part.name()).collect();
                Err(format!("Unsupported criterion {} for {}", seen.part.name(), names.join(", ")))
            }
        }
    }

    fn collect_fields(&mut self, sub: &Seen<'s>, fields: &mut Vec<(String, Connect)>) -> Result<(), String> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(|| format!("The schema has more than {MAX_NODES} parts"))?;
        match &sub.part {
            Part::All(subs) => subs.iter().try_for_each(|sub| self.collect_fields(sub, fields)),
            Part::Object { properties, .. } => {
                for (name, node) in in_java_order(*properties) {
                    let field = self.field(sub, name, node)?;
                    match fields.iter_mut().find(|(known, _)| *known == field.0) {
                        Some(known) => *known = field,
                        None => fields.push(field),
                    }
                }
                Ok(())
            }
            Part::Reference(reference) => self.follow(reference, sub, |reading, place| {
                let seen = parts(place, &mut reading.nodes)?;
                reading.collect_fields(&seen, fields)
            }),
            _ => Ok(()),
        }
    }

    fn follow<T>(
        &mut self,
        reference: &str,
        from: &Seen<'s>,
        read: impl FnOnce(&mut Self, &Place<'s>) -> Result<T, String>,
    ) -> Result<T, String> {
        let place = self.documents.follow(reference, &from.place)?;
        let target = std::ptr::from_ref(place.node);
        let is_root = std::ptr::eq(place.node, self.documents.root().node);
        if is_root || self.open.contains(&target) {
            return Err(format!("The schema is recursive: `{reference}` contains itself. Such values have no SQL type"));
        }
        self.open.push(target);
        let read = read(self, &place)?;
        self.open.pop();
        Ok(read)
    }
}

fn in_java_order(properties: Option<&Map<String, Json>>) -> Vec<(&str, &Json)> {
    let mut properties: Vec<(&str, &Json)> = properties.into_iter().flatten().map(|(name, node)| (name.as_str(), node)).collect();
    java_order::sort(&mut properties);
    properties
}

fn annotated(kind: Kind, attributes: Option<&Map<String, Json>>, is_optional: bool) -> Connect {
    let attribute = |name: &str| attributes.and_then(|attributes| attributes.get(name));
    let parameter = |name: &str| {
        let value = attribute("connect.parameters")?.get(name)?;
        value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().ok()
    };
    Connect {
        kind,
        is_optional,
        name: attribute("title").and_then(Json::as_str).map(str::to_owned),
        scale: parameter("scale"),
        precision: parameter("connect.decimal.precision"),
        default: attribute("default").filter(|value| !value.is_null()).cloned(),
    }
}
