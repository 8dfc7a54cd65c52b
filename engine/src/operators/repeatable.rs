//! Whether a task that reads its input again writes the same again, so that what it writes may have origins (see
//! [`super::origin`]).
//!
//! A task that reads one partition of one topic does: it meets the same records in the same order. One that reads several may
//! meet them in another order, and then writes other rows of the same record: with a join of two streams, a pair comes of the
//! one side or of the other; with tables, each change is what it is by those before it. Taken once by its record, a row would
//! be lost or stay at an old value. Only a stream that looks into tables writes a row of its own records alone, whatever the
//! tables hold by then: as long as it goes to a partition that the stream's columns choose, the first that arrived holds.
//!
//! What is let go at a commit or where a cache is full depends on when that was: it is no record's.

use std::collections::BTreeSet;

use super::FatalError;
use super::builder::TaskSpec;
use super::coalesce;
use super::exprs::add_columns;
use crate::plan::{NamedExpr, QueryPlan, Step, StepKind};

/// Whether what goes from `root` into its repartition topic can be told by the record that it came of.
pub(super) fn is_repeatable(root: &Step, spec: &TaskSpec, coalesces: bool) -> Result<bool, FatalError> {
    if coalesces {
        return Ok(false);
    }
    let topics: BTreeSet<&str> = spec.sources.iter().map(|source| source.topic.as_str()).collect();
    if topics.len() <= 1 {
        return Ok(true);
    }
    let (StepKind::SelectKey { input, keys, .. } | StepKind::StreamGroupBy { input, keys, .. }) = &root.kind else { return Ok(false) };
    match fixed_columns(input)? {
        Some(fixed) => reads_only(keys, &fixed),
        None => Ok(false),
    }
}

/// Whether the tasks have to read their topics in the same order each time, so that what they write is the same: where others
/// count it. (What goes to one place by its key, as the parts of a foreign-key join do, ends with the last.)
pub(super) fn needs_order(plan: &QueryPlan, root: &Step, spec: &TaskSpec) -> Result<bool, FatalError> {
    let is_counted = matches!(root.kind, StepKind::SelectKey { .. } | StepKind::StreamGroupBy { .. } | StepKind::TableGroupBy { .. });
    let coalesces = coalesce::limit(plan).is_some() && aggregates(root);
    Ok(is_counted && !coalesces && !is_repeatable(root, spec, false)?)
}

/// Whether a sub-topology aggregates.
fn aggregates(root: &Step) -> bool {
    let inputs = root.inputs().into_iter().filter(|input| input.repartition().is_none());
    matches!(root.kind, StepKind::Aggregate(_)) || inputs.into_iter().any(aggregates)
}

/// The columns of a step that have the same values when its input is read again; `None`: its rows are not those of one stream's
/// records.
fn fixed_columns(step: &Step) -> Result<Option<BTreeSet<String>>, FatalError> {
    if step.repartition().is_some() {
        let is_stream = matches!(step.kind, StepKind::SelectKey { .. } | StepKind::StreamGroupBy { .. });
        return Ok(is_stream.then(|| step.schema.columns().map(|column| column.name.clone()).collect()));
    }
    let (input, computed): (&Step, &[NamedExpr]) = match &step.kind {
        StepKind::StreamSource(_) => return Ok(Some(step.schema.columns().map(|column| column.name.clone()).collect())),
        StepKind::Filter { input, .. } => (input, &[]),
        StepKind::Select { input, items, .. } => (input, items),
        StepKind::SelectKey { input, keys, .. } | StepKind::StreamGroupBy { input, keys, .. } => (input, keys),
        StepKind::FlatMap { input, functions } => (input, functions),
        StepKind::StreamTableJoin { left, .. } => (left, &[]),
        _ => return Ok(None),
    };
    let Some(fixed) = fixed_columns(input)? else { return Ok(None) };
    // As many rows as the functions' arguments say.
    if matches!(step.kind, StepKind::FlatMap { .. }) && !reads_only(computed, &fixed)? {
        return Ok(None);
    }
    let mut columns = BTreeSet::new();
    for column in step.schema.columns() {
        let is_fixed = match computed.iter().find(|item| item.name == column.name) {
            Some(item) => reads_only(std::slice::from_ref(item), &fixed)?,
            None => fixed.contains(&column.name),
        };
        if is_fixed {
            columns.insert(column.name.clone());
        }
    }
    // The key stays where nothing makes a new one, whatever it is called.
    if matches!(step.kind, StepKind::Select { .. } | StepKind::StreamTableJoin { .. })
        && input.schema.key.iter().all(|column| fixed.contains(&column.name))
    {
        columns.extend(step.schema.key.iter().map(|column| column.name.clone()));
    }
    Ok(Some(columns))
}

/// Whether expressions read no column but these.
fn reads_only(items: &[NamedExpr], fixed: &BTreeSet<String>) -> Result<bool, FatalError> {
    let mut columns = BTreeSet::new();
    for item in items {
        add_columns(&item.expr, &mut columns)?;
    }
    Ok(columns.is_subset(fixed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::world::{Outcome, World};
    use crate::operators::split;

    fn plan(query: &str) -> QueryPlan {
        let script = format!(
            "CREATE STREAM S (ID STRING KEY, G STRING, L ARRAY<STRING>) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
             CREATE STREAM S2 (ID STRING KEY, H STRING) WITH (KAFKA_TOPIC='s2', VALUE_FORMAT='JSON');
             CREATE TABLE T (ID STRING PRIMARY KEY, G STRING, L ARRAY<STRING>) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
             CREATE TABLE U (ID STRING PRIMARY KEY, H STRING) WITH (KAFKA_TOPIC='u', VALUE_FORMAT='JSON');
             {query}"
        );
        match World::new().run(&script) {
            Ok(Outcome::Query(planned)) => planned.plan,
            _ => panic!("no query: {query}"),
        }
    }

    /// For each repartition topic in turn.
    fn repeatable(query: &str) -> Vec<bool> {
        fn roots<'p>(step: &'p Step, found: &mut Vec<&'p Step>) {
            step.inputs().into_iter().for_each(|input| roots(input, found));
            if step.repartition().is_some() {
                found.push(step);
            }
        }
        let plan = plan(query);
        let mut found = Vec::new();
        roots(&plan.root, &mut found);
        let specs = split(&plan).unwrap();
        found.iter().zip(&specs).map(|(root, spec)| is_repeatable(root, spec, false).unwrap()).collect()
    }

    #[test]
    fn only_what_comes_of_one_input_is_told_by_its_record() {
        for (query, expected) in [
            ("CREATE TABLE O AS SELECT G, COUNT(*) AS C FROM S GROUP BY G;", vec![true]),
            ("CREATE TABLE O AS SELECT G, COUNT(*) AS C FROM T GROUP BY G;", vec![true]),
            // A stream that looks into a table: by its own columns, or by the table's.
            ("CREATE TABLE O AS SELECT S.G AS G, COUNT(*) AS C FROM S JOIN T ON S.ID = T.ID GROUP BY S.G;", vec![true]),
            ("CREATE TABLE O AS SELECT T.G AS G, COUNT(*) AS C FROM S JOIN T ON S.ID = T.ID GROUP BY T.G;", vec![false]),
            // Two streams, two tables.
            (
                "CREATE TABLE O AS SELECT S.G AS G, COUNT(*) AS C FROM S JOIN S2 WITHIN 1 HOUR GRACE PERIOD 1 HOUR ON S.ID = S2.ID GROUP BY S.G;",
                vec![false],
            ),
            ("CREATE TABLE O AS SELECT T.G AS G, COUNT(*) AS C FROM T JOIN U ON T.ID = U.ID GROUP BY T.G;", vec![false]),
            // Subscriptions come of the left alone, answers of both.
            ("CREATE TABLE O AS SELECT T.ID AS ID, U.H AS H FROM T JOIN U ON T.G = U.ID;", vec![true, false]),
        ] {
            assert_eq!(repeatable(query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_let_go_at_a_commit_has_no_record() {
        let plan = plan("CREATE TABLE O AS SELECT G, COUNT(*) AS C FROM S GROUP BY G;");
        let specs = split(&plan).unwrap();
        assert!(!is_repeatable(&plan.root, &specs[0], true).unwrap());
    }
}
