//! What statements write: records that must be durable before somebody is answered (a row of an INSERT, a few hundred of a COPY, a
//! command).
//!
//! One client for all of them. Records that come while others are on their way go together in the next request, so many
//! INSERTs at once cost little more than one, and none makes a producer of its own. It lingers for nothing and has a
//! connection of its own: the workers' large batches do not stand before a lone record.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Shared;
use super::errors::Failure;
use super::ffi::Client;
use super::ffi::produce::{Producer, ProducerTopic};
use super::properties::APPEND_TIMEOUT_MS;
use super::reports::Ticket;
use crate::clock::{Clock, SystemClock};
use crate::log::{AppendError, LogError, OutRecord, TopicHandle};

/// How long whoever waits listens before it looks at the time, milliseconds.
const LISTEN_MS: u64 = 20;
/// How long the client's own verdict on a record that took too long may take to come, milliseconds.
const VERDICT_MS: u64 = 2_000;
/// How long the client may take to learn of new partitions, seconds.
const REFRESH_TIMEOUT_S: u64 = 5;
/// Pause before a full queue is tried again, milliseconds.
const FULL_PAUSE_MS: u64 = 1;

pub(super) struct Appender {
    /// Replaced where a client can do no more.
    open: Mutex<Arc<Open>>,
}

/// A client with the topics that it has written to.
struct Open {
    producer: Producer,
    topics: Mutex<Topics>,
}

/// Why not all records were written; see [`AppendError`].
struct Undone {
    written: usize,
    beyond: usize,
    failure: Failure,
}

impl Undone {
    fn nothing(failure: Failure) -> Self {
        Undone { written: 0, beyond: 0, failure }
    }
}

#[derive(Default)]
struct Topics {
    by_handle: HashMap<TopicHandle, Arc<ProducerTopic>>,
    /// The deletions that `by_handle` knows of.
    deletions: u64,
}

impl Appender {
    /// `client` reports the fate of every record.
    pub(super) fn new(client: Arc<Client>) -> Appender {
        Appender { open: Mutex::new(Open::new(client)) }
    }

    /// Writes records and waits until all are durable.
    ///
    /// A broker judges whole batches, and does not say which record it was: so where there are several, each is judged before it is
    /// sent, and those go together that the topic takes as one batch. Where the topic can't be asked for its demands each goes by itself.
    pub(super) fn append_all(&self, shared: &Shared, handle: TopicHandle, records: &[OutRecord<'_>]) -> Result<(), AppendError> {
        if records.len() <= 1 {
            return self.append_together(shared, handle, records);
        }
        let nothing = |error| AppendError { written: 0, beyond: 0, error };
        let name = shared.topics.name(handle).ok_or_else(|| nothing(LogError::Fatal(format!("no topic has handle {}", handle.0))))?;
        let rules = shared.rules.recent(&shared.admin, &name);
        let now_ms = SystemClock.now_ms();
        let refusal = |record: &OutRecord<'_>| rules.as_ref().and_then(|rules| rules.refuses(&name, record, now_ms, false));
        let refused = records.iter().enumerate().find_map(|(index, record)| refusal(record).map(|reason| (index, reason)));
        let good = records.get(..refused.as_ref().map_or(records.len(), |(index, _)| *index)).unwrap_or_default();
        let mut written = 0;
        while let Some(rest) = good.get(written..).filter(|rest| !rest.is_empty()) {
            let count = rules.as_ref().map_or(1, |rules| rules.together(rest));
            self.append_together(shared, handle, rest.get(..count).unwrap_or_default())
                .map_err(|failed| AppendError { written: written + failed.written, ..failed })?;
            written += count;
        }
        match refused {
            None => Ok(()),
            Some((_, reason)) => {
                Err(AppendError { written, beyond: 0, error: LogError::Undeliverable { topic: name.to_string(), reason } })
            }
        }
    }

    /// Writes records at once, however they are judged.
    fn append_together(&self, shared: &Shared, handle: TopicHandle, records: &[OutRecord<'_>]) -> Result<(), AppendError> {
        let nothing = |error| AppendError { written: 0, beyond: 0, error };
        let name = shared.topics.name(handle).ok_or_else(|| nothing(LogError::Fatal(format!("no topic has handle {}", handle.0))))?;
        let open = Arc::clone(&self.open.lock());
        let Undone { written, beyond, failure } = match open.append_all(shared, handle, &name, records) {
            Ok(()) => return Ok(()),
            Err(undone) => undone,
        };
        if failure.is_unknown_topic() {
            shared.topics.forget(&name);
            open.topics.lock().by_handle.remove(&handle);
        }
        if open.producer.fatal().is_some() {
            self.replace(shared, &open).map_err(|error| AppendError { written, beyond, error })?;
        }
        Err(AppendError { written, beyond, error: failure.about("writing to topic", Some(&name)) })
    }

    /// Makes a new client, unless somebody else did meanwhile.
    fn replace(&self, shared: &Shared, broken: &Arc<Open>) -> Result<(), LogError> {
        let mut open = self.open.lock();
        if Arc::ptr_eq(&open, broken) {
            *open = Open::new(Client::producer(&shared.properties.for_appends(), &shared.health)?);
        }
        Ok(())
    }
}

impl Open {
    fn new(client: Arc<Client>) -> Arc<Open> {
        Arc::new(Open { producer: Producer::new(client), topics: Mutex::default() })
    }

    fn append_all(&self, shared: &Shared, handle: TopicHandle, name: &str, records: &[OutRecord<'_>]) -> Result<(), Undone> {
        let deadline = Instant::now() + Duration::from_millis(APPEND_TIMEOUT_MS);
        // While nobody answers nothing is sent: a statement that fails then has certainly written nothing.
        while let Some(away) = shared.health.outage() {
            if Instant::now() >= deadline || shared.gives_up() {
                return Err(Undone::nothing(Failure::late(format!("{away}; nothing was written"))));
            }
            std::thread::sleep(Duration::from_millis(LISTEN_MS));
        }
        let topic = self.topic(shared, handle, name).map_err(Undone::nothing)?;
        let reports = self.producer.reports();
        let mut tickets = Vec::with_capacity(records.len());
        let mut refused = None;
        let mut was_refreshed = false;
        for record in records {
            let ticket = reports.ticket();
            if let Err(failure) = self.send(&topic, *record, ticket, deadline, &mut was_refreshed) {
                reports.forget(ticket);
                refused = Some(failure);
                break;
            }
            tickets.push(ticket);
        }
        let verdict = deadline + Duration::from_millis(VERDICT_MS);
        let (mut written, mut beyond, mut first) = (0, 0, None);
        for ticket in tickets {
            let fate = reports.wait(ticket, verdict, || self.producer.poll(Duration::from_millis(LISTEN_MS)));
            let (failure, may_be_there) = match fate {
                Some(Ok(())) => (None, true),
                Some(Err(failure)) if !failure.is_late() => (Some(Failure { text: failure.in_words(), ..failure }), false),
                _ => {
                    let away = shared.health.outage().unwrap_or_else(|| "no broker answered".into());
                    let seconds = APPEND_TIMEOUT_MS / 1_000;
                    (Some(Failure::late(format!("{away}, for {seconds} s; the record may have been written"))), true)
                }
            };
            match (&first, failure) {
                (None, None) => written += 1,
                (None, Some(failure)) => first = Some(failure),
                (Some(_), _) => beyond += usize::from(may_be_there),
            }
        }
        match first.or(refused) {
            None => Ok(()),
            Some(failure) => Err(Undone { written, beyond, failure }),
        }
    }

    /// Hands a record to the client, and waits while its queue is full.
    fn send(
        &self,
        topic: &ProducerTopic,
        record: OutRecord<'_>,
        ticket: Ticket,
        deadline: Instant,
        was_refreshed: &mut bool,
    ) -> Result<(), Failure> {
        while let Err(failure) = self.producer.send_reported(topic, record, ticket) {
            if failure.is_queue_full() && Instant::now() < deadline {
                self.producer.poll(Duration::from_millis(FULL_PAUSE_MS));
            } else if failure.is_unknown_topic() && !*was_refreshed {
                // Partitions were added, and this client has not heard of it yet.
                *was_refreshed = true;
                let _ = self.producer.refresh(topic, Duration::from_secs(REFRESH_TIMEOUT_S));
            } else {
                let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                let text = format!("{} (a record of {size} bytes for partition {})", failure.text, record.partition);
                return Err(Failure { text, ..failure });
            }
        }
        Ok(())
    }

    fn topic(&self, shared: &Shared, handle: TopicHandle, name: &str) -> Result<Arc<ProducerTopic>, Failure> {
        let mut topics = self.topics.lock();
        let deletions = shared.topics.deletions();
        if topics.deletions != deletions {
            *topics = Topics { deletions, ..Topics::default() };
        }
        if let Some(topic) = topics.by_handle.get(&handle) {
            return Ok(Arc::clone(topic));
        }
        let topic = Arc::new(self.producer.topic(name)?);
        topics.by_handle.insert(handle, Arc::clone(&topic));
        Ok(topic)
    }
}
