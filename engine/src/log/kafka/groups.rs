//! Consumer groups without members: each query's offsets are committed to its own group from one client, so that lag
//! tools see them, and read back at a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::committer::Carrier;
use super::coordinators::Coordinators;
use super::errors::Failure;
use super::ffi::admin::metadata;
use super::ffi::offsets::{self, GroupCommit};
use super::ffi::{Client, admin};
use super::health::Health;
use super::properties::{ClientProperties, Role};
use super::topics::request_timeout;
use crate::log::{LogError, Offset, OffsetSpec, TopicPartition};

/// How long a request is tried again while brokers or coordinators are away, seconds; its caller can ask again.
const PATIENCE_S: u64 = 20;
/// First and longest pause between two attempts, milliseconds.
const BACKOFF_MS: (u64, u64) = (10, 500);

/// Librdkafka's numbers for the first offset and one past the last.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

pub(super) struct Groups {
    client: Arc<Client>,
    coordinators: Coordinators,
}

impl Groups {
    pub(super) fn new(client: Arc<Client>, coordinators: Coordinators) -> Groups {
        Groups { client, coordinators }
    }

    pub(super) fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let at = match spec {
            OffsetSpec::Earliest => EARLIEST,
            OffsetSpec::Latest => LATEST,
            OffsetSpec::AtTimestamp(time) => time.max(0),
        };
        let ask = |at| {
            self.patiently(|| offsets::list_offsets(&self.client, partitions, at, request_timeout())).map_err(|failure| {
                match self.missing_topic(partitions, &failure) {
                    Some(topic) => LogError::UnknownTopic(topic),
                    None => failure.about("asking for offsets", None),
                }
            })
        };
        let mut found = ask(at)?;
        if found.iter().any(|offset| *offset < 0) {
            // No record at or after that time: the end.
            let ends = ask(LATEST)?;
            for (offset, end) in found.iter_mut().zip(ends) {
                if *offset < 0 {
                    *offset = end;
                }
            }
        }
        Ok(found.into_iter().map(Offset).collect())
    }

    pub(super) fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        self.patiently(|| offsets::committed(&self.client, self.coordinators.of(group)?, group, partitions, request_timeout()))
            .map_err(|failure| failure.about(&format!("asking for the committed offsets of group '{group}'"), None))
    }

    pub(super) fn delete(&self, group: &str) -> Result<(), LogError> {
        match self.patiently(|| admin::delete_group(&self.client, self.coordinators.of(group)?, group, request_timeout())) {
            Err(failure) if !failure.is(Code::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) => {
                Err(failure.about(&format!("deleting group '{group}'"), None))
            }
            _ => Ok(()),
        }
    }

    /// Commits to all groups at once; what became of each, in their order. Takes as long as the brokers do (5 ms for each
    /// group: they answer the requests of a connection one after another), so `committer` does it, by a client of its own.
    fn commit(&self, client: &Arc<Client>, groups: &[GroupCommit<'_>]) -> Vec<Result<(), Failure>> {
        let results = match self.commit_once(client, groups) {
            Ok(results) => results,
            Err(failure) => groups.iter().map(|_| Err(failure.clone())).collect(),
        };
        if results.iter().any(|result| result.as_ref().is_err_and(Failure::is_about_coordinator)) {
            self.coordinators.forget();
        }
        results
    }

    fn commit_once(&self, client: &Arc<Client>, groups: &[GroupCommit<'_>]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let placed = groups.iter().map(|group| Ok((self.coordinators.of(group.group)?, *group))).collect::<Result<Vec<_>, Failure>>()?;
        offsets::commit(client, &placed, request_timeout())
    }

    /// Tries again while the failure is one that goes away.
    fn patiently<T>(&self, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut tries = Tries::new();
        loop {
            match ask() {
                Err(failure) if failure.is_retriable() => {
                    if failure.is_about_coordinator() {
                        self.coordinators.forget();
                    }
                    if self.client.is_away() || !tries.again() {
                        return Err(failure);
                    }
                }
                result => return result,
            }
        }
    }

    /// A topic that does not exist, which librdkafka reports as a missing leader.
    fn missing_topic(&self, partitions: &[TopicPartition], failure: &Failure) -> Option<String> {
        if !failure.is(Code::RD_KAFKA_RESP_ERR__NOENT) && !failure.is_unknown_topic() {
            return None;
        }
        partitions.iter().map(|partition| &*partition.topic).find_map(|topic| {
            let found = metadata(&self.client, Some(topic), request_timeout()).ok()?;
            let code = found.iter().find(|found| found.name == topic).map_or(0, |found| found.code);
            Failure::of_code(code).filter(Failure::is_unknown_topic).map(|_| topic.to_owned())
        })
    }
}

/// Takes the offsets of groups to the brokers: the first connection is that of background work, others are made when they
/// are needed.
pub(super) struct GroupCarrier {
    groups: Arc<Groups>,
    properties: ClientProperties,
    health: Arc<Health>,
    clients: Mutex<Vec<Arc<Client>>>,
}

impl GroupCarrier {
    pub(super) fn new(groups: Arc<Groups>, background: Arc<Client>, properties: ClientProperties, health: Arc<Health>) -> GroupCarrier {
        GroupCarrier { groups, properties, health, clients: Mutex::new(vec![background]) }
    }

    fn client(&self, connection: usize) -> Result<Arc<Client>, LogError> {
        let mut clients = self.clients.lock();
        while clients.len() <= connection {
            clients.push(Client::consumer(&self.properties.for_role(Role::Admin), &self.health)?);
        }
        clients.get(connection).cloned().ok_or_else(|| LogError::Fatal(format!("no connection {connection}")))
    }
}

impl Carrier for GroupCarrier {
    fn commit(&self, connection: usize, groups: &[GroupCommit<'_>]) -> Vec<Result<(), Failure>> {
        match self.client(connection) {
            Ok(client) => self.groups.commit(&client, groups),
            // Another connection will take them.
            Err(error) => groups.iter().map(|_| Err(Failure::late(error.to_string()))).collect(),
        }
    }
}

/// Counts out patience.
struct Tries {
    deadline: Instant,
    backoff_ms: u64,
}

impl Tries {
    fn new() -> Tries {
        Tries { deadline: Instant::now() + Duration::from_secs(PATIENCE_S), backoff_ms: BACKOFF_MS.0 }
    }

    /// Waits before another attempt; false where patience has ended.
    fn again(&mut self) -> bool {
        if Instant::now() > self.deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(self.backoff_ms));
        self.backoff_ms = (self.backoff_ms * 2).min(BACKOFF_MS.1);
        true
    }
}
