//! The streaming side: a case's statements and records through the engine's own operators, on a simulated log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_engine::analyze::{self, AnalysisContext, TopicInfo};
use tidemill_engine::catalog::{Catalog, QueryLinks, Source as Declared};
use tidemill_engine::clock::ManualClock;
use tidemill_engine::formats::{SlotUse, TopicReader, TopicWriter, register_insert, register_plan};
use tidemill_engine::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use tidemill_engine::log::{Log, Offset, RecordRef, TopicSpec};
use tidemill_engine::plan::QueryPlan;
use tidemill_engine::processing_log::NoProcessingLog;
use tidemill_engine::registry::{MemoryRegistry, SchemaRegistry};
use tidemill_engine::row::Row;
use tidemill_engine::runtime::{SyncParts, SyncQuery};
use tidemill_engine::state::StateDb;
use tidemill_engine::types::Value;
use tidemill_parser::ast::Statement;

use crate::case::{Case, Record};
use crate::found::Found;

/// How a case is run.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Records that make a chunk.
    pub chunk: usize,
    /// Each query is stopped and restored after so many records.
    pub restore_at: Option<usize>,
}

/// Runs a case: the rows of its sink, in order.
pub fn run(case: &Case, way: Way) -> Result<Vec<Found>, String> {
    let mut world = World::new();
    for statement in &case.statements {
        world.execute(statement).map_err(|e| format!("{e}\n  of {statement}"))?;
    }
    for (source, row) in &case.arrivals {
        let source = &case.sources[*source];
        world.write(&source.name.to_uppercase(), &source.rows[*row])?;
    }
    world.run_queries(way)?;
    world.read(&case.sink, case.keys)
}

struct World {
    catalog: Catalog,
    log: Arc<SimulatedLog>,
    state: StateDb,
    registry: Arc<MemoryRegistry>,
    plans: Vec<Arc<QueryPlan>>,
    writers: BTreeMap<String, TopicWriter>,
    /// What was written from outside, in order.
    arrived: Vec<(String, StoredRecord)>,
}

impl World {
    fn new() -> Self {
        World {
            catalog: Catalog::default(),
            log: Arc::new(SimulatedLog::new(SimulationOptions::default())),
            state: StateDb::in_memory(),
            registry: Arc::default(),
            plans: Vec::new(),
            writers: BTreeMap::new(),
            arrived: Vec::new(),
        }
    }

    fn execute(&mut self, sql: &str) -> Result<(), String> {
        for raw in tidemill_parser::split_script(sql) {
            let statement = raw.parse().map_err(|e| e.to_string())?;
            match &statement.statement {
                Statement::CreateSource(create) => {
                    let declared = self.with_context(|context| analyze::create_source(create, context).map_err(|e| e.to_string()))?;
                    let source = declared.source;
                    self.ensure_topic(&source.format.topic)?;
                    let mut format = source.format.clone();
                    let schema = source.record_schema();
                    register_insert(&source, &mut format, &*self.registry).map_err(|e| e.to_string())?;
                    self.writers.insert(source.name.clone(), TopicWriter::new(&format, &schema)?);
                    self.put(source)?;
                }
                Statement::CreateAs(create) => {
                    let id = format!("Q_{}", self.plans.len());
                    let mut planned = self.with_context(|context| analyze::create_as(create, context, &id).map_err(|e| e.to_string()))?;
                    register_plan(&mut planned.plan, &*self.registry).map_err(|e| e.to_string())?;
                    let (sink, _) = planned.sink.ok_or("the plan lacks its sink")?;
                    self.ensure_topic(&sink.format.topic)?;
                    self.put(sink)?;
                    let plan = planned.plan;
                    let links = QueryLinks { query_id: plan.query_id.clone(), reads: plan.sources.clone(), writes: plan.sink.clone() };
                    self.catalog = self.catalog.with_query(links);
                    self.plans.push(Arc::new(plan));
                }
                other => return Err(format!("not driven: {other}")),
            }
        }
        Ok(())
    }

    fn with_context<R>(&self, f: impl FnOnce(&AnalysisContext<'_>) -> R) -> R {
        let topic = |name: &str| {
            let info = self.log.describe_topic(name).ok().flatten();
            Some(info.map_or(TopicInfo { partitions: 1, replicas: 1, retention_ms: None }, |info| TopicInfo {
                partitions: info.partitions,
                replicas: info.replicas,
                retention_ms: None,
            }))
        };
        f(&AnalysisContext {
            catalog: &self.catalog,
            properties: &BTreeMap::from([("ksql.streams.auto.offset.reset".to_owned(), "earliest".to_owned())]),
            service_id: "property",
            topic: &topic,
            registry: &*self.registry,
        })
    }

    fn put(&mut self, source: Declared) -> Result<(), String> {
        self.catalog = self.catalog.with_source(source).map_err(|e| e.to_string())?;
        Ok(())
    }

    fn ensure_topic(&self, name: &str) -> Result<(), String> {
        if self.log.describe_topic(name).map_err(|e| e.to_string())?.is_some() {
            return Ok(());
        }
        let spec = TopicSpec { name: name.to_owned(), partitions: 1, replicas: 1, config: BTreeMap::new() };
        self.log.create_topic(&spec).map_err(|e| e.to_string())
    }

    fn write(&mut self, source: &str, record: &Record) -> Result<(), String> {
        let writer = self.writers.get_mut(source).ok_or("no such source")?;
        let width = self.catalog.source(source).ok_or("no such source")?.record_schema().width();
        let mut row = Row::default();
        row.values.push(record.key.clone().unwrap_or_default());
        row.values.extend(record.value.clone().unwrap_or_default());
        row.values.resize(width, Value::Null);
        row.meta.has_key = record.key.is_some();
        row.meta.has_value = record.value.is_some();
        let encoded = writer.write(&row).map_err(|e| e.to_string())?;
        let stored = StoredRecord {
            timestamp: record.timestamp,
            key: encoded.key.map(Into::into),
            value: encoded.value.map(Into::into),
            ..StoredRecord::default()
        };
        let topic = self.catalog.source(source).ok_or("no such source")?.format.topic.clone();
        self.log.append(&topic, 0, stored.clone()).map_err(|e| e.to_string())?;
        self.arrived.push((topic, stored));
        Ok(())
    }

    fn run_queries(&mut self, way: Way) -> Result<(), String> {
        for plan in &self.plans {
            let parts = SyncParts {
                log: self.log.clone(),
                state: self.state.clone(),
                clock: Arc::new(ManualClock::default()),
                processing_log: Arc::new(NoProcessingLog),
                collector: None,
                registry: self.registry.clone(),
            };
            let mut query = SyncQuery::new(plan.clone(), parts).map_err(|e| e.to_string())?;
            let topics: Vec<String> = query.topics().map(str::to_owned).collect();
            let mut records: Vec<(String, StoredRecord)> =
                self.arrived.iter().filter(|(topic, _)| topics.contains(topic)).cloned().collect();
            // What an earlier query wrote.
            for topic in topics.iter().filter(|topic| self.arrived.iter().all(|(of, _)| of != *topic)) {
                let stored = self.log.records(topic).map_err(|e| e.to_string())?;
                records.extend(stored.into_iter().flatten().map(|record| (topic.clone(), (*record).clone())));
            }
            let mut offsets: BTreeMap<&str, i64> = BTreeMap::new();
            for (index, (topic, record)) in records.iter().enumerate() {
                if way.restore_at == Some(index) {
                    query.restart().map_err(|e| e.to_string())?;
                }
                let offset = offsets.entry(topic).or_default();
                let reference = RecordRef {
                    offset: Offset(*offset),
                    timestamp: record.timestamp,
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                };
                *offset += 1;
                query.feed(topic, 0, reference, &record.headers).map_err(|e| e.to_string())?;
                if (index + 1) % way.chunk == 0 {
                    query.end_chunk().map_err(|e| e.to_string())?;
                }
            }
            query.end_chunk().map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn read(&self, sink: &str, keys: usize) -> Result<Vec<Found>, String> {
        let source = self.catalog.source(sink).ok_or("no sink")?;
        let schema = source.record_schema();
        let uses = vec![SlotUse::Read; schema.width()];
        let registry: Arc<dyn SchemaRegistry> = self.registry.clone();
        let mut reader = TopicReader::new(&source.format, &schema, &uses, &registry)?;
        let mut found = Vec::new();
        for record in self.log.records(&source.format.topic).map_err(|e| e.to_string())?.into_iter().flatten() {
            let mut row = Row::default();
            reader.read(record.key.as_deref(), record.value.as_deref(), &mut row).map_err(|e| e.to_string())?;
            let value = row.values.split_off(keys);
            found.push(Found {
                key: row.values,
                window: row.meta.window.map(|window| window.start),
                value: row.meta.has_value.then_some(value),
            });
        }
        Ok(found)
    }
}
