//! Runs one case: its statements against a catalog of its own, its records through the queries that they make, one query
//! after another, on a simulated log.

pub(super) mod check;
pub(super) mod topics;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;
use tidemill_engine::analyze::{self, Action, AnalysisContext, TopicInfo};
use tidemill_engine::catalog::{Catalog, QueryLinks, Source};
use tidemill_engine::clock::ManualClock;
use tidemill_engine::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use tidemill_engine::log::{Log, partition_for};
use tidemill_engine::plan::{QueryPlan, upgrade};
use tidemill_engine::processing_log::NoProcessingLog;
use tidemill_engine::registry::{MemoryRegistry, SchemaRegistry as _};
use tidemill_engine::row::Header;
use tidemill_engine::runtime::{SyncParts, SyncQuery};
use tidemill_engine::state::StateDb;
use tidemill_parser::ast::{ExprKind, InsertValues, SpannedStatement, Statement};

use super::case::{Case, RecordSpec};
use super::codec::{Side, with_window};
use super::post;

/// The service id that cases were written for.
pub(super) const SERVICE_ID: &str = "some.ksql.service.id";
/// Partitions of a topic for which a case says nothing.
pub(super) const DEFAULT_PARTITIONS: u32 = 1;

/// How cases are run.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// Records that make a chunk.
    pub chunk: u64,
    /// Restart each query after so many records.
    pub restore_at: Option<u64>,
}

/// Runs a case; an error is the first difference.
pub fn run(case: &Case, options: RunOptions) -> Result<(), String> {
    if case.asks_over_http {
        return Err("this case asks a server over HTTP (`responses`): run it with --format rest".to_owned());
    }
    let mut world = World::new(case)?;
    let failed = world.run_statements(case);
    // A query may also be expected to die of its records.
    let failed = failed.and_then(|()| world.feed_inputs(case)).and_then(|()| world.run_queries(options));
    match (&case.expected_error, failed) {
        (Some(expected), Err(message)) => {
            return if message.contains(expected.as_str()) {
                Ok(())
            } else {
                Err(format!("refused, but expected «{expected}», got «{message}»"))
            };
        }
        (Some(expected), Ok(())) => return Err(format!("accepted, but expected the error «{expected}»")),
        (None, Err(message)) => return Err(message),
        (None, Ok(())) => {}
    }
    world.check_outputs(case)?;
    let topics = post::topics(&*world.log, &world.by_topic, &world.plans, SERVICE_ID)?;
    post::check(&case.post, &world.catalog, &topics, |topic| world.by_topic.contains_key(topic), &*world.registry)
}

/// A record as bytes, waiting to be fed.
#[derive(Debug, Clone)]
pub(crate) struct RawRecord {
    pub(crate) topic: String,
    pub(super) partition: i32,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) timestamp: i64,
    pub(super) headers: Vec<Header>,
}

/// A world of its own for statements: a catalog, a log and state in memory.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    /// Sources that existed at any time, by topic: what a topic's bytes mean outlives a DROP.
    pub(crate) by_topic: BTreeMap<String, Arc<Source>>,
    declared: Vec<Json>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) log: Arc<SimulatedLog>,
    pub(crate) state: StateDb,
    pub(crate) registry: Arc<MemoryRegistry>,
    pub(crate) plans: Vec<Arc<QueryPlan>>,
    /// Queries made so far: the number in the next one's id.
    queries: usize,
    /// Records of INSERT VALUES, in order.
    pub(crate) inserted: Vec<RawRecord>,
    uses_inserts: bool,
    default_partitions: u32,
    /// The time of rows that say none.
    pub(crate) now_ms: i64,
}

impl World {
    /// Without topics and sources.
    pub(crate) fn empty(mut properties: BTreeMap<String, String>) -> Self {
        for (name, value) in [("ksql.streams.auto.offset.reset", "earliest"), ("ksql.headers.columns.enabled", "true")] {
            properties.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        World {
            catalog: Catalog::default(),
            by_topic: BTreeMap::new(),
            declared: Vec::new(),
            properties,
            log: Arc::new(SimulatedLog::new(SimulationOptions::default())),
            state: StateDb::in_memory(),
            registry: Arc::default(),
            plans: Vec::new(),
            queries: 0,
            inserted: Vec::new(),
            uses_inserts: true,
            default_partitions: DEFAULT_PARTITIONS,
            now_ms: 0,
        }
    }

    fn new(case: &Case) -> Result<Self, String> {
        let declared_partitions = case.topics.iter().filter_map(|t| t["partitions"].as_u64());
        let default_partitions = declared_partitions.max().and_then(|p| u32::try_from(p).ok()).unwrap_or(DEFAULT_PARTITIONS);
        let world = World {
            declared: case.topics.clone(),
            uses_inserts: case.inputs.is_empty(),
            default_partitions,
            ..World::empty(case.properties.iter().cloned().collect())
        };
        // Every topic that records go to exists before the statements run, as they want it.
        let asked = asked_partitions(case);
        world.register_declared_sources(case);
        for topic in &case.topics {
            world.declare_topic(topic, &asked)?;
        }
        for input in &case.inputs {
            world.ensure_topic(&input.topic, asked.get(&input.topic).copied().unwrap_or(default_partitions), 1)?;
        }
        Ok(world)
    }

    /// Runs all statements; the error of the first that is refused.
    fn run_statements(&mut self, case: &Case) -> Result<(), String> {
        // Places in messages count lines over all statements.
        let script = case.statements.join("\n");
        for raw in tidemill_parser::split_script(&script) {
            let statement = raw.parse().map_err(|e| e.to_string())?;
            self.run_statement(&statement)?;
        }
        Ok(())
    }

    /// Carries out a statement that changes something; the records of INSERT VALUES wait in `inserted`.
    pub(crate) fn run_statement(&mut self, statement: &SpannedStatement) -> Result<(), String> {
        match &statement.statement {
            Statement::CreateSource(create) => {
                if self.catalog.source(&create.name.name).is_some() && create.if_not_exists {
                    return Ok(());
                }
                // A case's topics need not exist: sources make them.
                let default_partitions = self.default_partitions;
                let declared = self.with_context(|context| {
                    let is_made = create.properties.get("PARTITIONS").is_some();
                    let lenient = |name: &str| {
                        let implied = TopicInfo { partitions: default_partitions, replicas: 1, retention_ms: None };
                        (context.topic)(name).or((!is_made).then_some(implied))
                    };
                    let context = AnalysisContext { topic: &lenient, ..*context };
                    analyze::create_source(create, &context).map_err(|e| e.to_string())
                })?;
                if declared.action == Action::Keep {
                    return Ok(());
                }
                let source = declared.source;
                self.ensure_topic(&source.format.topic, source.topic.partitions, source.topic.replicas)?;
                tidemill_engine::formats::register_source(&source, &*self.registry).map_err(|e| e.to_string())?;
                self.put_source(source, create.or_replace)
            }
            Statement::CreateAs(create) => {
                if self.catalog.source(&create.name.name).is_some() && create.if_not_exists {
                    return Ok(());
                }
                let prefix = if matches!(create.kind, tidemill_parser::ast::SourceKind::Stream) { "CSAS" } else { "CTAS" };
                let replaced = self.catalog.source(&create.name.name).and_then(|s| s.created_by.clone()).filter(|_| create.or_replace);
                let id = replaced.clone().unwrap_or_else(|| format!("{prefix}_{}_{}", create.name.name, self.queries));
                let planned = self.with_context(|context| analyze::create_as(create, context, &id).map_err(|e| e.to_string()))?;
                if let Some(replaced) = replaced {
                    if let Some(old) = self.plans.iter().find(|p| p.query_id == replaced)
                        && let Some(reason) = upgrade::refusal(old, &planned.plan)
                    {
                        return Err(reason);
                    }
                    self.plans.retain(|p| p.query_id != replaced);
                }
                let mut planned = planned;
                tidemill_engine::formats::register_plan(&mut planned.plan, &*self.registry).map_err(|e| e.to_string())?;
                let (sink, _) = planned.sink.ok_or("the plan lacks its sink")?;
                self.ensure_topic(&sink.format.topic, sink.topic.partitions, sink.topic.replicas)?;
                self.put_source(sink, create.or_replace)?;
                self.put_query(planned.plan);
                Ok(())
            }
            Statement::InsertSelect(insert) => {
                let id = format!("INSERTQUERY_{}", self.queries);
                let mut planned =
                    self.with_context(|context| analyze::insert_select(insert, &statement.text, context, &id).map_err(|e| e.to_string()))?;
                tidemill_engine::formats::register_plan(&mut planned.plan, &*self.registry).map_err(|e| e.to_string())?;
                self.put_query(planned.plan);
                Ok(())
            }
            Statement::InsertValues(insert) => self.insert_values(insert),
            Statement::DropSource(drop) => {
                let dropped = self.catalog.dropped(drop.kind.into(), &drop.name.name, drop.if_exists, drop.delete_topic);
                if let Some((source, catalog)) = dropped.map_err(|e| e.to_string())? {
                    self.catalog = catalog;
                    self.plans.retain(|p| Some(&p.query_id) != source.created_by.as_ref());
                    if drop.delete_topic {
                        self.log.delete_topic(&source.format.topic).map_err(|e| e.to_string())?;
                        let mut subjects = tidemill_engine::formats::subjects(&source.format);
                        subjects.try_for_each(|subject| self.registry.delete(&subject)).map_err(|e| e.to_string())?;
                    }
                }
                Ok(())
            }
            Statement::AlterSource(alter) => {
                let typed = alter.add.iter().map(|(name, t)| Ok((name.name.clone(), self.catalog.resolve_type(t)?)));
                let add: Vec<_> = typed.collect::<Result<_, tidemill_engine::catalog::TypeError>>().map_err(|e| e.to_string())?;
                let altered = self.catalog.with_added_columns(alter.kind.into(), &alter.name.name, &add);
                self.catalog = altered.map_err(|e| e.to_string())?;
                if let Some(source) = self.catalog.source(&alter.name.name) {
                    self.by_topic.insert(source.format.topic.clone(), source.clone());
                }
                Ok(())
            }
            Statement::CreateType { name, data_type, if_not_exists } => {
                if self.catalog.user_type(&name.name).is_some() && *if_not_exists {
                    return Ok(());
                }
                let sql_type = self.catalog.resolve_type(data_type).map_err(|e| e.to_string())?;
                self.catalog = self.catalog.with_type(&name.name, sql_type).map_err(|e| e.to_string())?;
                Ok(())
            }
            Statement::DropType { name, if_exists } => match self.catalog.without_type(&name.name) {
                Ok(catalog) => {
                    self.catalog = catalog;
                    Ok(())
                }
                Err(_) if *if_exists => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Statement::SetProperty { name, value } => {
                self.properties.insert(name.clone(), value.clone());
                Ok(())
            }
            Statement::UnsetProperty { name: Some(name) } => {
                self.properties.remove(name);
                Ok(())
            }
            Statement::Terminate { id } => {
                let is_named = |plan: &QueryPlan| id.as_ref().is_none_or(|id| plan.query_id == id.name);
                if let Some(id) = id
                    && !self.plans.iter().any(|plan| is_named(plan))
                {
                    return Err(format!("Unknown queryId: {}", id.name));
                }
                for plan in self.plans.iter().filter(|plan| is_named(plan)) {
                    self.catalog = self.catalog.without_query(&plan.query_id);
                }
                self.plans.retain(|plan| !is_named(plan));
                Ok(())
            }
            other => Err(format!("statement is not built: {other}")),
        }
    }

    pub(crate) fn with_context<R>(&self, f: impl FnOnce(&AnalysisContext<'_>) -> R) -> R {
        let topic = |name: &str| {
            let info = self.log.describe_topic(name).ok().flatten()?;
            Some(TopicInfo { partitions: info.partitions, replicas: info.replicas, retention_ms: None })
        };
        f(&AnalysisContext {
            catalog: &self.catalog,
            properties: &self.properties,
            service_id: SERVICE_ID,
            topic: &topic,
            registry: &*self.registry,
        })
    }

    fn put_source(&mut self, source: Source, replace: bool) -> Result<(), String> {
        self.by_topic.insert(source.format.topic.clone(), Arc::new(source.clone()));
        self.catalog = if replace {
            self.catalog.with_replaced_source(source)
        } else {
            self.catalog.with_source(source).map_err(|e| e.to_string())?
        };
        Ok(())
    }

    fn put_query(&mut self, plan: QueryPlan) {
        let links = QueryLinks { query_id: plan.query_id.clone(), reads: plan.sources.clone(), writes: plan.sink.clone() };
        self.queries += 1;
        self.catalog = self.catalog.with_query(links);
        self.plans.push(Arc::new(plan));
    }

    fn insert_values(&mut self, insert: &InsertValues) -> Result<(), String> {
        let record = self.with_context(|context| analyze::insert_values(insert, context).map_err(|e| e.to_string()))?;
        let encoded = tidemill_engine::engine::encode_insert(&record, &*self.registry).map_err(|e| e.to_string())?;
        let partition = self.partition_of(&encoded.topic, encoded.key.as_deref())?;
        self.inserted.push(RawRecord {
            topic: encoded.topic,
            partition,
            key: encoded.key,
            value: encoded.value,
            timestamp: encoded.timestamp.unwrap_or(self.now_ms),
            headers: Vec::new(),
        });
        Ok(())
    }

    /// Writes the case's inputs to their topics.
    fn feed_inputs(&mut self, case: &Case) -> Result<(), String> {
        let records = if self.uses_inserts {
            std::mem::take(&mut self.inserted)
        } else {
            case.inputs.iter().map(|spec| self.raw(spec)).collect::<Result<_, _>>()?
        };
        for record in &records {
            self.append(record)?;
        }
        self.inserted = records;
        Ok(())
    }

    /// Writes a record to its topic.
    pub(crate) fn append(&self, record: &RawRecord) -> Result<(), String> {
        let stored = StoredRecord {
            timestamp: record.timestamp,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
            ..StoredRecord::default()
        };
        self.log.append(&record.topic, record.partition, stored).map(|_| ()).map_err(|e| e.to_string())
    }

    /// The partition that a record goes to: that of its key without the window, as a Java producer chooses it. Records
    /// without a key stay together, so that they stay in order.
    fn partition_of(&self, topic: &str, key: Option<&[u8]>) -> Result<i32, String> {
        let partitions = self.log.describe_topic(topic).map_err(|e| e.to_string())?.map_or(1, |info| info.partitions);
        Ok(key.map_or(0, |key| partition_for(Some(key), partitions, &mut 0)))
    }

    /// What queries wrote to a topic, by partition: without the first records of each, which are inputs, if `inputs` says
    /// that they are to be left out.
    fn stored(&self, topic: &str, without_inputs: bool) -> Vec<VecDeque<Arc<StoredRecord>>> {
        let is_input = |partition: i32| self.inserted.iter().filter(move |r| r.topic == topic && r.partition == partition);
        let partitions = self.log.records(topic).unwrap_or_default().into_iter().zip(0..);
        partitions
            .map(|(records, partition)| {
                let inputs = if without_inputs { is_input(partition).count() } else { 0 };
                records.into_iter().skip(inputs).collect()
            })
            .collect()
    }

    fn raw(&self, spec: &RecordSpec) -> Result<RawRecord, String> {
        raw_record(spec, &self.sides(&spec.topic)?, |key| self.partition_of(&spec.topic, key))
    }

    /// Runs the queries in the order they were made. Each reads the inputs of its topics in the order given, and from a
    /// topic that an earlier query writes, what that query wrote.
    fn run_queries(&mut self, options: RunOptions) -> Result<(), String> {
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
            let mut topics: Vec<String> = query.topics().map(str::to_owned).collect();
            topics.sort();
            topics.dedup();
            let records = self.records_of(&topics);
            for (index, record) in records.iter().enumerate() {
                let index = index as u64;
                if options.restore_at == Some(index) {
                    query.restart().map_err(|e| e.to_string())?;
                }
                let reference = tidemill_engine::log::RecordRef {
                    offset: record.0,
                    timestamp: record.1.timestamp,
                    key: record.1.key.as_deref(),
                    value: record.1.value.as_deref(),
                };
                query.feed(&record.1.topic, record.1.partition, reference, &record.1.headers).map_err(|e| e.to_string())?;
                if (index + 1).is_multiple_of(options.chunk) {
                    query.end_chunk().map_err(|e| e.to_string())?;
                }
            }
            query.end_chunk().map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// The records of some topics: inputs in the order given, then what queries wrote.
    fn records_of(&self, topics: &[String]) -> Vec<(tidemill_engine::log::Offset, RawRecord)> {
        let mut found = Vec::new();
        let mut counts: BTreeMap<(String, i32), usize> = BTreeMap::new();
        let mut push = |record: RawRecord, found: &mut Vec<_>| {
            let count = counts.entry((record.topic.clone(), record.partition)).or_default();
            found.push((tidemill_engine::log::Offset(i64::try_from(*count).unwrap_or(i64::MAX)), record));
            *count += 1;
        };
        for record in self.inserted.iter().filter(|r| topics.contains(&r.topic)) {
            push(record.clone(), &mut found);
        }
        for topic in topics {
            let by_partition = self.stored(topic, true).into_iter().zip(0..);
            let records = by_partition.flat_map(|(records, partition)| records.into_iter().map(move |record| (partition, record)));
            for (partition, record) in records {
                let raw = RawRecord {
                    topic: topic.clone(),
                    partition,
                    key: record.key.as_deref().map(<[u8]>::to_vec),
                    value: record.value.as_deref().map(<[u8]>::to_vec),
                    timestamp: record.timestamp,
                    headers: record.headers.clone(),
                };
                push(raw, &mut found);
            }
        }
        found
    }
}

/// The bytes of a record. `partition` chooses by the key without its window.
pub(super) fn raw_record(
    spec: &RecordSpec,
    (key_side, value_side): &(Side, Side),
    partition: impl FnOnce(Option<&[u8]>) -> Result<i32, String>,
) -> Result<RawRecord, String> {
    let mut key = key_side.to_bytes(&spec.key)?;
    let partition = partition(key.as_deref())?;
    if let (Some(bytes), Some(window)) = (&key, &spec.window) {
        key = Some(with_window(bytes.clone(), window));
    }
    let headers = spec.headers.iter().map(|(key, value)| {
        let value = value.as_ref().map(|v| BASE64.decode(v).map_err(|e| e.to_string())).transpose()?;
        Ok(Header { key: key.clone(), value })
    });
    Ok(RawRecord {
        topic: spec.topic.clone(),
        partition,
        key,
        value: value_side.to_bytes(&spec.value)?,
        timestamp: spec.timestamp.unwrap_or(0),
        headers: headers.collect::<Result<_, String>>()?,
    })
}

/// For each topic that a case's statements declare a source over, the number of partitions that they ask for, where they do.
pub(super) fn declared_topics(case: &Case) -> BTreeMap<String, Option<u32>> {
    let script = case.statements.join("\n");
    let statements = tidemill_parser::split_script(&script).into_iter().filter_map(|raw| raw.parse().ok());
    let declared = statements.filter_map(|statement| {
        let Statement::CreateSource(create) = statement.statement else { return None };
        let ExprKind::String(topic) = &create.properties.get("KAFKA_TOPIC")?.value.kind else { return None };
        let partitions = match create.properties.get("PARTITIONS").map(|property| &property.value.kind) {
            Some(ExprKind::Integer(partitions)) => u32::try_from(*partitions).ok(),
            _ => None,
        };
        Some((topic.clone(), partitions))
    });
    declared.collect()
}

/// For each topic the number of partitions that the case's own statements ask for.
fn asked_partitions(case: &Case) -> BTreeMap<String, u32> {
    declared_topics(case).into_iter().filter_map(|(topic, partitions)| Some((topic, partitions?))).collect()
}
