//! A pull query over a stream: its topic read from the first record to where it ended when the query came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidemill_parser::ast::Query;

use super::pull_rows::{Chunk, PullRows, Source};
use super::{Engine, EngineError, SessionProperties};
use crate::analyze::{self, OutputColumn, PlannedQuery};
use crate::clock::Clock;
use crate::log::{Log, LogError, LogReader, Offset, OffsetSpec, Subscription, TopicPartition};
use crate::operators::{self, BuildEnv, Collector, NotYet, TaskGraph, TaskSpec, Unread, end_chunk, process_from};
use crate::plan::QueryPlan;
use crate::processing_log::ProcessingLog;
use crate::registry::{RegistryError, SchemaRegistry};
use crate::row::{Headers, Row};
use crate::state::{StateDb, StoreKey};
use crate::task::TaskContext;
use crate::types::Value;

/// Bytes of the topic that may wait unread.
const MAX_BUFFERED_BYTES: usize = 2 << 20;
/// How long reading may stall.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it is waited for the schema of a record, and how long between two looks, at first; doubled up to so much.
const SCHEMA_TIMEOUT: Duration = Duration::from_secs(10);
const MIN_SCHEMA_PAUSE: Duration = Duration::from_millis(1);
const MAX_SCHEMA_PAUSE: Duration = Duration::from_millis(100);

/// Gathers rows until there are enough.
struct Gathered {
    rows: Mutex<VecDeque<Vec<Value>>>,
    slots: Vec<usize>,
}

impl Collector for Gathered {
    fn collect(&self, row: &Row) -> bool {
        self.rows.lock().push_back(self.slots.iter().map(|slot| row.values.get(*slot).cloned().unwrap_or_default()).collect());
        true
    }
}

/// What partitions are read with.
pub(crate) struct ScanParts {
    pub log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    processing_log: Arc<dyn ProcessingLog>,
    registry: Arc<dyn SchemaRegistry>,
    plan: QueryPlan,
    spec: TaskSpec,
}

/// A scan under way.
pub(super) struct StreamScan {
    parts: ScanParts,
    gathered: Arc<Gathered>,
    /// Partitions still to be read, the next last, with where they begin and end.
    partitions: Vec<(TopicPartition, Offset, Offset)>,
    current: Option<PartitionScan>,
    /// Rows that the limit still allows; `None`: without limit.
    left: Option<u64>,
}

/// One partition that is being read.
pub(crate) struct PartitionScan {
    partition: TopicPartition,
    position: Offset,
    end: Offset,
    reader: Box<dyn LogReader>,
    graph: TaskGraph,
    cx: TaskContext,
    wants_headers: bool,
    registry: Arc<dyn SchemaRegistry>,
}

/// The schema of a record did not come in time.
fn no_schema(registry: &dyn SchemaRegistry, partition: &TopicPartition, offset: Offset, why: &str) -> EngineError {
    let trouble = registry.trouble().map(|trouble| format!(". {}", trouble.trim_end_matches('.'))).unwrap_or_default();
    let TopicPartition { topic, partition } = partition;
    let seconds = SCHEMA_TIMEOUT.as_secs();
    let place = format!("partition {partition} of topic '{topic}', offset {}", offset.0);
    RegistryError::Away(format!("A record can't be read yet ({place}): {why}, for {seconds} s{trouble}. Try again once it answers")).into()
}

impl Engine {
    /// Plans the scan and looks where the topic begins and ends.
    pub(super) fn scan_stream(&self, planned: PlannedQuery, limit: Option<u64>) -> Result<PullRows, EngineError> {
        let schema = &planned.plan.root.schema;
        let slots = planned.schema.value.iter().filter_map(|c| schema.slot(&c.name)).collect();
        let columns = planned.schema.value.iter();
        let columns = columns.map(|column| OutputColumn { is_key: schema.is_key(&column.name), column: column.clone() }).collect();
        let mut specs = operators::split(&planned.plan).map_err(|e| EngineError::internal(e.0))?;
        let (Some(spec), true) = (specs.pop(), specs.is_empty()) else {
            return Err(EngineError::user("Pull queries on streams can't group or repartition. Add EMIT CHANGES for a push query."));
        };
        let mut partitions = Vec::new();
        for source in &spec.sources {
            partitions.extend(self.log.describe_topic(&source.topic)?.into_iter().flat_map(|info| info.all_partitions()));
        }
        let begins = self.log.offsets(&partitions, OffsetSpec::Earliest)?;
        let ends = self.log.offsets(&partitions, OffsetSpec::Latest)?;
        let bounds = begins.into_iter().zip(ends);
        let partitions = partitions.into_iter().zip(bounds).map(|(partition, (begin, end))| (partition, begin, end)).rev().collect();
        let scan = StreamScan {
            parts: self.scan_parts(planned.plan, spec),
            gathered: Arc::new(Gathered { rows: Mutex::default(), slots }),
            partitions,
            current: None,
            left: limit,
        };
        Ok(PullRows { columns, from_stream: true, source: Source::Stream(Box::new(scan)) })
    }
}

impl Engine {
    /// Plans a query that nobody keeps, as far as its steps.
    pub(crate) fn plan_transient(&self, query: &Query, session: &SessionProperties) -> Result<PlannedQuery, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let id = super::push::transient_id(query);
        Ok(analyze::push_query(query, "", &self.context(&catalog, session, &topics), &id)?)
    }

    /// What partitions of the plan's topic are read with.
    pub(crate) fn scan_parts(&self, plan: QueryPlan, spec: TaskSpec) -> ScanParts {
        ScanParts {
            log: self.log.clone(),
            clock: self.clock.clone(),
            processing_log: self.runtime.parts().processing_log.clone(),
            registry: self.registry.clone(),
            plan,
            spec,
        }
    }
}

impl StreamScan {
    /// Reads on until a chunk is full or all is read.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), EngineError> {
        loop {
            while !chunk.is_full() && self.left != Some(0) {
                let Some(row) = self.gathered.rows.lock().pop_front() else { break };
                self.left = self.left.map(|left| left - 1);
                chunk.push(row);
            }
            if chunk.is_full() || self.is_done() {
                return Ok(());
            }
            match &mut self.current {
                Some(current) => {
                    if !current.read()? {
                        self.current = None;
                    }
                }
                None => {
                    let Some((partition, begin, end)) = self.partitions.pop() else { return Ok(()) };
                    if begin < end {
                        self.current = Some(self.parts.open(partition, begin, end, self.gathered.clone())?);
                    }
                }
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let nothing_left = || self.current.is_none() && self.partitions.is_empty() && self.gathered.rows.lock().is_empty();
        self.left == Some(0) || nothing_left()
    }
}

impl ScanParts {
    /// Begins to read a partition; its rows go to `rows`.
    pub(crate) fn open(
        &self,
        partition: TopicPartition,
        position: Offset,
        end: Offset,
        rows: Arc<dyn Collector>,
    ) -> Result<PartitionScan, EngineError> {
        let query: Arc<str> = self.plan.query_id.as_str().into();
        let env =
            BuildEnv { query_id: query.clone(), topics: Vec::new(), collector: Some(rows), registry: self.registry.clone(), sharing: None };
        let graph = operators::build(&self.plan, &self.spec, &env).map_err(|e| EngineError::internal(e.0))?;
        let state = StateDb::in_memory();
        let mut stores = Vec::new();
        for store in &self.spec.stores {
            let key = StoreKey { query: query.clone(), store: store.name.clone(), partition: partition.partition };
            stores.push(state.open_store(&key, store)?);
        }
        let cx = TaskContext::new(stores, self.clock.clone(), self.processing_log.clone(), partition.partition);
        let wants_headers = self.spec.sources.iter().any(|source| *source.topic == *partition.topic && source.wants_headers);
        let reader = self.log.subscribe(Subscription {
            partitions: vec![(partition.clone(), position)],
            wake: Arc::new(|| {}),
            max_buffered_bytes: MAX_BUFFERED_BYTES,
        })?;
        Ok(PartitionScan { partition, position, end, reader, graph, cx, wants_headers, registry: self.registry.clone() })
    }
}

impl PartitionScan {
    /// Reads the next batch, waiting for it; false: the end is reached.
    pub(crate) fn read(&mut self) -> Result<bool, EngineError> {
        let began = Instant::now();
        while self.position < self.end {
            match self.reader.poll() {
                Ok(Some(arrived)) => {
                    for index in arrived.first..arrived.batch.len() {
                        let record = arrived.batch.record(index);
                        if record.offset >= self.end {
                            self.position = self.end;
                            break;
                        }
                        self.position = Offset(record.offset.0 + 1);
                        let headers = if self.wants_headers { Headers::OfRecord } else { Headers::None };
                        self.cx.record = self.wants_headers.then(|| (Arc::clone(&arrived.batch), index));
                        self.cx.pace.begin();
                        let Some((decoder, node, port)) = self.graph.sources.first_mut() else { return Ok(false) };
                        let (asked, mut pause) = (Instant::now(), MIN_SCHEMA_PAUSE);
                        let row = loop {
                            match decoder.read(record, headers.clone(), self.partition.partition, &mut self.cx) {
                                Ok(row) => break row,
                                Err(Unread::Fatal(error)) => return Err(EngineError::internal(error.0)),
                                Err(Unread::NotYet(_)) if asked.elapsed() < SCHEMA_TIMEOUT => std::thread::sleep(pause),
                                Err(Unread::NotYet(NotYet(why))) => {
                                    return Err(no_schema(&*self.registry, &self.partition, record.offset, &why));
                                }
                            }
                            pause = (pause * 2).min(MAX_SCHEMA_PAUSE);
                        };
                        if let Some(row) = row {
                            let processed = process_from(&mut self.graph.nodes, 0, *node, *port, row, &mut self.cx);
                            processed.map_err(|e| EngineError::internal(e.0))?;
                        }
                    }
                    end_chunk(&mut self.graph.nodes, &mut self.cx).map_err(|e| EngineError::internal(e.0))?;
                    return Ok(self.position < self.end);
                }
                Ok(None) | Err(LogError::Retriable(_)) if began.elapsed() < STALL_TIMEOUT => {
                    if self.reader.caught_up(0) {
                        return Ok(false);
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
                Ok(None) => return Err(LogError::Retriable(format!("topic {} can't be read now", self.partition.topic)).into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}
