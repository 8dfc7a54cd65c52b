//! Numbers of persistent queries, and of the state that they keep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidemill_engine::engine::PersistentQuery;
use tidemill_engine::letters::LetterKind;
use tidemill_engine::processing_log::ProcessingErrorKind;
use tidemill_engine::runtime::{QueryHandle, QueryState, RestoreState, TopicReads};

use super::lags::Found;
use super::page::{Kind, Page};
use crate::app::App;

/// Partitions whose lag is told at most, lest a page grow without end; how many are left out is told.
const MAX_LAGS: usize = 20_000;
const STATES: [&str; 5] = ["restoring", "running", "paused", "failed", "stopped"];

/// A counter of each query: name, what it is, and where its value stands.
type Family<Of> = (&'static str, &'static str, fn(&Of) -> f64);

pub fn write(app: &App, lags: &Found, page: &mut Page) {
    let queries = app.engine.queries().persistent();
    write_states(&queries, page);
    page.one("tidemill_push_queries", Kind::Gauge, "Push queries that run.", app.engine.queries().push_queries().len());
    write_errors(&queries, page);
    // A query that could not start has counted nothing else.
    let running: Vec<(&str, Arc<QueryHandle>)> =
        queries.iter().filter_map(|query| Some((query.id.as_str(), query.handle.read().as_ref().ok()?.clone()))).collect();
    write_reads(&running, page);
    write_counters(&running, page);
    write_restores(&running, page);
    // What was found a moment ago may be of queries that have gone since.
    let is_there = |id: &str| queries.iter().any(|query| query.id == id);
    write_lags(lags, &is_there, page);
    write_state(app, &is_there, page);
}

fn name_of(state: &QueryState) -> &'static str {
    match state {
        QueryState::Restoring => "restoring",
        QueryState::Running => "running",
        QueryState::Paused => "paused",
        QueryState::Failed(_) => "failed",
        QueryState::Stopped => "stopped",
    }
}

fn write_states(queries: &[Arc<PersistentQuery>], page: &mut Page) {
    let mut by_state: BTreeMap<&str, usize> = STATES.iter().map(|state| (*state, 0)).collect();
    page.family("tidemill_query_state", Kind::Gauge, "Where a query stands: 1 for the state that it is in.");
    for query in queries {
        let state = name_of(&query.state());
        *by_state.entry(state).or_default() += 1;
        page.sample("tidemill_query_state", &[("query", &query.id), ("state", state)], 1);
    }
    page.family("tidemill_queries", Kind::Gauge, "Persistent queries, by state.");
    for (state, count) in by_state {
        page.sample("tidemill_queries", &[("state", state)], count);
    }
}

/// Of all, those that could not start among them.
fn write_errors(queries: &[Arc<PersistentQuery>], page: &mut Page) {
    let name = "tidemill_query_errors_total";
    page.family(
        name,
        Kind::Counter,
        "Records and expressions that failed, each of them in the processing log as well; thread: times that the query itself ended by an \
         error or could not start.",
    );
    for query in queries {
        for kind in ProcessingErrorKind::ALL {
            page.sample(name, &[("query", &query.id), ("kind", kind.name())], query.errors_of(kind));
        }
    }
}

fn write_reads(running: &[(&str, Arc<QueryHandle>)], page: &mut Page) {
    let families: [Family<TopicReads>; 2] = [
        ("tidemill_query_records_read_total", "Records that a query has read of a topic.", |reads| {
            reads.records.load(Ordering::Relaxed) as f64
        }),
        ("tidemill_query_bytes_read_total", "Bytes of their keys and values.", |reads| reads.bytes.load(Ordering::Relaxed) as f64),
    ];
    for (name, help, value) in families {
        page.family(name, Kind::Counter, help);
        for (query, handle) in running {
            for (topic, reads) in handle.metrics.all_reads() {
                page.sample(name, &[("query", query), ("topic", &topic)], value(&reads));
            }
        }
    }
}

fn write_counters(running: &[(&str, Arc<QueryHandle>)], page: &mut Page) {
    let families: [Family<QueryHandle>; 6] = [
        ("tidemill_query_dead_letters_total", "Letters that were written of bad records, where there is a topic for them.", |handle| {
            handle.metrics.letters.load(Ordering::Relaxed) as f64
        }),
        ("tidemill_query_records_written_total", "Records that a query has written to its sink.", |handle| {
            handle.metrics.records_out.load(Ordering::Relaxed) as f64
        }),
        ("tidemill_query_bytes_written_total", "Bytes of their keys and values.", |handle| {
            handle.metrics.bytes_out.load(Ordering::Relaxed) as f64
        }),
        ("tidemill_query_late_records_total", "Rows that came too late for a window and were left out.", |handle| {
            handle.metrics.late() as f64
        }),
        ("tidemill_query_commits_total", "Commits of a query's tasks.", |handle| handle.metrics.commits.load(Ordering::Relaxed) as f64),
        ("tidemill_query_commit_seconds_total", "How long they took; a commit of several tasks counts for each.", |handle| {
            handle.metrics.commit_us.load(Ordering::Relaxed) as f64 / 1e6
        }),
    ];
    for (name, help, value) in families {
        page.family(name, Kind::Counter, help);
        for (query, handle) in running {
            page.sample(name, &[("query", query)], value(handle));
        }
    }
    let name = "tidemill_query_left_out_total";
    page.family(name, Kind::Counter, "Records, or parts of what came of them, that a query left out, by reason.");
    for (query, handle) in running {
        for kind in LetterKind::ALL {
            page.sample(name, &[("query", query), ("kind", kind.name())], handle.metrics.left_out(kind));
        }
    }
    let name = "tidemill_query_last_record_timestamp_seconds";
    page.family(name, Kind::Gauge, "When a query last read something, by the wall clock.");
    for (query, handle) in running {
        let ms = handle.metrics.last_record_ms.load(Ordering::Relaxed);
        if ms > 0 {
            page.sample(name, &[("query", query)], ms as f64 / 1e3);
        }
    }
}

/// Of queries whose state is being restored.
fn write_restores(running: &[(&str, Arc<QueryHandle>)], page: &mut Page) {
    let restoring: Vec<(&str, RestoreState)> = running.iter().filter_map(|(query, handle)| Some((*query, handle.restoring()?))).collect();
    let families: [Family<RestoreState>; 2] = [
        ("tidemill_query_restore_records", "Records of changelogs that a query has to read before it runs.", |state| state.total as f64),
        ("tidemill_query_restored_records", "How many of them it has read.", |state| state.done as f64),
    ];
    for (name, help, value) in families {
        page.family(name, Kind::Gauge, help);
        for (query, state) in &restoring {
            page.sample(name, &[("query", query)], value(state));
        }
    }
}

fn write_lags(lags: &Found, is_there: &dyn Fn(&str) -> bool, page: &mut Page) {
    let name = "tidemill_query_lag_records";
    page.family(name, Kind::Gauge, "Records between a query's last commit and the end of a partition.");
    let all = || lags.iter().filter(|(query, _)| is_there(query)).flat_map(|(query, lags)| lags.iter().map(move |lag| (query, lag)));
    for (query, lag) in all().take(MAX_LAGS) {
        let partition = lag.partition.to_string();
        page.sample(name, &[("query", query), ("topic", &lag.topic), ("partition", &partition)], lag.records);
    }
    let left_out = all().skip(MAX_LAGS).count();
    page.one("tidemill_query_lags_left_out", Kind::Gauge, "Partitions whose lag is not told, there being too many.", left_out);
}

fn write_state(app: &App, is_there: &dyn Fn(&str) -> bool, page: &mut Page) {
    let state = &app.engine.runtime().parts().state;
    let name = "tidemill_query_state_disk_bytes";
    page.family(name, Kind::Gauge, "About how many bytes a query's stores take on the disk, what is in memory left out.");
    for (query, bytes) in state.disk_bytes_by_query().into_iter().filter(|(query, _)| is_there(query)) {
        page.sample(name, &[("query", &query)], bytes);
    }
    let (entries, bytes) = state.disk_totals();
    page.one("tidemill_state_entries", Kind::Gauge, "About how many entries all stores have, what is in memory left out.", entries);
    page.one("tidemill_state_disk_bytes", Kind::Gauge, "Bytes of all stores' files.", bytes);
    page.one(
        "tidemill_state_memory_bytes",
        Kind::Gauge,
        "Bytes of state in memory that is not written yet or kept to be found fast.",
        state.overlay_bytes(),
    );
}
