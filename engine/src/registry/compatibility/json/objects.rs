//! Objects. What properties mean depends on the content model: open (whatever else may come), closed (nothing else), or
//! partially open (others must pass a schema).

use std::collections::{BTreeSet, HashMap};

use super::Check;
use super::difference::{Difference, is_compatible, under};
use super::values::{Kinds, limit};
use crate::registry::language::json::{JsonBody, JsonModel, ObjectRules};

impl<'s> Check<'s> {
    pub(super) fn objects(&mut self, one: &'s ObjectRules, other: &'s ObjectRules, found: &mut Vec<Difference>) {
        self.required(one, other, found);
        self.properties(one, other, found);
        self.dependencies(one, other, found);
        found.extend(under("additionalProperties", self.additional(one, other)));
        const MAX: Kinds = ["MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_REMOVED", "MAX_PROPERTIES_INCREASED", "MAX_PROPERTIES_DECREASED"];
        const MIN: Kinds = ["MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_REMOVED", "MIN_PROPERTIES_INCREASED", "MIN_PROPERTIES_DECREASED"];
        found.extend(limit("maxProperties", one.max_properties, other.max_properties, MAX));
        found.extend(limit("minProperties", one.min_properties, other.min_properties, MIN));
    }

    fn required(&self, one: &ObjectRules, other: &ObjectRules, found: &mut Vec<Difference>) {
        let (before, now) = (names(&one.required), names(&other.required));
        let updated = by_name(&other.properties);
        for (name, _) in &one.properties {
            let Some(property) = updated.get(name.as_str()) else { continue };
            let kind = match (before.contains(name.as_str()), now.contains(name.as_str())) {
                (true, false) => "REQUIRED_ATTRIBUTE_REMOVED",
                (false, true) if has_default(self.updates(), *property) => "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
                (false, true) => "REQUIRED_ATTRIBUTE_ADDED",
                _ => continue,
            };
            found.extend(under("required", vec![Difference::at(name, kind)]));
        }
    }

    fn properties(&mut self, one: &'s ObjectRules, other: &'s ObjectRules, found: &mut Vec<Difference>) {
        let (before, now) = (by_name(&one.properties), by_name(&other.properties));
        let required = names(&other.required);
        let added = other.properties.iter().filter(|(name, _)| !before.contains_key(name.as_str()));
        for (name, property) in one.properties.iter().chain(added) {
            let within = match (before.get(name.as_str()), now.get(name.as_str())) {
                (Some(original), Some(update)) => self.compare(Some(*original), Some(*update)),
                (Some(original), None) => self.removed(other, name, *original),
                _ => self.added(one, name, *property, required.contains(name.as_str())),
            };
            found.extend(under("properties", under(name, within)));
        }
    }

    /// A property that the update does not name: what counts is the update's content model.
    fn removed(&mut self, update: &ObjectRules, name: &str, original: usize) -> Vec<Difference> {
        if is_open(update) {
            return vec![Difference::here("PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL")];
        }
        if let Some(covering) = covering(update, name) {
            let mut within = self.compare(Some(original), Some(covering));
            let kind = if is_compatible(&within) {
                "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            } else {
                "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            };
            within.push(Difference::here(kind));
            return within;
        }
        let was_none = matches!(self.originals().node(original).map(|node| &node.body), Some(JsonBody::False));
        let kind =
            if was_none { "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL" } else { "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" };
        vec![Difference::here(kind)]
    }

    /// A property that the original does not name: what counts is the original's content model.
    fn added(&mut self, original: &ObjectRules, name: &str, update: usize, is_required: bool) -> Vec<Difference> {
        if is_open(original) {
            let is_any = matches!(self.updates().node(update).map(|node| &node.body), Some(JsonBody::Empty));
            let kind =
                if is_any { "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL" } else { "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL" };
            return vec![Difference::here(kind)];
        }
        let mut within = Vec::new();
        if let Some(covering) = covering(original, name) {
            within = self.compare(Some(covering), Some(update));
            let kind = if is_compatible(&within) {
                "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            } else {
                "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            };
            within.push(Difference::here(kind));
        }
        within.push(Difference::here(match is_required {
            true if has_default(self.updates(), update) => "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
            true => "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
            false => "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        }));
        within
    }

    fn dependencies(&mut self, one: &'s ObjectRules, other: &'s ObjectRules, found: &mut Vec<Difference>) {
        let before: HashMap<&str, &Vec<String>> = one.property_dependencies.iter().map(|(name, list)| (name.as_str(), list)).collect();
        let now: HashMap<&str, &Vec<String>> = other.property_dependencies.iter().map(|(name, list)| (name.as_str(), list)).collect();
        for name in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
            let kind = match (before.get(name), now.get(name)) {
                (_, None) => "DEPENDENCY_ARRAY_REMOVED",
                (None, Some(_)) => "DEPENDENCY_ARRAY_ADDED",
                (Some(one), Some(other)) => {
                    let (one, other) = (names(one), names(other));
                    match (other.is_superset(&one), one.is_superset(&other)) {
                        (true, true) => continue,
                        (true, false) => "DEPENDENCY_ARRAY_EXTENDED",
                        (false, true) => "DEPENDENCY_ARRAY_NARROWED",
                        (false, false) => "DEPENDENCY_ARRAY_CHANGED",
                    }
                }
            };
            found.extend(under("dependencies", vec![Difference::at(name, kind)]));
        }
        let (before, now) = (by_name(&one.schema_dependencies), by_name(&other.schema_dependencies));
        for name in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
            let within = match (before.get(name), now.get(name)) {
                (_, None) => vec![Difference::here("DEPENDENCY_SCHEMA_REMOVED")],
                (None, Some(_)) => vec![Difference::here("DEPENDENCY_SCHEMA_ADDED")],
                (Some(one), Some(other)) => self.compare(Some(*one), Some(*other)),
            };
            found.extend(under("dependencies", under(name, within)));
        }
    }

    fn additional(&mut self, one: &ObjectRules, other: &ObjectRules) -> Vec<Difference> {
        match (one.permits_additional, other.permits_additional) {
            (false, true) => vec![Difference::here("ADDITIONAL_PROPERTIES_ADDED")],
            (true, false) => vec![Difference::here("ADDITIONAL_PROPERTIES_REMOVED")],
            _ => match (one.additional, other.additional) {
                (None, Some(_)) => vec![Difference::here("ADDITIONAL_PROPERTIES_NARROWED")],
                (Some(_), None) => vec![Difference::here("ADDITIONAL_PROPERTIES_EXTENDED")],
                (one, other) => self.compare(one, other),
            },
        }
    }
}

fn is_open(rules: &ObjectRules) -> bool {
    rules.patterns.is_empty() && rules.additional.is_none() && rules.permits_additional
}

/// The schema that a property must pass which is not named.
fn covering(rules: &ObjectRules, name: &str) -> Option<usize> {
    let fits = |pattern: &str| fancy_regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(name).unwrap_or(false));
    rules.patterns.iter().find(|(pattern, _)| fits(pattern)).map(|(_, schema)| *schema).or(rules.additional)
}

fn has_default(model: &JsonModel, index: usize) -> bool {
    model.nodes.get(index).is_some_and(|node| node.default.is_some())
}

fn by_name(members: &[(String, usize)]) -> HashMap<&str, usize> {
    members.iter().map(|(name, index)| (name.as_str(), *index)).collect()
}

fn names(list: &[String]) -> BTreeSet<&str> {
    list.iter().map(String::as_str).collect()
}
