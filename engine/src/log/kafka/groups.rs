//! Consumer groups without members: each query's offsets are committed to its own group from one client, so that lag
//! tools see them, and read back at a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::coordinators::Coordinators;
use super::errors::Failure;
use super::ffi::admin::metadata;
use super::ffi::offsets::{self, GroupCommit};
use super::ffi::{Client, admin};
use super::topics::request_timeout;
use crate::log::{GroupOffsets, LogError, Offset, OffsetSpec, TopicPartition};

/// How long a commit is tried again while brokers or coordinators are away, seconds. Giving up costs all work since the
/// last commit.
const COMMIT_PATIENCE_S: u64 = 120;
/// As long for other requests, whose callers can ask again, seconds.
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

    /// Commits to all groups at once; those that fail for now are tried again.
    pub(super) fn commit(&self, groups: &[(Arc<str>, GroupOffsets)]) -> Result<(), LogError> {
        let mut left: Vec<GroupCommit<'_>> =
            groups.iter().filter(|(_, offsets)| !offsets.is_empty()).map(|(group, offsets)| GroupCommit { group, offsets }).collect();
        let mut tries = Tries::new(COMMIT_PATIENCE_S);
        while !left.is_empty() {
            let mut failed: Vec<(GroupCommit<'_>, Failure)> = match self.commit_once(&left) {
                Ok(results) => {
                    left.iter().zip(results).filter_map(|(group, result)| result.err().map(|failure| (*group, failure))).collect()
                }
                Err(failure) => left.iter().map(|group| (*group, failure.clone())).collect(),
            };
            if failed.iter().any(|(_, failure)| failure.is_about_coordinator()) {
                self.coordinators.forget();
            }
            // One that will not do later either says more than those that may.
            failed.sort_by_key(|(_, failure)| failure.is_retriable());
            if let Some((GroupCommit { group, .. }, failure)) = failed.first()
                && (!failure.is_retriable() || !tries.again())
            {
                let hint =
                    if failure.is(Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID) { " (another program reads with this group)" } else { "" };
                return Err(failure.clone().about(&format!("committing the offsets of group '{group}'{hint}"), None));
            }
            left = failed.into_iter().map(|(group, _)| group).collect();
        }
        Ok(())
    }

    fn commit_once(&self, groups: &[GroupCommit<'_>]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let placed = groups.iter().map(|group| Ok((self.coordinators.of(group.group)?, *group))).collect::<Result<Vec<_>, Failure>>()?;
        offsets::commit(&self.client, &placed, request_timeout())
    }

    /// Tries again while the failure is one that goes away.
    fn patiently<T>(&self, mut ask: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut tries = Tries::new(PATIENCE_S);
        loop {
            match ask() {
                Err(failure) if failure.is_retriable() => {
                    if failure.is_about_coordinator() {
                        self.coordinators.forget();
                    }
                    if !tries.again() {
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

/// Counts out patience.
struct Tries {
    deadline: Instant,
    backoff_ms: u64,
}

impl Tries {
    fn new(patience_s: u64) -> Tries {
        Tries { deadline: Instant::now() + Duration::from_secs(patience_s), backoff_ms: BACKOFF_MS.0 }
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
