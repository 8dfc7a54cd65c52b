//! A JSON Schema's text, read to its model. Each schema within it is read once, so what refers to itself comes to an end.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::{ArrayRules, Criterion, JsonBody, JsonModel, JsonNode, NumberRules, ObjectRules, StringRules};

/// Keywords by which a schema without a `type` is known to be about values of one.
const OF_STRINGS: [&str; 3] = ["minLength", "maxLength", "pattern"];
const OF_NUMBERS: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OF_OBJECTS: [&str; 9] = [
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "dependentRequired",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
];
const OF_ARRAYS: [&str; 7] = ["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"];
/// Reads a schema; `others`: those that it may refer to by name.
///
/// # Errors
/// It is not well formed: a sentence for the user.
pub(super) fn read(json: &Json, others: &[(&str, Json)]) -> Result<JsonModel, String> {
    let mut documents = vec![Document::new("", json)];
    documents.extend(others.iter().map(|(name, json)| Document::new(name, json)));
    let mut reader = Reader { documents, model: JsonModel::default(), known: HashMap::new(), waiting: Vec::new() };
    reader.model.root = reader.schema(json, 0)?;
    // Where references lead, and what is found there.
    while let Some(target) = reader.waiting.pop() {
        let index = reader.schema(target.json, target.document)?;
        if let Some(node) = reader.model.nodes.get_mut(target.from) {
            node.body = JsonBody::Reference(index);
        }
    }
    Ok(reader.model)
}

struct Document<'j> {
    name: &'j str,
    json: &'j Json,
    /// What bears a name of its own.
    anchors: HashMap<&'j str, &'j Json>,
}

impl<'j> Document<'j> {
    fn new(name: &'j str, json: &'j Json) -> Self {
        let mut anchors = HashMap::new();
        gather_anchors(json, &mut anchors);
        Document { name, json, anchors }
    }

    fn is_called(&self, name: &str) -> bool {
        let id = self.json.get("$id").or_else(|| self.json.get("id")).and_then(Json::as_str);
        self.name == name || id.is_some_and(|id| id.trim_end_matches('#') == name)
    }
}

/// A reference, and what it refers to.
struct Target<'j> {
    from: usize,
    document: usize,
    json: &'j Json,
}

struct Reader<'j> {
    documents: Vec<Document<'j>>,
    model: JsonModel,
    /// Nodes by the place of their JSON in memory.
    known: HashMap<*const Json, usize>,
    waiting: Vec<Target<'j>>,
}

impl<'j> Reader<'j> {
    fn schema(&mut self, json: &'j Json, document: usize) -> Result<usize, String> {
        if let Some(index) = self.known.get(&std::ptr::from_ref(json)) {
            return Ok(*index);
        }
        let index = self.add(JsonBody::Empty);
        self.known.insert(std::ptr::from_ref(json), index);
        let body = match json {
            Json::Bool(true) => JsonBody::Empty,
            Json::Bool(false) => JsonBody::False,
            Json::Object(object) => match object.get("$ref") {
                Some(Json::String(reference)) => {
                    let (document, json) = self.resolve(reference, document)?;
                    self.waiting.push(Target { from: index, document, json });
                    JsonBody::Empty
                }
                Some(other) => return Err(format!("\"$ref\" must be a text, not {other}")),
                None => self.object(object, document)?,
            },
            other => return Err(format!("{other} is no schema: an object or a boolean is expected")),
        };
        if let Some(node) = self.model.nodes.get_mut(index) {
            let attribute = |name: &str| json.get(name).cloned();
            *node = JsonNode {
                id: attribute("$id").or_else(|| attribute("id")),
                title: attribute("title"),
                description: attribute("description"),
                default: attribute("default"),
                body,
            };
        }
        Ok(index)
    }

    fn add(&mut self, body: JsonBody) -> usize {
        self.model.nodes.push(JsonNode { body, ..JsonNode::default() });
        self.model.nodes.len().saturating_sub(1)
    }

    fn object(&mut self, object: &'j Map<String, Json>, document: usize) -> Result<JsonBody, String> {
        let mut parts = Vec::new();
        match object.get("type") {
            Some(Json::String(name)) => parts.push(self.typed(name, object, document)?),
            Some(Json::Array(names)) => {
                let mut either = Vec::with_capacity(names.len());
                for name in names {
                    let name = name.as_str().ok_or("\"type\" must be the name of a type or a list of them")?;
                    let body = self.typed(name, object, document)?;
                    either.push(self.add(body));
                }
                parts.push(JsonBody::Combined(Criterion::Any, either));
            }
            Some(other) => return Err(format!("\"type\" must be the name of a type or a list of them, not {other}")),
            None => {
                let has = |keywords: &[&str]| keywords.iter().any(|keyword| object.contains_key(*keyword));
                for (keywords, name) in
                    [(&OF_STRINGS[..], "string"), (&OF_ARRAYS, "array"), (&OF_OBJECTS, "object"), (&OF_NUMBERS, "number")]
                {
                    if has(keywords) {
                        parts.push(self.typed(name, object, document)?);
                    }
                }
            }
        }
        if let Some(negated) = object.get("not") {
            parts.push(JsonBody::Not(self.schema(negated, document)?));
        }
        if let Some(value) = object.get("const") {
            parts.push(JsonBody::Const(value.clone()));
        }
        if ["if", "then", "else"].iter().any(|keyword| object.contains_key(*keyword)) {
            parts.push(JsonBody::Conditional);
        }
        if let Some(values) = object.get("enum") {
            let values = values.as_array().ok_or("\"enum\" must be a list of values")?;
            parts.push(JsonBody::Enum(values.clone()));
        }
        for criterion in [Criterion::All, Criterion::Any, Criterion::One] {
            if let Some(schemas) = object.get(criterion.name()) {
                let schemas = schemas.as_array().ok_or_else(|| format!("\"{}\" must be a list of schemas", criterion.name()))?;
                let schemas = schemas.iter().map(|schema| self.schema(schema, document)).collect::<Result<Vec<_>, _>>()?;
                parts.push(JsonBody::Combined(criterion, schemas));
            }
        }
        if parts.len() > 1 {
            let all = parts.into_iter().map(|part| self.add(part)).collect();
            return Ok(JsonBody::Combined(Criterion::All, all));
        }
        Ok(parts.pop().unwrap_or_default())
    }

    fn typed(&mut self, name: &str, object: &'j Map<String, Json>, document: usize) -> Result<JsonBody, String> {
        Ok(match name {
            "null" => JsonBody::Null,
            "boolean" => JsonBody::Boolean,
            "string" => JsonBody::String(strings(object)?),
            "number" | "integer" => JsonBody::Number(NumberRules {
                minimum: number(object, "minimum"),
                maximum: number(object, "maximum"),
                exclusive_minimum: number(object, "exclusiveMinimum"),
                exclusive_maximum: number(object, "exclusiveMaximum"),
                multiple_of: number(object, "multipleOf"),
                is_integer: name == "integer",
            }),
            "object" => JsonBody::Object(Box::new(self.object_rules(object, document)?)),
            "array" => JsonBody::Array(Box::new(self.array_rules(object, document)?)),
            _ => return Err(format!("unknown type: [{name}]")),
        })
    }

    fn object_rules(&mut self, object: &'j Map<String, Json>, document: usize) -> Result<ObjectRules, String> {
        let patterns = self.members(object, "patternProperties", document)?;
        patterns.iter().try_for_each(|(pattern, _)| check_pattern(pattern))?;
        let mut rules = ObjectRules {
            properties: self.members(object, "properties", document)?,
            required: object.get("required").map(texts).unwrap_or_default(),
            patterns,
            permits_additional: true,
            additional: None,
            property_dependencies: Vec::new(),
            schema_dependencies: self.members(object, "dependentSchemas", document)?,
            min_properties: number(object, "minProperties"),
            max_properties: number(object, "maxProperties"),
        };
        match object.get("additionalProperties") {
            None | Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => rules.permits_additional = false,
            Some(schema) => rules.additional = Some(self.schema(schema, document)?),
        }
        for keyword in ["dependencies", "dependentRequired"] {
            for (name, dependency) in object.get(keyword).and_then(Json::as_object).into_iter().flatten() {
                match dependency {
                    Json::Array(_) => rules.property_dependencies.push((name.clone(), texts(dependency))),
                    schema => {
                        let index = self.schema(schema, document)?;
                        rules.schema_dependencies.push((name.clone(), index));
                    }
                }
            }
        }
        Ok(rules)
    }

    fn array_rules(&mut self, object: &'j Map<String, Json>, document: usize) -> Result<ArrayRules, String> {
        let mut rules = ArrayRules {
            all_items: None,
            items: Vec::new(),
            permits_additional: true,
            additional: None,
            min_items: number(object, "minItems"),
            max_items: number(object, "maxItems"),
            is_unique: object.get("uniqueItems").and_then(Json::as_bool).unwrap_or(false),
        };
        // The newest drafts call a list of items otherwise, and what comes behind it `items`.
        let (list, behind) = match object.get("prefixItems") {
            Some(list) => (Some(list), object.get("items")),
            None => (object.get("items"), object.get("additionalItems")),
        };
        match list {
            Some(Json::Array(items)) => {
                rules.items = items.iter().map(|item| self.schema(item, document)).collect::<Result<_, _>>()?;
                match behind {
                    None | Some(Json::Bool(true)) => {}
                    Some(Json::Bool(false)) => rules.permits_additional = false,
                    Some(schema) => rules.additional = Some(self.schema(schema, document)?),
                }
            }
            Some(schema) => rules.all_items = Some(self.schema(schema, document)?),
            None => {}
        }
        Ok(rules)
    }

    /// A member that holds schemas by name.
    fn members(&mut self, object: &'j Map<String, Json>, name: &str, document: usize) -> Result<Vec<(String, usize)>, String> {
        let Some(members) = object.get(name) else { return Ok(Vec::new()) };
        let members = members.as_object().ok_or_else(|| format!("\"{name}\" must be an object whose members are schemas"))?;
        members.iter().map(|(name, schema)| Ok((name.clone(), self.schema(schema, document)?))).collect()
    }

    /// The document that a reference leads to, and what it names there.
    fn resolve(&self, reference: &str, document: usize) -> Result<(usize, &'j Json), String> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let unknown =
            || format!("\"$ref\": \"{reference}\" leads nowhere: it names neither a part of the schema nor one of its references");
        let document = match base {
            "" => document,
            base => self.documents.iter().position(|known| known.is_called(base)).ok_or_else(unknown)?,
        };
        let target = self.documents.get(document).ok_or_else(unknown)?;
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
        let found = match fragment.as_ref() {
            "" => Some(target.json),
            pointer if pointer.starts_with('/') => target.json.pointer(pointer),
            anchor => target.anchors.get(anchor).copied(),
        };
        Ok((document, found.ok_or_else(unknown)?))
    }
}

/// Names that parts of a schema bear: an anchor, or an id that is one. JSON that was parsed is not deep.
fn gather_anchors<'j>(json: &'j Json, anchors: &mut HashMap<&'j str, &'j Json>) {
    match json {
        Json::Object(object) => {
            let text = |name: &str| object.get(name).and_then(Json::as_str);
            let by_id = |name: &str| text(name).and_then(|id| id.strip_prefix('#')).filter(|anchor| !anchor.is_empty());
            if let Some(anchor) = text("$anchor").or_else(|| by_id("$id")).or_else(|| by_id("id")) {
                anchors.entry(anchor).or_insert(json);
            }
            object.values().for_each(|member| gather_anchors(member, anchors));
        }
        Json::Array(items) => items.iter().for_each(|item| gather_anchors(item, anchors)),
        _ => {}
    }
}

fn strings(object: &Map<String, Json>) -> Result<StringRules, String> {
    let pattern = object.get("pattern").and_then(Json::as_str);
    pattern.map_or(Ok(()), check_pattern)?;
    Ok(StringRules {
        min_length: number(object, "minLength"),
        max_length: number(object, "maxLength"),
        pattern: pattern.map(str::to_owned),
    })
}

/// Patterns are those of JavaScript, which may look around.
fn check_pattern(pattern: &str) -> Result<(), String> {
    match fancy_regex::Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the pattern '{pattern}' is no regular expression: {error}")),
    }
}

fn number(object: &Map<String, Json>, name: &str) -> Option<f64> {
    object.get(name).and_then(Json::as_f64)
}

fn texts(list: &Json) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}
