//! Whether a query may take another's place (CREATE OR REPLACE): it goes on with the other's offsets, state and internal
//! topics, so these must mean the same to both.
//!
//! The two plans are walked from their sinks to their sources, as ksqlDB does. Projections and filters may come, go and
//! change; the other steps must be there in both, alike in all that their state or topics hold. A step that no rule is
//! known for allows no change to the query at all.

use std::fmt::Debug;

use super::{AggregateStep, NamedExpr, QueryPlan, Repartition, SchemaSpec, Step, StepKind};
use crate::expr::columns_used;
use crate::types::SqlType;

/// Why `new` can't take the place of `old`; `None` where it can.
pub fn refusal(old: &QueryPlan, new: &QueryPlan) -> Option<String> {
    let (old, new) = (&unregistered(old), &unregistered(new));
    // The same query once more is harmless, whatever it is made of.
    if undone(&old.root) == undone(&new.root) {
        return None;
    }
    let reason = compare(&old.root, &new.root, false).err()?;
    let sink = old.sink.as_deref().unwrap_or(&old.query_id);
    Some(format!("{reason}. DROP '{sink}' and create it again to start without the state of the query that runs."))
}

/// Makes `new` clear up behind `old`: rows of a table that `old` let through, and the new condition does not, must be
/// deleted when they change.
pub fn take_over(old: &QueryPlan, new: &mut QueryPlan) {
    let (before, after) = (table_filters(&old.root), table_filters(&new.root));
    let was_marked = before.iter().any(|(_, marked)| *marked);
    if was_marked || !before.iter().map(|(p, _)| p).eq(after.iter().map(|(p, _)| p)) {
        mark(&mut new.root, true);
    }
}

/// The plan without the schemas that its records are written with. They follow from all else; their ids are the registry's.
fn unregistered(plan: &QueryPlan) -> QueryPlan {
    fn clear(step: &mut Step) {
        let format = match &mut step.kind {
            StepKind::Sink { format, .. } => Some(format),
            _ => step.repartition_mut().map(|repartition| &mut repartition.format),
        };
        for spec in format.into_iter().flat_map(|format| [&mut format.key, &mut format.value]) {
            if let Some(schema) = &mut spec.schema {
                schema.writes = None;
            }
            spec.schema = spec.schema.take().filter(|schema| **schema != SchemaSpec::default());
        }
        step.inputs_mut().into_iter().for_each(clear);
    }
    let mut plan = plan.clone();
    clear(&mut plan.root);
    plan
}

/// The step without what [`take_over`] did, which is no difference between two queries.
fn undone(step: &Step) -> Step {
    let mut step = step.clone();
    mark(&mut step, false);
    step
}

fn mark(step: &mut Step, deletes: bool) {
    match &mut step.kind {
        StepKind::Sink { input, is_table: true, .. } | StepKind::Select { input, .. } => mark(input, deletes),
        StepKind::Filter { input, deletes_unmatched, .. } => {
            *deletes_unmatched = deletes;
            mark(input, deletes);
        }
        _ => {}
    }
}

/// The conditions on the result of a query that makes a table, and whether they delete what does not match.
fn table_filters(root: &Step) -> Vec<(&str, bool)> {
    let StepKind::Sink { is_table: true, input, .. } = &root.kind else { return Vec::new() };
    let (mut step, mut filters): (&Step, _) = (input, Vec::new());
    loop {
        step = match &step.kind {
            StepKind::Filter { input, predicate, deletes_unmatched } => {
                filters.push((predicate.as_str(), *deletes_unmatched));
                input
            }
            StepKind::Select { input, .. } => input,
            _ => return filters,
        };
    }
}

/// `feeds_state`: an aggregation stands behind, whose state is made of these rows.
fn compare(old: &Step, new: &Step, feeds_state: bool) -> Result<(), String> {
    let (old, new) = (enforcing(old, feeds_state), enforcing(new, feeds_state));
    let class = class(old);
    if class != self::class(new) {
        return Err(other_class(old, new));
    }
    match (&old.kind, &new.kind) {
        (
            StepKind::Sink { input, format, timestamp, .. },
            StepKind::Sink { input: new_input, format: new_format, timestamp: new_timestamp, .. },
        ) => {
            same(class, "topicName", &format.topic, &new_format.topic)?;
            same(class, "formats", format, new_format)?;
            same(class, "timestampColumn", timestamp, new_timestamp)?;
            compare(input, new_input, feeds_state)
        }
        (StepKind::StreamSource(a), StepKind::StreamSource(b)) | (StepKind::TableSource(a), StepKind::TableSource(b)) => {
            same(class, "topicName", &a.format.topic, &b.format.topic)?;
            same(class, "formats", &a.format, &b.format)?;
            same(class, "timestampColumn", &a.timestamp, &b.timestamp)?;
            same(class, "store", &a.store, &b.store)?;
            if feeds_state || a.store.is_some() {
                // Another stream over the same topic may read other columns by the same names.
                same(class, "source", &a.source, &b.source)?;
            }
            // A store holds the columns by their places.
            if a.store.is_some() { same(class, "schema", &old.schema, &new.schema) } else { Ok(()) }
        }
        (
            StepKind::SelectKey { input, keys, repartition },
            StepKind::SelectKey { input: new_input, keys: new_keys, repartition: new_repartition },
        ) => {
            same(class, "keyExpression", &exprs(keys), &exprs(new_keys))?;
            between(class, (old, repartition), (new, new_repartition))?;
            compare(input, new_input, feeds_state)
        }
        (
            StepKind::StreamGroupBy { input, keys, repartition },
            StepKind::StreamGroupBy { input: new_input, keys: new_keys, repartition: new_repartition },
        ) => {
            same(class, "group by clause", &exprs(keys), &exprs(new_keys))?;
            between(class, (old, repartition), (new, new_repartition))?;
            compare(input, new_input, true)
        }
        (StepKind::Aggregate(a), StepKind::Aggregate(b)) if a.window.is_none() && !a.over_table => {
            same_columns(class, &columns_read(a), &columns_read(b))?;
            same(class, "aggregate functions", &exprs(&a.aggregates), &exprs(&b.aggregates))?;
            same(class, "types", &types(old), &types(new))?;
            same(class, "store", &a.store, &b.store)?;
            compare(&a.input, &b.input, true)
        }
        _ => Err(format!("Upgrades not yet supported for {class}")),
    }
}

/// The first step that must be matched. What a projection makes before an aggregation goes into its state.
fn enforcing(mut step: &Step, feeds_state: bool) -> &Step {
    loop {
        step = match &step.kind {
            StepKind::Filter { input, .. } => input,
            StepKind::Select { input, .. } if !feeds_state => input,
            _ => return step,
        };
    }
}

fn other_class(old: &Step, new: &Step) -> String {
    let (class, other) = (class(old), class(new));
    if !matches!(old.kind, StepKind::StreamSource(_) | StepKind::TableSource(_)) {
        return differ(class, "class", class, other);
    }
    match new.inputs().len() {
        0 => format!("Query is not upgradeable. The root source node of the upgrade tree must be {class}, but was {other}"),
        1 => format!("Query is not upgradeable. Cannot add a {other} step that is not in the original query plan"),
        _ => "Query is not upgradeable. Cannot change a non-join source into a join source".to_owned(),
    }
}

/// Records that stand in a topic between two steps are read by the new query.
fn between(class: &str, old: (&Step, &Option<Repartition>), new: (&Step, &Option<Repartition>)) -> Result<(), String> {
    same(class, "internal formats", old.1, new.1)?;
    if old.1.is_some() { same(class, "schema", &old.0.schema, &new.0.schema) } else { Ok(()) }
}

fn same<T: PartialEq + Debug>(class: &str, what: &str, old: &T, new: &T) -> Result<(), String> {
    if old == new { Ok(()) } else { Err(differ(class, what, &format!("{old:?}"), &format!("{new:?}"))) }
}

fn differ(class: &str, what: &str, old: &str, new: &str) -> String {
    format!("Query is not upgradeable. Plan step of type {class} must have matching {what}. Values differ: {old} vs. {new}")
}

/// Columns of the input that an aggregation reads: for its groups, its functions and the conditions before it.
fn columns_read(aggregate: &AggregateStep) -> Vec<String> {
    let mut texts: Vec<&str> = Vec::new();
    let mut step: &Step = &aggregate.input;
    let mut conditions = Vec::new();
    loop {
        step = match &step.kind {
            StepKind::StreamGroupBy { input, keys, .. } => {
                texts.extend(exprs(keys));
                input
            }
            StepKind::Filter { input, predicate, .. } => {
                conditions.push(predicate.as_str());
                input
            }
            StepKind::Select { input, .. } => input,
            _ => break,
        };
    }
    texts.extend(exprs(&aggregate.aggregates));
    texts.extend(conditions);
    let mut columns: Vec<String> = Vec::new();
    for expr in texts.into_iter().filter_map(|text| tidemill_parser::parse_expression(text).ok()) {
        for column in columns_used(&expr) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    columns
}

/// ksqlDB keeps an aggregation's state only with the same columns beside it. Their order does not matter here.
fn same_columns(class: &str, old: &[String], new: &[String]) -> Result<(), String> {
    let contains_all = |one: &[String], other: &[String]| other.iter().all(|column| one.contains(column));
    if contains_all(old, new) && contains_all(new, old) {
        return Ok(());
    }
    let shown = |columns: &[String]| format!("[{}]", columns.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", "));
    Err(differ(class, "columns not part of aggregate", &shown(old), &shown(new)))
}

fn exprs(items: &[NamedExpr]) -> Vec<&str> {
    items.iter().map(|item| item.expr.as_str()).collect()
}

fn types(step: &Step) -> Vec<&SqlType> {
    step.schema.columns().map(|c| &c.sql_type).collect()
}

/// What ksqlDB calls the step.
fn class(step: &Step) -> &'static str {
    match &step.kind {
        StepKind::StreamSource(s) if s.format.windowed_key.is_some() => "WindowedStreamSource",
        StepKind::StreamSource(_) => "StreamSource",
        StepKind::TableSource(s) if s.format.windowed_key.is_some() => "WindowedTableSource",
        StepKind::TableSource(_) => "TableSource",
        StepKind::Filter { .. } => "StreamFilter",
        StepKind::Select { .. } => "StreamSelect",
        StepKind::SelectKey { .. } => "StreamSelectKey",
        StepKind::FlatMap { .. } => "StreamFlatMap",
        StepKind::StreamGroupBy { repartition: None, .. } => "StreamGroupByKey",
        StepKind::StreamGroupBy { .. } => "StreamGroupBy",
        StepKind::TableGroupBy { .. } => "TableGroupBy",
        StepKind::Aggregate(a) if a.over_table => "TableAggregate",
        StepKind::Aggregate(a) if a.window.is_some() => "StreamWindowedAggregate",
        StepKind::Aggregate(_) => "StreamAggregate",
        StepKind::Suppress { .. } => "TableSuppress",
        StepKind::StreamTableJoin { .. } => "StreamTableJoin",
        StepKind::TableTableJoin { .. } => "TableTableJoin",
        StepKind::StreamStreamJoin(_) => "StreamStreamJoin",
        StepKind::TableRekey { .. } => "TableSelectKey",
        StepKind::ForeignKeySubscribe { .. } | StepKind::ForeignKeyJoin { .. } | StepKind::ForeignKeyResolve { .. } => {
            "ForeignKeyTableTableJoin"
        }
        StepKind::Sink { is_table: true, .. } => "TableSink",
        StepKind::Sink { .. } => "StreamSink",
        StepKind::Collect { .. } => "Collect",
    }
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
