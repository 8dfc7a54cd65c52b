//! Reading what one has written, from whatever server is asked: a client says which records an answer has to include, by their places in
//! topics, and whoever answers waits until it does, or says why it can't.
//!
//! What a table includes of a record shows where the table is made: the task that has the partition has read behind it. Where
//! there are topics between the record's and that task's (repartitions, other queries), each step on the way is waited for: until its query
//! has committed behind the records, and then the records that are in the next topic by that time are what is asked of the next step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peers::{FIRST_PAUSE, LONGEST_PAUSE};
use super::{Engine, EngineError, PersistentQuery, SessionProperties};
use crate::log::{LogError, Offset, OffsetSpec, PartitionId, TopicPartition, read_whole};
use crate::operators;
use crate::runtime::QueryState;

/// The property by which a token comes: positions as [`Token`] has them.
pub const TOKEN: &str = "tidemill.consistency.positions";
/// How long may be waited, milliseconds.
const PATIENCE: &str = "tidemill.consistency.timeout.ms";
/// The same where nothing is said.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);
/// A query holds a thread while it waits.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
/// How long another server is kept waiting for a page; it asks again.
pub(super) const PART_PATIENCE: Duration = Duration::from_secs(1);
/// Positions that a token may have.
const MAX_POSITIONS: usize = 4_096;
/// So few offsets may be markers of transactions alone, which nobody reads: it is looked whether they are.
const MAX_MARKERS: i64 = 64;
/// How long that may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Records that an answer has to include: in each partition all up to one. As a text `topic:partition:offset`, by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token(BTreeMap<TopicPartition, Offset>);

impl Token {
    /// # Errors
    /// What is wrong with it, for whoever gave it.
    pub fn parse(text: &str) -> Result<Token, String> {
        let mut token = Token::default();
        for position in text.split(',').map(str::trim).filter(|position| !position.is_empty()) {
            let wrong = || format!("'{position}' is not topic:partition:offset");
            let mut parts = position.rsplitn(3, ':');
            let offset = parts.next().and_then(|offset| offset.parse::<i64>().ok()).filter(|offset| (0..i64::MAX).contains(offset));
            let partition = parts.next().and_then(|partition| partition.parse::<PartitionId>().ok()).filter(|partition| *partition >= 0);
            let topic = parts.next().filter(|topic| super::topic_name::check_topic_name(topic).is_ok());
            let (Some(offset), Some(partition), Some(topic)) = (offset, partition, topic) else { return Err(wrong()) };
            token.raise(TopicPartition { topic: topic.into(), partition }, Offset(offset.saturating_add(1)));
            if token.0.len() > MAX_POSITIONS {
                return Err(format!("it has more than {MAX_POSITIONS} positions"));
            }
        }
        Ok(token)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything before an offset is to be included.
    fn raise(&mut self, partition: TopicPartition, next: Offset) {
        let known = self.0.entry(partition).or_default();
        *known = next.max(*known);
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (at, next)) in self.0.iter().filter(|(_, next)| next.0 > 0).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}:{}", at.topic, at.partition, next.0 - 1)?;
        }
        Ok(())
    }
}

impl SessionProperties {
    /// The records that answers have to include; `None`: nothing is asked.
    ///
    /// # Errors
    /// It can't be read.
    pub fn token(&self) -> Result<Option<Token>, EngineError> {
        let Some(text) = self.0.get(TOKEN) else { return Ok(None) };
        let token = Token::parse(text).map_err(|why| EngineError::user(format!("Invalid value of {TOKEN}: {why}.")))?;
        Ok(Some(token).filter(|token| !token.is_empty()))
    }

    fn patience(&self) -> Duration {
        let given = self.0.get(PATIENCE).and_then(|text| text.trim().parse().ok());
        given.map_or(DEFAULT_PATIENCE, |given| Duration::from_millis(given).min(LONGEST_PATIENCE))
    }

    /// The same, where other records are asked for.
    pub(super) fn with_token(&self, token: &Token) -> SessionProperties {
        let mut all = self.clone();
        all.0.insert(TOKEN.to_owned(), token.to_string());
        all
    }
}

/// What a query of a table waits for.
#[derive(Clone)]
pub(super) struct Wanted {
    query_id: Arc<str>,
    table: String,
    /// The sub-topologies that keep the table.
    makers: BTreeSet<usize>,
    /// Of the topics that those read.
    pub token: Token,
    pub deadline: Instant,
}

/// A step on the way of records to a table: a sub-topology of a query.
struct Step {
    query: Arc<PersistentQuery>,
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
}

impl Engine {
    /// Positions behind what has been written to partitions by now.
    ///
    /// # Errors
    /// The log is away.
    pub fn token_after(&self, partitions: &BTreeSet<TopicPartition>) -> Result<Token, EngineError> {
        let partitions: Vec<TopicPartition> = partitions.iter().cloned().collect();
        let ends = self.log.offsets(&partitions, OffsetSpec::Latest)?;
        Ok(Token(partitions.into_iter().zip(ends).collect()))
    }

    /// What a query of a table has to wait for on this server and others, after all that lies before that was waited for. Blocks.
    ///
    /// # Errors
    /// It did not come in time, or won't; the token can't be read.
    pub(super) fn wanted(&self, table: &str, session: &SessionProperties) -> Result<Option<Wanted>, EngineError> {
        let Some(given) = session.token()? else { return Ok(None) };
        let deadline = self.clock.instant() + session.patience();
        let catalog = self.catalog();
        let query = catalog.source(table).and_then(|source| self.queries.get(source.created_by.as_deref()?));
        // What is wrong with it is said where it is looked up.
        let Some((query, reader)) = query.and_then(|query| Some((query.clone(), query.materialized()?))) else { return Ok(None) };
        let mut wanted = self.makers(&query, table, reader.stores(), deadline)?;
        let specs = operators::split(&query.plan).map_err(|error| EngineError::internal(error.0))?;
        let made_from: BTreeSet<String> = specs
            .iter()
            .filter(|spec| wanted.makers.contains(&spec.id))
            .flat_map(|spec| spec.sources.iter().map(|s| s.topic.clone()))
            .collect();
        let mut token = given;
        for step in self.steps_before(&made_from, (&query.id, &wanted.makers))? {
            let asked: Vec<(TopicPartition, Offset)> =
                token.0.iter().filter(|(at, _)| step.reads.contains(&*at.topic)).map(|(at, next)| (at.clone(), *next)).collect();
            if asked.is_empty() {
                continue;
            }
            self.await_commit(&step.query, table, &asked, deadline)?;
            for topic in &step.writes {
                let Some(info) = self.log.describe_topic(topic)? else { continue };
                let partitions: BTreeSet<TopicPartition> = info.all_partitions().into_iter().collect();
                for (at, end) in self.token_after(&partitions)?.0 {
                    token.raise(at, end);
                }
            }
        }
        token.0.retain(|at, next| made_from.contains(&*at.topic) && next.0 > 0);
        wanted.token = token;
        Ok(Some(wanted).filter(|wanted| !wanted.token.is_empty()))
    }

    /// As [`Self::wanted`], for whoever is asked by another server, which has waited for what lies before.
    ///
    /// # Errors
    /// The token can't be read.
    pub(super) fn wanted_here(
        &self,
        query: &PersistentQuery,
        table: &str,
        stores: &[String],
        session: &SessionProperties,
    ) -> Result<Option<Wanted>, EngineError> {
        let Some(token) = session.token()? else { return Ok(None) };
        let wanted = self.makers(query, table, stores, self.clock.instant() + PART_PATIENCE)?;
        Ok(Some(Wanted { token, ..wanted }))
    }

    fn makers(&self, query: &PersistentQuery, table: &str, stores: &[String], deadline: Instant) -> Result<Wanted, EngineError> {
        let specs = operators::split(&query.plan).map_err(|error| EngineError::internal(error.0))?;
        let keeps = |spec: &&operators::TaskSpec| spec.stores.iter().any(|store| stores.iter().any(|name| **name == *store.name));
        let makers = specs.iter().filter(keeps).map(|spec| spec.id).collect();
        Ok(Wanted { query_id: query.id.as_str().into(), table: table.to_owned(), makers, token: Token::default(), deadline })
    }

    /// What leads to some topics, each step behind those that lead to it.
    fn steps_before(&self, topics: &BTreeSet<String>, (query, makers): (&str, &BTreeSet<usize>)) -> Result<Vec<Step>, EngineError> {
        let mut rest = Vec::new();
        for other in self.queries.persistent() {
            let specs = operators::split(&other.plan).map_err(|error| EngineError::internal(error.0))?;
            for spec in specs.into_iter().filter(|spec| other.id != query || !makers.contains(&spec.id)) {
                let reads = spec.sources.into_iter().map(|source| source.topic).collect();
                let writes = spec.sinks.into_iter().map(|sink| sink.topic).collect();
                rest.push(Step { query: other.clone(), reads, writes });
            }
        }
        // From the table back: what writes what is read …
        let (mut known, mut on_the_way) = (topics.clone(), Vec::new());
        loop {
            let (leads, others): (Vec<Step>, _) = rest.into_iter().partition(|step| !step.writes.is_disjoint(&known));
            rest = others;
            if leads.is_empty() {
                break;
            }
            known.extend(leads.iter().flat_map(|step| step.reads.iter().cloned()));
            on_the_way.extend(leads);
        }
        for step in &mut on_the_way {
            step.writes.retain(|topic| known.contains(topic));
        }
        // … and forth again: a step has its turn when nobody is left who writes what it reads. Those in a circle have it as they come.
        let mut ordered = Vec::with_capacity(on_the_way.len());
        while !on_the_way.is_empty() {
            let is_ready = |step: &Step| on_the_way.iter().all(|other| other.writes.is_disjoint(&step.reads));
            let next = on_the_way.iter().position(is_ready).unwrap_or(0);
            ordered.push(on_the_way.remove(next));
        }
        Ok(ordered)
    }

    /// Waits until a query has committed behind positions, on whatever servers it runs. Blocks.
    fn await_commit(
        &self,
        query: &PersistentQuery,
        table: &str,
        asked: &[(TopicPartition, Offset)],
        deadline: Instant,
    ) -> Result<(), EngineError> {
        let partitions: Vec<TopicPartition> = asked.iter().map(|(at, _)| at.clone()).collect();
        let group = self.runtime.group(&query.id);
        let mut pause = FIRST_PAUSE;
        loop {
            let committed = self.log.committed(&group, &partitions)?;
            let mut lacking = None;
            for ((at, next), committed) in asked.iter().zip(committed) {
                let committed = committed.unwrap_or_default();
                if committed < *next && !self.is_passed(at, committed, *next)? {
                    lacking = Some(format!("query {} has committed {}", query.id, how_far(at, committed, *next)));
                    break;
                }
            }
            let Some(lacking) = lacking else { return Ok(()) };
            match query.state() {
                QueryState::Paused => return Err(not_fresh(table, &format!("{lacking}, and is paused"))),
                QueryState::Failed(failure) => return Err(not_fresh(table, &format!("{lacking}, and has failed: {}", failure.reason))),
                _ if self.clock.instant() >= deadline => return Err(not_fresh(table, &lacking)),
                _ => {}
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Whether no record is left between two offsets, but markers of transactions.
    fn is_passed(&self, at: &TopicPartition, from: Offset, to: Offset) -> Result<bool, EngineError> {
        if self.log.is_atomic() || to.0.saturating_sub(from.0) > MAX_MARKERS {
            return Ok(false);
        }
        let mut is_one_left = false;
        let read = read_whole(&*self.log, at, from, LOOK_TIMEOUT, &mut |record| is_one_left |= record.offset < to);
        match read {
            // A record that is still to come may get one of these offsets.
            Ok(_) => {
                let end = self.log.offsets(std::slice::from_ref(at), OffsetSpec::Latest)?;
                Ok(!is_one_left && end.first().is_some_and(|end| *end >= to))
            }
            Err(LogError::Retriable(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the tasks of some partitions of a table, which are here, have read what is wanted. Blocks.
    ///
    /// # Errors
    /// They did not in time: how far they are.
    pub(super) fn await_here(&self, wanted: &Wanted, partitions: &BTreeSet<PartitionId>) -> Result<(), String> {
        let mut pause = Duration::from_millis(2);
        loop {
            let Err(lacking) = self.is_here(wanted, partitions) else { return Ok(()) };
            let state = self.queries.get(&wanted.query_id).map(|query| query.state());
            match state {
                Some(QueryState::Paused) => return Err(format!("{lacking}, and is paused")),
                Some(QueryState::Failed(failure)) => return Err(format!("{lacking}, and has failed: {}", failure.reason)),
                _ if self.clock.instant() >= wanted.deadline => return Err(lacking),
                _ => {}
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Whether the tasks of some partitions have read what is wanted by now; an error says how far they are.
    pub(super) fn is_here(&self, wanted: &Wanted, partitions: &BTreeSet<PartitionId>) -> Result<(), String> {
        let reached = self.runtime.reached(&wanted.query_id);
        for (at, next) in wanted.token.0.iter().filter(|(at, _)| partitions.contains(&at.partition)) {
            for maker in &wanted.makers {
                let task = reached.iter().find(|task| task.sub_topology == *maker && task.partition == at.partition);
                let Some(task) = task else {
                    return Err(format!("query {} is about to begin with partition {}", wanted.query_id, at.partition));
                };
                // What only the others read.
                let Some((_, has)) = task.positions.iter().find(|(lane, _)| lane == at) else { continue };
                if has < next {
                    return Err(format!("query {} has read {}", wanted.query_id, how_far(at, *has, *next)));
                }
            }
        }
        Ok(())
    }

    /// Waits until a table includes what the session asks for, wherever its partitions are. Blocks.
    ///
    /// # Errors
    /// It did not in time, or won't; the token can't be read.
    pub fn await_fresh(&self, table: &str, session: &SessionProperties) -> Result<(), EngineError> {
        let Some(wanted) = self.wanted(table, session)? else { return Ok(()) };
        let Some(query) = self.queries.get(&wanted.query_id) else { return Ok(()) };
        let reached = self.runtime.reached(&wanted.query_id);
        let here: BTreeSet<PartitionId> =
            reached.iter().filter(|task| wanted.makers.contains(&task.sub_topology)).map(|task| task.partition).collect();
        let elsewhere = wanted.token.0.iter().filter(|(at, _)| self.share.is_some() && !here.contains(&at.partition));
        let elsewhere: Vec<(TopicPartition, Offset)> = elsewhere.map(|(at, next)| (at.clone(), *next)).collect();
        // Whoever has them now, or later, goes on from there.
        if !elsewhere.is_empty() {
            self.await_commit(&query, table, &elsewhere, wanted.deadline)?;
        }
        self.await_here(&wanted, &here).map_err(|lacking| not_fresh(table, &lacking))
    }
}

impl Wanted {
    pub(super) fn not_fresh(&self, lacking: &str) -> EngineError {
        not_fresh(&self.table, lacking)
    }
}

fn how_far(at: &TopicPartition, has: Offset, next: Offset) -> String {
    let TopicPartition { topic, partition } = at;
    let asked = next.0.saturating_sub(1);
    match has.0 {
        0 => format!("nothing of partition {partition} of topic '{topic}', and offset {asked} was asked for"),
        has => format!("partition {partition} of topic '{topic}' up to offset {}, and {asked} was asked for", has.saturating_sub(1)),
    }
}

fn not_fresh(table: &str, lacking: &str) -> EngineError {
    EngineError::external(format!("The table {table} does not include yet what {TOKEN} asks for: {lacking}. Try again later."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_and_written() {
        let token = Token::parse("orders:1:17, orders:0:41,a.b_c-d:2:0,orders:0:7,").expect("a token");
        assert_eq!(token.to_string(), "a.b_c-d:2:0,orders:0:41,orders:1:17");
        assert_eq!(Token::parse(&token.to_string()), Ok(token));
        assert_eq!(Token::parse(" ").map(|token| token.is_empty()), Ok(true));
        for wrong in ["orders", "orders:0", "orders:x:1", "orders:0:-1", "orders:-1:0", ":0:1", "a/b:0:1", "orders:0:9223372036854775807"] {
            assert!(Token::parse(wrong).is_err_and(|error| error.contains(wrong)), "{wrong}");
        }
        let many: Vec<String> = (0..=MAX_POSITIONS).map(|partition| format!("t:{partition}:1")).collect();
        assert!(Token::parse(&many.join(",")).is_err_and(|error| error.contains("4096")));
    }
}
