//! Analysis: from syntax trees and a catalog snapshot to sources and plans. Names, types, keys and windows are checked
//! here, before anything runs; everything that is wrong is reported at once.
//!
//! The way of a query: [`scope`] knows its sources and names; [`clauses`] reads it clause by clause ([`projection`],
//! [`aggregation`], [`joins`], [`windows`], [`keys`]); [`build`] (with [`join_steps`]) turns that into steps and works
//! out types; [`query`] puts the sink behind them. Statements without a query have a file each. Columns that a statement takes
//! from registered schemas are added to it first ([`infer`]); from there on they are columns like any other.
//!
//! Invariant: no I/O but through the context: what is asked about topics comes from its callback, about schemas from its
//! registry.

mod aggregation;
mod aliases;
mod build;
mod builder;
mod clauses;
mod context;
mod create_source;
mod error;
mod formats;
mod infer;
mod insert_into;
mod insert_values;
mod join_steps;
mod joins;
mod keys;
mod projection;
mod properties;
mod pull;
mod qualify;
mod query;
mod rewrite;
mod scalable;
mod scope;
mod sink;
mod steps;
mod typing;
mod windows;

#[cfg(test)]
pub(crate) mod tests;

pub use context::{AnalysisContext, TopicInfo};
pub use create_source::{Action, Declared, create_source};
pub use error::{AnalysisError, ErrorKind, Problem};
pub use insert_values::{InsertRow, constant, insert_values};
pub use pull::{KeyConstraint, Lookup, PullPlan, PullQuery, Range, WindowBounds, pull_query};
pub use query::{OutputColumn, PlannedQuery, create_as, insert_select, push_query, requested_query_id, source_table};
pub use scalable::is_scalable;
