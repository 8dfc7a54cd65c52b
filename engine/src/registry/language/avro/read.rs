//! An AVRO schema's JSON, read to its model and written again in one way, as Java's library writes it: attributes in a fixed
//! order, a named type by its name where it was written before, no namespace where it is the one around.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use super::{AvroField, AvroType, NamedBody, NamedType};

/// Attributes that have a meaning in a schema, and in a field; the others are kept as they are.
const OF_SCHEMAS: [&str; 10] = ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const OF_FIELDS: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

/// How deep types may be nested.
const MAX_DEPTH: usize = 160;

/// Named types that were met.
#[derive(Default)]
pub(super) struct Names {
    depth: usize,
    types: Vec<Option<NamedType>>,
    by_name: HashMap<String, usize>,
    /// Types to be written where they are first named.
    texts: HashMap<String, Json>,
}

impl Names {
    /// With schemas that are to be put in where they are named.
    pub(super) fn with_texts(texts: HashMap<String, Json>) -> Self {
        Names { texts, ..Names::default() }
    }

    pub(super) fn into_types(self) -> Vec<NamedType> {
        // A type that is not finished has ended the reading with an error.
        self.types.into_iter().flatten().collect()
    }

    /// The index and the full name of what is called so, looked for in the namespace around first.
    fn find(&self, name: &str, space: &str) -> Option<(usize, String)> {
        let within = full_name(name, space);
        [within, name.to_owned()].into_iter().find_map(|full| self.by_name.get(&full).map(|index| (*index, full)))
    }
}

/// The model of a schema, and its JSON.
///
/// # Errors
/// It is not well formed: a sentence for the user.
pub(super) fn read(json: &Json, names: &mut Names, normalize: bool) -> Result<(AvroType, Json), String> {
    Reader { names, normalize }.schema(json, "")
}

/// The full name of a named type's schema.
pub(super) fn full_name_of(json: &Json) -> Option<String> {
    let object = json.as_object()?;
    let name = object.get("name")?.as_str()?;
    Some(full_name(name, object.get("namespace").and_then(Json::as_str).unwrap_or_default()))
}

/// A name in a namespace; one with a dot has its own.
fn full_name(name: &str, space: &str) -> String {
    if let Some(bare) = name.strip_prefix('.') {
        return bare.to_owned();
    }
    if space.is_empty() || name.contains('.') { name.to_owned() } else { format!("{space}.{name}") }
}

fn space_of(full_name: &str) -> &str {
    full_name.rsplit_once('.').map_or("", |(space, _)| space)
}

fn primitive(name: &str) -> Option<AvroType> {
    Some(match name {
        "null" => AvroType::Null,
        "boolean" => AvroType::Boolean,
        "int" => AvroType::Int,
        "long" => AvroType::Long,
        "float" => AvroType::Float,
        "double" => AvroType::Double,
        "bytes" => AvroType::Bytes,
        "string" => AvroType::String,
        _ => return None,
    })
}

struct Reader<'n> {
    names: &'n mut Names,
    normalize: bool,
}

impl Reader<'_> {
    fn schema(&mut self, json: &Json, space: &str) -> Result<(AvroType, Json), String> {
        if self.names.depth >= MAX_DEPTH {
            return Err(format!("Types are nested deeper than {MAX_DEPTH}"));
        }
        self.names.depth += 1;
        let result = match json {
            Json::String(name) => self.by_name(name, space),
            Json::Array(branches) => self.union(branches, space),
            Json::Object(object) => self.object(object, space),
            other => Err(format!("{other} is no schema: a name, an object or a list is expected")),
        };
        self.names.depth = self.names.depth.saturating_sub(1);
        result
    }

    fn by_name(&mut self, name: &str, space: &str) -> Result<(AvroType, Json), String> {
        if let Some(primitive) = primitive(name) {
            return Ok((primitive, Json::String(name.to_owned())));
        }
        if let Some((index, full)) = self.names.find(name, space) {
            let bare = full.rsplit('.').next().unwrap_or_default();
            // A type that is called like a primitive one is always named in full.
            let written = if space_of(&full) == space && primitive(bare).is_none() { bare.to_owned() } else { full };
            return Ok((AvroType::Named(index), Json::String(written)));
        }
        let text = [full_name(name, space), name.to_owned()].iter().find_map(|full| self.names.texts.remove(full));
        match text {
            Some(text) => self.schema(&text, space),
            None => Err(format!("Undefined name: \"{name}\"; a type must be defined before it is named, or be given as a reference")),
        }
    }

    fn union(&mut self, branches: &[Json], space: &str) -> Result<(AvroType, Json), String> {
        let mut types = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        let mut written = Vec::with_capacity(branches.len());
        for branch in branches {
            let (branch_type, text) = self.schema(branch, space)?;
            if matches!(branch_type, AvroType::Union(_)) {
                return Err("Nested union: a union can't be a branch of another".to_owned());
            }
            let named = if let AvroType::Named(index) = branch_type { Some(index) } else { None };
            if !seen.insert((std::mem::discriminant(&branch_type), named)) {
                return Err(format!("Duplicate in union: {text}"));
            }
            types.push(branch_type);
            written.push(text);
        }
        Ok((AvroType::Union(types), Json::Array(written)))
    }

    fn object(&mut self, object: &Map<String, Json>, space: &str) -> Result<(AvroType, Json), String> {
        let name = match object.get("type") {
            Some(Json::String(name)) => name.as_str(),
            Some(inner @ (Json::Object(_) | Json::Array(_))) => return self.schema(inner, space),
            Some(other) => return Err(format!("\"type\" must be a name or a schema, not {other}")),
            None => return Err("No type: an object that is a schema has a \"type\"".to_owned()),
        };
        let mut out = Map::new();
        out.insert("type".to_owned(), Json::String(name.to_owned()));
        let result = match name {
            "array" => {
                let (items, text) = self.schema(member(object, "items", "array")?, space)?;
                out.insert("items".to_owned(), text);
                AvroType::Array(Box::new(items))
            }
            "map" => {
                let (values, text) = self.schema(member(object, "values", "map")?, space)?;
                out.insert("values".to_owned(), text);
                AvroType::Map(Box::new(values))
            }
            "record" | "error" | "enum" | "fixed" => return self.named(name, object, space, out),
            _ => match primitive(name) {
                Some(primitive) => {
                    self.attributes(object, &mut out, |key| OF_SCHEMAS.contains(&key));
                    // Without attributes of its own it is written as its name.
                    let written = if out.len() == 1 { Json::String(name.to_owned()) } else { Json::Object(out) };
                    return Ok((primitive, written));
                }
                None => return self.by_name(name, space),
            },
        };
        self.attributes(object, &mut out, |key| OF_SCHEMAS.contains(&key));
        Ok((result, Json::Object(out)))
    }

    fn named(
        &mut self,
        kind: &str,
        object: &Map<String, Json>,
        space: &str,
        mut out: Map<String, Json>,
    ) -> Result<(AvroType, Json), String> {
        let name = text(object, "name")?.ok_or_else(|| format!("No name: a {kind} has a \"name\""))?;
        let own_space = text(object, "namespace")?.unwrap_or(space);
        let full = full_name(name, own_space);
        check_full_name(&full)?;
        if self.names.by_name.contains_key(&full) {
            return Err(format!("Can't redefine: {full}"));
        }
        let own_space = space_of(&full).to_owned();
        let index = self.names.types.len();
        self.names.types.push(None);
        self.names.by_name.insert(full.clone(), index);
        out.insert("name".to_owned(), full.rsplit('.').next().unwrap_or_default().into());
        if own_space != space {
            out.insert("namespace".to_owned(), own_space.as_str().into());
        }
        if let Some(doc) = text(object, "doc")? {
            out.insert("doc".to_owned(), doc.into());
        }
        let body = match kind {
            "enum" => self.enumeration(object, &mut out)?,
            "fixed" => {
                let size = member(object, "size", "fixed")?.as_u64().ok_or("The size of a fixed must be a whole number from 0")?;
                out.insert("size".to_owned(), size.into());
                NamedBody::Fixed { size }
            }
            _ => self.record(object, &own_space, &mut out)?,
        };
        let is_enum = kind == "enum";
        self.attributes(object, &mut out, |key| OF_SCHEMAS.contains(&key) || is_enum && key == "default");
        let written = texts(object, "aliases")?;
        if !written.is_empty() {
            out.insert("aliases".to_owned(), written.clone().into());
        }
        let aliases = written.iter().map(|alias| full_name(alias, &own_space)).collect();
        if let Some(slot) = self.names.types.get_mut(index) {
            *slot = Some(NamedType { full_name: full, aliases, body });
        }
        Ok((AvroType::Named(index), Json::Object(out)))
    }

    fn enumeration(&mut self, object: &Map<String, Json>, out: &mut Map<String, Json>) -> Result<NamedBody, String> {
        member(object, "symbols", "enum")?;
        let symbols = texts(object, "symbols")?;
        let mut seen = HashSet::with_capacity(symbols.len());
        for symbol in &symbols {
            check_name(symbol)?;
            if !seen.insert(symbol) {
                return Err(format!("Duplicate enum symbol: {symbol}"));
            }
        }
        out.insert("symbols".to_owned(), symbols.clone().into());
        let default = text(object, "default")?.map(str::to_owned);
        if let Some(default) = &default {
            if !symbols.contains(default) {
                return Err(format!("The enum default '{default}' is none of its symbols"));
            }
            out.insert("default".to_owned(), default.as_str().into());
        }
        Ok(NamedBody::Enum { symbols, default })
    }

    fn record(&mut self, object: &Map<String, Json>, space: &str, out: &mut Map<String, Json>) -> Result<NamedBody, String> {
        let listed = member(object, "fields", "record")?.as_array().ok_or("The \"fields\" of a record must be a list")?;
        let mut fields: Vec<AvroField> = Vec::with_capacity(listed.len());
        let mut written = Vec::with_capacity(listed.len());
        let mut seen = HashSet::with_capacity(listed.len());
        for field in listed {
            let object = field.as_object().ok_or_else(|| format!("{field} is no field: an object is expected"))?;
            let name = text(object, "name")?.ok_or("No field name: a field has a \"name\"")?;
            check_name(name)?;
            if !seen.insert(name) {
                return Err(format!("Duplicate field {name}"));
            }
            let (field_type, text_of_type) =
                self.schema(member(object, "type", "field")?, space).map_err(|why| format!("field {name}: {why}"))?;
            let mut out = Map::new();
            out.insert("name".to_owned(), name.into());
            out.insert("type".to_owned(), text_of_type);
            if let Some(doc) = text(object, "doc")? {
                out.insert("doc".to_owned(), doc.into());
            }
            let default = object.get("default");
            if let Some(default) = default {
                out.insert("default".to_owned(), default.clone());
            }
            if let Some(order) = text(object, "order")?.filter(|order| !order.eq_ignore_ascii_case("ascending")) {
                out.insert("order".to_owned(), order.to_ascii_lowercase().into());
            }
            let aliases = texts(object, "aliases")?;
            if !aliases.is_empty() {
                out.insert("aliases".to_owned(), aliases.clone().into());
            }
            self.attributes(object, &mut out, |key| OF_FIELDS.contains(&key));
            fields.push(AvroField { name: name.to_owned(), aliases, has_default: default.is_some(), field_type });
            written.push(Json::Object(out));
        }
        out.insert("fields".to_owned(), Json::Array(written));
        Ok(NamedBody::Record(fields))
    }

    /// Keeps attributes without a meaning here.
    fn attributes(&self, object: &Map<String, Json>, out: &mut Map<String, Json>, is_known: impl Fn(&str) -> bool) {
        let mut others: Vec<(&String, &Json)> = object.iter().filter(|(key, _)| !is_known(key)).collect();
        if self.normalize {
            others.sort_by_key(|(key, _)| *key);
        }
        out.extend(others.into_iter().map(|(key, value)| (key.clone(), value.clone())));
    }
}

fn member<'j>(object: &'j Map<String, Json>, name: &str, of: &str) -> Result<&'j Json, String> {
    object.get(name).ok_or_else(|| format!("A {of} has no \"{name}\""))
}

fn text<'j>(object: &'j Map<String, Json>, name: &str) -> Result<Option<&'j str>, String> {
    match object.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("\"{name}\" must be a text, not {other}")),
    }
}

fn texts(object: &Map<String, Json>, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("\"{name}\" must be a list of texts");
    match object.get(name) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

fn check_full_name(full: &str) -> Result<(), String> {
    full.split('.').try_for_each(check_name)
}

fn check_name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    match chars.next() {
        None => Err("Empty name".to_owned()),
        Some(first) if !(first.is_ascii_alphabetic() || first == '_') => Err(format!("Illegal initial character: {name}")),
        Some(_) if !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') => Err(format!("Illegal character in: {name}")),
        Some(_) => Ok(()),
    }
}
