//! A look at the command log that changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compaction::{self, Glance};
use super::copy::{CommandCopy, Header};
use super::course::{Course, Found, decide};
use super::{glance, read_commands};
use crate::engine::{EngineConfig, EngineError};
use crate::log::{Log, OffsetSpec, TopicIdentity, TopicPartition};
use crate::state::StateDb;

/// What a start would find.
#[derive(Debug, Default)]
pub(in crate::engine) struct Inspection {
    /// Statements, and how many of them make a difference.
    pub count: usize,
    pub live: usize,
    /// Queries that are to run.
    pub queries: BTreeSet<String>,
    /// Topics of streams and tables.
    pub topics: BTreeSet<String>,
    /// What a start would heal.
    pub restoring: Option<String>,
    /// What it would not, and the way out.
    pub problem: Option<String>,
}

/// Looks at the topic and at the folder's copy.
///
/// # Errors
/// The log or the folder can't be read.
pub(in crate::engine) fn inspect(log: &Arc<dyn Log>, state: &StateDb, settings: &EngineConfig) -> Result<Inspection, EngineError> {
    let topic = settings.command_topic();
    let partition = TopicPartition { topic: topic.as_str().into(), partition: 0 };
    let copy = CommandCopy::open(state.clone())?;
    let mut glances: Vec<Glance> = copy.commands()?.iter().map_while(|text| glance(text).ok()).collect();
    let mut this = Inspection::default();
    let found = match log.identify(&[&topic])?.first().copied().flatten() {
        None => None,
        Some(found) => {
            let bound = |spec| Ok::<_, EngineError>(log.offsets(std::slice::from_ref(&partition), spec)?.first().map_or(0, |o| o.0));
            Some(Found { topic: found, first: bound(OffsetSpec::Earliest)?, end: bound(OffsetSpec::Latest)? })
        }
    };
    let (course, mut problem) = decide(copy.header(), found);
    match course {
        Course::Begin => this.restoring = Some("it is not there yet; a start makes it".to_owned()),
        Course::ReadOn(from) => {
            let topic = found.map_or(TopicIdentity { id: None, partitions: 1 }, |found| found.topic);
            let count = copy.header().map_or(usize::try_from(from).unwrap_or_default(), |header| header.count);
            let known = Header { topic, next: from, count };
            let reading = read_commands(&**log, &partition, known)?;
            problem = reading.bad.or(problem);
            glances.extend(reading.read.into_iter().map(|(_, glance, _)| glance));
        }
        Course::Restore { lacking } => {
            let lacking = lacking.min(glances.len());
            this.restoring = Some(format!("it has gone or lost records; {lacking} statements are written to it from the folder"));
        }
        Course::Compare => this.restoring = Some("it was made anew; a start compares it with the folder".to_owned()),
    }
    this.problem = problem.map(|problem| problem.message(&topic));
    this.count = glances.len();
    this.live = compaction::live(&glances).into_iter().filter(|is_live| *is_live).count();
    (this.queries, this.topics) = compaction::standing(&glances);
    Ok(this)
}
