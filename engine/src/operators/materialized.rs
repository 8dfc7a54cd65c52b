//! How the table of a query is looked up: the store that keeps it, and the steps behind the store.

use super::derive::Derivation;
use crate::plan::QueryPlan;

/// Reads entries of a query's store as rows of its table.
pub type MaterializedReader = Derivation;

/// The reader of a query's table; `None`: it keeps none (a stream, or a table that only passes through).
pub fn reader(plan: &QueryPlan) -> Option<MaterializedReader> {
    Derivation::of(&plan.root, plan).ok().flatten()
}
