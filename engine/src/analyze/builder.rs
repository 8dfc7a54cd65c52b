//! What the steps of a query are built with: its clauses, its formats, and the topics that they call for.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_parser::ast::Expr;

use super::clauses::Clauses;
use super::formats::{self, Choice};
use super::rewrite;
use crate::catalog::{Source, SourceKind};
use crate::plan::names::Names;
use crate::plan::{FormatSpec, Repartition, SourceStep, Step, StepKind, TopicFormat};
use crate::types::Column;

/// What building needs besides the clauses.
pub(crate) struct Builder<'a> {
    pub clauses: &'a Clauses,
    pub names: &'a Names,
    pub properties: &'a BTreeMap<String, String>,
    /// The key format of the result, and of the topics on the way to it.
    pub key_format: Choice,
    /// The value format of topics on the way.
    pub value_format: Choice,
    /// The result goes into a sink (and its key columns into the key).
    pub persistent: bool,
}

impl Builder<'_> {
    /// Internal names of everything that the clauses read, from whichever source.
    pub fn needed(&self) -> BTreeSet<String> {
        let clauses = self.clauses;
        let mut exprs: Vec<&Expr> = clauses.projection.items.iter().map(|i| &i.expr).collect();
        exprs.extend(&clauses.selection);
        exprs.extend(&clauses.having);
        exprs.extend(clauses.partition_by.iter().flatten());
        exprs.extend(clauses.aggregation.iter().flat_map(|a| a.keys.iter().map(|k| &k.expr)));
        exprs.iter().flat_map(|e| names_in(&clauses.scope.internal(e))).collect()
    }

    /// A topic between two sub-topologies. Where the source's formats can't hold its columns, JSON does.
    pub fn repartition(&self, topic: String, key: &[Column], value: &[Column], partitions: Option<u32>) -> Repartition {
        self.repartition_as(topic, (&self.key_format, &self.value_format), key, value, partitions)
    }

    /// The same, in formats of its own: of the key, and of the value.
    pub fn repartition_as(
        &self,
        topic: String,
        (key_format, value_format): (&Choice, &Choice),
        key: &[Column],
        value: &[Column],
        partitions: Option<u32>,
    ) -> Repartition {
        let json = Choice::plain("JSON");
        let mut key_spec = formats::key_spec(key_format, key);
        if !formats::holds(&key_spec, key, true) {
            key_spec = formats::key_spec(&json, key);
        }
        let mut value_spec = formats::value_spec(value_format, value, None);
        // A row whose only column is null must not look like a row without a value.
        let is_hidden = match value {
            [] => true,
            [_] => value_spec.unwrapped || !formats::wraps(&value_spec),
            _ => false,
        };
        if is_hidden || !formats::holds(&value_spec, value, false) {
            value_spec = FormatSpec { unwrapped: false, ..formats::value_spec(&json, value, None) };
        }
        let format = TopicFormat { topic, key: key_spec, value: value_spec, windowed_key: None };
        Repartition { format, partitions, by_partition: false }
    }

    pub fn spec(&self, value: &[Column]) -> FormatSpec {
        formats::value_spec(&self.value_format, value, None)
    }
}

/// Reads a stream's or a table's topic.
pub(crate) fn source_step(source: &Source, store: Option<String>) -> Step {
    let is_table = source.kind == SourceKind::Table;
    let step = SourceStep {
        source: source.name.clone(),
        format: source.format.clone(),
        timestamp: source.timestamp.clone(),
        headers: source.headers.iter().map(|h| (h.column.clone(), h.key.clone())).collect(),
        store: store.filter(|_| is_table),
    };
    let kind = if is_table { StepKind::TableSource(step) } else { StepKind::StreamSource(step) };
    Step { kind, schema: source.schema.clone() }
}

/// Names of the columns in an expression with internal names.
pub(crate) fn names_in(expr: &Expr) -> Vec<String> {
    rewrite::columns(expr).into_iter().map(String::from).collect()
}
