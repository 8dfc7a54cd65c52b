//! The queries of a test, and the records that go through them: each record runs through every query that reads its topic,
//! and what these write runs on, depth first, before the next one comes.

use std::collections::HashMap;
use std::sync::Arc;

use tidemill_engine::clock::ManualClock;
use tidemill_engine::log::simulated::{SimulatedLog, StoredRecord};
use tidemill_engine::log::{Offset, RecordRef};
use tidemill_engine::plan::{QueryPlan, StepKind};
use tidemill_engine::runtime::{SyncParts, SyncQuery};

use super::Complaints;
use crate::conformance::world::World;

/// How many queries a record may go through one after the other; more are a circle.
const MAX_DEPTH: usize = 64;

/// A record of a topic, in the order in which records came.
#[derive(Clone)]
pub struct Arrival {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: Offset,
    pub record: Arc<StoredRecord>,
}

/// A query that runs.
struct Running {
    plan: Arc<QueryPlan>,
    query: SyncQuery,
    topics: Vec<String>,
    sink: Option<String>,
    /// Set while it is paused: the records that wait for it.
    missed: Option<Vec<usize>>,
    /// Why it has ended.
    failed: Option<String>,
}

/// What is known of a topic.
#[derive(Default)]
struct Topic {
    /// Records taken over from the log, by partition.
    counts: Vec<usize>,
    /// Indexes of all its records.
    arrivals: Vec<usize>,
    /// How many of them were asserted.
    asserted: usize,
}

pub struct Pipeline {
    log: Arc<SimulatedLog>,
    parts: SyncParts,
    queries: Vec<Running>,
    arrivals: Vec<Arrival>,
    topics: HashMap<String, Topic>,
    /// Whether new queries read what is there already.
    pub from_beginning: bool,
    /// The latest time of any record, and of what the test advanced to.
    pub stream_time: i64,
}

impl Pipeline {
    pub fn new(world: &World, clock: Arc<ManualClock>, complaints: Arc<Complaints>) -> Self {
        let parts = SyncParts {
            log: world.log.clone(),
            state: world.state.clone(),
            clock,
            processing_log: complaints,
            collector: None,
            registry: world.registry.clone(),
        };
        Pipeline {
            log: world.log.clone(),
            parts,
            queries: Vec::new(),
            arrivals: Vec::new(),
            topics: HashMap::new(),
            from_beginning: false,
            stream_time: 0,
        }
    }

    /// Starts and ends queries as a statement asked for it.
    pub fn follow(&mut self, world: &World) -> Result<(), String> {
        let is_kept = |running: &Running| world.plans.iter().any(|plan| Arc::ptr_eq(plan, &running.plan));
        let ended: Vec<String> = self.queries.iter().filter(|q| !is_kept(q)).map(|q| q.plan.query_id.clone()).collect();
        self.queries.retain(is_kept);
        let deleted: Vec<String> = self.topics.keys().filter(|topic| self.log.records_behind(topic, &[]).is_err()).cloned().collect();
        deleted.iter().for_each(|topic| drop(self.topics.remove(topic)));
        for plan in &world.plans {
            if self.queries.iter().any(|running| Arc::ptr_eq(&running.plan, plan)) {
                continue;
            }
            let replaces = ended.contains(&plan.query_id);
            let start = if replaces { SyncQuery::in_place } else { SyncQuery::new };
            let query = start(plan.clone(), self.parts.clone()).map_err(|e| e.to_string())?;
            let mut topics: Vec<String> = query.topics().map(str::to_owned).collect();
            topics.sort();
            topics.dedup();
            let sink = match &plan.root.kind {
                StepKind::Sink { format, .. } => Some(format.topic.clone()),
                _ => None,
            };
            self.queries.push(Running { plan: plan.clone(), query, topics, sink, missed: None, failed: None });
            if self.from_beginning && !replaces {
                let last = self.queries.len() - 1;
                self.catch_up(last, (0..self.arrivals.len()).collect())?;
            }
        }
        Ok(())
    }

    /// Takes over what is new in a topic, and lets it run through the queries.
    pub fn collect(&mut self, topic: &str) -> Result<(), String> {
        self.collect_at(topic, 0)
    }

    fn collect_at(&mut self, name: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("Detected illegal cycle in topology: records of topic '{name}' come back to it without end"));
        }
        let topic = self.topics.entry(name.to_owned()).or_default();
        let new = self.log.records_behind(name, &topic.counts).map_err(|e| e.to_string())?;
        topic.counts.resize(new.len().max(topic.counts.len()), 0);
        let (first, shared): (usize, Arc<str>) = (self.arrivals.len(), name.into());
        for ((records, count), partition) in new.into_iter().zip(&mut topic.counts).zip(0..) {
            for record in records {
                self.stream_time = self.stream_time.max(record.timestamp);
                let offset = Offset(i64::try_from(*count).unwrap_or(i64::MAX));
                *count += 1;
                topic.arrivals.push(self.arrivals.len());
                self.arrivals.push(Arrival { topic: shared.clone(), partition, offset, record });
            }
        }
        for index in first..self.arrivals.len() {
            self.run_through(index, depth)?;
        }
        Ok(())
    }

    /// Lets a record run through the queries that read it, and what they make of it through those behind.
    fn run_through(&mut self, index: usize, depth: usize) -> Result<(), String> {
        let Some(arrival) = self.arrivals.get(index).cloned() else { return Ok(()) };
        let mut sinks: Vec<String> = Vec::new();
        for running in self.queries.iter_mut().filter(|running| running.failed.is_none()) {
            if !running.topics.iter().any(|topic| **topic == *arrival.topic) {
                continue;
            }
            if let Some(missed) = &mut running.missed {
                missed.push(index);
                continue;
            }
            running.feed(&arrival)?;
            sinks.extend(running.sink.clone().filter(|sink| !sinks.contains(sink)));
        }
        sinks.iter().try_for_each(|sink| self.collect_at(sink, depth + 1))
    }

    /// Gives a query the records that it has not seen.
    fn catch_up(&mut self, query: usize, indexes: Vec<usize>) -> Result<(), String> {
        for index in indexes {
            let (Some(running), Some(arrival)) = (self.queries.get_mut(query), self.arrivals.get(index)) else { continue };
            if running.topics.iter().any(|topic| **topic == *arrival.topic) {
                running.feed(arrival)?;
                if let Some(sink) = running.sink.clone() {
                    self.collect(&sink)?;
                }
            }
        }
        Ok(())
    }

    /// Which queries a statement names: one, or all.
    fn named(&self, id: Option<&str>) -> Result<Vec<usize>, String> {
        let is_named = |running: &&Running| id.is_none_or(|id| running.plan.query_id == id);
        let found: Vec<usize> = self.queries.iter().enumerate().filter(|(_, running)| is_named(running)).map(|(index, _)| index).collect();
        match id {
            Some(id) if found.is_empty() => Err(format!("Unknown queryId: {id}")),
            _ => Ok(found),
        }
    }

    pub fn pause(&mut self, id: Option<&str>) -> Result<(), String> {
        for index in self.named(id)? {
            if let Some(running) = self.queries.get_mut(index) {
                running.missed.get_or_insert_default();
            }
        }
        Ok(())
    }

    pub fn resume(&mut self, id: Option<&str>) -> Result<(), String> {
        for index in self.named(id)? {
            let missed = self.queries.get_mut(index).and_then(|running| running.missed.take());
            self.catch_up(index, missed.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Lets stream time go on in every query, in the order in which they were made.
    pub fn advance_stream_time(&mut self, timestamp: i64) -> Result<(), String> {
        self.stream_time = self.stream_time.max(timestamp);
        for index in 0..self.queries.len() {
            let Some(running) = self.queries.get_mut(index).filter(|r| r.failed.is_none() && r.missed.is_none()) else { continue };
            let done = running.query.advance_stream_time(timestamp).map_err(|e| e.to_string());
            running.outcome(done)?;
            if let Some(sink) = running.sink.clone() {
                self.collect(&sink)?;
            }
        }
        Ok(())
    }

    /// The next record of a topic that was not asserted yet.
    pub fn next(&mut self, topic: &str) -> Option<Arrival> {
        let topic = self.topics.get_mut(topic)?;
        let index = *topic.arrivals.get(topic.asserted)?;
        topic.asserted += 1;
        self.arrivals.get(index).cloned()
    }

    /// The records of a topic that were asserted.
    pub fn read_so_far(&self, topic: &str) -> Vec<Arrival> {
        let Some(topic) = self.topics.get(topic) else { return Vec::new() };
        topic.arrivals.iter().take(topic.asserted).filter_map(|index| self.arrivals.get(*index).cloned()).collect()
    }
}

impl Running {
    fn feed(&mut self, arrival: &Arrival) -> Result<(), String> {
        let record = &arrival.record;
        let reference =
            RecordRef { offset: arrival.offset, timestamp: record.timestamp, key: record.key.as_deref(), value: record.value.as_deref() };
        let fed = self.query.feed(&arrival.topic, arrival.partition, reference, &record.headers);
        let done = fed.and_then(|()| self.query.end_chunk()).map_err(|e| e.to_string());
        self.outcome(done)
    }

    /// A query that fails has ended.
    fn outcome(&mut self, done: Result<(), String>) -> Result<(), String> {
        done.map_err(|reason| {
            let message = format!("Query {} has failed: {reason}", self.plan.query_id);
            self.failed = Some(reason);
            message
        })
    }
}
