//! Which columns of a query only pass through: from the payload of a stream's records into the sink's, under another name
//! at the most, read by nobody on the way. They are carried (see [`crate::formats::Carried`]) and never become values.
//!
//! That takes one sub-topology of steps that finish with a row before the next record is read.

use std::collections::{BTreeMap, BTreeSet};

use super::FatalError;
use super::exprs::{add_columns, compile};
use crate::formats::by_name;
use crate::plan::{FormatSpec, NamedExpr, SourceStep, Step, StepKind};

/// The value columns that are carried: for each of the sink's the stream's.
pub(super) fn carried_columns(root: &Step) -> Result<BTreeMap<String, String>, FatalError> {
    let none = Ok(BTreeMap::new());
    let StepKind::Sink { input, format, timestamp, is_table: false } = &root.kind else { return none };
    if !carries(&format.value) {
        return none;
    }
    let mut way = Way {
        columns: root.schema.value.iter().map(|c| (c.name.clone(), c.name.clone())).collect(),
        read: timestamp.iter().map(|t| t.column.clone()).collect(),
    };
    let mut step: &Step = input;
    loop {
        if step.repartition().is_some() {
            return none;
        }
        step = match &step.kind {
            StepKind::Filter { input, predicate, .. } => {
                add_columns(predicate, &mut way.read)?;
                input
            }
            StepKind::Select { input, items, .. } => {
                way.before(items, input)?;
                input
            }
            StepKind::FlatMap { input, functions } => {
                way.columns.retain(|_, here| functions.iter().all(|function| function.name != *here));
                functions.iter().try_for_each(|function| add_columns(&function.expr, &mut way.read))?;
                input
            }
            StepKind::StreamTableJoin { left, .. } => {
                way.columns.retain(|_, here| left.schema.slot(here).is_some());
                left
            }
            StepKind::StreamSource(source) if source.format.value.name == format.value.name => {
                return Ok(way.at_source(step, source));
            }
            _ => return none,
        };
    }
}

fn carries(spec: &FormatSpec) -> bool {
    // A value without an object around it is short enough to be decoded.
    !spec.unwrapped && by_name(&spec.name).is_some_and(|format| format.carries())
}

/// What is known on the way from the sink up to the source.
struct Way {
    /// For each column of the sink the one that it is a copy of, in the rows of this step.
    columns: BTreeMap<String, String>,
    /// Columns that some later step reads.
    read: BTreeSet<String>,
}

impl Way {
    /// Goes before a step that makes the columns `items`.
    fn before(&mut self, items: &[NamedExpr], input: &Step) -> Result<(), FatalError> {
        // For each item the column that it copies.
        let mut copies = BTreeMap::new();
        let mut read: BTreeSet<String> = self.read.iter().filter(|name| items.iter().all(|item| item.name != **name)).cloned().collect();
        for item in items {
            let copied = compile(&item.expr, input)?.slot().and_then(|slot| input.schema.columns().nth(slot));
            if copied.is_none() || self.read.contains(&item.name) {
                add_columns(&item.expr, &mut read)?;
            }
            copies.insert(item.name.as_str(), copied);
        }
        self.columns.retain(|_, here| match copies.get(here.as_str()) {
            Some(Some(column)) => {
                here.clone_from(&column.name);
                true
            }
            Some(None) => false,
            None => true,
        });
        self.read = read;
        Ok(())
    }

    fn at_source(mut self, step: &Step, source: &SourceStep) -> BTreeMap<String, String> {
        let is_special = |name: &str| {
            source.headers.iter().any(|header| header.0 == name) || source.timestamp.as_ref().is_some_and(|time| time.column == name)
        };
        let in_value = |name: &str| step.schema.value.iter().any(|column| column.name == name);
        self.columns.retain(|_, column| in_value(column) && !is_special(column) && !self.read.contains(column));
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::world::{Outcome, World};

    const SOURCES: &str = "
        CREATE STREAM s (k STRING KEY, a BIGINT, b STRING, c STRING, h BYTES HEADER('x'), t BIGINT)
            WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', TIMESTAMP='t');
        CREATE STREAM d (k STRING KEY, a BIGINT, b STRING) WITH (KAFKA_TOPIC='d', VALUE_FORMAT='DELIMITED');
        CREATE TABLE u (id STRING PRIMARY KEY, x STRING) WITH (KAFKA_TOPIC='u', VALUE_FORMAT='JSON');";

    #[test]
    fn columns_are_carried_that_nobody_reads() {
        for (with, query, expected) in [
            ("", "SELECT k, a, b, c FROM s", "A<A B<B C<C"),
            ("", "SELECT k, a AS x, b AS y, b AS z, c + 'x' AS c FROM s", "X<A Y<B Z<B"),
            ("", "SELECT k, a, b FROM s WHERE a > 3", "B<B"),
            ("", "SELECT k, a, a + 1 AS more, b FROM s", "B<B"),
            ("", "SELECT k, t, h, b FROM s", "B<B"),
            ("WITH (TIMESTAMP='a')", "SELECT k, a, b FROM s", "B<B"),
            ("", "SELECT s.k, s.a, s.b AS v, u.x FROM s JOIN u ON s.k = u.id WHERE u.x = 'y'", "A<A V<B"),
            ("", "SELECT s.k, s.a, u.x FROM s LEFT JOIN u ON s.k = u.id WHERE s.a > 0", ""),
            ("", "SELECT k, b, c, EXPLODE(SPLIT(c, ',')) AS part FROM s", "B<B"),
            ("", "SELECT a, b FROM s PARTITION BY a", ""),
            ("WITH (VALUE_FORMAT='DELIMITED')", "SELECT k, a, b FROM s", ""),
            ("WITH (VALUE_FORMAT='DELIMITED')", "SELECT k, a, b FROM d", ""),
            ("WITH (WRAP_SINGLE_VALUE=false)", "SELECT k, a FROM s", ""),
        ] {
            let Ok(Outcome::Query(planned)) = World::new().run(&format!("{SOURCES} CREATE STREAM o {with} AS {query};")) else {
                panic!("{query}")
            };
            let carried = carried_columns(&planned.plan.root).unwrap();
            let found: Vec<String> = carried.iter().map(|(sink, source)| format!("{sink}<{source}")).collect();
            assert_eq!(found.join(" "), expected, "{query}");
        }
    }
}
