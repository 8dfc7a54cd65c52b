//! JSON Schema: every difference between an original schema and its update is named, and the update reads what the original
//! let pass where all of them are harmless. One file a kind of schema.

mod arrays;
mod combined;
mod difference;
mod objects;
mod values;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::Incompatibility;
use crate::registry::language::json::{Criterion, JsonBody, JsonModel, JsonNode};
use difference::{Difference, is_compatible, under};

/// Pairs of schemas that are looked at and differences that are passed on, and how deep, before it is said that they are too large to be compared.
const MAX_STEPS: usize = 300_000;
const MAX_DEPTH: usize = 150;

/// What keeps `update` from reading what `original` let pass.
pub(super) fn check(original: &JsonModel, update: &JsonModel) -> Vec<Incompatibility> {
    let mut check = Check {
        original,
        update,
        known: HashMap::new(),
        in_progress: HashSet::new(),
        steps: 0,
        depth: 0,
        is_too_large: false,
        swapped: false,
    };
    let found = check.compare(Some(original.root), Some(update.root));
    if check.is_too_large {
        let text = "Unexpected exception during compatibility check: the schemas are too large to be compared".to_owned();
        return vec![Incompatibility { text }];
    }
    found.iter().filter(|difference| !difference.is_harmless()).map(Difference::incompatibility).collect()
}

struct Check<'s> {
    original: &'s JsonModel,
    update: &'s JsonModel,
    /// What was found for a pair, with paths within it.
    known: HashMap<(usize, usize, bool), Rc<Vec<Difference>>>,
    in_progress: HashSet<(usize, usize, bool)>,
    steps: usize,
    depth: usize,
    is_too_large: bool,
    /// Within a `not`, the update's schema is the original one.
    swapped: bool,
}

impl<'s> Check<'s> {
    fn originals(&self) -> &'s JsonModel {
        if self.swapped { self.update } else { self.original }
    }

    fn updates(&self) -> &'s JsonModel {
        if self.swapped { self.original } else { self.update }
    }

    /// The differences between two schemas, either of which may be missing.
    fn compare(&mut self, original: Option<usize>, update: Option<usize>) -> Vec<Difference> {
        let (original, update) = match (original, update) {
            (None, None) => return Vec::new(),
            (None, Some(_)) => return vec![Difference::here("SCHEMA_ADDED")],
            (Some(_), None) => return vec![Difference::here("SCHEMA_REMOVED")],
            (Some(original), Some(update)) => (self.originals().target(original), self.updates().target(update)),
        };
        let pair = (original, update, self.swapped);
        if let Some(found) = self.known.get(&pair) {
            self.steps = self.steps.saturating_add(found.len());
            return found.to_vec();
        }
        self.steps += 1;
        if self.steps > MAX_STEPS || self.depth >= MAX_DEPTH {
            self.is_too_large = true;
            return Vec::new();
        }
        // What is being compared further up is taken as alike: whatever differs is found there.
        if !self.in_progress.insert(pair) {
            return Vec::new();
        }
        self.depth += 1;
        let found = self.pair(original, update);
        self.depth = self.depth.saturating_sub(1);
        self.in_progress.remove(&pair);
        self.steps = self.steps.saturating_add(found.len());
        self.known.insert(pair, Rc::new(found.clone()));
        found
    }

    fn pair(&mut self, original: usize, update: usize) -> Vec<Difference> {
        let (Some(one), Some(other)) = (self.originals().node(original), self.updates().node(update)) else { return Vec::new() };
        match (&one.body, &other.body) {
            (JsonBody::Combined(..), JsonBody::Combined(..)) => {}
            (_, JsonBody::Combined(criterion, schemas)) => {
                let singleton = schemas.len() == 1;
                if singleton || matches!(criterion, Criterion::Any | Criterion::One) {
                    for schema in schemas {
                        let mut found = self.compare(Some(original), Some(*schema));
                        if is_compatible(&found) {
                            found.extend((!singleton).then(|| Difference::here("SUM_TYPE_EXTENDED")));
                            return found;
                        }
                    }
                }
            }
            (JsonBody::Combined(criterion, schemas), _) => {
                let singleton = schemas.len() == 1;
                if singleton || *criterion == Criterion::All {
                    for schema in schemas {
                        let mut found = self.compare(Some(*schema), Some(update));
                        if is_compatible(&found) {
                            found.extend((!singleton).then(|| Difference::here("PRODUCT_TYPE_NARROWED")));
                            return found;
                        }
                    }
                }
            }
            _ => {}
        }
        if std::mem::discriminant(&one.body) != std::mem::discriminant(&other.body) {
            let passes = matches!(one.body, JsonBody::False) || matches!(other.body, JsonBody::Empty);
            return if passes { Vec::new() } else { vec![Difference::here("TYPE_CHANGED")] };
        }
        let mut found = attributes(one, other);
        match (&one.body, &other.body) {
            (JsonBody::String(one), JsonBody::String(other)) => values::strings(one, other, &mut found),
            (JsonBody::Number(one), JsonBody::Number(other)) => values::numbers(one, other, &mut found),
            (JsonBody::Enum(one), JsonBody::Enum(other)) => values::enums(one, other, &mut found),
            (JsonBody::Const(one), JsonBody::Const(other)) if one != other => found.push(Difference::here("ENUM_ARRAY_CHANGED")),
            (JsonBody::Object(one), JsonBody::Object(other)) => self.objects(one, other, &mut found),
            (JsonBody::Array(one), JsonBody::Array(other)) => self.arrays(one, other, &mut found),
            (JsonBody::Combined(criterion, one), JsonBody::Combined(updated, other)) => {
                self.combined((*criterion, one), (*updated, other), &mut found);
            }
            (JsonBody::Not(one), JsonBody::Not(other)) => {
                self.swapped = !self.swapped;
                let within = self.compare(Some(*other), Some(*one));
                self.swapped = !self.swapped;
                found.push(Difference::at("not", if is_compatible(&within) { "NOT_TYPE_NARROWED" } else { "NOT_TYPE_EXTENDED" }));
            }
            _ => {}
        }
        found
    }

    /// The differences between two schemas at a place below.
    fn compare_at(&mut self, place: &str, original: Option<usize>, update: Option<usize>) -> Vec<Difference> {
        under(place, self.compare(original, update))
    }
}

/// What no value depends on.
fn attributes(one: &JsonNode, other: &JsonNode) -> Vec<Difference> {
    [
        (one.id != other.id, "ID_CHANGED"),
        (one.title != other.title, "TITLE_CHANGED"),
        (one.description != other.description, "DESCRIPTION_CHANGED"),
        (one.default != other.default, "DEFAULT_CHANGED"),
    ]
    .into_iter()
    .filter(|(differs, _)| *differs)
    .map(|(_, kind)| Difference::here(kind))
    .collect()
}
