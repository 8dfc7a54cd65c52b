//! The rows of a pull query in partitions that other servers have: asked for there, in pages, and handed on in the order in which one
//! server would give them.
//!
//! A page that does not come is asked for again, wherever its partitions are by then; of a standby before, where the question allows
//! that. Nothing of it has been handed on before, so an
//! answer is whole, or ends with an error.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::freshness::Wanted;
use super::peers::{
    ASK_PATIENCE, FIRST_PAUSE, LONGEST_PAUSE, NotAnswered, PATIENCE, Page, Peers, Position, Question, given_up, named, nobodys,
};
use super::pull::{Asked, PlannedLookUp, columns};
use super::pull_rows::Chunk;
use super::{Engine, EngineError};
use crate::analyze::{Lookup, PullPlan};
use crate::catalog::Source;
use crate::formats::topic::TopicWriter;
use crate::log::{PartitionId, partition_for};
use crate::row::{Row, RowMeta};
use crate::state::{StateError, StoreReader};
use crate::types::Value;

/// See the module.
pub(super) struct Remote {
    engine: Arc<Engine>,
    /// What is asked, but for what changes from one page to the next.
    question: Question,
    /// How far behind a standby may be that answers instead of an owner that does not; `None`: none may.
    max_lag: Option<u64>,
    /// Until when what the answer has to include may take to be there.
    fresh_by: Option<Instant>,
    /// How many standbys each partition has.
    standbys: usize,
    table: String,
    shares: Vec<Share>,
    /// Whether everybody is asked at once, for all of it will be needed.
    asks_all: bool,
    /// It must not wait.
    is_hasty: bool,
}

/// Whom a page is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Owner,
    /// The standby of that place, from 0.
    Standby(usize),
}

/// Partitions that are asked for together.
struct Share {
    partitions: Vec<PartitionId>,
    /// Where keys that are looked up should be: it is asked first.
    is_likely: bool,
    /// Rows that have come and were not handed on, with their parts, in order.
    rows: VecDeque<(u32, Vec<Value>)>,
    /// Where the next page begins; `None`: there is none.
    next: Option<Position>,
}

impl Share {
    /// Whether it is not known whether it has more rows of a part.
    fn is_behind(&self, part: u32) -> bool {
        self.rows.is_empty() && self.next.as_ref().is_some_and(|next| next.part <= part)
    }
}

impl Remote {
    /// For the partitions of a table whose stores are not here.
    pub fn new(
        engine: &Arc<Engine>,
        asked: &Asked,
        planned: &PlannedLookUp,
        query_id: &str,
        partitions: &[Vec<StoreReader>],
        wanted: Option<&Wanted>,
    ) -> Self {
        let missing = |(partition, stores): (usize, &Vec<_>)| stores.is_empty().then(|| PartitionId::try_from(partition).ok())?;
        let missing: Vec<PartitionId> = partitions.iter().enumerate().filter_map(missing).collect();
        let (plan, likely) = (&planned.plan, planned.near(partitions.len()));
        let (near, far) = missing.into_iter().partition(|partition| likely.as_ref().is_none_or(|likely| likely.contains(partition)));
        let share = |partitions: Vec<PartitionId>, is_likely| {
            (!partitions.is_empty()).then(|| Share { partitions, is_likely, rows: VecDeque::new(), next: Some(Position::default()) })
        };
        Remote {
            engine: engine.clone(),
            question: Question {
                statement: asked.statement.clone(),
                properties: asked.properties.clone(),
                query_id: query_id.into(),
                columns: columns(plan).into(),
                width: plan.columns.len(),
                partition_count: partitions.len(),
                partitions: Vec::new(),
                from: Position::default(),
                limit: None,
                max_lag: None,
            },
            // A standby does not say what its state includes.
            max_lag: asked.properties.standby_reads().filter(|_| wanted.is_none()),
            fresh_by: wanted.map(|wanted| wanted.deadline),
            standbys: engine.runtime.standbys(query_id),
            table: plan.source.clone(),
            shares: [share(near, true), share(far, false)].into_iter().flatten().collect(),
            asks_all: likely.is_none(),
            is_hasty: false,
        }
    }

    /// From now on it fails where servers would have to be asked.
    pub fn without_waiting(&mut self) {
        self.is_hasty = true;
    }

    /// Hands on the rows of a part, in one partition or (a key) in whichever it is, as many as a chunk and the limit allow; whether
    /// these were all. Blocks.
    pub fn take(
        &mut self,
        part: u32,
        partition: Option<PartitionId>,
        left: &mut Option<u64>,
        chunk: &mut Chunk,
    ) -> Result<bool, EngineError> {
        if self.asks_all {
            self.advance(part, *left, &|_| true)?;
            self.asks_all = false;
        }
        let has_it = |share: &Share| partition.is_none_or(|partition| share.partitions.contains(&partition));
        // Where it should be first; elsewhere only what was not found.
        for is_likely in [true, false] {
            let wanted = |share: &Share| share.is_likely == is_likely && has_it(share);
            loop {
                self.advance(part, *left, &wanted)?;
                let mut shares = self.shares.iter_mut().filter(|share| wanted(share));
                let Some(share) = shares.find(|share| share.rows.front().is_some_and(|(of, _)| *of <= part)) else { break };
                if share.rows.front().is_some_and(|(of, _)| *of < part) {
                    // A key that was found nearer.
                    share.rows.pop_front();
                    continue;
                }
                if *left == Some(0) || chunk.is_full() {
                    return Ok(false);
                }
                let Some((_, row)) = share.rows.pop_front() else { break };
                chunk.push(row);
                *left = left.map(|left| left.saturating_sub(1));
                if partition.is_none() {
                    // A key has one row.
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }

    /// Asks for pages until no share that is wanted is behind a part.
    fn advance(&mut self, part: u32, limit: Option<u64>, wanted: &dyn Fn(&Share) -> bool) -> Result<(), EngineError> {
        let (clock, mut looked_after) = (self.engine.clock.clone(), None);
        let fresh_by = self.fresh_by;
        let patience = || fresh_by.unwrap_or_else(|| clock.instant()).max(clock.instant() + PATIENCE);
        let (mut deadline, mut pause) = (patience(), FIRST_PAUSE);
        loop {
            if !self.shares.iter().any(|share| share.is_behind(part) && wanted(share)) {
                return Ok(());
            }
            if self.is_hasty {
                return Err(StateError::Busy.into());
            }
            let mut trouble = self.ask(part, limit, wanted, looked_after, Whom::Owner)?;
            for place in 0..self.max_lag.map_or(0, |_| self.standbys) {
                let Some(before) = trouble else { break };
                let with_standby = |standby| format!("{before}; of standbys: {standby}");
                trouble = self.ask(part, limit, wanted, None, Whom::Standby(place))?.map(with_standby);
            }
            let Some(trouble) = trouble else {
                deadline = patience();
                continue;
            };
            if clock.instant() >= deadline {
                return Err(given_up(&self.table, &trouble));
            }
            // What was known by now has led nowhere.
            looked_after = Some(clock.instant());
            std::thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Asks each share that is behind for its next page, once; what has kept one of them from it.
    fn ask(
        &mut self,
        part: u32,
        limit: Option<u64>,
        wanted: &dyn Fn(&Share) -> bool,
        looked_after: Option<Instant>,
        whom: Whom,
    ) -> Result<Option<String>, EngineError> {
        let seating = match self.engine.seating(looked_after) {
            Ok(seating) => seating,
            Err(error) => return Ok(Some(format!("the servers that share the service can't be looked at ({})", error.message))),
        };
        let slots = self.engine.runtime.config().slots;
        let (behind, rest): (Vec<Share>, _) =
            std::mem::take(&mut self.shares).into_iter().partition(|share| share.is_behind(part) && wanted(share));
        self.shares = rest;
        let (first, mut owners) = (self.shares.len(), Vec::new());
        for share in behind {
            let mut by_owner: BTreeMap<Option<String>, Vec<PartitionId>> = BTreeMap::new();
            for partition in share.partitions {
                let slot = slots.of(&self.question.query_id, partition);
                let server = match whom {
                    Whom::Owner => seating.owner(slot),
                    Whom::Standby(place) => seating.standby(slot, place),
                };
                by_owner.entry(server.map(|server| server.id.clone())).or_default().push(partition);
            }
            for (owner, partitions) in by_owner {
                owners.push(owner);
                let (is_likely, next) = (share.is_likely, share.next.clone());
                self.shares.push(Share { partitions, is_likely, rows: VecDeque::new(), next });
            }
        }
        let shares = self.shares.get_mut(first..).unwrap_or_default();
        let question = |share: &Share| Question {
            partitions: share.partitions.clone(),
            from: share.next.clone().unwrap_or_default(),
            limit,
            max_lag: self.max_lag.filter(|_| whom != Whom::Owner),
            ..self.question.clone()
        };
        let (mut trouble, mut asked, mut questions) = (None, Vec::new(), Vec::new());
        for (share, owner) in shares.iter_mut().zip(&owners) {
            let partitions = named(&share.partitions);
            let Some(server) = owner.as_ref().and_then(|id| seating.servers.get(id)) else {
                trouble = Some(match whom {
                    Whom::Owner => nobodys(&share.partitions),
                    Whom::Standby(_) => format!("there is none for {partitions}"),
                });
                continue;
            };
            if server.is_this {
                match self.engine.answer_here(&question(share)) {
                    Ok(page) => share.fill(page),
                    Err(NotAnswered::NotNow(reason)) => trouble = Some(format!("this server is to have {partitions}: {reason}")),
                    Err(NotAnswered::Failed(error)) => return Err(error),
                }
                continue;
            }
            let Some(url) = &server.url else {
                trouble = Some(format!("server {} has {partitions}, and has not said where it is reached", server.id));
                continue;
            };
            questions.push((url.as_str(), question(share)));
            asked.push((format!("{partitions} (server {} at {url})", server.id), share));
        }
        let Some(peers) = self.engine.peers.get().filter(|_| !questions.is_empty()) else {
            return Ok(trouble.or_else(|| (!questions.is_empty()).then(|| "this server is about to start".to_owned())));
        };
        for (answer, (whose, share)) in peers.ask(&questions, ASK_PATIENCE).into_iter().zip(asked) {
            match answer {
                Ok(page) => share.fill(page),
                Err(NotAnswered::NotNow(reason)) => trouble = Some(format!("{whose}: {reason}")),
                Err(NotAnswered::Failed(error)) => return Err(error),
            }
        }
        Ok(trouble)
    }
}

impl Share {
    fn fill(&mut self, page: Page) {
        (self.rows, self.next) = (page.rows.into(), page.next);
    }
}

impl Engine {
    /// How other servers are asked; once.
    pub fn set_peers(&self, peers: Arc<dyn Peers>) {
        let _ = self.peers.set(peers);
    }

    /// Answers what came to be on this server meanwhile.
    pub(super) fn answer_here(&self, question: &Question) -> Result<Page, NotAnswered> {
        let parsed = tidemill_parser::parse_statement(&question.statement).map_err(|error| NotAnswered::Failed(error.into()))?;
        match parsed.statement {
            tidemill_parser::ast::Statement::Select(query) => self.answer_part(&query, question),
            _ => Err(NotAnswered::Failed(EngineError::internal("what was asked is no query"))),
        }
    }
}

/// The partitions in which the keys of a look-up lie where their records were partitioned as Kafka's clients do it by default; `None`:
/// any. Others may have partitioned them in another way, so that is only where one looks first.
pub(super) fn likely(plan: &PullPlan, source: &Source, count: u32) -> Option<Vec<PartitionId>> {
    // The windows of a key are looked for everywhere.
    let Lookup::Keys(keys) = &plan.lookup else { return None };
    if plan.windowed {
        return None;
    }
    let schema = source.record_schema();
    let mut writer = TopicWriter::new(&source.format, &schema).ok()?;
    let partition = |key: &[Value]| {
        let mut values = key.to_vec();
        values.resize(schema.key.len() + schema.value.len(), Value::Null);
        let row = Row { values, meta: RowMeta { has_key: true, has_value: false, ..RowMeta::default() }, ..Row::default() };
        Some(partition_for(Some(writer.key(&row).ok()??), count, &mut 0))
    };
    keys.iter().map(|constraint| constraint.key.as_slice()).map(partition).collect()
}
