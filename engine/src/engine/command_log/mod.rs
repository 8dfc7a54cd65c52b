//! The command log: a topic of one partition that holds, in order, every statement that changed something. A server that
//! starts stands where it stood.
//!
//! The data folder keeps a copy ([`copy`]), so that a topic that has gone, or lost its end, is written anew. What can't be healed
//! ([`course::Problem`]) is said and keeps statements from being added; what was carried out stays. At the start only commands
//! that still mean something are carried out ([`compaction`]).

mod compaction;
mod copy;
mod course;
mod inspect;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use super::EngineConfig;
use super::command::{COMMAND_VERSION, Command, Count, Turn};
use super::error::EngineError;
use crate::clock::Clock;
use crate::log::{Commit, Log, LogError, Offset, OffsetSpec, OutRecord, TopicHandle, TopicIdentity, TopicPartition, read_whole};
use crate::points::{self, Point};
use crate::state::{StateBatch, StateDb};
use compaction::{Glance, GlanceAction};
use copy::{CommandCopy, Header};
use course::{Course, Found, Problem, decide};
pub(super) use inspect::{Inspection, inspect};
pub(super) use topic::ensure_topic;

/// How long reading the command topic may stall before the start gives up.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Commands that mean nothing any more and are longer than this are cut to their words in the copy, bytes.
const MAX_DEAD_BYTES: usize = 1024;
/// How often a server that was quicker than another looks for that one's next command before it writes one itself, and the pause
/// between two looks.
const LOOKS_FOR_OTHERS: u32 = 50;
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// Appends to the command topic, and reads it at the start.
pub(super) struct CommandLog {
    log: Arc<dyn Log>,
    /// Records of the topic bear the time at which they were written.
    clock: Arc<dyn Clock>,
    settings: EngineConfig,
    topic: String,
    handle: TopicHandle,
    copy: CommandCopy,
    /// What is known of the topic, whether or not the copy has all of it.
    at: Header,
    /// An append failed, and it is not known whether the command was written; or others have written.
    is_uncertain: bool,
    /// Commands of others that were read and are still to be carried out.
    pending: Vec<Command>,
    /// Tells this server's commands from others'.
    author: u64,
    /// A command of another server is void because this one's, or a third's, was quicker.
    has_overtaken: bool,
    problem: Option<Problem>,
    /// The copy could not be written: it is behind, until the next start.
    copy_is_behind: bool,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is the next one, and durable.
    Next,
    /// Another server was quicker: it is void. It has to be checked anew behind that one's.
    Overtaken,
}

/// A command log that was opened.
pub(super) struct Opened {
    pub log: CommandLog,
    /// What is to be carried out.
    pub commands: Vec<Command>,
}

/// A statement that was carried out.
pub(super) struct Past {
    /// In its author's words.
    pub given: String,
    /// The stream or table that it declared, where it still does.
    pub declares: Option<String>,
}

impl CommandLog {
    /// Opens the topic: makes it where there is none, writes it anew where it has gone.
    ///
    /// # Errors
    /// The log is away, or the data folder can't be read or written. What is wrong with the topic is no error; see
    /// [`Self::problem`].
    pub fn open(log: Arc<dyn Log>, state: &StateDb, settings: &EngineConfig, clock: Arc<dyn Clock>) -> Result<Opened, EngineError> {
        let topic = settings.command_topic();
        let mut copy = CommandCopy::open(state.clone())?;
        let mut texts = copy.commands()?;
        let mut glances: Vec<Glance> = texts.iter().map_while(|text| glance(text).ok()).collect();
        if glances.len() < texts.len() {
            tracing::warn!("the data folder's copy of the command topic can't be read; the topic is read again");
            copy.clear()?;
            (texts, glances) = (Vec::new(), Vec::new());
        }
        let none = Header { topic: TopicIdentity { id: None, partitions: 1 }, next: 0, count: 0 };
        let at = copy.header().unwrap_or(none);
        let (handle, is_uncertain, problem, copy_is_behind) = (TopicHandle(0), false, None, false);
        let (settings, pending) = (settings.clone(), Vec::new());
        let author = RandomState::new().hash_one(clock.now_ms());
        let has_overtaken = false;
        let mut this = CommandLog {
            log,
            clock,
            settings,
            topic,
            handle,
            copy,
            at,
            is_uncertain,
            pending,
            author,
            has_overtaken,
            problem,
            copy_is_behind,
        };
        let found = this.find()?;
        this.take_course(found)?;
        // Warns of settings that are not as they are asked for.
        ensure_topic(&*this.log, &this.settings)?;
        let new = this.read_on()?;
        this.has_overtaken = false;
        for (text, glance) in new {
            texts.push(text);
            glances.push(glance);
        }
        let live = compaction::live(&glances);
        this.cut_dead(&texts, &glances, &live)?;
        let mut commands = Vec::new();
        for (text, _) in texts.iter().zip(&live).filter(|(_, is_live)| **is_live) {
            let command = serde_json::from_slice(text);
            commands.push(command.map_err(|error| EngineError::internal(format!("a command can't be read: {error}")))?);
        }
        if let Some(problem) = this.problem() {
            tracing::error!("{problem}");
        }
        Ok(Opened { log: this, commands })
    }

    /// How many commands there were, but for those that are still to be carried out.
    pub fn count(&self) -> usize {
        self.at.count.saturating_sub(self.pending.len())
    }

    /// What is wrong, what that means and the way out; `None`: nothing. Statements are refused where something is.
    pub fn problem(&self) -> Option<String> {
        self.problem.as_ref().map(|problem| problem.message(&self.topic))
    }

    /// Appends a command that was checked against all that came before.
    ///
    /// # Errors
    /// It is not there; but for blame [`super::Blame::External`]: it may be.
    pub fn append(&mut self, command: Command) -> Result<Appended, EngineError> {
        if let Some(problem) = self.problem() {
            return Err(EngineError::internal(problem));
        }
        let turn = Turn { number: u64::try_from(self.at.count).unwrap_or(u64::MAX), by: self.author };
        let command = Command { turn: Some(turn), ..command };
        let value = serde_json::to_vec(&command).map_err(|e| EngineError::internal(format!("command log: {e}")))?;
        let record = OutRecord { partition: 0, timestamp: self.clock.now_ms(), key: None, value: Some(&value), headers: &[] };
        let appended = points::log(Point::CommandAppendBefore).and_then(|()| self.log.append(self.handle, record));
        let ended = appended.and_then(|()| points::log(Point::CommandAppendAfter)).and_then(|()| self.end());
        match ended {
            Ok(end) if end == self.at.next + 1 => {
                self.at = Header { next: end, count: self.at.count + 1, ..self.at };
                self.keep(&[value]);
                Ok(Appended::Next)
            }
            Ok(_) => self.find_among_others(turn),
            Err(error) => {
                let error = EngineError::from(error);
                self.is_uncertain |= error.blame == super::Blame::External;
                Err(error)
            }
        }
    }

    /// Others have written as well: reads whose command came first.
    fn find_among_others(&mut self, own: Turn) -> Result<Appended, EngineError> {
        // Until it is read nobody knows.
        self.is_uncertain = true;
        let mut new = self.read_new()?;
        let is_next = new.first().is_some_and(|first| first.turn == Some(own));
        if is_next {
            new.remove(0);
        }
        self.is_uncertain = !new.is_empty();
        self.pending = new;
        Ok(if is_next { Appended::Next } else { Appended::Overtaken })
    }

    /// Lets a server go first whose command was void: it checks it anew meanwhile, and would be overtaken again and again by one that
    /// never waits. Whoever waited catches up before it writes.
    ///
    /// # Errors
    /// The log does not answer.
    pub fn give_way(&mut self) -> Result<(), EngineError> {
        if !std::mem::take(&mut self.has_overtaken) {
            return Ok(());
        }
        for _ in 0..LOOKS_FOR_OTHERS {
            if self.end()? > self.at.next {
                self.is_uncertain = true;
                break;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Ok(())
    }

    /// Whether there may be commands that nobody here has carried out.
    pub fn is_uncertain(&self) -> bool {
        self.is_uncertain && self.problem.is_none()
    }

    /// Looks at the topic: heals what can be healed, and notes what can't.
    ///
    /// # Errors
    /// The log does not answer.
    pub fn check(&mut self) -> Result<(), EngineError> {
        let before = self.problem();
        let found = self.find()?;
        self.take_course(found)?;
        if let Some(problem) = self.problem().filter(|problem| Some(problem) != before.as_ref()) {
            tracing::error!("{problem}");
        } else if before.is_some() && self.problem.is_none() {
            tracing::info!(topic = self.topic, "the command topic is whole again");
        }
        // What came besides our own, or of an append of which nobody knew.
        self.is_uncertain |= found.is_some_and(|found| found.end > self.at.next);
        Ok(())
    }

    /// Commands that are still to be carried out, first to last: those of other servers, and those of appends that failed and were
    /// written all the same.
    ///
    /// # Errors
    /// The log does not answer.
    pub fn read_new(&mut self) -> Result<Vec<Command>, EngineError> {
        let new = self.read_on()?;
        self.is_uncertain = false;
        if let Some(problem) = self.problem() {
            tracing::error!("{problem}");
        }
        let mut commands = std::mem::take(&mut self.pending);
        for (text, _) in new {
            let command = serde_json::from_slice(&text);
            commands.push(command.map_err(|error| EngineError::internal(format!("a command can't be read: {error}")))?);
        }
        Ok(commands)
    }

    /// Every statement, first to last, those included that mean nothing any more.
    ///
    /// # Errors
    /// The data folder can't be read.
    pub fn past(&self) -> Result<Vec<Past>, EngineError> {
        let commands = self.copy.commands()?;
        let past = |text: Vec<u8>| {
            let glance = glance(&text).ok()?;
            let declares = match glance.action {
                GlanceAction::PutSource(source, _) => Some(source.name),
                _ => None,
            };
            Some(Past { given: glance.given.unwrap_or(glance.statement), declares })
        };
        Ok(commands.into_iter().filter_map(past).collect())
    }

    /// The topic as it is now; `None`: there is none.
    fn find(&self) -> Result<Option<Found>, LogError> {
        let Some(topic) = self.log.identify(&[&self.topic])?.first().copied().flatten() else { return Ok(None) };
        let bound = |spec| Ok::<_, LogError>(self.log.offsets(&[self.partition()], spec)?.first().map_or(0, |offset| offset.0));
        Ok(Some(Found { topic, first: bound(OffsetSpec::Earliest)?, end: bound(OffsetSpec::Latest)? }))
    }

    fn end(&self) -> Result<i64, LogError> {
        Ok(self.log.offsets(&[self.partition()], OffsetSpec::Latest)?.first().map_or(0, |offset| offset.0))
    }

    /// As [`Self::find`], where it was just seen or made.
    fn found(&self) -> Result<Found, LogError> {
        self.find()?.ok_or_else(|| LogError::Retriable(format!("topic {} was made and is not there", self.topic)))
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.as_str().into(), partition: 0 }
    }

    /// Brings topic and copy together, as far as that is possible.
    fn take_course(&mut self, found: Option<Found>) -> Result<(), EngineError> {
        let (course, problem) = decide(self.copy.header().map(|_| self.at), found);
        match course {
            Course::Begin => {
                ensure_topic(&*self.log, &self.settings)?;
                self.begin_at_topic()?;
            }
            Course::ReadOn(next) => {
                let Some(found) = found else { return Ok(()) };
                self.handle = self.log.topic(&self.topic)?.0;
                let count = if self.copy.header().is_none() { usize::try_from(next).unwrap_or_default() } else { self.at.count };
                self.at = Header { topic: found.topic, next, count };
                // What can't be read stays so for as long as it is the same topic.
                if !matches!(self.problem, Some(Problem::Unreadable { .. } | Problem::Later { .. })) {
                    self.problem = problem;
                }
            }
            Course::Restore { lacking } => self.restore(lacking)?,
            Course::Compare => match self.lacking(found)? {
                Some(lacking) => self.restore(lacking)?,
                None => self.problem = Some(Problem::Foreign),
            },
        }
        Ok(())
    }

    fn begin_at_topic(&mut self) -> Result<(), EngineError> {
        self.handle = self.log.topic(&self.topic)?.0;
        if let Some(found) = self.find()? {
            self.at = Header { topic: found.topic, next: 0, count: 0 };
            self.copy.add(&[], self.at)?;
        }
        Ok(())
    }

    /// How many of the copy's commands the topic lacks, whose records are the first of them; `None`: they are others.
    fn lacking(&self, found: Option<Found>) -> Result<Option<usize>, EngineError> {
        if found.is_none_or(|found| found.first > 0) {
            return Ok(None);
        }
        let known = self.copy.commands()?;
        let (mut count, mut counted, mut is_same) = (0_usize, Count(0), true);
        read_whole(&*self.log, &self.partition(), Offset(0), READ_TIMEOUT, &mut |record| {
            let turn = record.value.and_then(|value| glance(value).ok()).and_then(|glance| glance.turn);
            if counted.takes(turn) {
                is_same &= known.get(count).map(Vec::as_slice) == record.value;
                count += 1;
            }
        })?;
        Ok(is_same.then_some(known.len().saturating_sub(count)))
    }

    /// Writes the last of the copy's commands to the topic, which is made where it is not there.
    fn restore(&mut self, mut lacking: usize) -> Result<(), EngineError> {
        let commands = self.copy.commands()?;
        ensure_topic(&*self.log, &self.settings)?;
        self.handle = self.log.topic(&self.topic)?.0;
        if lacking == usize::MAX {
            // A broker that starts may not have known of a topic that is there.
            let found = self.found()?;
            let is_back = found.topic.id.is_some() && found.topic.may_be(&self.at.topic);
            if is_back {
                lacking = usize::try_from(self.at.next.saturating_sub(found.end)).unwrap_or_default();
            } else if found.end > 0 {
                return Err(LogError::Retriable(format!("somebody else writes to topic {}, which was made anew", self.topic)).into());
            }
        }
        let missing = commands.get(commands.len().saturating_sub(lacking)..).unwrap_or_default();
        tracing::warn!(
            topic = self.topic,
            commands = missing.len(),
            "the command topic has gone or lost records; it is written anew from the data folder"
        );
        let mut writer = self.log.writer()?;
        for command in missing {
            let record = OutRecord { partition: 0, timestamp: self.clock.now_ms(), key: None, value: Some(command), headers: &[] };
            writer.send(self.handle, record)?;
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })?;
        let found = self.found()?;
        self.at = Header { topic: found.topic, next: found.end, count: self.at.count };
        self.copy.add(&[], self.at)?;
        (self.problem, self.is_uncertain) = (None, false);
        Ok(())
    }

    /// Reads what the topic holds behind what is known, up to the first record that can't be read, which becomes the problem.
    fn read_on(&mut self) -> Result<Vec<(Vec<u8>, Glance)>, EngineError> {
        if matches!(self.problem, Some(Problem::Unreadable { .. } | Problem::Later { .. } | Problem::Foreign)) {
            return Ok(Vec::new());
        }
        let Reading { read, bad, next, count, void } = read_commands(&*self.log, &self.partition(), self.at)?;
        self.has_overtaken |= void.iter().any(|author| *author != self.author);
        self.at = Header { next, count, ..self.at };
        let texts: Vec<Vec<u8>> = read.iter().map(|(text, _, _)| text.clone()).collect();
        self.keep(&texts);
        if bad.is_some() {
            self.problem = bad;
        }
        Ok(read.into_iter().map(|(text, glance, _)| (text, glance)).collect())
    }

    /// Copies commands to the data folder. One that can't be written does not keep the command from being carried out: the next
    /// start reads it from the topic.
    fn keep(&mut self, commands: &[Vec<u8>]) {
        if self.copy_is_behind {
            return;
        }
        if let Err(error) = self.copy.add(commands, self.at) {
            tracing::warn!(%error, "the command topic can't be copied to the data folder; the next start reads it again");
            self.copy_is_behind = true;
        }
    }

    /// Cuts commands that mean nothing any more to their words, but for the first.
    fn cut_dead(&self, texts: &[Vec<u8>], glances: &[Glance], live: &[bool]) -> Result<(), EngineError> {
        if self.copy_is_behind {
            return Ok(());
        }
        let all = texts.iter().zip(glances).zip(live).enumerate().skip(1);
        let dead = all.filter(|(_, ((text, _), is_live))| !**is_live && text.len() > MAX_DEAD_BYTES);
        let husks: Vec<(usize, Vec<u8>)> =
            dead.filter_map(|(index, ((text, glance), _))| Some((index, glance.husk().filter(|husk| husk.len() < text.len())?))).collect();
        if !husks.is_empty() {
            tracing::debug!(count = husks.len(), "commands that mean nothing any more are cut to their words in the data folder");
            self.copy.replace(husks)?;
        }
        Ok(())
    }
}

/// What stands in the topic from an offset on.
struct Reading {
    /// Each with its offset.
    read: Vec<(Vec<u8>, Glance, i64)>,
    /// The first record that can't be read; nothing behind it is.
    bad: Option<Problem>,
    /// Behind the last that can.
    next: i64,
    /// How many commands there were by then.
    count: usize,
    /// Who wrote commands that are void.
    void: Vec<u64>,
}

/// Reads what stands behind what is known.
fn read_commands(log: &dyn Log, partition: &TopicPartition, known: Header) -> Result<Reading, LogError> {
    let (mut read, mut bad): (Vec<(Vec<u8>, Glance, i64)>, _) = (Vec::new(), None);
    let mut void = Vec::new();
    let (from, mut next, mut count) = (known.next, known.next, Count(known.count));
    let end = read_whole(log, partition, Offset(from), READ_TIMEOUT, &mut |record| {
        if bad.is_some() {
            return;
        }
        match record.value.map(glance) {
            Some(Ok(glance)) if glance.version > COMMAND_VERSION => {
                bad = Some(Problem::Later { offset: record.offset.0, version: glance.version });
            }
            Some(Ok(glance)) if !count.takes(glance.turn) => {
                void.extend(glance.turn.map(|turn| turn.by));
                tracing::debug!(offset = record.offset.0, statement = glance.statement, "another server was quicker than this command's");
            }
            Some(Ok(glance)) => read.push((record.value.unwrap_or_default().to_vec(), glance, record.offset.0)),
            // A later version may have shaped its commands otherwise.
            Some(Err(error)) => {
                bad = Some(match record.value.and_then(later_version) {
                    Some(version) => Problem::Later { offset: record.offset.0, version },
                    None => Problem::Unreadable { offset: record.offset.0, reason: error.to_string() },
                });
            }
            None => bad = Some(Problem::Unreadable { offset: record.offset.0, reason: "it has no value".to_owned() }),
        }
        if bad.is_none() {
            next = record.offset.0 + 1;
        }
    })?;
    if bad.is_none() {
        next = end.0;
    }
    Ok(Reading { read, bad, next, count: count.0, void })
}

fn glance(text: &[u8]) -> Result<Glance, serde_json::Error> {
    serde_json::from_slice(text)
}

/// The version of a command that can't be read otherwise, if it is later than ours.
fn later_version(text: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    serde_json::from_slice::<Versioned>(text).ok().map(|command| command.version).filter(|version| *version > COMMAND_VERSION)
}
