//! The queries that run: persistent ones, which the command log remembers, and push queries, which end with their client.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use parking_lot::RwLock;

use super::failures::{Failures, Told};
use super::flow::Backlog;
use super::push_row::Closer;
use super::supervise::Care;
use crate::catalog::{Catalog, WindowType};
use crate::operators::materialized::{self, MaterializedReader};
use crate::plan::QueryPlan;
use crate::processing_log::ProcessingErrorKind;
use crate::runtime::{QueryFailure, QueryHandle, QueryState};
use crate::types::Schema;

/// How a persistent query was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    CreateStreamAs,
    CreateTableAs,
    Insert,
    /// Keeps a `CREATE SOURCE TABLE` in a store, so that it can be looked up.
    SourceTable,
}

/// A persistent query.
pub struct PersistentQuery {
    pub id: String,
    pub kind: QueryKind,
    pub plan: Arc<QueryPlan>,
    /// The stream or table that it writes.
    pub sink: String,
    /// The topic behind the sink.
    pub sink_topic: String,
    /// Properties that the statement was given with.
    pub properties: BTreeMap<String, String>,
    /// Set while it runs; a query that could not start has none, and the reason instead.
    pub handle: RwLock<Result<Arc<QueryHandle>, QueryFailure>>,
    pub failures: Arc<Failures>,
    pub(super) care: Care,
    /// How its table is looked up; made at the first pull query.
    pub(super) materialized: OnceLock<Option<Arc<MaterializedReader>>>,
}

impl PersistentQuery {
    /// How the table that the query makes is looked up; `None`: it keeps no store.
    pub fn materialized(&self) -> Option<Arc<MaterializedReader>> {
        self.materialized.get_or_init(|| materialized::reader(&self.plan).map(Arc::new)).clone()
    }

    /// Topics that the query reads from outside, in the order of its sources.
    pub fn source_topics(&self, catalog: &Catalog) -> Vec<String> {
        let mut topics: Vec<String> =
            self.plan.sources.iter().filter_map(|name| catalog.source(name)).map(|s| s.format.topic.clone()).collect();
        topics.dedup();
        topics
    }

    /// Takes what came of a start.
    pub(super) fn set_handle(&self, started: Result<Arc<QueryHandle>, QueryFailure>, told: Told) {
        *self.handle.write() = started.clone();
        match started {
            Ok(handle) => self.failures.watch(&self.id, &handle, told),
            Err(failure) => self.failures.tell(&self.id, &failure, &told),
        }
    }

    /// Failures of one kind: of records and expressions since it was last started, and of the query itself.
    pub fn errors_of(&self, kind: ProcessingErrorKind) -> u64 {
        match (kind, &*self.handle.read()) {
            (ProcessingErrorKind::KafkaStreamsThread, _) => self.failures.count(),
            (_, Ok(handle)) => handle.metrics.errors_of(kind),
            (_, Err(_)) => 0,
        }
    }

    pub fn state(&self) -> QueryState {
        match &*self.handle.read() {
            Ok(handle) => handle.state(),
            Err(failure) => QueryState::Failed(failure.clone()),
        }
    }
}

/// A push query as SHOW QUERIES lists it.
#[derive(Debug, Clone)]
pub struct PushQueryInfo {
    pub id: String,
    pub statement: String,
    pub plan: Arc<QueryPlan>,
    /// What comes out.
    pub schema: Schema,
    /// Windows of its keys.
    pub window: Option<WindowType>,
    /// Properties that the statement was given with.
    pub properties: BTreeMap<String, String>,
    /// The user who began it; `None`: nobody was asked who it is.
    pub begun_by: Option<Arc<str>>,
    pub handle: Arc<QueryHandle>,
    pub failures: Arc<Failures>,
}

/// All queries by id, in the order they were made.
#[derive(Default)]
pub struct QueryRegistry {
    persistent: RwLock<IndexMap<String, Arc<PersistentQuery>>>,
    push: RwLock<HashMap<String, PushEntry>>,
}

struct PushEntry {
    info: PushQueryInfo,
    close: Arc<Closer>,
}

impl QueryRegistry {
    pub fn persistent(&self) -> Vec<Arc<PersistentQuery>> {
        self.persistent.read().values().cloned().collect()
    }

    pub fn push_queries(&self) -> Vec<PushQueryInfo> {
        self.push.read().values().map(|entry| entry.info.clone()).collect()
    }

    pub fn get(&self, id: &str) -> Option<Arc<PersistentQuery>> {
        self.persistent.read().get(id).cloned()
    }

    /// Persistent queries that read a stream or table.
    pub fn readers_of(&self, source: &str) -> Vec<Arc<PersistentQuery>> {
        self.persistent.read().values().filter(|q| q.plan.sources.iter().any(|s| s == source)).cloned().collect()
    }

    /// Persistent queries that write a stream or table.
    pub fn writers_of(&self, sink: &str) -> Vec<Arc<PersistentQuery>> {
        self.persistent.read().values().filter(|q| q.sink == sink).cloned().collect()
    }

    /// Ends a push query; false: there is none of that id.
    pub fn close_push_query(&self, id: &str) -> bool {
        let Some(entry) = self.push.write().remove(id) else { return false };
        entry.close.close(None);
        true
    }

    /// A push query by its id.
    pub fn push_query(&self, id: &str) -> Option<PushQueryInfo> {
        self.push.read().get(id).map(|entry| entry.info.clone())
    }

    /// A push query by its id in any case of letters: a statement's names are in upper case unless they are quoted.
    pub fn push_query_named(&self, name: &str) -> Option<PushQueryInfo> {
        let push = self.push.read();
        let found = push.get(name).or_else(|| push.iter().find(|(id, _)| id.eq_ignore_ascii_case(name)).map(|(_, entry)| entry));
        found.map(|entry| entry.info.clone())
    }

    /// Ends the push queries whose clients have taken nothing for so long of what waits for them, and says so to those; their ids.
    pub(super) fn close_stalled(&self, now: Instant, patience: Duration) -> Vec<String> {
        let stalled: Vec<(String, Backlog)> = {
            let push = self.push.read();
            push.iter().filter_map(|(id, entry)| Some((id.clone(), entry.close.stalled(now, patience)?))).collect()
        };
        for (id, Backlog { rows, bytes, .. }) in &stalled {
            let Some(entry) = self.push.write().remove(id) else { continue };
            let ms = patience.as_millis();
            let reason = format!(
                "The client took none of the {rows} rows ({bytes} bytes) that wait for it for {ms} ms, so its query was closed. Read faster, ask \
                 for fewer rows (WHERE) or columns, or raise tidemill.push.stall.timeout.ms."
            );
            tracing::warn!(query = id, rows, bytes, "a push query was closed: its client took nothing for {ms} ms");
            entry.close.close(Some(reason));
        }
        stalled.into_iter().map(|(id, _)| id).collect()
    }

    /// Ends all push queries.
    pub fn close_push_queries(&self) {
        for (_, entry) in self.push.write().drain() {
            entry.close.close(None);
        }
    }

    pub(super) fn add(&self, query: PersistentQuery) {
        self.persistent.write().insert(query.id.clone(), Arc::new(query));
    }

    pub(super) fn remove(&self, id: &str) -> Option<Arc<PersistentQuery>> {
        self.persistent.write().shift_remove(id)
    }

    pub(super) fn add_push(&self, info: PushQueryInfo, close: Arc<Closer>) {
        self.push.write().insert(info.id.clone(), PushEntry { info, close });
    }

    pub(super) fn remove_push(&self, id: &str) {
        self.push.write().remove(id);
    }
}
