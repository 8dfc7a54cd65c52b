//! Building the operators of a task from the steps of its sub-topology. One arm a step.

mod joins;

use std::collections::{BTreeMap, BTreeSet};

use self::joins::all_columns;
use super::aggregate::{Aggregates, SessionAggregate, TimeWindowAggregate, UnwindowedAggregate};
use super::builder::{BuildEnv, Part, RecordClock, RecordReader, SinkSpec, SourceSpec, TaskGraph, TaskSpec};
use super::carry::carried_columns;
use super::coalesce::{self, Coalesce};
use super::collect::Collect;
use super::event_time::ColumnClock;
use super::exprs::{Origin, Projector, add_columns, parse, value_names};
use super::filter::Filter;
use super::flat_map::FlatMap;
use super::group_by::GroupBy;
use super::repartition::{RepartitionReader, RepartitionSink};
use super::repeatable::{is_repeatable, needs_order};
use super::select::Select;
use super::select_key::SelectKey;
use super::sink::Sink;
use super::source::{HeaderSlot, SourceErrors, SourceReader};
use super::suppress::Suppress;
use super::table_source::TableSource;
use super::{FatalError, Node, Operator, PassOver, Port};
use crate::expr::{self, Scope};
use crate::formats::TimestampExtractor;
use crate::formats::topic::{SlotUse, TopicReader, TopicWriter};
use crate::plan::names;
use crate::plan::{AggregateStep, NamedExpr, QueryPlan, Repartition, SourceStep, Step, StepKind, Windowing};
use crate::profile::Measured;
use crate::state::{StoreKind, StoreSpec};
use crate::task::StoreIndex;
use crate::types::{Column, SqlType};

/// The property that makes a record without a valid time end its query.
const THROW_ON_INVALID_TIME: &str = "ksql.timestamp.throw.on.invalid";

/// What a sub-topology reads, keeps and writes.
pub(super) fn spec(plan: &QueryPlan, id: usize, part: &Part<'_>) -> Result<TaskSpec, FatalError> {
    let mut spec = TaskSpec { id, sources: Vec::new(), stores: Vec::new(), sinks: Vec::new(), keeps_order: false };
    let writes_topic = matches!(plan.root.kind, StepKind::Sink { .. });
    describe(part.root, part.writes_repartition, writes_topic, &mut spec);
    if let (true, Some(repartition)) = (part.writes_repartition, part.root.repartition()) {
        spec.sinks.push(SinkSpec { topic: repartition.format.topic.clone(), is_repartition: true, partitions: repartition.partitions });
    }
    if let StepKind::Sink { format, .. } = &plan.root.kind
        && !part.writes_repartition
    {
        spec.sinks.push(SinkSpec { topic: format.topic.clone(), is_repartition: false, partitions: None });
    }
    spec.keeps_order = part.writes_repartition && needs_order(plan, part.root, &spec)?;
    Ok(spec)
}

/// Adds sources and stores in the order in which [`Builder`] meets them. Where the plan ends in a topic, headers go with
/// every row.
fn describe(step: &Step, is_root: bool, writes_topic: bool, spec: &mut TaskSpec) {
    let store = |name: &str, kind| StoreSpec { name: name.into(), kind, changelog: true };
    if !is_root && let Some(repartition) = step.repartition() {
        let wants_headers = writes_topic || matches!(step.kind, StepKind::TableGroupBy { .. });
        let topic = repartition.format.topic.clone();
        spec.sources.push(SourceSpec { topic, is_repartition: true, from_beginning: true, wants_headers });
        if let StepKind::TableRekey { store: name, .. } = &step.kind {
            spec.stores.push(store(name, StoreKind::KeyValue));
        }
        return;
    }
    for input in step.inputs() {
        describe(input, false, writes_topic, spec);
    }
    let windowed =
        |step: &Step| if step.windowed_key().is_some() { StoreKind::Windowed { retention_ms: i64::MAX } } else { StoreKind::KeyValue };
    match &step.kind {
        StepKind::ForeignKeySubscribe { repartition, .. } => {
            spec.stores.push(store(&names::foreign_key_versions(&repartition.format.topic), StoreKind::KeyValue));
        }
        StepKind::StreamSource(source) | StepKind::TableSource(source) => {
            let is_table = matches!(step.kind, StepKind::TableSource(_));
            let topic = source.format.topic.clone();
            let wants_headers = writes_topic || !source.headers.is_empty();
            spec.sources.push(SourceSpec { topic, is_repartition: false, from_beginning: is_table, wants_headers });
            if let (true, Some(name)) = (is_table, &source.store) {
                spec.stores.push(store(name, windowed(step)));
            }
        }
        StepKind::Aggregate(aggregate) => {
            let kind = match aggregate.window {
                Some(_) => StoreKind::Windowed { retention_ms: retention_ms(aggregate) },
                None => StoreKind::KeyValue,
            };
            spec.stores.push(store(&aggregate.store, kind));
        }
        StepKind::ForeignKeyJoin { store: name, .. } | StepKind::ForeignKeyResolve { store: name, .. } => {
            spec.stores.push(store(name, StoreKind::KeyValue));
        }
        StepKind::Suppress { store: name, .. } => spec.stores.push(store(name, StoreKind::Ordered)),
        StepKind::StreamStreamJoin(join) => {
            let kind = StoreKind::Windowed { retention_ms: join.retention_ms };
            spec.stores.push(store(&join.left_store, kind));
            spec.stores.push(store(&join.right_store, kind));
            spec.stores.extend(join.held_store.as_deref().map(|name| store(name, StoreKind::Ordered)));
        }
        _ => {}
    }
}

/// Windows stay at least until they can't change any more.
fn retention_ms(aggregate: &AggregateStep) -> i64 {
    let grace = aggregate.grace_ms.unwrap_or(0);
    let open = match aggregate.window {
        Some(Windowing::Time { size_ms, .. }) => size_ms.saturating_add(grace),
        Some(Windowing::Session { gap_ms }) => gap_ms.saturating_add(grace),
        None => 0,
    };
    aggregate.retention_ms.unwrap_or(0).max(open)
}

/// Builds the operators of one task.
pub(super) fn graph(plan: &QueryPlan, spec: &TaskSpec, part: &Part<'_>, env: &BuildEnv) -> Result<TaskGraph, FatalError> {
    let carried = carried_columns(part.root)?;
    let mut builder = Builder { plan, spec, env, nodes: Vec::new(), readers: Vec::new(), clocks: Vec::new(), coalesces: false, carried };
    let needed: BTreeSet<String> = part.root.schema.columns().map(|c| c.name.clone()).collect();
    let last = builder.step(part.root, true, part.writes_repartition, &needed, false)?;
    if let (true, Some(repartition)) = (part.writes_repartition, part.root.repartition()) {
        let (topic, partitions) = builder.topic(0)?;
        let writer = || TopicWriter::new(&repartition.format, &part.root.schema).map_err(FatalError);
        // A table that is kept again behind the topic finds the old rows there.
        let writes_old = !matches!(part.root.kind, StepKind::TableRekey { .. });
        let old_writer = writes_old.then(writer).transpose()?;
        let sink = RepartitionSink {
            writer: writer()?,
            old_writer,
            topic,
            partitions,
            by_partition: repartition.by_partition,
            has_origin: spec.keeps_order || is_repeatable(part.root, spec, builder.coalesces)?,
            value: Vec::new(),
        };
        builder.push(Box::new(sink), last);
    }
    let sources: Vec<_> = builder.readers.into_iter().map(|(reader, to)| (reader, to.0, to.1)).collect();
    let reading = vec![Measured::default(); sources.len()];
    Ok(TaskGraph { nodes: builder.nodes, sources, reading, clocks: builder.clocks, coalesces: builder.coalesces })
}

/// What rows come out of, to be joined to the next node.
#[derive(Clone, Copy)]
enum Upstream {
    Node(usize),
    Reader(usize),
}

struct Builder<'b> {
    plan: &'b QueryPlan,
    spec: &'b TaskSpec,
    env: &'b BuildEnv,
    nodes: Vec<Node>,
    readers: Vec<(Box<dyn RecordReader>, (usize, Port))>,
    /// One for each reader.
    clocks: Vec<Option<Box<dyn RecordClock>>>,
    coalesces: bool,
    /// The sink's columns that are carried, each with the stream's.
    carried: BTreeMap<String, String>,
}

impl Builder<'_> {
    fn push(&mut self, operator: Box<dyn Operator>, input: Upstream) -> Upstream {
        self.push_behind(operator, &[input])
    }

    /// Adds an operator with as many ports as there are inputs.
    fn push_behind(&mut self, operator: Box<dyn Operator>, inputs: &[Upstream]) -> Upstream {
        let index = self.nodes.len();
        self.nodes.push(Node::new(operator, None));
        for (input, port) in inputs.iter().zip(0..) {
            match input {
                Upstream::Node(node) => self.nodes[*node].next = Some((index, Port(port))),
                Upstream::Reader(reader) => self.readers[*reader].1 = (index, Port(port)),
            }
        }
        Upstream::Node(index)
    }

    fn topic(&self, index: usize) -> Result<(crate::log::TopicHandle, u32), FatalError> {
        self.env.topics.get(index).copied().ok_or_else(|| FatalError("a sink's topic was not looked up".into()))
    }

    fn store(&self, name: &str) -> Result<StoreIndex, FatalError> {
        let found = self.spec.stores.iter().position(|s| &*s.name == name);
        found.map(StoreIndex).ok_or_else(|| FatalError(format!("the task has no store {name}")))
    }

    /// The number of a stream's column among the carried ones.
    fn carried(&self, column: &str) -> Option<usize> {
        self.carried.values().collect::<BTreeSet<_>>().into_iter().position(|carried| carried == column)
    }

    fn origin(&self, step: &str) -> Origin {
        Origin::new(&self.env.query_id, step)
    }

    fn errors(&self, step: &str) -> SourceErrors {
        SourceErrors { query: self.env.query_id.clone(), step: step.into() }
    }

    /// Builds a step and what is before it. `needed` names the columns that later steps read; `wants_old` asks for the
    /// rows that a table's changes replace.
    fn step(
        &mut self,
        step: &Step,
        is_root: bool,
        writes_repartition: bool,
        needed: &BTreeSet<String>,
        wants_old: bool,
    ) -> Result<Upstream, FatalError> {
        if let Some(repartition) = step.repartition()
            && !(is_root && writes_repartition)
        {
            return self.repartition_source(step, repartition);
        }
        match &step.kind {
            StepKind::StreamSource(source) => self.source(step, source, needed, false),
            StepKind::TableSource(source) => {
                // What is stored must serve pull queries, whichever columns they ask for.
                let all: BTreeSet<String> = step.schema.columns().map(|c| c.name.clone()).collect();
                let reader = self.source(step, source, if is_root { &all } else { needed }, true)?;
                match &source.store {
                    Some(store) => {
                        let operator = TableSource::new(self.store(store)?, step.schema.key.len());
                        Ok(self.push(Box::new(operator), reader))
                    }
                    None => Ok(reader),
                }
            }
            StepKind::Filter { input, predicate, deletes_unmatched } => {
                let mut columns = needed.clone();
                add_columns(predicate, &mut columns)?;
                let is_table = is_table(input);
                let upstream = match &input.kind {
                    StepKind::StreamTableJoin { .. } => self.stream_table_join(input, &columns, Some(predicate))?,
                    _ => self.step(input, false, false, &columns, wants_old || is_table)?,
                };
                let scope = Scope::new(&input.schema, input.windowed_key().is_some());
                if let (Upstream::Reader(reader), StepKind::StreamSource(_), Some(_)) = (upstream, &input.kind, &self.env.sharing)
                    && let Some(filter) = PassOver::new(predicate, &input.schema, &scope)?
                    && let Some((reader, _)) = self.readers.get_mut(reader)
                {
                    reader.pass_over(filter);
                }
                let compiled = expr::compile_predicate(&parse(predicate)?, &scope).map_err(|e| FatalError(e.to_string()))?;
                let step_name = if matches!(input.kind, StepKind::Aggregate(_)) { "Aggregate.HavingFilter" } else { "WhereFilter" };
                let knows_old = !deletes_unmatched && !matches!(input.kind, StepKind::ForeignKeyResolve { .. });
                let origin = self.origin(step_name).over(&input.schema);
                let operator = Filter { predicate: compiled, text: predicate.clone(), is_table, knows_old, origin };
                Ok(self.push(Box::new(operator), upstream))
            }
            StepKind::Select { input, items, .. } => {
                let columns = inputs_of(&value_names(&step.schema), items, needed, &[])?;
                let upstream = self.step(input, false, false, &columns, wants_old)?;
                let values = Projector::new(&value_names(&step.schema), items, input, Some(needed), self.origin("Project"))?;
                let key_width = step.schema.key.len();
                let in_place = values.stays_in_place(key_width);
                let operator = Select { key_width, width: step.schema.width(), values, in_place };
                Ok(self.push(Box::new(operator), upstream))
            }
            StepKind::SelectKey { input, keys, .. } => {
                let columns = inputs_of(&value_names(&step.schema), &[], needed, keys)?;
                let upstream = self.step(input, false, false, &columns, false)?;
                let operator = SelectKey {
                    width: step.schema.width(),
                    keys: self.key_projector(step, keys, input, None, "PartitionBy")?,
                    keys_of_null: self.key_projector(step, keys, input, Some(&reading_keys(keys, input)?), "PartitionBy")?,
                    values: Projector::new(&value_names(&step.schema), &[], input, Some(needed), self.origin("PartitionBy"))?,
                };
                Ok(self.push(Box::new(operator), upstream))
            }
            StepKind::StreamGroupBy { input, keys, .. } | StepKind::TableGroupBy { input, keys, .. } => {
                let is_table = matches!(step.kind, StepKind::TableGroupBy { .. });
                let columns = inputs_of(&value_names(&step.schema), &[], needed, keys)?;
                let upstream = self.step(input, false, false, &columns, is_table)?;
                let operator = GroupBy {
                    key_width: step.schema.key.len(),
                    width: step.schema.width(),
                    keys: self.key_projector(step, keys, input, None, "Aggregate.GroupBy")?,
                    values: Projector::new(&value_names(&step.schema), &[], input, Some(needed), self.origin("Aggregate.GroupBy"))?,
                    is_table,
                    origin: self.origin("Aggregate.GroupBy").over(&input.schema),
                };
                Ok(self.push(Box::new(operator), upstream))
            }
            StepKind::FlatMap { input, functions } => {
                let columns = inputs_of(&value_names(&step.schema), functions, needed, functions)?;
                let upstream = self.step(input, false, false, &columns, false)?;
                let scope = Scope::new(&input.schema, input.windowed_key().is_some());
                let mut compiled = Vec::new();
                for function in functions {
                    let call = expr::compile_table_function(&parse(&function.expr)?, &scope).map_err(|e| FatalError(e.to_string()))?;
                    compiled.push((call, function.expr.clone()));
                }
                let kept = value_names(&input.schema);
                let operator = FlatMap {
                    width: step.schema.width(),
                    kept: Projector::new(&kept, &[], input, Some(&columns), self.origin("FlatMap"))?,
                    key_width: input.schema.key.len(),
                    functions: compiled,
                    origin: self.origin("FlatMap"),
                };
                Ok(self.push(Box::new(operator), upstream))
            }
            StepKind::Aggregate(aggregate) => {
                let limit = coalesce::limit(self.plan);
                // Of sessions alone some vanish: by their old rows it is known which never went out.
                let vanish = limit.is_some() && matches!(aggregate.window, Some(Windowing::Session { .. }));
                let upstream = self.aggregate(step, aggregate, wants_old || vanish)?;
                match limit {
                    Some(limit) => {
                        self.coalesces = true;
                        Ok(self.push(Box::new(Coalesce::new(step.schema.key.len(), limit, wants_old || vanish)), upstream))
                    }
                    None => Ok(upstream),
                }
            }
            StepKind::Suppress { input, store, grace_ms } => {
                // Final results leave nothing to be coalesced.
                let upstream = match &input.kind {
                    StepKind::Aggregate(aggregate) => self.aggregate(input, aggregate, false)?,
                    _ => self.step(input, false, false, needed, false)?,
                };
                let gap_ms = match &input.kind {
                    StepKind::Aggregate(AggregateStep { window: Some(Windowing::Session { gap_ms }), .. }) => Some(*gap_ms),
                    _ => None,
                };
                let hold_ms = grace_ms.saturating_add(gap_ms.unwrap_or(0));
                let operator = Suppress::new(self.store(store)?, step.schema.key.len(), hold_ms, gap_ms.is_some());
                Ok(self.push(Box::new(operator), upstream))
            }
            StepKind::StreamTableJoin { .. } => self.stream_table_join(step, needed, None),
            StepKind::TableTableJoin { left, right, kind } => self.table_join(step, left, right, *kind),
            StepKind::StreamStreamJoin(join) => self.stream_join(step, join),
            StepKind::ForeignKeySubscribe { .. } => self.foreign_key_subscribe(step),
            StepKind::ForeignKeyJoin { .. } => self.foreign_key_join(step),
            StepKind::ForeignKeyResolve { input, store } => self.foreign_key_resolve(step, input, store),
            // What it writes is read again by `repartition_source`.
            StepKind::TableRekey { input, .. } => self.step(input, false, false, &all_columns(input), false),
            StepKind::Sink { input, format, timestamp, is_table } => {
                let upstream = self.step(input, false, false, needed, false)?;
                let (topic, partitions) = self.topic(0)?;
                let timestamp = timestamp.as_ref().map(|t| TimestampExtractor::new(t, &step.schema)).transpose().map_err(FatalError)?;
                let names: Vec<&String> = step.schema.columns().map(|column| &column.name).collect();
                let number = |slot: usize| self.carried(self.carried.get(*names.get(slot)?)?);
                let writer = TopicWriter::carrying(format, &step.schema, number).map_err(FatalError)?;
                let origin = self.origin(&format!("{}.serializer", self.plan.sink.as_deref().unwrap_or("Sink")));
                Ok(self.push(Box::new(Sink { writer, timestamp, topic, partitions, is_table: *is_table, origin }), upstream))
            }
            StepKind::Collect { input, .. } => {
                let upstream = self.step(input, false, false, needed, false)?;
                let operator = Collect::new(self.env.collector.clone(), is_table(input));
                Ok(self.push(Box::new(operator), upstream))
            }
        }
    }

    /// Computes the key of a step; columns outside of `needed` stay null.
    fn key_projector(
        &self,
        step: &Step,
        keys: &[NamedExpr],
        input: &Step,
        needed: Option<&BTreeSet<String>>,
        name: &str,
    ) -> Result<Projector, FatalError> {
        let names: Vec<String> = step.schema.key.iter().map(|c| c.name.clone()).collect();
        Projector::new(&names, keys, input, needed, self.origin(name))
    }

    fn reader(&mut self, reader: Box<dyn RecordReader>, clock: Option<Box<dyn RecordClock>>) -> Upstream {
        self.readers.push((reader, (0, Port(0))));
        self.clocks.push(clock);
        Upstream::Reader(self.readers.len() - 1)
    }

    fn source(&mut self, step: &Step, source: &SourceStep, needed: &BTreeSet<String>, is_table: bool) -> Result<Upstream, FatalError> {
        let mut uses = Vec::with_capacity(step.schema.width());
        let mut headers = Vec::new();
        for (slot, column) in step.schema.columns().enumerate() {
            let header = source.headers.iter().find(|h| h.0 == column.name);
            let is_key = slot < step.schema.key.len();
            let is_time = source.timestamp.as_ref().is_some_and(|t| t.column == column.name);
            if let (Some((_, key)), false) = (header, is_key) {
                let is_typed = key.is_some() && column.sql_type != SqlType::Bytes;
                headers.push(HeaderSlot { slot, key: key.clone(), text_of: is_typed.then(|| column.sql_type.clone()) });
                uses.push(SlotUse::Absent);
            } else if let (Some(number), false) = (self.carried(&column.name), is_key || is_table) {
                uses.push(SlotUse::Carried(number));
            } else if is_key || is_time || needed.contains(&column.name) {
                uses.push(SlotUse::Read);
            } else {
                uses.push(SlotUse::Unread);
            }
        }
        let timestamp = source.timestamp.as_ref().map(|t| TimestampExtractor::new(t, &step.schema)).transpose().map_err(FatalError)?;
        let reader = TopicReader::new(&source.format, &step.schema, &uses, &self.env.registry).map_err(FatalError)?;
        let errors = self.errors("KsqlTopic.Source.deserializer");
        let throw_on_invalid = self.plan.properties.get(THROW_ON_INVALID_TIME).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let clock = self.clock(step, source)?;
        let share = self.env.sharing.as_ref().filter(|_| headers.is_empty()).map(|sharing| {
            let (format, schema, time, partition) = (&source.format, &step.schema, &source.timestamp, sharing.partition);
            sharing.readings.join(format!("{partition} {format:?} {schema:?} {uses:?} {time:?} {is_table}"))
        });
        let reader = SourceReader { reader, timestamp, headers, is_table, throw_on_invalid, errors, share, filter: None };
        Ok(self.reader(Box::new(reader), clock))
    }

    /// What tells the times of a source's records, where they are not the records' own.
    fn clock(&self, step: &Step, source: &SourceStep) -> Result<Option<Box<dyn RecordClock>>, FatalError> {
        let Some(timestamp) = &source.timestamp else { return Ok(None) };
        let use_of = |(slot, column): (usize, &Column)| match column.name == timestamp.column {
            true => SlotUse::Read,
            false if slot >= step.schema.key.len() && source.headers.iter().any(|h| h.0 == column.name) => SlotUse::Absent,
            false => SlotUse::Unread,
        };
        let uses: Vec<SlotUse> = step.schema.columns().enumerate().map(use_of).collect();
        let reader = TopicReader::new(&source.format, &step.schema, &uses, &self.env.registry).map_err(FatalError)?;
        let extractor = TimestampExtractor::new(timestamp, &step.schema).map_err(FatalError)?;
        Ok(Some(Box::new(ColumnClock::new(reader, extractor))))
    }

    fn repartition_source(&mut self, step: &Step, repartition: &Repartition) -> Result<Upstream, FatalError> {
        let uses = vec![SlotUse::Read; step.schema.width()];
        let reader = TopicReader::new(&repartition.format, &step.schema, &uses, &self.env.registry).map_err(FatalError)?;
        let is_table = matches!(step.kind, StepKind::TableGroupBy { .. });
        let errors = self.errors("Repartition.deserializer");
        let reader = self.reader(Box::new(RepartitionReader { reader, is_table, errors }), None);
        match &step.kind {
            StepKind::TableRekey { store, .. } => {
                let operator = TableSource::new(self.store(store)?, step.schema.key.len());
                Ok(self.push(Box::new(operator), reader))
            }
            _ => Ok(reader),
        }
    }

    fn aggregate(&mut self, step: &Step, aggregate: &AggregateStep, wants_old: bool) -> Result<Upstream, FatalError> {
        let input = &aggregate.input;
        let mut columns = BTreeSet::new();
        for call in &aggregate.aggregates {
            add_columns(&call.expr, &mut columns)?;
        }
        let upstream = self.step(input, false, false, &columns, false)?;
        let scope = Scope::new(&input.schema, input.windowed_key().is_some());
        let mut calls = Vec::new();
        for call in &aggregate.aggregates {
            let compiled = expr::compile_aggregate(&parse(&call.expr)?, &scope, &self.plan.properties);
            calls.push(compiled.map_err(|e| FatalError(e.to_string()))?);
        }
        let aggregates = Aggregates::new(step.schema.key.len(), calls, wants_old, self.origin("Aggregate.Aggregate"));
        let store = self.store(&aggregate.store)?;
        let grace_ms = aggregate.grace_ms.unwrap_or(0);
        let operator: Box<dyn Operator> = match aggregate.window {
            None => Box::new(UnwindowedAggregate::new(aggregates, store)),
            Some(Windowing::Time { size_ms, advance_ms }) => {
                Box::new(TimeWindowAggregate::new(aggregates, store, size_ms, advance_ms, grace_ms))
            }
            Some(Windowing::Session { gap_ms }) => {
                Box::new(SessionAggregate::new(aggregates, store, gap_ms, grace_ms, retention_ms(aggregate)))
            }
        };
        Ok(self.push(operator, upstream))
    }
}
/// Names of the key expressions that read nothing but the input's key.
fn reading_keys(keys: &[NamedExpr], input: &Step) -> Result<BTreeSet<String>, FatalError> {
    let mut names = BTreeSet::new();
    for key in keys {
        let mut columns = BTreeSet::new();
        add_columns(&key.expr, &mut columns)?;
        if columns.iter().all(|column| input.schema.key.iter().any(|k| k.name == *column)) {
            names.insert(key.name.clone());
        }
    }
    Ok(names)
}

/// Whether rows of a step are a table's changes.
fn is_table(step: &Step) -> bool {
    match &step.kind {
        StepKind::TableSource(_) | StepKind::Aggregate(_) | StepKind::Suppress { .. } | StepKind::TableGroupBy { .. } => true,
        StepKind::TableTableJoin { .. } | StepKind::TableRekey { .. } | StepKind::ForeignKeyResolve { .. } => true,
        StepKind::StreamSource(_) | StepKind::StreamTableJoin { .. } | StepKind::StreamStreamJoin(_) | StepKind::StreamGroupBy { .. } => {
            false
        }
        StepKind::SelectKey { .. } | StepKind::FlatMap { .. } => false,
        _ => step.inputs().first().is_some_and(|input| is_table(input)),
    }
}

/// The columns that a step reads to make the needed ones among `names`: what their expressions and `keys` name, and those
/// that are copied.
fn inputs_of(names: &[String], items: &[NamedExpr], needed: &BTreeSet<String>, keys: &[NamedExpr]) -> Result<BTreeSet<String>, FatalError> {
    let mut columns = BTreeSet::new();
    for name in names.iter().filter(|n| needed.contains(*n)) {
        match items.iter().find(|i| i.name == *name) {
            Some(item) => add_columns(&item.expr, &mut columns)?,
            None => {
                columns.insert(name.clone());
            }
        }
    }
    for key in keys {
        add_columns(&key.expr, &mut columns)?;
    }
    Ok(columns)
}
