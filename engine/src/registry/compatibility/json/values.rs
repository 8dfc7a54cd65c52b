//! Strings, numbers and enums.

use serde_json::Value as Json;

use super::difference::Difference;
use crate::registry::language::json::{NumberRules, StringRules};

/// What is said of a limit that was added, removed, increased or decreased.
pub(super) type Kinds = [&'static str; 4];

pub(super) fn strings(one: &StringRules, other: &StringRules, found: &mut Vec<Difference>) {
    const MAX: Kinds = ["MAX_LENGTH_ADDED", "MAX_LENGTH_REMOVED", "MAX_LENGTH_INCREASED", "MAX_LENGTH_DECREASED"];
    const MIN: Kinds = ["MIN_LENGTH_ADDED", "MIN_LENGTH_REMOVED", "MIN_LENGTH_INCREASED", "MIN_LENGTH_DECREASED"];
    found.extend(limit("maxLength", one.max_length, other.max_length, MAX));
    found.extend(limit("minLength", one.min_length, other.min_length, MIN));
    match (&one.pattern, &other.pattern) {
        (None, Some(_)) => found.push(Difference::at("pattern", "PATTERN_ADDED")),
        (Some(_), None) => found.push(Difference::at("pattern", "PATTERN_REMOVED")),
        (one, other) if one != other => found.push(Difference::at("pattern", "PATTERN_CHANGED")),
        _ => {}
    }
}

pub(super) fn numbers(one: &NumberRules, other: &NumberRules, found: &mut Vec<Difference>) {
    const MAX: Kinds = ["MAXIMUM_ADDED", "MAXIMUM_REMOVED", "MAXIMUM_INCREASED", "MAXIMUM_DECREASED"];
    const MIN: Kinds = ["MINIMUM_ADDED", "MINIMUM_REMOVED", "MINIMUM_INCREASED", "MINIMUM_DECREASED"];
    const BELOW: Kinds =
        ["EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_REMOVED", "EXCLUSIVE_MAXIMUM_INCREASED", "EXCLUSIVE_MAXIMUM_DECREASED"];
    const ABOVE: Kinds =
        ["EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_REMOVED", "EXCLUSIVE_MINIMUM_INCREASED", "EXCLUSIVE_MINIMUM_DECREASED"];
    found.extend(limit("maximum", one.maximum, other.maximum, MAX));
    found.extend(limit("minimum", one.minimum, other.minimum, MIN));
    found.extend(limit("exclusiveMaximum", one.exclusive_maximum, other.exclusive_maximum, BELOW));
    found.extend(limit("exclusiveMinimum", one.exclusive_minimum, other.exclusive_minimum, ABOVE));
    let step = match (one.multiple_of, other.multiple_of) {
        (None, Some(_)) => Some("MULTIPLE_OF_ADDED"),
        (Some(_), None) => Some("MULTIPLE_OF_REMOVED"),
        (Some(one), Some(other)) if one == other => None,
        (Some(one), Some(other)) if other % one == 0.0 => Some("MULTIPLE_OF_EXPANDED"),
        (Some(one), Some(other)) if one % other == 0.0 => Some("MULTIPLE_OF_REDUCED"),
        (Some(_), Some(_)) => Some("MULTIPLE_OF_CHANGED"),
        (None, None) => None,
    };
    found.extend(step.map(|kind| Difference::at("multipleOf", kind)));
    if one.is_integer != other.is_integer {
        found.push(Difference::here(if one.is_integer { "TYPE_EXTENDED" } else { "TYPE_NARROWED" }));
    }
}

/// Texts of values, which tell them apart.
pub(super) fn enums(one: &[Json], other: &[Json], found: &mut Vec<Difference>) {
    let texts = |values: &[Json]| values.iter().map(Json::to_string).collect::<std::collections::BTreeSet<String>>();
    let (one, other) = (texts(one), texts(other));
    if one == other {
        return;
    }
    let kind = match (other.is_superset(&one), one.is_superset(&other)) {
        (true, _) => "ENUM_ARRAY_EXTENDED",
        (_, true) => "ENUM_ARRAY_NARROWED",
        _ => "ENUM_ARRAY_CHANGED",
    };
    found.push(Difference::here(kind));
}

pub(super) fn limit(keyword: &str, one: Option<f64>, other: Option<f64>, kinds: Kinds) -> Option<Difference> {
    let [added, removed, increased, decreased] = kinds;
    let kind = match (one, other) {
        (None, Some(_)) => added,
        (Some(_), None) => removed,
        (Some(one), Some(other)) if one < other => increased,
        (Some(one), Some(other)) if one > other => decreased,
        _ => return None,
    };
    Some(Difference::at(keyword, kind))
}
