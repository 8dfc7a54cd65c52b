//! A pull query over a stream: its topic read from the first record to where it ends when the query comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::pull::PullResult;
use super::{Engine, EngineError};
use crate::analyze::{OutputColumn, PlannedQuery};
use crate::log::{LogError, LogReader, OffsetSpec, Subscription, TopicPartition};
use crate::operators::{self, BuildEnv, Collector, TaskGraph, end_chunk, process_from};
use crate::row::{Headers, Row};
use crate::state::{StateDb, StoreKey};
use crate::task::TaskContext;
use crate::types::Value;

/// Bytes of the topic that may wait unread.
const MAX_BUFFERED_BYTES: usize = 8 << 20;
/// How long reading may stall.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Rows that an answer may hold.
const MAX_ROWS: usize = 10_000_000;

/// Gathers rows until there are enough.
struct Gathered {
    rows: Mutex<Vec<Vec<Value>>>,
    slots: Vec<usize>,
    limit: usize,
}

impl Collector for Gathered {
    fn collect(&self, row: &Row) -> bool {
        let mut rows = self.rows.lock();
        if rows.len() < self.limit {
            rows.push(self.slots.iter().map(|slot| row.values.get(*slot).cloned().unwrap_or_default()).collect());
        }
        rows.len() < self.limit
    }
}

impl Engine {
    /// Runs the query over what the topic holds, on the caller's thread.
    pub(super) fn scan_stream(&self, planned: PlannedQuery, limit: Option<u64>) -> Result<PullResult, EngineError> {
        let columns = planned.schema.value;
        let schema = &planned.plan.root.schema;
        let gathered = Arc::new(Gathered {
            rows: Mutex::new(Vec::new()),
            slots: columns.iter().filter_map(|c| schema.slot(&c.name)).collect(),
            limit: limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(MAX_ROWS),
        });
        let specs = operators::split(&planned.plan).map_err(|e| EngineError::internal(e.0))?;
        let [spec] = specs.as_slice() else {
            return Err(EngineError::user("Pull queries on streams can't group or repartition. Add EMIT CHANGES for a push query."));
        };
        let is_key = |name: &str| planned.plan.root.schema.is_key(name);
        let columns: Vec<OutputColumn> = columns.into_iter().map(|column| OutputColumn { is_key: is_key(&column.name), column }).collect();
        for source in &spec.sources {
            let partitions = self.log.describe_topic(&source.topic)?.map_or(0, |t| t.partitions);
            for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
                let env =
                    BuildEnv { query_id: planned.plan.query_id.as_str().into(), topics: Vec::new(), collector: Some(gathered.clone()) };
                let graph = operators::build(&planned.plan, spec, &env).map_err(|e| EngineError::internal(e.0))?;
                let state = StateDb::in_memory();
                let mut stores = Vec::new();
                for store in &spec.stores {
                    let key = StoreKey { query: planned.plan.query_id.as_str().into(), store: store.name.clone(), partition };
                    stores.push(state.open_store(&key, store)?);
                }
                let cx = TaskContext::new(stores, self.clock.clone(), self.runtime.parts().processing_log.clone(), partition);
                let topic = TopicPartition { topic: source.topic.as_str().into(), partition };
                self.scan_partition(&topic, source.wants_headers, graph, cx)?;
                if gathered.rows.lock().len() >= gathered.limit {
                    break;
                }
            }
        }
        let rows = std::mem::take(&mut *gathered.rows.lock());
        Ok(PullResult { columns, rows, from_stream: true })
    }

    fn scan_partition(
        &self,
        partition: &TopicPartition,
        wants_headers: bool,
        mut graph: TaskGraph,
        mut cx: TaskContext,
    ) -> Result<(), EngineError> {
        let one = std::slice::from_ref(partition);
        let end = self.log.offsets(one, OffsetSpec::Latest)?.first().copied().unwrap_or_default();
        let mut position = self.log.offsets(one, OffsetSpec::Earliest)?.first().copied().unwrap_or_default();
        if position >= end {
            return Ok(());
        }
        let mut reader: Box<dyn LogReader> = self.log.subscribe(Subscription {
            partitions: vec![(partition.clone(), position)],
            wake: Arc::new(|| {}),
            max_buffered_bytes: MAX_BUFFERED_BYTES,
        })?;
        let mut last_arrival = Instant::now();
        while position < end {
            match reader.poll() {
                Ok(Some(arrived)) => {
                    last_arrival = Instant::now();
                    for index in arrived.first..arrived.batch.len() {
                        let record = arrived.batch.record(index);
                        if record.offset >= end {
                            return Ok(());
                        }
                        position = crate::log::Offset(record.offset.0 + 1);
                        let headers = if wants_headers { Headers::OfRecord } else { Headers::None };
                        cx.record = wants_headers.then(|| (Arc::clone(&arrived.batch), index));
                        let Some((decoder, node, port)) = graph.sources.first_mut() else { return Ok(()) };
                        let row = decoder.read(record, headers, partition.partition, &mut cx).map_err(|e| EngineError::internal(e.0))?;
                        if let Some(row) = row {
                            process_from(&mut graph.nodes, 0, *node, *port, row, &mut cx).map_err(|e| EngineError::internal(e.0))?;
                        }
                    }
                    end_chunk(&mut graph.nodes, &mut cx).map_err(|e| EngineError::internal(e.0))?;
                }
                Ok(None) | Err(LogError::Retriable(_)) if last_arrival.elapsed() < STALL_TIMEOUT => {
                    if reader.caught_up(0) {
                        return Ok(());
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
                Ok(None) => return Err(LogError::Retriable(format!("topic {} can't be read now", partition.topic)).into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
