//! What is said of a query in several statements: its state, its line in a list, its offsets.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use tidemill_engine::engine::{Engine, Failures, PersistentQuery, QueryKind};
use tidemill_engine::log::OffsetSpec;
use tidemill_engine::runtime::QueryState;

use crate::entities::{PartitionOffsets, QueryErrorEntity, QueryOffsets, RunningQuery, TopicOffsets};

/// A query's state in ksqlDB's words. `is_away`: its log is, so that nothing goes on before it returns.
pub fn state_name(state: &QueryState, is_away: bool) -> &'static str {
    match state {
        QueryState::Restoring | QueryState::Running if is_away => "UNRESPONSIVE",
        QueryState::Restoring | QueryState::Running => "RUNNING",
        QueryState::Paused => "PAUSED",
        QueryState::Failed(_) => "ERROR",
        QueryState::Stopped => "STOPPED",
    }
}

/// The state without regard to pauses, which ksqlDB counts apart.
pub fn running_state_name(state: &QueryState, is_away: bool) -> &'static str {
    match state {
        QueryState::Paused => state_name(&QueryState::Running, is_away),
        other => state_name(other, is_away),
    }
}

/// What is to be said of these queries besides their states.
pub fn remarks<'a>(engine: &'a Engine, queries: impl IntoIterator<Item = &'a PersistentQuery>) -> Vec<String> {
    let about = queries.into_iter().flat_map(|query| engine.remarks(query));
    let outage = engine.log().outage().map(|outage| format!("{outage}. Queries go on where they are once it is back."));
    engine.command_log_problem().into_iter().chain(outage).chain(about).collect()
}

/// A persistent query as lists show it.
pub fn listed(engine: &Engine, query: &PersistentQuery) -> RunningQuery {
    let (state, is_away) = (query.state(), engine.log().outage().is_some());
    let (sinks, sink_kafka_topics) = sinks(query);
    RunningQuery {
        query_string: query.plan.statement.clone(),
        sinks,
        sink_kafka_topics,
        id: query.id.clone(),
        status_count: BTreeMap::from([(state_name(&state, is_away), 1)]),
        query_type: "PERSISTENT",
        state: Some(running_state_name(&state, is_away)),
        query_errors: errors(&state, &query.failures),
    }
}

/// What ended a query that has failed, and when.
pub fn errors(state: &QueryState, failures: &Failures) -> Vec<QueryErrorEntity> {
    match state {
        QueryState::Failed(failure) => {
            vec![QueryErrorEntity { timestamp: failures.last_ms(), error_message: failure.reason.clone(), kind: "SYSTEM" }]
        }
        _ => Vec::new(),
    }
}

/// What a query did since it was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    pub records_out: u64,
    pub errors: u64,
    /// Milliseconds since the epoch.
    pub last_record_ms: i64,
}

pub fn counters(query: &PersistentQuery) -> Counters {
    match &*query.handle.read() {
        Ok(handle) => Counters {
            records_out: handle.metrics.records_out.load(Ordering::Relaxed),
            errors: handle.metrics.errors(),
            last_record_ms: handle.metrics.last_record_ms.load(Ordering::Relaxed),
        },
        Err(_) => Counters::default(),
    }
}

/// Records and bytes that a query has read of a topic since it was started.
pub fn reads(query: &PersistentQuery, topic: &str) -> (u64, u64) {
    match &*query.handle.read() {
        Ok(handle) => {
            let reads = handle.metrics.reads(topic);
            (reads.records.load(Ordering::Relaxed), reads.bytes.load(Ordering::Relaxed))
        }
        Err(_) => (0, 0),
    }
}

/// Names and topics of what a query writes.
pub fn sinks(query: &PersistentQuery) -> (Vec<String>, Vec<String>) {
    match query.kind {
        QueryKind::SourceTable => (Vec::new(), Vec::new()),
        _ => (vec![query.sink.clone()], vec![query.sink_topic.clone()]),
    }
}

/// Partitions of a topic with where they begin, where they end, and what a group has committed.
pub fn partition_offsets(engine: &Engine, group: &str, topic: &str) -> Vec<PartitionOffsets> {
    let log = engine.log();
    let Ok(Some(info)) = log.describe_topic(topic) else { return Vec::new() };
    let partitions = info.all_partitions();
    let ends = |spec| log.offsets(&partitions, spec).unwrap_or_default();
    let (first, last) = (ends(OffsetSpec::Earliest), ends(OffsetSpec::Latest));
    let committed = log.committed(group, &partitions).unwrap_or_default();
    let at = |offsets: &[tidemill_engine::log::Offset], i: usize| offsets.get(i).map_or(0, |o| o.0);
    let offsets = partitions.iter().enumerate().map(|(i, tp)| PartitionOffsets {
        partition: tp.partition,
        log_start_offset: at(&first, i),
        log_end_offset: at(&last, i),
        consumer_offset: committed.get(i).copied().flatten().map_or(0, |o| o.0),
    });
    offsets.collect()
}

/// How far a query has read.
pub fn offsets(engine: &Engine, query: &PersistentQuery) -> QueryOffsets {
    let group_id = engine.runtime().group(&query.id);
    let topic_summaries = query
        .source_topics(&engine.catalog())
        .into_iter()
        .map(|topic| TopicOffsets { offsets: partition_offsets(engine, &group_id, &topic), kafka_topic: topic })
        .collect();
    QueryOffsets { group_id, topic_summaries }
}
