//! Building the joins of a task. One function a step.

use std::collections::BTreeSet;

use super::{Builder, Upstream};
use crate::operators::FatalError;
use crate::operators::early_test::EarlyTest;
use crate::operators::exprs::{Projector, compile, value_names};
use crate::operators::foreign_key::{ForeignKeyJoin, Resolve, Subscribe};
use crate::operators::stream_stream_join::StreamStreamJoin;
use crate::operators::stream_table_join::StreamTableJoin;
use crate::operators::table_lookup::{Side, TableLookup, sides};
use crate::operators::table_table_join::TableTableJoin;
use crate::operators::time_queue::TimeQueue;
use crate::plan::names;
use crate::plan::{JoinKind, Step, StepKind, StreamStreamJoinStep};
use crate::types::Column;

impl Builder<'_> {
    /// `predicate` is that of a filter straight behind the join, which may spare it work.
    pub(super) fn stream_table_join(
        &mut self,
        step: &Step,
        needed: &BTreeSet<String>,
        predicate: Option<&str>,
    ) -> Result<Upstream, FatalError> {
        let StepKind::StreamTableJoin { left, right, outer } = &step.kind else { return Err(FatalError("no stream–table join".into())) };
        let mut columns = sides(&step.schema, left, right)?;
        for (side, column) in columns.iter_mut().zip(&step.schema.value) {
            if !needed.contains(&column.name) {
                *side = Side::Unread;
            }
        }
        // A projection of the stream that only renames columns is left out: the join reads them where they stand before it.
        let (left_source, left_slots) = self.before_renaming(left)?;
        for side in &mut columns {
            if let Side::Left(slot) = side {
                *slot = *left_slots.get(*slot).ok_or_else(|| FatalError("the join's stream lacks a column".into()))?;
            }
        }
        let is_read = |column: &Column| needed.contains(&column.name) || left.schema.key.contains(column);
        let read = left.schema.columns().zip(&left_slots).filter(|(column, _)| is_read(column));
        let of_left = read.filter_map(|(_, slot)| left_source.schema.columns().nth(*slot)).map(|c| c.name.clone()).collect();
        let left_upstream = self.step(left_source, false, false, &of_left, false)?;
        // The table's changes end in its store, all of their columns; the join looks them up there.
        let table_source = leaf(right);
        self.step(table_source, false, false, &all_columns(table_source), false)?;
        let mut table = self.lookup(right)?;
        // Where the table's columns lie in the rows that the lookup gives.
        let slots = table.take_renaming().unwrap_or_else(|| (0..right.schema.width()).collect());
        for side in &mut columns {
            if let Side::Right(slot) = side {
                *slot = *slots.get(*slot).ok_or_else(|| FatalError("the join's table lacks a column".into()))?;
            }
        }
        let key_width = right.schema.key.len();
        let is_read = |slot: usize| columns.iter().any(|side| matches!(side, Side::Right(read) if *read == slot));
        table.want_only((key_width..leaf(right).schema.width()).map(is_read).collect());
        if let (Some(predicate), false) = (predicate, *outer) {
            let places: Vec<usize> = slots.iter().skip(key_width).map(|slot| slot.saturating_sub(key_width)).collect();
            if let Some(test) = EarlyTest::new(predicate, right, &places)? {
                table.test_early(test);
            }
        }
        Ok(self.push(Box::new(StreamTableJoin::new(table, left.schema.key.len(), columns, *outer)), left_upstream))
    }

    /// The step whose rows hold the columns of `step`, and the slot of each there; all slots are different.
    fn before_renaming<'s>(&self, step: &'s Step) -> Result<(&'s Step, Vec<usize>), FatalError> {
        let own = || (step, (0..step.schema.width()).collect());
        let StepKind::Select { input, items, .. } = &step.kind else { return Ok(own()) };
        let key_width = step.schema.key.len();
        let values = Projector::new(&value_names(&step.schema), items, input, None, self.origin("Project"))?;
        let slots = values.renaming(key_width).filter(|_| input.schema.key.len() == key_width);
        Ok(slots.map_or_else(own, |slots| (&**input, slots)))
    }

    pub(super) fn stream_join(&mut self, step: &Step, join: &StreamStreamJoinStep) -> Result<Upstream, FatalError> {
        let left = self.step(&join.left, false, false, &all_columns(&join.left), false)?;
        let right = self.step(&join.right, false, false, &all_columns(&join.right), false)?;
        let operator = StreamStreamJoin {
            stores: [self.store(&join.left_store)?, self.store(&join.right_store)?],
            held: join.held_store.as_deref().map(|name| self.store(name).map(TimeQueue::new)).transpose()?,
            kind: join.kind,
            before_ms: join.before_ms,
            after_ms: join.after_ms,
            grace_ms: join.grace_ms.unwrap_or(0),
            retention_ms: join.retention_ms,
            key_width: step.schema.key.len(),
            columns: sides(&step.schema, &join.left, &join.right)?,
            is_windowed: step.windowed_key().is_some(),
            origin: self.origin("Join"),
            key: Vec::new(),
            buffer: Vec::new(),
        };
        Ok(self.push_behind(Box::new(operator), &[left, right]))
    }

    /// How a join asks a table for the row of a key.
    fn lookup(&self, table: &Step) -> Result<TableLookup, FatalError> {
        TableLookup::of(table, self.plan, &|name| self.store(name))
    }

    pub(super) fn table_join(&mut self, step: &Step, left: &Step, right: &Step, kind: JoinKind) -> Result<Upstream, FatalError> {
        let upstreams =
            [self.step(left, false, false, &all_columns(left), true)?, self.step(right, false, false, &all_columns(right), true)?];
        let operator = TableTableJoin {
            left: self.lookup(left)?,
            right: self.lookup(right)?,
            kind,
            key_width: step.schema.key.len(),
            columns: sides(&step.schema, left, right)?,
            key: Vec::new(),
        };
        Ok(self.push_behind(Box::new(operator), &upstreams))
    }

    pub(super) fn foreign_key_subscribe(&mut self, step: &Step) -> Result<Upstream, FatalError> {
        let StepKind::ForeignKeySubscribe { input, key, outer, repartition, tells_partition } = &step.kind else {
            return Err(FatalError("no part of a foreign-key join".into()));
        };
        let upstream = self.step(input, false, false, &all_columns(input), true)?;
        let operator = Subscribe {
            key: compile(&key.expr, input)?,
            text: key.expr.clone(),
            key_width: input.schema.key.len(),
            outer: *outer,
            tells_partition: *tells_partition,
            versions: self.store(&names::foreign_key_versions(&repartition.format.topic))?,
            origin: self.origin("Join"),
        };
        Ok(self.push(Box::new(operator), upstream))
    }

    pub(super) fn foreign_key_join(&mut self, step: &Step) -> Result<Upstream, FatalError> {
        let StepKind::ForeignKeyJoin { left, right, outer, result, store, repartition } = &step.kind else {
            return Err(FatalError("no part of a foreign-key join".into()));
        };
        let upstreams =
            [self.step(left, false, false, &all_columns(left), false)?, self.step(right, false, false, &all_columns(right), false)?];
        let subscriber = left.inputs().first().copied().ok_or_else(|| FatalError("a foreign-key join lacks its left table".into()))?;
        let operator = ForeignKeyJoin {
            subscriptions: self.store(store)?,
            right: self.lookup(right)?,
            left_key_width: step.schema.key.len(),
            columns: sides(result, subscriber, right)?,
            outer: *outer,
            by_partition: repartition.by_partition,
            key: Vec::new(),
        };
        Ok(self.push_behind(Box::new(operator), &upstreams))
    }

    pub(super) fn foreign_key_resolve(&mut self, step: &Step, input: &Step, store: &str) -> Result<Upstream, FatalError> {
        let upstream = self.step(input, false, false, &all_columns(input), false)?;
        let operator =
            Resolve { store: self.store(store)?, key_width: step.schema.key.len(), width: step.schema.value.len(), key: Vec::new() };
        Ok(self.push(Box::new(operator), upstream))
    }
}

/// Names of all columns of a step.
pub(super) fn all_columns(step: &Step) -> BTreeSet<String> {
    step.schema.columns().map(|c| c.name.clone()).collect()
}

/// The step at the end of a chain of them that reads a topic.
fn leaf(step: &Step) -> &Step {
    match step.inputs().first() {
        Some(input) if step.repartition().is_none() => leaf(input),
        _ => step,
    }
}
