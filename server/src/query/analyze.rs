//! EXPLAIN ANALYZE of a persistent query: what it has done, and what it does now, by operator. It goes on as ever meanwhile; what
//! it does now is the difference of two looks.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::stream;
use tidemill_engine::engine::PersistentQuery;
use tidemill_engine::processing_log::ProcessingErrorKind;
use tidemill_engine::runtime::OperatorWork;
use tidemill_engine::state::StoreCount;
use tidemill_engine::types::{SqlType, Value};

use super::pull::Writing;
use crate::app::App;
use crate::blocking::Kind;
use crate::error::{ApiError, ErrorCode};
use crate::net::ReplyBody;
use crate::reply::{self, Reply};
use crate::rows::{Header, RowFormat};
use crate::statements::queries;

/// Between the two looks.
const LOOKING: Duration = Duration::from_secs(1);

/// What is raised as the query goes on.
#[derive(Debug, Clone, Default)]
struct Look {
    /// Of each topic: records and bytes.
    reads: Vec<(Arc<str>, u64, u64)>,
    records_out: u64,
    bytes_out: u64,
    late: u64,
    errors: Vec<(ProcessingErrorKind, u64)>,
    commits: u64,
    commit_us: u64,
    operators: Vec<OperatorWork>,
}

impl Look {
    fn at(query: &PersistentQuery) -> Self {
        let handle = query.handle.read();
        let Ok(handle) = &*handle else { return Look::default() };
        let metrics = &handle.metrics;
        let reads = metrics.all_reads().into_iter();
        Look {
            reads: reads.map(|(topic, r)| (topic, r.records.load(Ordering::Relaxed), r.bytes.load(Ordering::Relaxed))).collect(),
            records_out: metrics.records_out.load(Ordering::Relaxed),
            bytes_out: metrics.bytes_out.load(Ordering::Relaxed),
            late: metrics.late(),
            errors: ProcessingErrorKind::ALL.into_iter().map(|kind| (kind, metrics.errors_of(kind))).collect(),
            commits: metrics.commits.load(Ordering::Relaxed),
            commit_us: metrics.commit_us.load(Ordering::Relaxed),
            operators: handle.work.operators(),
        }
    }
}

/// # Errors
/// There is no such query.
pub async fn analyze(app: Arc<App>, id: &str, text: &str, format: RowFormat) -> Result<Reply, ApiError> {
    let persistent = app.engine.queries().persistent();
    let Some(query) = persistent.iter().find(|query| query.id.eq_ignore_ascii_case(id)).cloned() else {
        let near = tidemill_parser::did_you_mean(id, persistent.iter().map(|query| query.id.as_str()));
        let hint = near.map_or_else(|| "SHOW QUERIES lists those that there are.".to_owned(), |near| format!("Did you mean '{near}'?"));
        return Err(ApiError::statement(ErrorCode::BAD_STATEMENT, format!("There is no persistent query '{id}'. {hint}"), text));
    };
    let (began, before) = (Instant::now(), Look::at(&query));
    tokio::time::sleep(LOOKING).await;
    let (now, took) = (Look::at(&query), began.elapsed());
    let (asked, of) = (app.clone(), query.clone());
    let looked = move || {
        let lag = queries::offsets(&asked.engine, &of).topic_summaries.into_iter().map(|topic| {
            let records = topic.offsets.iter().map(|p| p.log_end_offset.saturating_sub(p.consumer_offset.max(p.log_start_offset)).max(0));
            (topic.kafka_topic, records.sum())
        });
        (lag.collect::<Vec<(String, i64)>>(), asked.engine.store_counts(&of.id))
    };
    let (lag, stores) = app
        .blocking
        .run(Kind::Query, looked)
        .await
        .map_err(|error| ApiError::statement(ErrorCode::SERVER_ERROR, format!("looking at the query broke off: {error}"), text))?;
    let stores = stores.map_err(|error| ApiError::engine(error, text))?;
    let is_away = app.engine.log().outage().is_some();
    let state = queries::state_name(&query.state(), is_away);
    let lines = lines(&format!("{} | State: {state}", query.id), &before, &now, took, &lag, &stores);
    let header = Header::new(format, app.next_query_id(), vec![("PLAN".to_owned(), SqlType::String, false)]);
    let header = header.map_err(|why| ApiError::statement(ErrorCode::BAD_STATEMENT, why, text))?;
    let mut writing = Writing::new(format, &header, lines.into_iter().map(|line| vec![Value::string(line)]).collect());
    let chunks = std::iter::from_fn(move || writing.next(true));
    Ok(reply::stream(Some(format.content_type()), ReplyBody::stream(stream::iter(chunks))))
}

/// A line for the query, for what it reads, for each operator, the last first, and for each store.
fn lines(query: &str, before: &Look, now: &Look, took: Duration, lag: &[(String, i64)], stores: &[(Arc<str>, StoreCount)]) -> Vec<String> {
    let rate = |before: u64, now: u64| {
        let each = now.saturating_sub(before) as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE);
        format!("{each:.0}/s")
    };
    let mut first = format!(" > [ QUERY ] | {query} | Rows out: {} ({})", now.records_out, rate(before.records_out, now.records_out));
    let _ = write!(first, " | Bytes out: {} | Late rows dropped: {}", now.bytes_out, now.late);
    let errors: Vec<String> = now.errors.iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{} {n}", kind.name())).collect();
    let _ = write!(first, " | Errors: {}", if errors.is_empty() { "0".to_owned() } else { errors.join(", ") });
    let _ = write!(first, " | Commits: {}, {}", now.commits, millis(Duration::from_micros(now.commit_us)));
    let mut lines = vec![first];
    for (topic, records, bytes) in &now.reads {
        let earlier = before.reads.iter().find(|(known, ..)| known == topic).map_or(0, |(_, records, _)| *records);
        let behind = lag.iter().find(|(known, _)| **known == **topic).map_or_else(String::new, |(_, lag)| format!(" | Lag: {lag}"));
        lines.push(format!("     > [ TOPIC ] | {topic} | Records: {records} ({}) | Bytes: {bytes}{behind}", rate(earlier, *records)));
    }
    let total: Duration = now.operators.iter().map(|operator| operator.done.time()).sum();
    let mut depth = 1;
    let mut sub_topology = None;
    for operator in now.operators.iter().rev() {
        if sub_topology.replace(operator.sub_topology).is_some_and(|last| last != operator.sub_topology) {
            depth = 1;
        }
        let earlier = before.operators.iter().find(|known| known.sub_topology == operator.sub_topology && known.name == operator.name);
        let earlier = earlier.map_or(0, |known| known.done.rows);
        let time = operator.done.time();
        let share = 100.0 * time.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        lines.push(format!(
            "{} > [ {} ] | Sub-topology: {} | Rows: {} ({}) | Time: {} ({share:.0}%)",
            "    ".repeat(depth),
            words(&operator.name),
            operator.sub_topology,
            operator.done.rows,
            rate(earlier, operator.done.rows),
            millis(time),
        ));
        depth += 1;
    }
    for (name, count) in stores {
        let about = if count.is_exact { "" } else { "about " };
        lines.push(format!("     > [ STORE ] | {name} | Entries: {about}{} | Bytes: {about}{}", count.entries, count.bytes));
    }
    lines
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1_000.0)
}

/// `TimeWindowAggregate` as `TIME_WINDOW_AGGREGATE`; what stands in parentheses behind it as it is.
fn words(name: &str) -> String {
    let (name, rest) = name.split_at(name.find('(').unwrap_or(name.len()));
    let mut words = String::with_capacity(name.len() + 8);
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_uppercase() {
            words.push('_');
        }
        words.extend(letter.to_uppercase());
    }
    words + rest
}

#[cfg(test)]
mod tests {
    use tidemill_engine::profile::Measured;

    use super::*;

    #[test]
    fn operators_are_shown_with_their_share() {
        let operator = |name: &str, rows, micros| OperatorWork {
            sub_topology: 0,
            name: name.to_owned(),
            done: Measured { rows, timed_rows: rows, timed: Duration::from_micros(micros) },
        };
        let before = Look::default();
        let now = Look {
            reads: vec![("t".into(), 10, 70)],
            records_out: 4,
            errors: vec![(ProcessingErrorKind::Deserialization, 2)],
            operators: vec![operator("Source(t)", 10, 3_000), operator("TimeWindowAggregate", 8, 1_000)],
            ..Look::default()
        };
        let count = StoreCount { entries: 3, bytes: 40, is_exact: false };
        let lines = lines("Q | State: RUNNING", &before, &now, Duration::from_secs(2), &[("t".into(), 7)], &[("Agg".into(), count)]);
        assert_eq!(
            lines,
            [
                " > [ QUERY ] | Q | State: RUNNING | Rows out: 4 (2/s) | Bytes out: 0 | Late rows dropped: 0 | Errors: deserialization 2 | Commits: 0, 0.000 ms",
                "     > [ TOPIC ] | t | Records: 10 (5/s) | Bytes: 70 | Lag: 7",
                "     > [ TIME_WINDOW_AGGREGATE ] | Sub-topology: 0 | Rows: 8 (4/s) | Time: 1.000 ms (25%)",
                "         > [ SOURCE(t) ] | Sub-topology: 0 | Rows: 10 (5/s) | Time: 3.000 ms (75%)",
                "     > [ STORE ] | Agg | Entries: about 3 | Bytes: about 40",
            ]
        );
    }
}
