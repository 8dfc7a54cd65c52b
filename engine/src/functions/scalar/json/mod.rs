//! JSON in texts.

mod document;
mod extractjsonfield;
mod is_json_string;
mod json_array_contains;
mod json_array_length;
mod json_concat;
mod json_items;
mod json_keys;
mod json_path;
mod json_records;
mod to_json_string;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] = &[
    &extractjsonfield::FUNCTION,
    &is_json_string::FUNCTION,
    &json_array_contains::FUNCTION,
    &json_array_length::FUNCTION,
    &json_concat::FUNCTION,
    &json_items::FUNCTION,
    &json_keys::FUNCTION,
    &json_records::FUNCTION,
    &to_json_string::FUNCTION,
];
