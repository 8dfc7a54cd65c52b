//! Push queries: rows flow to a client until it leaves, the limit is reached or the query is closed. What waits for a
//! client that is slower than the query is bounded (see [`super::flow`]).

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tidemill_parser::ast::{Query, Relation};
use tokio::sync::mpsc::UnboundedReceiver;

use super::failures::Failures;
use super::flow::{Backlog, Flow, Switch};
use super::outbox::{Handful, Outbox};
use super::push_row::{Client, Closer, PushRow};
use super::queries::PushQueryInfo;
use super::tombstone::Kept;
use super::{Engine, EngineError, SessionProperties};
use crate::analyze::{self, AnalysisError};
use crate::catalog::{Catalog, SourceKind};
use crate::formats::register_plan;
use crate::log::OffsetSpec;
use crate::operators::Collector;
use crate::row::Row;
use crate::runtime::{QueryHandle, QueryState, Runtime, StartQuery};
use crate::types::{Column, Value};

/// A running push query. Dropping it ends the query.
pub struct PushQuery {
    pub id: String,
    pub columns: Vec<Column>,
    /// Whether a row may be a tombstone.
    pub is_table: bool,
    /// What it begins with.
    first: std::vec::IntoIter<Vec<Value>>,
    rows: UnboundedReceiver<Handful>,
    /// Taken of them, and not yet given on.
    at_hand: std::vec::IntoIter<PushRow>,
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    /// Repartition topics that were made for this query alone.
    internal_topics: Vec<String>,
}

struct Shared {
    outbox: Outbox,
    flow: Flow<Running>,
    ended: AtomicBool,
    delivered: AtomicU64,
    limit: Option<u64>,
    /// Slots of the row in the order of the query's columns.
    slots: Vec<usize>,
    /// What is shown of a deleted row, column by column.
    kept: Vec<Kept>,
}

/// The query in the runtime.
struct Running {
    runtime: Arc<Runtime>,
    id: String,
}

impl Switch for Running {
    fn pause(&self) {
        self.runtime.pause(&self.id);
    }

    fn resume(&self) {
        self.runtime.resume(&self.id);
    }
}

impl Client for Shared {
    fn backlog(&self) -> Option<Backlog> {
        self.flow.backlog()
    }

    fn close(&self, error: Option<String>) {
        self.outbox.close(PushRow::Ended { error });
    }
}

impl Collector for Shared {
    fn collect(&self, row: &Row) -> bool {
        if self.ended.load(Ordering::Acquire) {
            return false;
        }
        let delivered = self.delivered.fetch_add(1, Ordering::AcqRel);
        if self.limit.is_some_and(|limit| delivered >= limit) {
            return false;
        }
        let tombstone = !row.meta.has_value;
        let values = if tombstone {
            self.kept.iter().map(|kept| kept.value(row)).collect()
        } else {
            self.slots.iter().map(|slot| row.values.get(*slot).cloned().unwrap_or_default()).collect()
        };
        let row = PushRow::Row { values, tombstone };
        let bytes = row.weight();
        self.flow.add(bytes);
        if !self.outbox.add(row, bytes) {
            self.ended.store(true, Ordering::Release);
            return false;
        }
        if self.limit == Some(delivered + 1) {
            self.ended.store(true, Ordering::Release);
            self.outbox.close(PushRow::LimitReached);
            return false;
        }
        true
    }

    fn end_of_chunk(&self) {
        if !self.outbox.hand_over() {
            self.ended.store(true, Ordering::Release);
        }
    }
}

impl PushQuery {
    /// The next row; waits for it. `None` after the last thing to come.
    pub async fn next(&mut self) -> Option<PushRow> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Self::next`], for who polls.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<PushRow>> {
        loop {
            if let Some(row) = self.at_hand() {
                return Poll::Ready(Some(row));
            }
            match ready!(self.rows.poll_recv(cx)) {
                Some(rows) => self.at_hand = rows.into_iter(),
                None => return Poll::Ready(None),
            }
        }
    }

    /// The next row if one is there.
    pub fn try_next(&mut self) -> Option<PushRow> {
        loop {
            if let Some(row) = self.at_hand() {
                return Some(row);
            }
            self.at_hand = self.rows.try_recv().ok()?.into_iter();
        }
    }

    fn at_hand(&mut self) -> Option<PushRow> {
        if let Some(values) = self.first.next() {
            return Some(PushRow::Row { values, tombstone: false });
        }
        let row = self.at_hand.next()?;
        self.taken(&row);
        Some(row)
    }

    fn taken(&mut self, row: &PushRow) {
        match row {
            PushRow::Row { .. } => self.shared.flow.take(row.weight()),
            PushRow::LimitReached | PushRow::Ended { .. } => self.rows.close(),
        }
    }
}

impl Drop for PushQuery {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.engine.queries.remove_push(&self.id);
        // Topics go behind whoever still writes them; without any there is nothing to wait for.
        self.engine.runtime.stop_soon(&self.id);
        if !self.internal_topics.is_empty() {
            self.engine.runtime.stop(&self.id);
            self.engine.runtime.forget_temporary(&self.internal_topics);
        }
    }
}

impl Engine {
    /// Starts a push query (`SELECT … EMIT CHANGES`) for a user, where it is known who that is.
    ///
    /// # Errors
    /// The statement is wrong, or the log is away.
    pub fn push_query(
        self: &Arc<Self>,
        query: &Query,
        statement: &str,
        session: &SessionProperties,
        user: Option<Arc<str>>,
    ) -> Result<PushQuery, EngineError> {
        let catalog = self.catalog();
        let id = push_id(query, &catalog, session);
        let topics = self.topic_lookup();
        let planned = analyze::push_query(query, statement, &self.context(&catalog, session, &topics), &id);
        let mut planned = planned.map_err(AnalysisError::of_push)?;
        register_plan(&mut planned.plan, &*self.registry)?;
        let columns = planned.schema.value.clone();
        let schema = &planned.plan.root.schema;
        let slots: Vec<usize> = columns.iter().filter_map(|c| schema.slot(&c.name)).collect();
        self.check_own_topics(&planned.plan, "The name of what is read first is part of its id: give that a shorter one.")?;
        let mut content = self.push_content(&mut planned, &slots, session)?;
        if let Some(limit) = query.limit.and_then(|limit| usize::try_from(limit).ok()) {
            content.rows.truncate(limit);
        }
        let first = u64::try_from(content.rows.len()).unwrap_or(u64::MAX);
        let (outbox, rows) = Outbox::new();
        let shared = Arc::new(Shared {
            outbox,
            flow: Flow::new(Running { runtime: self.runtime.clone(), id: id.clone() }),
            ended: AtomicBool::new(false),
            delivered: AtomicU64::new(first),
            limit: query.limit,
            slots,
            kept: Kept::of(&columns, &planned.plan.root),
        });
        if query.limit.is_some_and(|limit| limit <= first) {
            shared.ended.store(true, Ordering::Release);
            shared.outbox.close(PushRow::LimitReached);
        }
        let plan = Arc::new(planned.plan);
        let internal_topics = self.runtime.internal_topics(&plan);
        let handle = self.runtime.start_query(StartQuery {
            // A table by itself shows only what changes from now on where that is asked for; one that is joined must be whole.
            resets_tables: plan.sources.len() == 1 && session.get("auto.offset.reset").is_some(),
            policy: session.record_policy(),
            collector: Some(shared.clone()),
            begin_at: content.ends,
            ..StartQuery::new(plan.clone(), session.offset_reset())
        })?;
        let watcher: Arc<QueryHandle> = handle.clone();
        let failures: Arc<Failures> = Arc::default();
        watcher.on_end({
            let (shared, failures, clock) = (shared.clone(), failures.clone(), self.clock.clone());
            Box::new(move |state| {
                let error = match state {
                    QueryState::Failed(failure) => {
                        failures.note(clock.now_ms());
                        Some(failure.reason.clone())
                    }
                    _ => None,
                };
                shared.outbox.close(PushRow::Ended { error });
            })
        });
        let info = PushQueryInfo {
            id: id.clone(),
            statement: statement.to_owned(),
            plan,
            schema: planned.schema,
            window: planned.window,
            properties: session.0.clone(),
            begun_by: user,
            handle,
            failures,
        };
        self.queries.add_push(info, Arc::new(Closer::new(shared.clone())));
        let is_table = planned.kind == SourceKind::Table;
        let (first, at_hand) = (content.rows.into_iter(), Vec::new().into_iter());
        Ok(PushQuery { id, columns, is_table, first, rows, at_hand, shared, engine: self.clone(), internal_topics })
    }
}

/// The property that asks for the names of scalable push queries.
const SCALABLE: &str = "query.push.v2.enabled";

/// As ksqlDB names push queries: `SCALABLE_PUSH_QUERY_<source>_<number>` where it would serve one by what another query writes.
fn push_id(query: &Query, catalog: &Catalog, session: &SessionProperties) -> String {
    let is_asked_for = session.get(SCALABLE).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    if is_asked_for && session.offset_reset() == OffsetSpec::Latest && analyze::is_scalable(query, catalog) {
        return transient_id(query).replacen("transient_", "SCALABLE_PUSH_QUERY_", 1);
    }
    transient_id(query)
}

/// `transient_<source>_<number>`, as ksqlDB names them.
pub(super) fn transient_id(query: &Query) -> String {
    let number = uuid::Uuid::new_v4().as_u64_pair().0 >> 1;
    format!("transient_{}_{number}", left_most(&query.from))
}

fn left_most(relation: &Relation) -> &str {
    match relation {
        Relation::Source { name, .. } => &name.name,
        Relation::Join(join) => left_most(&join.left),
    }
}
