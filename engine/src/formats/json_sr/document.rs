//! A schema with all that it refers to, and where its `$ref`s lead.
//!
//! A reference is resolved as a URI against the `$id` around it. It may lead into the same document (`#/definitions/x`,
//! `#anchor`), to a part that has an `$id` of its own, or to one of the schemas that the registry keeps as references, by
//! the name under which they are kept. Nothing is fetched from anywhere else.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::registry::Schema;

/// How many schemas one may refer to, and how deep.
const MAX_REFERENCES: usize = 100;

/// The texts, parsed.
pub(super) struct Sources {
    root: Json,
    /// By the names under which they are referred to.
    others: Vec<(String, Json)>,
}

impl Sources {
    /// # Errors
    /// A text is no JSON, or too much is referred to.
    pub fn parse(schema: &Schema) -> Result<Self, String> {
        let mut others = Vec::new();
        collect(schema, &mut others, 0)?;
        Ok(Sources { root: parse(&schema.text)?, others })
    }
}

fn parse(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|error| format!("The schema is no JSON: {error}"))
}

fn collect(schema: &Schema, others: &mut Vec<(String, Json)>, depth: usize) -> Result<(), String> {
    for reference in &schema.references {
        if depth >= MAX_REFERENCES || others.len() >= MAX_REFERENCES {
            return Err(format!("The schema refers to more than {MAX_REFERENCES} others"));
        }
        if others.iter().all(|(name, _)| *name != reference.name) {
            others.push((reference.name.clone(), parse(&reference.schema.text)?));
            collect(&reference.schema, others, depth + 1)?;
        }
    }
    Ok(())
}

/// A node and the URI that references in it are resolved against.
#[derive(Clone)]
pub(super) struct Place<'s> {
    pub node: &'s Json,
    pub base: Rc<str>,
    /// Of draft 2019-09 or later: what stands beside a `$ref` counts as well.
    pub is_modern: bool,
}

impl<'s> Place<'s> {
    /// A node within this one.
    pub fn inner(&self, node: &'s Json) -> Place<'s> {
        let base = match own_id(node) {
            Some(id) if !id.starts_with('#') => resolve(&self.base, id).into(),
            _ => self.base.clone(),
        };
        Place { node, base, is_modern: self.is_modern }
    }
}

/// The places that references may lead to.
pub(super) struct Documents<'s> {
    root: Place<'s>,
    by_uri: HashMap<String, Place<'s>>,
}

impl<'s> Documents<'s> {
    pub fn of(sources: &'s Sources) -> Self {
        let root = document(&sources.root, "");
        let mut documents = Documents { by_uri: HashMap::from([(root.base.to_string(), root.clone())]), root: root.clone() };
        documents.index(&root);
        for (name, json) in &sources.others {
            let place = document(json, &resolve(&root.base, name));
            documents.by_uri.entry(name.clone()).or_insert_with(|| place.clone());
            documents.by_uri.entry(resolve(&root.base, name)).or_insert_with(|| place.clone());
            documents.by_uri.entry(place.base.to_string()).or_insert_with(|| place.clone());
            documents.index(&place);
        }
        documents
    }

    pub fn root(&self) -> &Place<'s> {
        &self.root
    }

    /// Notes the parts that have an `$id` or an anchor. (Depth and size are those of a parsed JSON text.)
    fn index(&mut self, place: &Place<'s>) {
        let inner = |node| place.inner(node);
        match place.node {
            Json::Array(items) => items.iter().map(inner).for_each(|item| self.index(&item)),
            Json::Object(members) => {
                match own_id(place.node) {
                    Some(anchor) if anchor.starts_with('#') => self.note(format!("{}{anchor}", place.base), place),
                    Some(_) => self.note(place.base.to_string(), place),
                    None => {}
                }
                if let Some(anchor) = members.get("$anchor").and_then(Json::as_str) {
                    self.note(format!("{}#{anchor}", place.base), place);
                }
                members.values().map(inner).for_each(|member| self.index(&member));
            }
            _ => {}
        }
    }

    fn note(&mut self, uri: String, place: &Place<'s>) {
        self.by_uri.entry(uri).or_insert_with(|| place.clone());
    }

    /// Where a `$ref` at a place leads.
    ///
    /// # Errors
    /// Nowhere.
    pub fn follow(&self, reference: &str, from: &Place<'s>) -> Result<Place<'s>, String> {
        let nowhere = || format!("The schema refers to `{reference}`, which is neither in it nor among its references");
        let target = resolve(&from.base, reference);
        if let Some(place) = self.by_uri.get(&target) {
            return Ok(place.clone());
        }
        let (uri, fragment) = target.split_once('#').unwrap_or((&target, ""));
        let document = match self.by_uri.get(uri) {
            Some(document) => document,
            // Some refer by the name alone, whatever the base.
            None => self.by_uri.get(reference.split('#').next().unwrap_or_default()).ok_or_else(nowhere)?,
        };
        if fragment.is_empty() {
            return Ok(document.clone());
        }
        let pointer = percent_decoded(fragment);
        let node = document.node.pointer(&pointer).or_else(|| {
            // Both words for the same place are taken in any draft.
            let swapped = match pointer.strip_prefix("/$defs/") {
                Some(rest) => format!("/definitions/{rest}"),
                None => format!("/$defs/{}", pointer.strip_prefix("/definitions/")?),
            };
            document.node.pointer(&swapped)
        });
        node.map(|node| document.inner(node)).ok_or_else(nowhere)
    }
}

/// A document that is known under a URI; its own `$id` is resolved against that.
fn document<'s>(node: &'s Json, uri: &str) -> Place<'s> {
    let is_modern = node.get("$schema").and_then(Json::as_str).is_some_and(|url| url.contains("2019-09") || url.contains("2020-12"));
    let outside = Place { node, base: uri.trim_end_matches('#').into(), is_modern };
    outside.inner(node)
}

/// `$id`, or `id` as draft 4 calls it.
fn own_id(node: &Json) -> Option<&str> {
    ["$id", "id"].iter().find_map(|keyword| node.get(keyword)?.as_str()).map(|id| if id.len() > 1 { id.trim_end_matches('#') } else { id })
}

/// A URI reference against a base without a fragment.
fn resolve(base: &str, reference: &str) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let has_scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if has_scheme || base.is_empty() {
        return reference.to_owned();
    }
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let authority =
        base.find("://").map_or(0, |at| base.get(at + 3..).and_then(|rest| rest.find('/')).map_or(base.len(), |path| at + 3 + path));
    if reference.starts_with('/') {
        return format!("{}{reference}", base.get(..authority).unwrap_or_default());
    }
    let folder = base.rfind('/').filter(|slash| *slash >= authority).map_or("", |slash| base.get(..=slash).unwrap_or_default());
    if folder.is_empty() && authority > 0 {
        return format!("{base}/{reference}");
    }
    format!("{folder}{}", reference.strip_prefix("./").unwrap_or(reference))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = match behind {
            [high, low, ..] if *first == b'%' => char::from(*high).to_digit(16).zip(char::from(*low).to_digit(16)),
            _ => None,
        };
        match code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_as_uris() {
        for (base, reference, expected) in [
            ("", "#/definitions/a", "#/definitions/a"),
            ("", "other.json", "other.json"),
            ("http://h/a/b.json", "#/x", "http://h/a/b.json#/x"),
            ("http://h/a/b.json", "c.json#x", "http://h/a/c.json#x"),
            ("http://h/a/b.json", "./c.json", "http://h/a/c.json"),
            ("http://h/a/b.json", "/c.json", "http://h/c.json"),
            ("http://h", "c.json", "http://h/c.json"),
            ("http://h/a.json", "urn:x:y", "urn:x:y"),
            ("a.json", "b.json", "b.json"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{reference} against {base}");
        }
        assert_eq!(percent_decoded("/a%20b%2Fc%"), "/a b/c%");
    }
}
