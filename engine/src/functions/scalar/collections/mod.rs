//! Arrays and maps, and lambdas over them.

mod array_concat;
mod array_contains;
mod array_distinct;
mod array_except;
mod array_intersect;
mod array_join;
mod array_length;
mod array_max;
mod array_min;
mod array_remove;
mod array_sort;
mod array_union;
mod as_map;
mod entries;
mod filter;
mod generate_series;
mod lambdas;
mod map_keys;
mod map_union;
mod map_values;
mod reduce;
mod sets;
mod slice;
mod transform;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] = &[
    &array_concat::FUNCTION,
    &array_contains::FUNCTION,
    &array_distinct::FUNCTION,
    &array_except::FUNCTION,
    &array_intersect::FUNCTION,
    &array_join::FUNCTION,
    &array_length::FUNCTION,
    &array_max::FUNCTION,
    &array_min::FUNCTION,
    &array_remove::FUNCTION,
    &array_sort::FUNCTION,
    &array_union::FUNCTION,
    &as_map::FUNCTION,
    &entries::FUNCTION,
    &filter::FUNCTION,
    &generate_series::FUNCTION,
    &map_keys::FUNCTION,
    &map_union::FUNCTION,
    &map_values::FUNCTION,
    &reduce::FUNCTION,
    &slice::FUNCTION,
    &transform::FUNCTION,
];
