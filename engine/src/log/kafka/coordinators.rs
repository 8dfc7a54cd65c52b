//! Which broker keeps a consumer group's offsets.
//!
//! librdkafka can look this up by itself, but not safely: a group request that times out while the coordinator is away
//! is freed while its look-up goes on, and the process aborts (or worse) when the broker comes back (2.12.1,
//! `rd_kafka_admin_coord_request`). Requests that name their broker take another path, which is sound. So the
//! coordinator is computed as brokers do: the leader of the group's partition of `__consumer_offsets`. The client that
//! asks has a group of its own (see `properties`), which makes a cluster without groups create that topic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::errors::Failure;
use super::ffi::Client;
use super::ffi::admin::metadata;
use super::topics::request_timeout;

/// Where brokers keep the offsets of groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// How long the cluster may take to make that topic when the first group comes, seconds.
const FIRST_GROUP_TIMEOUT_S: u64 = 30;
/// Pause between two looks at whether it did, milliseconds.
const FIRST_GROUP_PAUSE_MS: u64 = 20;

pub(super) struct Coordinators {
    client: Arc<Client>,
    /// The leader of each partition of the topic of offsets; empty until it is needed, or when it has changed.
    leaders: Mutex<Arc<[i32]>>,
}

impl Coordinators {
    pub(super) fn new(client: Arc<Client>) -> Coordinators {
        Coordinators { client, leaders: Mutex::default() }
    }

    /// The id of the broker that coordinates a group.
    pub(super) fn of(&self, group: &str) -> Result<i32, Failure> {
        let mut leaders = self.leaders.lock().clone();
        if leaders.is_empty() {
            // Not under the lock: who asks and is answered does not wait for one who is not.
            leaders = self.look_up().map_err(|failure| failure.looking_up(OFFSETS_TOPIC))?;
            self.leaders.lock().clone_from(&leaders);
        }
        partition_of(group, leaders.len()).and_then(|partition| leaders.get(partition)).copied().ok_or_else(unavailable)
    }

    /// Looks again before the next request: a broker said that it is not the coordinator, or could not be reached.
    pub(super) fn forget(&self) {
        *self.leaders.lock() = Arc::default();
    }

    fn look_up(&self) -> Result<Arc<[i32]>, Failure> {
        let deadline = Instant::now() + Duration::from_secs(FIRST_GROUP_TIMEOUT_S);
        loop {
            let topics = metadata(&self.client, Some(OFFSETS_TOPIC), request_timeout())?;
            let topic = topics.into_iter().find(|topic| topic.name == OFFSETS_TOPIC).ok_or_else(unavailable)?;
            match Failure::of_code(topic.code) {
                None if topic.leaders.iter().all(|leader| *leader >= 0) && !topic.leaders.is_empty() => return Ok(topic.leaders.into()),
                None => {}
                Some(failure) if failure.is_unknown_topic() => {}
                Some(failure) if failure.is_retriable() => {}
                Some(mut failure) => {
                    failure.text =
                        format!("{} (the topic {OFFSETS_TOPIC} must be describable, to find the groups' coordinators)", failure.text);
                    return Err(failure);
                }
            }
            if Instant::now() > deadline {
                return Err(unavailable());
            }
            std::thread::sleep(Duration::from_millis(FIRST_GROUP_PAUSE_MS));
        }
    }
}

fn unavailable() -> Failure {
    Failure::new(Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, "the group's coordinator is not available")
}

/// The partition of the topic of offsets that a group belongs to: Java's `String.hashCode`, made positive as Kafka does.
fn partition_of(group: &str, partitions: usize) -> Option<usize> {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = if hash == i32::MIN { 0 } else { hash.unsigned_abs() };
    usize::try_from(positive).ok()?.checked_rem(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_java_puts_them() {
        // "polygenelubricants".hashCode() is i32::MIN; the others were computed with Java.
        for (group, partition) in
            [("", 0), ("a", 97 % 50), ("hello", 99_162_322 % 50), ("polygenelubricants", 0), ("Aa", 2112 % 50), ("BB", 2112 % 50)]
        {
            assert_eq!(partition_of(group, 50), Some(partition), "{group}");
        }
        assert_eq!(partition_of("group", 0), None);
    }
}
