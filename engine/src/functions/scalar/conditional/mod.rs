//! Nulls and choices.

mod as_value;
mod coalesce;
mod extreme;
mod greatest;
mod ifnull;
mod least;
mod nullif;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] =
    &[&as_value::FUNCTION, &coalesce::FUNCTION, &greatest::FUNCTION, &ifnull::FUNCTION, &least::FUNCTION, &nullif::FUNCTION];
