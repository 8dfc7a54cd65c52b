//! Pull queries: what a table holds now, and what a stream's topic held when the query came.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use tidemill_parser::ast::Query;

use super::freshness::Wanted;
use super::peers::{NotAnswered, Page, Position, Question};
use super::pull_rows::{Chunk, PullRows, Source};
use super::readable::UNSURE;
use super::remote::Remote;
use super::{Engine, EngineError, SessionProperties};
use crate::analyze::{self, KeyConstraint, Lookup, PullPlan, PullQuery, WindowBounds};
use crate::catalog::Catalog;
use crate::expr::{self, Compiled, Env, Eval, Scope};
use crate::log::PartitionId;
use crate::operators::materialized::{Looking, MaterializedReader, Shown, Snapshots};
use crate::row::Row;
use crate::runtime::{Elsewhere, QueryState};
use crate::state::{self, KeyRange, StateError, StoreReader};
use crate::types::Value;
use crate::types::codec;

/// Rows and bytes of a page for another server, but for what a last row has beyond that, and entries that are looked at for it, so that
/// it comes soon where few of them are wanted.
const PAGE_ROWS: usize = 16_384;
const PAGE_BYTES: usize = 4 << 20;
const PAGE_LOOKS: usize = 200_000;

impl Engine {
    /// Answers a pull query (a SELECT without EMIT). What it finds is read as its rows are taken.
    ///
    /// # Errors
    /// The statement is wrong, the table can't be looked up, or the log is away.
    pub fn pull_query(self: &Arc<Self>, query: &Query, statement: &str, session: &SessionProperties) -> Result<PullRows, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let id = super::push::transient_id(query);
        match analyze::pull_query(query, statement, &self.context(&catalog, session, &topics), &id)? {
            PullQuery::Stream(planned) => self.scan_stream(*planned, query.limit),
            PullQuery::Table(plan) => {
                let Some(wanted) = self.wanted(&plan.source, session)? else {
                    return self.look_up(&self.planned(*plan, catalog, statement, session)?);
                };
                // Others need not wait for what was waited for.
                let session = session.with_token(&wanted.token);
                self.look_up_fresh(&self.planned(*plan, catalog, statement, &session)?, Some(wanted))
            }
        }
    }

    /// What servers that share the service need of a statement to ask each other goes along.
    fn planned(
        &self,
        plan: PullPlan,
        catalog: Arc<Catalog>,
        statement: &str,
        session: &SessionProperties,
    ) -> Result<PlannedLookUp, EngineError> {
        let asked = self.share.is_some().then(|| Asked { statement: statement.into(), properties: Arc::new(session.clone()) });
        PlannedLookUp::new(plan, catalog, asked)
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
            PullQuery::Table(plan) => self.planned(*plan, catalog, statement, session),
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
    pub fn look_up(self: &Arc<Self>, planned: &PlannedLookUp) -> Result<PullRows, EngineError> {
        self.look_up_fresh(planned, None)
    }

    /// As [`Self::look_up`]; with something wanted it blocks until that is there.
    fn look_up_fresh(self: &Arc<Self>, planned: &PlannedLookUp, wanted: Option<Wanted>) -> Result<PullRows, EngineError> {
        let plan = &planned.plan;
        let source = planned.catalog.source(&plan.source).ok_or_else(|| EngineError::internal("the table has gone"))?;
        let query_id = source.created_by.as_deref().ok_or_else(|| not_materialized(&plan.source))?;
        let persistent = self.queries.get(query_id).ok_or_else(|| {
            EngineError::user(format!("The table {} can't be queried: its query {query_id} has been terminated.", plan.source))
        })?;
        let reader = persistent.materialized().ok_or_else(|| not_materialized(&plan.source))?;
        if let Some(asked) = &planned.asked {
            let partitions = self.partitions_here(&persistent, &plan.source, reader.stores())?;
            if partitions.iter().any(Vec::is_empty) {
                let remote = Remote::new(self, asked, planned, query_id, &partitions, wanted.as_ref());
                let fresh = wanted.map(|wanted| Fresh::new(self, wanted, &partitions)).transpose()?;
                let pull = TablePull { remote: Some(Box::new(remote)), fresh, ..TablePull::new(planned, reader, partitions) };
                return Ok(PullRows { columns: plan.columns.clone(), from_stream: false, source: Source::Table(Box::new(pull)) });
            }
        }
        self.check_restored(&persistent, &plan.source)?;
        let partitions = self.all_partitions(&persistent, &plan.source, reader.stores())?;
        let fresh = wanted.map(|wanted| Fresh::new(self, wanted, &partitions)).transpose()?;
        let pull = TablePull { fresh, ..TablePull::new(planned, reader, partitions) };
        Ok(PullRows { columns: plan.columns.clone(), from_stream: false, source: Source::Table(Box::new(pull)) })
    }
}

/// What an answer has to include of what is read here.
struct Fresh {
    engine: Arc<Engine>,
    wanted: Wanted,
    /// The partitions that are read here.
    here: BTreeSet<PartitionId>,
}

impl Fresh {
    /// Waits until it is included. Blocks.
    fn new(engine: &Arc<Engine>, wanted: Wanted, partitions: &[Vec<StoreReader>]) -> Result<Self, EngineError> {
        let is_here = |(partition, stores): (usize, &Vec<_>)| (!stores.is_empty()).then(|| PartitionId::try_from(partition).ok())?;
        let here = partitions.iter().enumerate().filter_map(is_here).collect();
        engine.await_here(&wanted, &here).map_err(|lacking| wanted.not_fresh(&lacking))?;
        Ok(Fresh { engine: engine.clone(), wanted, here })
    }

    /// What was read since counts only where no task has gone back meanwhile, to its last commit.
    fn check(&self) -> Result<(), EngineError> {
        self.engine.is_here(&self.wanted, &self.here).map_err(|lacking| self.wanted.not_fresh(&lacking))
    }
}

/// How a query was asked: what another server has to know to answer a part of it.
pub(super) struct Asked {
    pub statement: Arc<str>,
    pub properties: Arc<SessionProperties>,
}

/// A pull query over a table, with its expressions compiled.
pub struct PlannedLookUp {
    pub(super) plan: PullPlan,
    /// Where servers share the service.
    asked: Option<Asked>,
    /// What it was planned with.
    catalog: Arc<Catalog>,
    /// Where the keys that are looked up should be, among so many partitions.
    near: OnceLock<(usize, Option<Vec<PartitionId>>)>,
    predicate: Option<Arc<Eval<bool>>>,
    items: Arc<[Compiled]>,
}

impl PlannedLookUp {
    fn new(plan: PullPlan, catalog: Arc<Catalog>, asked: Option<Asked>) -> Result<Self, EngineError> {
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
        Ok(PlannedLookUp { plan, asked, catalog, near: OnceLock::new(), predicate, items })
    }

    /// The partitions, of so many, in which the keys that are looked up should be; `None`: any.
    pub(super) fn near(&self, partitions: usize) -> Option<Vec<PartitionId>> {
        let likely = || {
            let count = u32::try_from(partitions).ok()?;
            super::remote::likely(&self.plan, self.catalog.source(&self.plan.source)?, count)
        };
        match self.near.get_or_init(|| (partitions, likely())) {
            (of, near) if *of == partitions => near.clone(),
            // The table has more partitions than it had.
            _ => likely(),
        }
    }
}

impl Engine {
    /// Answers a part of a pull query that another server was asked, from partitions that are all here, or followed here where that is
    /// enough.
    ///
    /// # Errors
    /// They are not; what [`Self::look_up`] says.
    pub fn answer_part(&self, query: &Query, question: &Question) -> Result<Page, NotAnswered> {
        let not_now = |reason: &str| NotAnswered::NotNow(reason.to_owned());
        if !self.is_sure() {
            return Err(not_now(UNSURE));
        }
        let (catalog, topics) = (self.catalog(), self.topic_lookup());
        let id = super::push::transient_id(query);
        let planned = analyze::pull_query(query, &question.statement, &self.context(&catalog, &question.properties, &topics), &id);
        // Whoever asks has understood it.
        let unheard = "it has not carried out a statement yet that others have";
        let Ok(PullQuery::Table(plan)) = planned else { return Err(not_now(unheard)) };
        let planned = PlannedLookUp::new(*plan, catalog, None).map_err(NotAnswered::Failed)?;
        let source = planned.catalog.source(&planned.plan.source);
        let keeper = source.and_then(|source| source.created_by.as_deref()).filter(|id| **id == *question.query_id);
        let persistent = keeper.and_then(|id| self.queries.get(id)).filter(|_| *columns(&planned.plan) == *question.columns);
        let Some(reader) = persistent.as_ref().and_then(|persistent| persistent.materialized()) else { return Err(not_now(unheard)) };
        let mut partitions = self.runtime.readers_here(&question.query_id, reader.stores());
        if partitions.len() != question.partition_count {
            return Err(match persistent.map(|persistent| persistent.state()) {
                Some(QueryState::Failed(failure)) => not_now(&format!("its query {} failed there: {}", question.query_id, failure.reason)),
                _ => not_now("its query is about to begin there"),
            });
        }
        let (mut lacking, mut place) = (Vec::new(), 0);
        for stores in &mut partitions {
            match (question.partitions.contains(&place), stores.is_empty()) {
                (true, true) => lacking.push(place),
                (true, false) => {}
                (false, _) => stores.clear(),
            }
            place += 1;
        }
        // What is followed here, where that is said to be enough.
        let most = question.max_lag.filter(|_| !lacking.is_empty());
        let standbys = most.map(|_| self.runtime.standbys_of(&question.query_id, reader.stores(), &lacking)).unwrap_or_default();
        let readings = standbys.iter().map(|standby| standby.read(most.unwrap_or_default()));
        let readings = readings.collect::<Result<Vec<_>, _>>().map_err(NotAnswered::NotNow)?;
        for (standby, reading) in standbys.iter().zip(&readings) {
            if let Some(stores) = usize::try_from(standby.partition).ok().and_then(|partition| partitions.get_mut(partition)) {
                stores.clone_from(&reading.readers);
            }
        }
        lacking.retain(|partition| standbys.iter().all(|standby| standby.partition != *partition));
        if !lacking.is_empty() {
            let restoring = persistent.as_ref().and_then(|persistent| self.check_restored(persistent, &planned.plan.source).err());
            return Err(NotAnswered::NotNow(restoring.map_or_else(|| Elsewhere(lacking).to_string(), |error| error.message)));
        }
        let wanted = match &persistent {
            Some(persistent) => self.wanted_here(persistent, &planned.plan.source, reader.stores(), &question.properties),
            None => Ok(None),
        };
        let wanted = wanted.map_err(NotAnswered::Failed)?;
        let asked = question.partitions.iter().copied().collect();
        if let Some(wanted) = &wanted {
            self.await_here(wanted, &asked).map_err(NotAnswered::NotNow)?;
        }
        let mut pull = TablePull::new(&planned, reader, partitions);
        pull.left = question.limit;
        pull.go_on_from(&question.from);
        let page = pull.page().map_err(NotAnswered::Failed);
        drop(readings);
        if let Some(wanted) = &wanted {
            // It may have gone back to its last commit meanwhile.
            self.is_here(wanted, &asked).map_err(NotAnswered::NotNow)?;
        }
        page
    }
}

/// The columns of an answer, as a text.
pub(super) fn columns(plan: &PullPlan) -> String {
    plan.columns.iter().map(|column| format!("{} {}, ", column.column.name, column.column.sql_type)).collect()
}

fn not_materialized(table: &str) -> EngineError {
    EngineError::user(format!(
        "The `{table}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{table} AS SELECT * FROM {table}'."
    ))
}

/// One look into a table, which goes on from chunk to chunk.
pub(super) struct TablePull {
    reader: Arc<MaterializedReader>,
    /// Readers of the table's stores in each partition; of one that is not to be read here, none.
    partitions: Vec<Vec<StoreReader>>,
    /// What is on other servers, where some is.
    remote: Option<Box<Remote>>,
    /// What is asked of its freshness.
    fresh: Option<Fresh>,
    /// How many parts there were.
    count: usize,
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
    /// One key, in the store of its partition, and which that should be.
    Key(Vec<u8>, Option<usize>),
    /// The windows of one key: a range of one partition, in one of the stores that hold its keys.
    Windows { partition: usize, store: usize, from: Vec<u8>, to: Option<Vec<u8>>, windows: WindowBounds },
    /// Many keys of one partition, in one of the stores that hold them, as of the moment of the snapshot.
    Range { partition: usize, store: usize, from: Vec<u8>, to: Option<Vec<u8>>, windows: WindowBounds },
}

impl TablePull {
    fn new(planned: &PlannedLookUp, reader: Arc<MaterializedReader>, partitions: Vec<Vec<StoreReader>>) -> Self {
        let PlannedLookUp { plan, predicate, items, .. } = planned;
        // Of a single one nobody asks where a key is.
        let near = if partitions.len() > 1 { planned.near(partitions.len()) } else { None };
        let parts = parts(plan, partitions.len(), reader.key_stores(), &near.unwrap_or_default());
        TablePull {
            left: plan.limit,
            reader,
            partitions,
            remote: None,
            fresh: None,
            count: parts.len(),
            snapshots: None,
            predicate: predicate.clone(),
            items: items.clone(),
            parts,
        }
    }

    /// From now on reading fails with [`crate::state::StateError::Busy`] where it would have to wait.
    pub(super) fn without_waiting(&mut self) {
        let partitions = std::mem::take(&mut self.partitions).into_iter();
        self.partitions = partitions.map(|stores| stores.into_iter().map(StoreReader::without_waiting).collect()).collect();
        if let Some(remote) = &mut self.remote {
            remote.without_waiting();
        }
    }

    /// Reads on until a chunk is full; an empty one is the end.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), EngineError> {
        while !self.is_done() && !chunk.is_full() {
            self.step(chunk)?;
        }
        self.fresh.as_ref().map_or(Ok(()), Fresh::check)
    }

    /// Reads the next part, or of it what the chunk takes.
    fn step(&mut self, chunk: &mut Chunk) -> Result<(), EngineError> {
        let number = self.next_part();
        let Some(part) = self.parts.pop() else { return Ok(()) };
        match part {
            Part::Key(key, near) => {
                if !self.look_up(&key, near, chunk)? {
                    self.ask(number, None, chunk)?;
                }
            }
            Part::Windows { partition, .. } | Part::Range { partition, .. } if self.is_elsewhere(partition) => {
                if !self.ask(number, Some(partition), chunk)? {
                    self.parts.push(part);
                }
            }
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
        Ok(())
    }

    /// The number of the part that is read next.
    fn next_part(&self) -> u32 {
        u32::try_from(self.count - self.parts.len()).unwrap_or(u32::MAX)
    }

    fn is_elsewhere(&self, partition: usize) -> bool {
        self.remote.is_some() && self.partitions.get(partition).is_some_and(Vec::is_empty)
    }

    /// Takes rows of a part that other servers have found; whether that was all of it.
    fn ask(&mut self, part: u32, partition: Option<usize>, chunk: &mut Chunk) -> Result<bool, EngineError> {
        let Some(remote) = &mut self.remote else { return Ok(true) };
        let partition = partition.and_then(|partition| PartitionId::try_from(partition).ok());
        remote.take(part, partition, &mut self.left, chunk)
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == Some(0) || self.parts.is_empty()
    }

    /// Leaves out what was read before.
    fn go_on_from(&mut self, from: &Position) {
        let done = usize::try_from(from.part).unwrap_or(usize::MAX);
        self.parts.truncate(self.count.saturating_sub(done));
        if let (Some(key), Some(Part::Windows { from, .. } | Part::Range { from, .. })) = (&from.key, self.parts.last_mut()) {
            from.clone_from(key);
        }
    }

    /// Reads a page for another server.
    fn page(&mut self) -> Result<Page, EngineError> {
        let mut chunk = Chunk::of(PAGE_ROWS, PAGE_BYTES, PAGE_LOOKS);
        let mut rows = Vec::new();
        while !self.is_done() && !chunk.is_full() {
            let part = self.next_part();
            self.step(&mut chunk)?;
            // What was read of this part is what came since.
            rows.resize(chunk.rows.len(), part);
        }
        let next = (!self.is_done()).then(|| {
            let key = match self.parts.last() {
                Some(Part::Windows { from, .. } | Part::Range { from, .. }) => Some(from.clone()),
                Some(Part::Key(..)) | None => None,
            };
            Position { part: self.next_part(), key }
        });
        Ok(Page { rows: rows.into_iter().zip(chunk.rows).collect(), next })
    }

    /// Reads one key, first where it should be; whether it is there.
    fn look_up(&mut self, key: &[u8], near: Option<usize>, chunk: &mut Chunk) -> Result<bool, EngineError> {
        let others = (0..self.partitions.len()).filter(|partition| Some(*partition) != near);
        let partitions = near.into_iter().chain(others).filter_map(|partition| self.partitions.get(partition));
        for partition in partitions.filter(|stores| !stores.is_empty()) {
            if let Some(row) = self.reader.get(key, partition)? {
                self.left = take(self.left, self.predicate.as_deref(), &self.items, &row, chunk);
                return Ok(true);
            }
        }
        Ok(false)
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
        let Some(stores) = self.partitions.get(partition).filter(|stores| !stores.is_empty()) else { return Ok(None) };
        let mut next = None;
        let left = &mut self.left;
        self.reader.scan(store, from, to, stores, &mut |key, row| {
            chunk.has_looked();
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
        let stores = self.snapshots.as_ref().and_then(|partitions| partitions.get(partition));
        let Some(stores) = stores.filter(|stores| !stores.0.is_empty()) else { return Ok(None) };
        let mut next = None;
        let (left, predicate, items) = (&mut self.left, self.predicate.as_deref(), &self.items);
        let mut looking = Looking { windows, row: &mut Row::default(), left: chunk.looks_left };
        let not_looked_at = self.reader.scan_snapshot(store, from, to, stores, &mut looking, &mut |key, shown| {
            // A reader that was not narrowed shows rows.
            let Shown::Row(row) = shown else { return Err(StateError::Storage("an entry without its row".into())) };
            *left = take(*left, predicate, items, row, chunk);
            if chunk.is_full() {
                // The smallest key behind this one.
                next = Some([key, &[0]].concat());
            }
            Ok(next.is_none() && *left != Some(0))
        })?;
        chunk.looks_left = looking.left;
        Ok(next.or(not_looked_at))
    }
}

/// What a plan asks to be read, the first last; `near` says where its keys should be, where that is known.
fn parts(plan: &PullPlan, partitions: usize, key_stores: usize, near: &[PartitionId]) -> Vec<Part> {
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
            let of_key = |(number, constraint): (usize, &KeyConstraint)| -> Vec<Part> {
                let key = encode(&constraint.key);
                match codec::prefix_end(&key) {
                    end if plan.windowed => windows_of_key(key, end, constraint.windows).collect(),
                    _ => vec![Part::Key(key, near.get(number).and_then(|partition| usize::try_from(*partition).ok()))],
                }
            };
            keys.iter().enumerate().flat_map(of_key).collect()
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
