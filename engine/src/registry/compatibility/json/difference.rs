//! Differences between JSON Schemas: which of them do no harm, and what is said of the others.

use super::super::{Incompatibility, READER, WRITER};

/// A difference, by the name that Confluent's registry gives it, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    kind: &'static str,
    /// Steps with slashes between them.
    path: String,
}

/// Differences by which an update reads all that the original let pass.
const HARMLESS: &[&str] = &[
    "ID_CHANGED",
    "DESCRIPTION_CHANGED",
    "TITLE_CHANGED",
    "DEFAULT_CHANGED",
    "SCHEMA_REMOVED",
    "TYPE_EXTENDED",
    "MAX_LENGTH_INCREASED",
    "MAX_LENGTH_REMOVED",
    "MIN_LENGTH_DECREASED",
    "MIN_LENGTH_REMOVED",
    "PATTERN_REMOVED",
    "MAXIMUM_INCREASED",
    "MAXIMUM_REMOVED",
    "MINIMUM_DECREASED",
    "MINIMUM_REMOVED",
    "EXCLUSIVE_MAXIMUM_INCREASED",
    "EXCLUSIVE_MAXIMUM_REMOVED",
    "EXCLUSIVE_MINIMUM_DECREASED",
    "EXCLUSIVE_MINIMUM_REMOVED",
    "MULTIPLE_OF_REDUCED",
    "MULTIPLE_OF_REMOVED",
    "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
    "REQUIRED_ATTRIBUTE_REMOVED",
    "DEPENDENCY_ARRAY_NARROWED",
    "DEPENDENCY_ARRAY_REMOVED",
    "DEPENDENCY_SCHEMA_REMOVED",
    "MAX_PROPERTIES_INCREASED",
    "MAX_PROPERTIES_REMOVED",
    "MIN_PROPERTIES_DECREASED",
    "MIN_PROPERTIES_REMOVED",
    "ADDITIONAL_PROPERTIES_ADDED",
    "ADDITIONAL_PROPERTIES_EXTENDED",
    "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
    "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
    "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL",
    "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "MAX_ITEMS_INCREASED",
    "MAX_ITEMS_REMOVED",
    "MIN_ITEMS_DECREASED",
    "MIN_ITEMS_REMOVED",
    "UNIQUE_ITEMS_REMOVED",
    "ADDITIONAL_ITEMS_ADDED",
    "ADDITIONAL_ITEMS_EXTENDED",
    "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
    "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL",
    "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "ENUM_ARRAY_EXTENDED",
    "COMBINED_TYPE_EXTENDED",
    "PRODUCT_TYPE_NARROWED",
    "SUM_TYPE_EXTENDED",
    "NOT_TYPE_NARROWED",
];

/// What the endings of the names mean.
const VALUE_CHANGED: [&str; 3] = ["PATTERN_CHANGED", "MULTIPLE_OF_CHANGED", "DEPENDENCY_ARRAY_CHANGED"];
const FEWER: [&str; 4] = ["ADDITIONAL_ITEMS_NARROWED", "ENUM_ARRAY_NARROWED", "SUM_TYPE_NARROWED", "ADDITIONAL_PROPERTIES_NARROWED"];
const MORE: [&str; 3] = ["DEPENDENCY_ARRAY_EXTENDED", "PRODUCT_TYPE_EXTENDED", "NOT_TYPE_EXTENDED"];
const TYPE_CHANGED: [&str; 5] =
    ["TYPE_CHANGED", "TYPE_NARROWED", "COMBINED_TYPE_CHANGED", "COMBINED_TYPE_SUBSCHEMAS_CHANGED", "ENUM_ARRAY_CHANGED"];

impl Difference {
    /// At the schema that is looked at.
    pub fn here(kind: &'static str) -> Self {
        Difference { kind, path: String::new() }
    }

    /// One step below.
    pub fn at(step: &str, kind: &'static str) -> Self {
        Difference { kind, path: step.to_owned() }
    }

    pub fn is_harmless(&self) -> bool {
        HARMLESS.contains(&self.kind)
    }

    pub fn incompatibility(&self) -> Incompatibility {
        Incompatibility::new(self.kind, &self.description(), '"', None)
    }

    fn description(&self) -> String {
        let path = format!("#/{}", self.path);
        let kind = self.kind;
        let is = |of: &[&str]| of.contains(&kind);
        if VALUE_CHANGED.contains(&kind) {
            format!("The value at path '{path}' is different between the {READER} and {WRITER} schema")
        } else if is(&FEWER) {
            format!("An array or combined type at path '{path}' has fewer elements in the {READER} schema than the {WRITER} schema")
        } else if is(&MORE) {
            format!("An array or combined type at path '{path}' has more elements in the {READER} schema than the {WRITER} schema")
        } else if is(&TYPE_CHANGED) {
            format!("A type at path '{path}' is different between the {READER} schema and the {WRITER} schema")
        } else if is(&["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "ITEM_ADDED_TO_OPEN_CONTENT_MODEL"]) {
            format!(
                "The {READER} schema has an open content model and has a property or item at path '{path}' which is missing in the {WRITER} \
                 schema"
            )
        } else if kind == "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" {
            format!(
                "The {READER} schema has an unopen content model and has a required property at path '{path}' which is missing in the \
                 {WRITER} schema"
            )
        } else if is(&["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"]) {
            format!(
                "The {READER} schema has a closed content model and is missing a property or item present at path '{path}' in the {WRITER} \
                 schema"
            )
        } else if kind.ends_with("_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL") {
            format!(
                "A property or item is missing in the {READER} schema but present at path '{path}' in the {WRITER} schema and is not covered \
                 by its partially open content model"
            )
        } else if kind.ends_with("_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL") {
            format!(
                "The {READER} schema has a property or item at path '{path}' which is missing in the {WRITER} schema and is not covered by \
                 its partially open content model"
            )
        } else if kind.ends_with("_INCREASED") || kind == "MULTIPLE_OF_EXPANDED" {
            format!("The value at path '{path}' in the {READER} schema is more than its value in the {WRITER} schema")
        } else if kind.ends_with("_DECREASED") {
            format!("The value at path '{path}' in the {READER} schema is less than its value in the {WRITER} schema")
        } else {
            format!("The keyword at path '{path}' in the {READER} schema is not present in the {WRITER} schema")
        }
    }
}

pub(super) fn is_compatible(found: &[Difference]) -> bool {
    found.iter().all(Difference::is_harmless)
}

/// The differences of a place, seen from above it.
pub(super) fn under(place: &str, mut found: Vec<Difference>) -> Vec<Difference> {
    for difference in &mut found {
        difference.path = if difference.path.is_empty() { place.to_owned() } else { format!("{place}/{}", difference.path) };
    }
    found
}
