//! Reads what other servers have of a table.
//!
//! A page that does not come is asked for again, of whoever has its partitions by then. Nothing of it was handed on before, and the next
//! one begins behind the last key that was, so that no row comes twice, and none is left out.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use tidemill_engine::Engine;
use tidemill_engine::engine::peers::{self, ASK_PATIENCE, FIRST_PAUSE, LONGEST_PAUSE, PATIENCE};
use tidemill_engine::engine::{EngineError, NotAnswered, ServerInfo};
use tidemill_engine::log::PartitionId;

use super::{Answers, MAX_PAGE_ROWS, Rest, ScanPage, ScanPeers, ScanQuestion};
use crate::error::{QueryError, external};
use crate::memory::bytes_of;
use crate::running::Progress;

/// Memory that is set aside for a page before it is asked for, bytes.
const PAGE_BYTES: usize = 4 << 20;
/// What EXPLAIN ANALYZE shows.
pub(crate) const REMOTE_ROWS: &str = "remote_rows";
pub(crate) const REMOTE_BYTES: &str = "remote_bytes";

/// Partitions that are read one behind another, for one server has them.
pub(crate) type Share = Vec<PartitionId>;

/// What is elsewhere of a scan.
pub(crate) struct RemoteScan {
    pub engine: Arc<Engine>,
    pub peers: Arc<dyn ScanPeers>,
    /// For what comes to this server meanwhile.
    pub here: Arc<Answers>,
    pub progress: Arc<Progress>,
    /// What is asked, but for what changes from one page to the next.
    pub question: ScanQuestion,
    pub schema: SchemaRef,
    pub shares: Vec<Share>,
}

impl RemoteScan {
    /// The rows of a share; `partition` is what the plan knows it by.
    pub fn stream(
        self: &Arc<Self>,
        share: usize,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
        context: &TaskContext,
    ) -> SendableRecordBatchStream {
        let partitions = self.shares.get(share).cloned().unwrap_or_default();
        let left = partitions.into_iter().map(|partition| Rest { partition, from: None }).collect();
        let count = |name| MetricBuilder::new(metrics).counter(name, partition);
        let reading = Reading {
            scan: self.clone(),
            question: ScanQuestion { scan: new_name(), left, ..self.question.clone() },
            at: None,
            asked: None,
            ready: VecDeque::new(),
            memory: MemoryConsumer::new("RemoteScan").register(context.memory_pool()),
            metrics: BaselineMetrics::new(metrics, partition),
            rows: count(REMOTE_ROWS),
            bytes: count(REMOTE_BYTES),
        };
        let stream = stream::try_unfold(reading, |mut reading| async move { Ok(reading.next().await?.map(|batch| (batch, reading))) });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

/// A name that a scan has nowhere else.
pub(super) fn new_name() -> Arc<str> {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    format!("{process:016x}-{}", COUNT.fetch_add(1, Ordering::Relaxed)).into()
}

/// A share under way.
struct Reading {
    scan: Arc<RemoteScan>,
    /// What is still to be asked.
    question: ScanQuestion,
    /// Who gave the last page, and may keep a snapshot for the next one.
    at: Option<ServerInfo>,
    /// Who is asked for a page just now, and may keep one as well.
    asked: Option<ServerInfo>,
    /// Of that page, and not yet handed on.
    ready: VecDeque<RecordBatch>,
    memory: MemoryReservation,
    metrics: BaselineMetrics,
    rows: Count,
    bytes: Count,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let (at, asked) = (self.at.take().filter(|_| !self.question.left.is_empty()), self.asked.take());
        let other = at.filter(|at| asked.as_ref().is_none_or(|asked| asked.id != at.id));
        for server in asked.into_iter().chain(other) {
            self.end(&server);
        }
    }
}

impl Reading {
    /// Tells a server that nothing more is wanted there.
    fn end(&self, server: &ServerInfo) {
        if server.is_this {
            self.scan.here.end(&self.question.scan);
        } else if let Some(url) = &server.url {
            self.scan.peers.end(url, &self.question.scan);
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.metrics.record_output(batch.num_rows());
                self.scan.progress.has_read(batch.num_rows());
                return Ok(Some(batch));
            }
            self.memory.free();
            if self.question.left.is_empty() || self.question.limit == Some(0) {
                self.metrics.done();
                return Ok(None);
            }
            self.memory.try_grow(PAGE_BYTES)?;
            let page = self.page().await.map_err(external)?;
            self.memory.try_resize(page.batches.iter().map(bytes_of).sum())?;
            let rows = page.batches.iter().map(RecordBatch::num_rows).sum();
            self.rows.add(rows);
            self.bytes.add(page.wire_bytes);
            self.question.limit = self.question.limit.map(|limit| limit.saturating_sub(rows));
            self.ready = page.batches.into();
        }
    }

    /// The next page, from whoever gives it.
    async fn page(&mut self) -> Result<ScanPage, QueryError> {
        let (deadline, mut pause, mut looked_after) = (Instant::now() + PATIENCE, FIRST_PAUSE, None);
        loop {
            let trouble = match self.ask(looked_after).await {
                Ok(page) => return Ok(page),
                Err(NotAnswered::Failed(error)) => return Err(error.into()),
                Err(NotAnswered::NotNow(trouble)) => trouble,
            };
            if Instant::now() >= deadline {
                return Err(peers::given_up(&self.question.table, &trouble).into());
            }
            // What was known by now has led nowhere.
            looked_after = Some(Instant::now());
            if self.question.left.iter().all(|rest| rest.from.is_none()) {
                // A request that was given up may still be answered, as of a moment of its own.
                self.question.scan = new_name();
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Asks once, for what one server has of the rest.
    async fn ask(&mut self, looked_after: Option<Instant>) -> Result<ScanPage, NotAnswered> {
        let (server, partitions) = self.whom(looked_after).await?;
        let (left, others): (Vec<Rest>, Vec<Rest>) =
            std::mem::take(&mut self.question.left).into_iter().partition(|rest| partitions.contains(&rest.partition));
        self.question.left = left;
        self.asked = Some(server.clone());
        let asked = self.ask_server(&server, &partitions).await;
        self.asked = None;
        if let Ok(page) = &asked {
            self.question.left.clone_from(&page.left);
            if let Some(before) = self.at.replace(server.clone()).filter(|before| before.id != server.id) {
                self.end(&before);
            }
        }
        self.question.left.extend(others);
        asked
    }

    /// Who has the first partition of the rest, and which else of it.
    async fn whom(&self, looked_after: Option<Instant>) -> Result<(ServerInfo, Vec<PartitionId>), NotAnswered> {
        let rest: Vec<PartitionId> = self.question.left.iter().map(|rest| rest.partition).collect();
        let (engine, query) = (self.scan.engine.clone(), self.question.query_id.clone());
        let found = tokio::task::spawn_blocking(move || engine.owners(&query, &rest, looked_after)).await.map_err(broke_off)?;
        let mut found = found
            .map_err(|error| NotAnswered::NotNow(format!("the servers that share the service can't be looked at ({})", error.message)))?;
        // While it gives pages, who has given the last one has a snapshot of the rest.
        if let Some(at) = self.at.as_ref().filter(|_| looked_after.is_none()) {
            let partitions = found.iter().filter(|(server, _)| server.as_ref().is_some_and(|server| server.id == at.id));
            let partitions: Vec<PartitionId> = partitions.flat_map(|(_, partitions)| partitions.clone()).collect();
            if self.question.left.first().is_some_and(|rest| partitions.contains(&rest.partition)) {
                return Ok((at.clone(), partitions));
            }
        }
        match found.drain(..).next() {
            Some((Some(server), partitions)) => Ok((server, partitions)),
            Some((None, partitions)) => Err(NotAnswered::NotNow(peers::nobodys(&partitions))),
            None => Err(NotAnswered::Failed(EngineError::internal("nothing is left to be asked for"))),
        }
    }

    async fn ask_server(&self, server: &ServerInfo, partitions: &[PartitionId]) -> Result<ScanPage, NotAnswered> {
        let named = peers::named(partitions);
        let (page, whose) = if server.is_this {
            let (here, question) = (self.scan.here.clone(), self.question.clone());
            let page = tokio::task::spawn_blocking(move || here.answer(&question)).await.map_err(broke_off)?;
            (page, format!("this server is to have {named}"))
        } else {
            let Some(url) = &server.url else {
                return Err(NotAnswered::NotNow(format!("server {} has {named}, and has not said where it is reached", server.id)));
            };
            let page = self.scan.peers.ask(url, &self.question, &self.scan.schema, ASK_PATIENCE).await;
            (page, format!("{named} (server {}, whose ksql.advertised.listener is {url})", server.id))
        };
        match page {
            Ok(page) if is_answer(&self.question, &page, &self.scan.schema) => Ok(page),
            Ok(_) => Err(NotAnswered::NotNow(format!("{whose}: the answer is none to what was asked"))),
            Err(NotAnswered::NotNow(reason)) => Err(NotAnswered::NotNow(format!("{whose}: {reason}"))),
            Err(failed) => Err(failed),
        }
    }
}

fn broke_off(error: tokio::task::JoinError) -> NotAnswered {
    NotAnswered::Failed(EngineError::internal(format!("the query broke off: {error}")))
}

/// Whether a page goes on where the question says, and gets ahead.
fn is_answer(question: &ScanQuestion, page: &ScanPage, schema: &SchemaRef) -> bool {
    let rows: usize = page.batches.iter().map(RecordBatch::num_rows).sum();
    let Some(done) = question.left.len().checked_sub(page.left.len()) else { return false };
    let Some(before) = question.left.get(done..) else { return false };
    let is_behind = |(index, (before, now)): (usize, (&Rest, &Rest))| {
        before.partition == now.partition
            && match index {
                0 => now.from > before.from || (done > 0 && now.from == before.from),
                _ => now.from == before.from,
            }
    };
    rows <= MAX_PAGE_ROWS.min(question.limit.unwrap_or(usize::MAX))
        && before.iter().zip(&page.left).enumerate().all(is_behind)
        && page.batches.iter().all(|batch| batch.schema_ref() == schema)
}
