//! Looks at a data folder and its topics without a server: what is sound, what the next start would restore or clear up, and what
//! somebody has to decide. Changes nothing: the folder is opened for reading only.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command_log::{self, Inspection};
use super::leftovers::{Intent, Remedy, intents, is_empty, left_over, remedy_unless};
use super::{EngineConfig, EngineError, LogChoice};
use crate::clock::SystemClock;
use crate::log::embedded::EmbeddedLog;
use crate::log::kafka::KafkaLog;
use crate::log::{Log, LogError, Offset, OffsetSpec, TopicPartition, partitions_of, read_whole};
use crate::runtime::{KnownTopics, Role, all_known_topics, examine_topic};
use crate::state::StateDb;

/// How long the log may take to answer at first.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Up to so many offsets of a changelog are looked at, to see which of them are records.
const MAX_LOOKED_AT: i64 = 256;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Sound,
    /// The next start restores it by itself.
    Restored,
    /// Nothing needs it; the next start deletes it where it is known to be ours.
    LeftOver,
    /// Somebody has to decide.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Sound => "sound",
            Verdict::Restored => "restored",
            Verdict::LeftOver => "left over",
            Verdict::Broken => "broken",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    /// What it is, and what becomes of it.
    pub text: String,
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    fn add(&mut self, verdict: Verdict, text: impl Into<String>) {
        self.0.push(Finding { verdict, text: text.into() });
    }

    /// The worst of it.
    pub fn worst(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Sound)
    }
}

/// Looks at the folder and the log that a configuration names.
///
/// # Errors
/// The folder can't be read, or the log does not answer.
pub fn examine(config: &EngineConfig) -> Result<Findings, EngineError> {
    let state = StateDb::open_to_look(&config.data_dir, config.state_limits())?;
    let log: Arc<dyn Log> = match &config.log {
        LogChoice::Embedded => Arc::new(EmbeddedLog::open(state.clone(), Arc::new(SystemClock))?),
        LogChoice::Kafka { bootstrap_servers, client_properties } => {
            let log = KafkaLog::connect_with(bootstrap_servers, client_properties, config.kafka_tokens.clone(), Arc::new(|_| Ok(())))?;
            await_log(&log)?;
            Arc::new(log)
        }
    };
    examine_parts(config, &log, &state)
}

fn await_log(log: &dyn Log) -> Result<(), LogError> {
    let began = Instant::now();
    loop {
        match log.ping(PING_TIMEOUT) {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > LOG_PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// As [`examine`], of parts that are open.
pub fn examine_parts(config: &EngineConfig, log: &Arc<dyn Log>, state: &StateDb) -> Result<Findings, EngineError> {
    let mut findings = Findings::default();
    findings.add(Verdict::Sound, format!("data folder {}: it opens", config.data_dir.display()));
    let commands = command_log::inspect(log, state, config)?;
    command_topic(config, &commands, &mut findings);
    let known = all_known_topics(state)?;
    for query in &commands.queries {
        match known.get(query) {
            Some(topics) => query_topics(&**log, state, query, topics, &mut findings)?,
            None => findings.add(Verdict::Sound, format!("query {query}: it has not run yet on this folder")),
        }
    }
    if commands.problem.is_some() {
        findings.add(Verdict::Sound, "what is left over is not looked for while the command topic is not whole");
        return Ok(findings);
    }
    leftovers(&**log, state, &commands, &mut findings)?;
    Ok(findings)
}

fn command_topic(config: &EngineConfig, commands: &Inspection, findings: &mut Findings) {
    let topic = config.command_topic();
    let counts = format!("{} statements, {} of which still mean something", commands.count, commands.live);
    match (&commands.problem, &commands.restoring) {
        (Some(problem), _) => findings.add(Verdict::Broken, problem.clone()),
        (None, Some(what)) => findings.add(Verdict::Restored, format!("command topic {topic}: {what} ({counts})")),
        (None, None) => findings.add(Verdict::Sound, format!("command topic {topic}: {counts}")),
    }
}

/// The topics that a query has run with, and how much of its changelogs a start reads.
fn query_topics(log: &dyn Log, state: &StateDb, query: &str, topics: &KnownTopics, findings: &mut Findings) -> Result<(), EngineError> {
    let names: Vec<&str> = topics.keys().map(String::as_str).collect();
    let found = log.identify(&names)?;
    let (mut sound, positions) = (0_usize, state.positions(query)?);
    let mut behind = 0_i64;
    for ((topic, known), now) in topics.iter().zip(found) {
        match examine_topic(query, topic, known, now) {
            Ok(None) => sound += 1,
            Ok(Some(what)) => {
                findings.add(Verdict::Restored, format!("query {query}: {what}"));
                continue;
            }
            Err(what) => {
                findings.add(Verdict::Broken, format!("query {query}: {what}"));
                continue;
            }
        }
        if let (Role::Changelog, Some(now)) = (known.role, now) {
            let partitions = partitions_of(topic, now.partitions);
            let (ends, firsts) = (log.offsets(&partitions, OffsetSpec::Latest)?, log.offsets(&partitions, OffsetSpec::Earliest)?);
            for ((partition, end), first) in partitions.iter().zip(ends).zip(firsts) {
                let position = positions.get(partition).copied().unwrap_or(first).max(first);
                behind = behind.saturating_add(records_between(log, partition, position, end)?);
            }
        }
    }
    if behind > 0 {
        findings
            .add(Verdict::Restored, format!("query {query}: its state is behind its changelogs by {behind} records, which a start reads"));
    } else if sound == topics.len() {
        let plural = if sound == 1 { "topic" } else { "topics" };
        findings.add(Verdict::Sound, format!("query {query}: {sound} {plural}, nothing to restore"));
    }
    Ok(())
}

/// How many records stand between two offsets. The ends of transactions take offsets as well, so a few are looked at.
fn records_between(log: &dyn Log, partition: &TopicPartition, from: Offset, end: Offset) -> Result<i64, LogError> {
    let offsets = end.0.saturating_sub(from.0).max(0);
    if offsets > MAX_LOOKED_AT {
        return Ok(offsets);
    }
    let mut records = 0;
    read_whole(log, partition, from, LOG_PATIENCE, &mut |record| records += i64::from(record.offset < end))?;
    Ok(records)
}

fn leftovers(log: &dyn Log, state: &StateDb, commands: &Inspection, findings: &mut Findings) -> Result<(), EngineError> {
    for (topic, intent) in intents(state)? {
        let now = log.identify(&[&topic])?.first().copied().flatten();
        let is_ours = match remedy_unless(commands.topics.contains(&topic), &intent, now.as_ref()) {
            Remedy::Nothing => false,
            Remedy::Delete => true,
            Remedy::DeleteIfEmpty => is_empty(log, &topic)?,
        };
        let (verdict, what) = match (&intent, is_ours) {
            (Intent::Make { source, .. }, true) => (Verdict::LeftOver, format!("made for {source}, which was then not declared")),
            (Intent::Delete { source, .. }, true) => (Verdict::LeftOver, format!("to be deleted with {source}, which was dropped")),
            (_, false) => (Verdict::Sound, "a statement that an earlier process did not finish used it, and it stays".to_owned()),
        };
        findings.add(verdict, format!("topic {topic}: {what}"));
    }
    let queries: BTreeSet<String> = commands.queries.clone();
    for (query, topics) in left_over(all_known_topics(state)?, &queries) {
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        let found = if names.is_empty() { Vec::new() } else { log.identify(&names)? };
        findings.add(Verdict::LeftOver, format!("query {query}: it is gone, and the folder remembers its topics"));
        for ((topic, known), now) in topics.iter().zip(found) {
            if now.is_some_and(|now| known.topic.id.is_some() && known.topic.may_be(&now)) {
                findings.add(Verdict::LeftOver, format!("topic {topic}: of query {query}, which is gone"));
            }
        }
    }
    for query in state.queries().into_iter().filter(|query| !queries.contains(query)) {
        findings.add(Verdict::LeftOver, format!("state of query {query}, which is gone"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
