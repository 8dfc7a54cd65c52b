//! All partitions that are being read, and the few clients that read them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::ffi::{Client, admin};
use super::health::{Health, Outage};
use super::partition::{MemberId, SharedPartition};
use super::placement::{LANES, MAIN_LANE};
use super::properties::{ClientProperties, Role};
use crate::log::{LogError, TopicPartition};

/// How long a broker may take to answer a probe, milliseconds.
const PROBE_TIMEOUT_MS: u64 = 1_000;

/// The clients that read: made when first needed, shared by all partitions.
pub(super) struct Lanes {
    properties: ClientProperties,
    health: Arc<Health>,
    clients: Mutex<[Option<Arc<Client>>; LANES]>,
}

impl Lanes {
    pub(super) fn client(&self, lane: usize) -> Result<Arc<Client>, LogError> {
        let mut clients = self.clients.lock();
        let slot = clients.get_mut(lane).ok_or_else(|| LogError::Fatal(format!("no lane {lane}")))?;
        if let Some(client) = slot {
            return Ok(Arc::clone(client));
        }
        let client = Client::consumer(&self.properties.for_role(Role::Consumer), &self.health)?;
        *slot = Some(Arc::clone(&client));
        Ok(client)
    }
}

/// The registry of shared partitions.
pub(super) struct Hub {
    lanes: Arc<Lanes>,
    partitions: Mutex<HashMap<TopicPartition, Arc<SharedPartition>>>,
}

impl Hub {
    /// Makes the main client at once, so that its properties are checked.
    pub(super) fn new(properties: ClientProperties, health: Arc<Health>) -> Result<Arc<Hub>, LogError> {
        let lanes = Arc::new(Lanes { properties, health, clients: Mutex::default() });
        lanes.client(MAIN_LANE)?;
        Ok(Arc::new(Hub { lanes, partitions: Mutex::default() }))
    }

    /// Subscribes to a partition, which is fetched from now on if it was not.
    pub(super) fn join(
        &self,
        name: &TopicPartition,
        offset: i64,
        known_end: Option<i64>,
        max_bytes: usize,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Arc<SharedPartition>, MemberId), LogError> {
        let mut partitions = self.partitions.lock();
        let partition = partitions.entry(name.clone()).or_insert_with(|| SharedPartition::new(name.clone(), Arc::clone(&self.lanes)));
        let partition = Arc::clone(partition);
        let joined = partition.join(offset, known_end, max_bytes, wake);
        if joined.is_err() && !partition.has_members() {
            partitions.remove(name);
        }
        joined.map(|member| (partition, member))
    }

    /// Ends a subscription.
    pub(super) fn leave(&self, name: &TopicPartition, partition: &SharedPartition, member: MemberId) {
        let mut partitions = self.partitions.lock();
        partition.leave(member);
        if !partition.has_members() {
            partitions.remove(name);
        }
    }

    fn wake_all(&self) {
        let all: Vec<Arc<SharedPartition>> = self.partitions.lock().values().cloned().collect();
        for partition in all {
            partition.wake_all();
        }
    }
}

/// Lets the health prober reach the log without keeping it alive.
pub(super) struct Watch {
    pub(super) admin: Weak<Client>,
    pub(super) hub: Weak<Hub>,
}

impl Outage for Watch {
    fn probe(&self) -> Result<(), String> {
        let Some(client) = self.admin.upgrade() else { return Ok(()) };
        admin::probe(&client, Duration::from_millis(PROBE_TIMEOUT_MS)).map_err(|failure| failure.text)
    }

    fn changed(&self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.wake_all();
        }
    }

    fn is_closed(&self) -> bool {
        self.admin.strong_count() == 0
    }
}
