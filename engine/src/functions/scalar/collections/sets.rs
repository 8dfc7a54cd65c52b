//! Arrays as sets: items in order of their first occurrence, each once.

use std::collections::HashSet;

use super::prelude::*;

pub(super) const ARRAY: Param = param("array", ParamType::Array(&ParamType::Var('T')), "The array.");
pub(super) const LEFT: Param = param("left", ParamType::Array(&ParamType::Var('T')), "The first array.");
pub(super) const RIGHT: Param = param("right", ParamType::Array(&ParamType::Var('T')), "The second array.");
pub(super) const RESULT: Returns = Returns::Type(ParamType::Array(&ParamType::Var('T')));

/// The items that pass, each once.
pub(super) fn distinct<'v>(items: impl Iterator<Item = &'v Value>, passes: impl Fn(&Value) -> bool) -> Value {
    let mut seen = HashSet::new();
    Value::array(items.filter(|item| passes(item) && seen.insert(*item)).cloned().collect())
}

/// The items of an argument as a set.
pub(super) fn set_of<'v>(args: &'v Args<'_>, index: usize) -> Result<HashSet<&'v Value>, EvalError> {
    Ok(args.get::<&[Value]>(index)?.iter().collect())
}
