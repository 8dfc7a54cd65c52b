//! Arrays: one schema for all items, or one for each of the first and something for the others.

use super::Check;
use super::difference::{Difference, is_compatible, under};
use super::values::{Kinds, limit};
use crate::registry::language::json::{ArrayRules, JsonBody};

impl<'s> Check<'s> {
    pub(super) fn arrays(&mut self, one: &'s ArrayRules, other: &'s ArrayRules, found: &mut Vec<Difference>) {
        found.extend(self.compare_at("items", one.all_items, other.all_items));
        for (index, (original, update)) in one.items.iter().zip(&other.items).enumerate() {
            found.extend(self.compare_at(&format!("items/{index}"), Some(*original), Some(*update)));
        }
        for (index, original) in one.items.iter().enumerate().skip(other.items.len()) {
            let within = self.item_removed(other, *original);
            found.extend(under(&format!("items/{index}"), within));
        }
        for (index, update) in other.items.iter().enumerate().skip(one.items.len()) {
            let within = self.item_added(one, *update);
            found.extend(under(&format!("items/{index}"), within));
        }
        let additional = match (one.permits_additional, other.permits_additional) {
            (true, false) => vec![Difference::here("ADDITIONAL_ITEMS_REMOVED")],
            (false, true) => vec![Difference::here("ADDITIONAL_ITEMS_ADDED")],
            _ => match (one.additional, other.additional) {
                (None, Some(_)) => vec![Difference::here("ADDITIONAL_ITEMS_NARROWED")],
                (Some(_), None) => vec![Difference::here("ADDITIONAL_ITEMS_EXTENDED")],
                (one, other) => self.compare(one, other),
            },
        };
        found.extend(under("additionalItems", additional));
        const MAX: Kinds = ["MAX_ITEMS_ADDED", "MAX_ITEMS_REMOVED", "MAX_ITEMS_INCREASED", "MAX_ITEMS_DECREASED"];
        const MIN: Kinds = ["MIN_ITEMS_ADDED", "MIN_ITEMS_REMOVED", "MIN_ITEMS_INCREASED", "MIN_ITEMS_DECREASED"];
        found.extend(limit("maxItems", one.max_items, other.max_items, MAX));
        found.extend(limit("minItems", one.min_items, other.min_items, MIN));
        if one.is_unique != other.is_unique {
            found.push(Difference::at("uniqueItems", if one.is_unique { "UNIQUE_ITEMS_REMOVED" } else { "UNIQUE_ITEMS_ADDED" }));
        }
    }

    fn item_removed(&mut self, update: &ArrayRules, original: usize) -> Vec<Difference> {
        if is_open(update) {
            return vec![Difference::here("ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL")];
        }
        if let Some(covering) = update.additional {
            let mut within = self.compare(Some(original), Some(covering));
            let kind = if is_compatible(&within) {
                "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            } else {
                "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
            };
            within.push(Difference::here(kind));
            return within;
        }
        let was_none = matches!(self.originals().node(original).map(|node| &node.body), Some(JsonBody::False));
        let kind = if was_none { "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL" } else { "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL" };
        vec![Difference::here(kind)]
    }

    fn item_added(&mut self, original: &ArrayRules, update: usize) -> Vec<Difference> {
        if is_open(original) {
            let is_any = matches!(self.updates().node(update).map(|node| &node.body), Some(JsonBody::Empty));
            let kind = if is_any { "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL" } else { "ITEM_ADDED_TO_OPEN_CONTENT_MODEL" };
            return vec![Difference::here(kind)];
        }
        let Some(covering) = original.additional else { return vec![Difference::here("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL")] };
        let mut within = self.compare(Some(covering), Some(update));
        let kind = if is_compatible(&within) {
            "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        } else {
            "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        };
        within.push(Difference::here(kind));
        within
    }
}

fn is_open(rules: &ArrayRules) -> bool {
    rules.permits_additional && rules.additional.is_none()
}
