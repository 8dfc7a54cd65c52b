//! All partitions that are being read, and the few clients that read them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::ffi::{Client, admin};
use super::health::{Health, Outage};
use super::partition::{MemberId, SharedPartition};
use super::placement::{LANES, MAIN_LANE};
use super::prefetch::{Places, SHARES};
use super::properties::ClientProperties;
use crate::log::{LogError, TopicPartition};

/// How long a broker may take to answer a probe, milliseconds.
const PROBE_TIMEOUT_MS: u64 = 1_000;

/// The clients that read: made when first needed, shared by all partitions. Each lane has one, and others for the partitions
/// that may not be fetched as far ahead (see `prefetch`).
pub(super) struct Lanes {
    properties: ClientProperties,
    health: Arc<Health>,
    clients: Mutex<[[Option<Arc<Client>>; SHARES.len()]; LANES]>,
    places: Mutex<Places>,
}

/// A partition's place on a client, given back when dropped.
pub(super) struct Seat {
    lanes: Arc<Lanes>,
    share: usize,
    pub(super) client: Arc<Client>,
}

impl Lanes {
    fn client(&self, lane: usize, share: usize) -> Result<Arc<Client>, LogError> {
        let mut clients = self.clients.lock();
        let slot = clients.get_mut(lane).and_then(|lane| lane.get_mut(share));
        let slot = slot.ok_or_else(|| LogError::Fatal(format!("no lane {lane} with share {share}")))?;
        if let Some(client) = slot {
            return Ok(Arc::clone(client));
        }
        let properties = self.properties.for_reading(SHARES.get(share).unwrap_or(&SHARES[0]));
        let client = Client::consumer(&properties, &self.health)?;
        *slot = Some(Arc::clone(&client));
        Ok(client)
    }

    /// A place for one more partition on a lane.
    pub(super) fn seat(self: &Arc<Self>, lane: usize) -> Result<Seat, LogError> {
        let share = self.places.lock().take();
        match self.client(lane, share) {
            Ok(client) => Ok(Seat { lanes: Arc::clone(self), share, client }),
            Err(error) => {
                self.places.lock().give_back(share);
                Err(error)
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lanes.places.lock().give_back(self.share);
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
        let lanes = Arc::new(Lanes { properties, health, clients: Mutex::default(), places: Mutex::default() });
        lanes.client(MAIN_LANE, 0)?;
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
        if joined.is_err() && partition.is_unused() {
            partitions.remove(name);
        }
        joined.map(|member| (partition, member))
    }

    /// Ends a subscription.
    pub(super) fn leave(&self, name: &TopicPartition, partition: &SharedPartition, member: MemberId) {
        // May wait until the reading has stopped; others join and leave meanwhile.
        partition.leave(member);
        let mut partitions = self.partitions.lock();
        let is_this = partitions.get(name).is_some_and(|known| std::ptr::eq(&raw const **known, partition));
        if is_this && partition.is_unused() {
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
