//! DESCRIBE of a stream or table, and of all of them.

use tidemill_engine::catalog::Source;
use tidemill_engine::engine::{PersistentQuery, QueryKind};
use tidemill_parser::ast::{Ident, SourceKind};

use super::queries;
use crate::app::App;
use crate::entities::{Common, Field, KsqlEntity, SourceDescription, SourceDescriptionEntity, SourceDescriptions, Statistic};
use crate::error::{ApiError, ErrorCode};

pub fn one(app: &App, name: &Ident, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    let catalog = app.engine.catalog();
    let Some(source) = catalog.source(&name.name) else {
        let hint = match catalog.near_source(&name.name) {
            // The name is right but for its case: quotes kept it.
            Some(near) if near.eq_ignore_ascii_case(&name.name) => {
                format!("\nDid you mean {near}? Hint: try removing quotes from the source name.")
            }
            Some(near) => format!("\nDid you mean {near}?"),
            None => String::new(),
        };
        let message = format!("Could not find STREAM/TABLE '{}' in the Metastore{hint}", name.name);
        return Err(ApiError::statement(ErrorCode::BAD_STATEMENT, message, text));
    };
    let source_description = described(app, source, extended);
    let common = Common::with_warnings(text, remarks(app, source));
    Ok(KsqlEntity::SourceDescription(SourceDescriptionEntity { source_description, common }))
}

pub fn all(app: &App, kind: SourceKind, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    let catalog = app.engine.catalog();
    let sources = || catalog.sources().filter(|s| s.kind == kind.into());
    let source_descriptions = sources().map(|s| described(app, s, extended)).collect();
    let mut warnings: Vec<String> = Vec::new();
    for remark in sources().flat_map(|s| remarks(app, s)) {
        if !warnings.contains(&remark) {
            warnings.push(remark);
        }
    }
    Ok(KsqlEntity::SourceDescriptions(SourceDescriptions { source_descriptions, common: Common::with_warnings(text, warnings) }))
}

/// What is to be said of the queries that read or write a source.
fn remarks(app: &App, source: &Source) -> Vec<String> {
    let queries = app.engine.queries();
    let (readers, mut about) = (queries.readers_of(&source.name), queries.writers_of(&source.name));
    for reader in readers {
        if about.iter().all(|query| query.id != reader.id) {
            about.push(reader);
        }
    }
    queries::remarks(&app.engine, about.iter().map(|query| &**query))
}

/// What there is to say of one.
pub fn described(app: &App, source: &Source, extended: bool) -> SourceDescription {
    let catalog = app.engine.catalog();
    let readers = app.engine.queries().readers_of(&source.name);
    let writers = app.engine.queries().writers_of(&source.name);
    let (partitions, replication) = match app.engine.log().describe_topic(&source.format.topic) {
        Ok(Some(topic)) => (topic.partitions, u32::from(topic.replicas)),
        _ => (0, 0),
    };
    let made_from = catalog.sources().filter(|s| s.created_by.is_some());
    let source_constraints = made_from
        .filter(|s| readers.iter().any(|q| Some(&q.id) == s.created_by.as_ref() && q.sink == s.name))
        .map(|s| s.name.clone())
        .collect();
    let (cluster_statistics, cluster_error_stats) = statistics(app, source);
    SourceDescription {
        name: source.name.clone(),
        window_type: source.window.map(|w| w.name()),
        read_queries: readers.iter().map(|q| queries::listed(&app.engine, q)).collect(),
        write_queries: writers.iter().map(|q| queries::listed(&app.engine, q)).collect(),
        fields: Field::of_source(source),
        kind: source.kind.upper(),
        timestamp: source.timestamp.as_ref().map(|t| t.column.clone()).unwrap_or_default(),
        statistics: if extended { as_text(&cluster_statistics, "last-message") } else { String::new() },
        error_stats: if extended { as_text(&cluster_error_stats, "last-failed") } else { String::new() },
        extended,
        key_format: source.format.key.name.clone(),
        value_format: source.format.value.name.clone(),
        topic: source.format.topic.clone(),
        partitions,
        replication,
        statement: source.statement.clone(),
        query_offset_summaries: if extended { writers.iter().map(|q| queries::offsets(&app.engine, q)).collect() } else { Vec::new() },
        source_constraints,
        cluster_statistics,
        cluster_error_stats,
    }
}

/// Counters of a source's topic: what queries read from it and wrote to it since the server started, and what failed.
fn statistics(app: &App, source: &Source) -> (Vec<Statistic>, Vec<Statistic>) {
    let catalog = app.engine.catalog();
    let topic = &source.format.topic;
    let seconds = app.started.elapsed().as_secs_f64().max(1.0);
    let (mut counts, mut errors) = (Vec::new(), Vec::new());
    let statistic = |name, value: f64, timestamp| Statistic { name, host: app.host.clone(), value, timestamp };
    let sum = |queries: &[&PersistentQuery], count: fn(&queries::Counters) -> u64| {
        let counters = queries.iter().map(|q| queries::counters(q));
        counters.fold((0u64, 0i64), |(total, last), c| (total.saturating_add(count(&c)), last.max(c.last_record_ms)))
    };
    let persistent = app.engine.queries().persistent();
    let reads = |q: &&PersistentQuery| q.plan.sources.iter().any(|s| catalog.source(s).is_some_and(|s| s.format.topic == *topic));
    let readers: Vec<&PersistentQuery> = persistent.iter().map(|q| &**q).filter(reads).collect();
    let writers: Vec<&PersistentQuery> =
        persistent.iter().map(|q| &**q).filter(|q| q.sink_topic == *topic && q.kind != QueryKind::SourceTable).collect();
    let (written, last) = sum(&writers, |c| c.records_out);
    if written > 0 {
        counts.push(statistic("messages-per-sec", written as f64 / seconds, last));
        counts.push(statistic("total-messages", written as f64, last));
    }
    let (read, bytes) = readers
        .iter()
        .map(|q| queries::reads(q, topic))
        .fold((0u64, 0u64), |(records, bytes), of_query| (records.saturating_add(of_query.0), bytes.saturating_add(of_query.1)));
    let last = sum(&readers, |_| 0).1;
    if read > 0 {
        counts.push(statistic("consumer-messages-per-sec", read as f64 / seconds, last));
        counts.push(statistic("consumer-total-messages", read as f64, last));
        counts.push(statistic("consumer-total-bytes", bytes as f64, last));
    }
    let (failed, last) = sum(&readers, |c| c.errors);
    if failed > 0 {
        errors.push(statistic("consumer-failed-messages", failed as f64, last));
        errors.push(statistic("consumer-failed-messages-per-sec", failed as f64 / seconds, last));
    }
    (counts, errors)
}

/// Counters as people read them.
fn as_text(statistics: &[Statistic], last: &str) -> String {
    let Some(newest) = statistics.iter().map(|s| s.timestamp).max() else { return String::new() };
    let value = |s: &Statistic| if s.name.ends_with("-per-sec") { format!("{:9.2}", s.value) } else { format!("{:9.0}", s.value) };
    let counters = statistics.iter().map(|s| format!("{}: {}", s.name, value(s))).collect::<Vec<_>>().join(" ");
    let time = tidemill_engine::types::text::to_text(|out| tidemill_engine::types::text::write_timestamp(newest, out));
    format!("{counters} {last}: {time}Z")
}
