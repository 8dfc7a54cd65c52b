//! Pull queries: what a table holds now, and what a stream's topic held when the query came.

use std::sync::Arc;

use tidemill_parser::ast::Query;

use super::pull_rows::{Chunk, PullRows, Source};
use super::{Engine, EngineError, PersistentQuery, SessionProperties};
use crate::analyze::{self, KeyConstraint, Lookup, PullPlan, PullQuery, WindowBounds};
use crate::catalog::Catalog;
use crate::expr::{self, Compiled, Env, Eval, Scope};
use crate::operators::materialized::{MaterializedReader, Shown, Snapshots};
use crate::row::Row;
use crate::runtime::{Elsewhere, QueryState};
use crate::state::{self, KeyRange, StateError, StoreReader};
use crate::types::Value;
use crate::types::codec;

impl Engine {
    /// Answers a pull query (a SELECT without EMIT). What it finds is read as its rows are taken.
    ///
    /// # Errors
    /// The statement is wrong, the table can't be looked up, or the log is away.
    pub fn pull_query(&self, query: &Query, statement: &str, session: &SessionProperties) -> Result<PullRows, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let id = super::push::transient_id(query);
        match analyze::pull_query(query, statement, &self.context(&catalog, session, &topics), &id)? {
            PullQuery::Stream(planned) => self.scan_stream(*planned, query.limit),
            PullQuery::Table(plan) => self.look_up(&PlannedLookUp::new(*plan, catalog)?),
        }
    }

    /// Plans a pull query over a table once, to be asked again and again.
    ///
    /// # Errors
    /// The statement is wrong, or reads a stream.
    pub fn plan_look_up(&self, query: &Query, statement: &str, session: &SessionProperties) -> Result<PlannedLookUp, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let id = super::push::transient_id(query);
        match analyze::pull_query(query, statement, &self.context(&catalog, session, &topics), &id)? {
            PullQuery::Table(plan) => PlannedLookUp::new(*plan, catalog),
            PullQuery::Stream(_) => Err(EngineError::internal("a stream is read, and not looked up")),
        }
    }

    /// Whether what was planned still means the same: nothing was created, altered or dropped since.
    pub fn is_current(&self, planned: &PlannedLookUp) -> bool {
        Arc::ptr_eq(&planned.catalog, &self.catalog())
    }

    /// Answers a pull query that was planned.
    ///
    /// # Errors
    /// The table can't be looked up.
    pub fn look_up(&self, planned: &PlannedLookUp) -> Result<PullRows, EngineError> {
        let plan = &planned.plan;
        let source = planned.catalog.source(&plan.source).ok_or_else(|| EngineError::internal("the table has gone"))?;
        let query_id = source.created_by.as_deref().ok_or_else(|| not_materialized(&plan.source))?;
        let persistent = self.queries.get(query_id).ok_or_else(|| {
            EngineError::user(format!("The table {} can't be queried: its query {query_id} has been terminated.", plan.source))
        })?;
        self.check_restored(&persistent, &plan.source)?;
        let reader = persistent.materialized().ok_or_else(|| not_materialized(&plan.source))?;
        let elsewhere = |elsewhere| is_elsewhere(&plan.source, &elsewhere);
        let partitions = self.runtime.partition_readers(query_id, reader.stores()).map_err(elsewhere)?;
        if let (true, QueryState::Failed(failure)) = (partitions.is_empty(), persistent.state()) {
            let (table, reason) = (&plan.source, failure.reason.trim_end_matches('.').to_owned());
            return Err(EngineError::external(format!("The table {table} can't be queried: its query {query_id} failed: {reason}.")));
        }
        let pull = TablePull::new(planned, reader, partitions);
        Ok(PullRows { columns: plan.columns.clone(), from_stream: false, source: Source::Table(Box::new(pull)) })
    }
}

/// A pull query over a table, with its expressions compiled.
pub struct PlannedLookUp {
    plan: PullPlan,
    /// What it was planned with.
    catalog: Arc<Catalog>,
    predicate: Option<Arc<Eval<bool>>>,
    items: Arc<[Compiled]>,
}

impl PlannedLookUp {
    fn new(plan: PullPlan, catalog: Arc<Catalog>) -> Result<Self, EngineError> {
        let scope = Scope::new(&plan.schema, plan.windowed);
        let compile = |text: &str| {
            let parsed = tidemill_parser::parse_expression(text)?;
            expr::compile(&parsed, &scope).map_err(|e| EngineError::user(e.to_string()))
        };
        let predicate = match &plan.predicate {
            Some(text) => {
                let parsed = tidemill_parser::parse_expression(text)?;
                Some(Arc::new(expr::compile_predicate(&parsed, &scope).map_err(|e| EngineError::user(e.to_string()))?))
            }
            None => None,
        };
        let items = plan.items.iter().map(|item| compile(&item.expr)).collect::<Result<_, _>>()?;
        Ok(PlannedLookUp { plan, catalog, predicate, items })
    }
}

impl Engine {
    /// Whether a table can be read: nobody reads state that is not whole.
    ///
    /// # Errors
    /// It is being restored.
    pub fn check_restored(&self, query: &PersistentQuery, table: &str) -> Result<(), EngineError> {
        let handle = query.handle.read().clone();
        let Some(state) = handle.ok().and_then(|handle| handle.restoring()) else { return Ok(()) };
        self.runtime.ask_for(&query.id);
        Err(EngineError::external(format!(
            "The table {table} can't be queried yet: its state is being restored ({state}). Try again later."
        )))
    }
}

/// Nobody is given a part of a table for the whole of it.
pub(crate) fn is_elsewhere(table: &str, elsewhere: &Elsewhere) -> EngineError {
    EngineError::external(format!("The table {table} can't be queried here at the moment: {elsewhere}. Try again later."))
}

fn not_materialized(table: &str) -> EngineError {
    EngineError::user(format!(
        "The `{table}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{table} AS SELECT * FROM {table}'."
    ))
}

/// One look into a table, which goes on from chunk to chunk.
pub(super) struct TablePull {
    reader: Arc<MaterializedReader>,
    /// Readers of the table's stores in each partition.
    partitions: Vec<Vec<StoreReader>>,
    /// The same as they were when the first range was read, for those ranges.
    snapshots: Option<Vec<Snapshots>>,
    predicate: Option<Arc<Eval<bool>>>,
    items: Arc<[Compiled]>,
    /// What is still to be read, the next last.
    parts: Vec<Part>,
    /// Rows that the limit still allows; `None`: without limit.
    left: Option<u64>,
}

/// What can be read by itself.
enum Part {
    /// One key, in the store of its partition.
    Key(Vec<u8>),
    /// The windows of one key: a range of one partition, in one of the stores that hold its keys.
    Windows { partition: usize, store: usize, from: Vec<u8>, to: Option<Vec<u8>>, windows: WindowBounds },
    /// Many keys of one partition, in one of the stores that hold them, as of the moment of the snapshot.
    Range { partition: usize, store: usize, from: Vec<u8>, to: Option<Vec<u8>>, windows: WindowBounds },
}

impl TablePull {
    fn new(planned: &PlannedLookUp, reader: Arc<MaterializedReader>, partitions: Vec<Vec<StoreReader>>) -> Self {
        let PlannedLookUp { plan, predicate, items, .. } = planned;
        let parts = parts(plan, partitions.len(), reader.key_stores());
        TablePull { left: plan.limit, reader, partitions, snapshots: None, predicate: predicate.clone(), items: items.clone(), parts }
    }

    /// From now on reading fails with [`crate::state::StateError::Busy`] where it would have to wait.
    pub(super) fn without_waiting(&mut self) {
        let partitions = std::mem::take(&mut self.partitions).into_iter();
        self.partitions = partitions.map(|stores| stores.into_iter().map(StoreReader::without_waiting).collect()).collect();
    }

    /// Reads on until a chunk is full; an empty one is the end.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), EngineError> {
        while !self.is_done() && !chunk.is_full() {
            let Some(part) = self.parts.pop() else { break };
            match part {
                Part::Key(key) => self.look_up(&key, chunk)?,
                Part::Windows { partition, store, from, to, windows } => {
                    if let Some(from) = self.scan((partition, store), &from, to.as_deref(), windows, chunk)? {
                        self.parts.push(Part::Windows { partition, store, from, to, windows });
                    }
                }
                Part::Range { partition, store, from, to, windows } => {
                    if let Some(from) = self.scan_snapshot((partition, store), &from, to.as_deref(), windows, chunk)? {
                        self.parts.push(Part::Range { partition, store, from, to, windows });
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == Some(0) || self.parts.is_empty()
    }

    /// Reads one key in the store of its partition.
    fn look_up(&mut self, key: &[u8], chunk: &mut Chunk) -> Result<(), EngineError> {
        for partition in &self.partitions {
            if let Some(row) = self.reader.get(key, partition)? {
                self.left = take(self.left, self.predicate.as_deref(), &self.items, &row, chunk);
                break;
            }
        }
        Ok(())
    }

    /// Reads a range of a store until the chunk is full; where it goes on then.
    fn scan(
        &mut self,
        (partition, store): (usize, usize),
        from: &[u8],
        to: Option<&[u8]>,
        windows: WindowBounds,
        chunk: &mut Chunk,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(stores) = self.partitions.get(partition) else { return Ok(None) };
        let mut next = None;
        let left = &mut self.left;
        self.reader.scan(store, from, to, stores, &mut |key, row| {
            if row.meta.window.is_none_or(|w| windows.admits(w)) {
                *left = take(*left, self.predicate.as_deref(), &self.items, &row, chunk);
            }
            if chunk.is_full() {
                // The smallest key behind this one.
                next = Some([key, &[0]].concat());
            }
            next.is_none() && *left != Some(0)
        })?;
        Ok(next)
    }
}

impl TablePull {
    /// As [`Self::scan`], of the table as it was when the first range was read: a scan of any length holds nobody back, and
    /// nothing is kept for it but what changed since the last commit.
    fn scan_snapshot(
        &mut self,
        (partition, store): (usize, usize),
        from: &[u8],
        to: Option<&[u8]>,
        windows: WindowBounds,
        chunk: &mut Chunk,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        if self.snapshots.is_none() {
            let range: KeyRange = (from.to_vec(), to.map(<[u8]>::to_vec));
            let wanted: Vec<_> = self.partitions.iter().flatten().map(|store| (store.clone(), vec![range.clone()])).collect();
            let mut taken = state::take_snapshots(&wanted)?.into_iter();
            self.snapshots = Some(self.partitions.iter().map(|stores| Snapshots(taken.by_ref().take(stores.len()).collect())).collect());
        }
        let Some(stores) = self.snapshots.as_ref().and_then(|partitions| partitions.get(partition)) else { return Ok(None) };
        let mut next = None;
        let (left, predicate, items) = (&mut self.left, self.predicate.as_deref(), &self.items);
        self.reader.scan_snapshot(store, from, to, stores, windows, &mut Row::default(), &mut |key, shown| {
            // A reader that was not narrowed shows rows.
            let Shown::Row(row) = shown else { return Err(StateError::Storage("an entry without its row".into())) };
            *left = take(*left, predicate, items, row, chunk);
            if chunk.is_full() {
                // The smallest key behind this one.
                next = Some([key, &[0]].concat());
            }
            Ok(next.is_none() && *left != Some(0))
        })?;
        Ok(next)
    }
}

/// What a plan asks to be read, the first last.
fn parts(plan: &PullPlan, partitions: usize, key_stores: usize) -> Vec<Part> {
    let all = move || (0..partitions).flat_map(move |partition| (0..key_stores).map(move |store| (partition, store)));
    let windows_of_key = |from: Vec<u8>, to: Option<Vec<u8>>, windows: WindowBounds| {
        all().map(move |(partition, store)| Part::Windows { partition, store, from: from.clone(), to: to.clone(), windows })
    };
    let ranges = |from: Vec<u8>, to: Option<Vec<u8>>, windows: WindowBounds| {
        all().map(move |(partition, store)| Part::Range { partition, store, from: from.clone(), to: to.clone(), windows })
    };
    let encode = |key: &[Value]| {
        let mut bytes = Vec::new();
        codec::encode_key(key, &mut bytes);
        bytes
    };
    let mut parts: Vec<Part> = match &plan.lookup {
        Lookup::Keys(keys) => {
            let of_key = |constraint: &KeyConstraint| -> Vec<Part> {
                let key = encode(&constraint.key);
                match codec::prefix_end(&key) {
                    end if plan.windowed => windows_of_key(key, end, constraint.windows).collect(),
                    _ => vec![Part::Key(key)],
                }
            };
            keys.iter().flat_map(of_key).collect()
        }
        Lookup::Range { key, windows } => {
            let from = key.from.as_ref().map(|(value, inclusive)| (encode(std::slice::from_ref(value)), *inclusive));
            let from = match from {
                Some((from, true)) => from,
                // Behind every key that begins so; where there is none, the key itself.
                Some((from, false)) => codec::prefix_end(&from).unwrap_or(from),
                None => Vec::new(),
            };
            let to = key.to.as_ref().and_then(|(value, inclusive)| {
                let to = encode(std::slice::from_ref(value));
                if *inclusive { codec::prefix_end(&to) } else { Some(to) }
            });
            ranges(from, to, *windows).collect()
        }
        Lookup::Scan { windows } => ranges(Vec::new(), None, *windows).collect(),
    };
    parts.reverse();
    parts
}

/// Applies the rest of WHERE and the projection to a row, and adds it to a chunk. How many rows the limit allows then.
fn take(left: Option<u64>, predicate: Option<&Eval<bool>>, items: &[Compiled], row: &Row, chunk: &mut Chunk) -> Option<u64> {
    let env = Env::new(&row.values, &row.meta);
    if let Some(predicate) = predicate
        && !matches!(predicate(&env), Ok(Some(true)))
    {
        return left;
    }
    // An expression that fails is null, as in a persistent query.
    chunk.push(items.iter().map(|item| item.eval_value(&env).unwrap_or_default()).collect());
    left.map(|left| left.saturating_sub(1))
}
