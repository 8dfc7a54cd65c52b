//! The servers that share the service: which there are, where they are reached, and which slots each has.
//!
//! Who has what is what the group has agreed on. Where a server is reached it writes down when it starts: a record in the first partition
//! of the slots' topic, under its id. Both are looked at when somebody asks for what is on another server, and kept until they turn out
//! to hold no longer; nobody asks all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::standbys::standbys;
use super::versions::Understanding;
use super::{Engine, EngineConfig, EngineError};
use crate::clock::Clock;
use crate::log::{Log, LogError, Offset, OutRecord, PartitionId, SharedClaim, TopicPartition, read_whole};
use crate::runtime::{Slot, SlotSet};

/// How long reading what servers have written down may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Where they write it down.
const CARDS: i32 = 0;

/// What a server writes down of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Card {
    /// Where others reach it, a URL.
    url: String,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rack: Option<String>,
    /// What statements may come to that it carries out.
    #[serde(default)]
    understands: Understanding,
}

/// A server of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// That of its data folder.
    pub id: String,
    /// Where it is reached, a URL; `None`: it has not said so.
    pub url: Option<String>,
    pub version: Option<String>,
    /// What it shares its fate with, as it has said (`tidemill.rack`).
    pub rack: Option<String>,
    /// What statements may come to that it carries out.
    pub understands: Understanding,
    /// The slots that the group says are its.
    pub slots: SlotSet,
    /// Whether it is this one.
    pub is_this: bool,
}

/// Servers with partitions that they have; see [`Engine::owners`].
pub type Owners = Vec<(Option<ServerInfo>, Vec<PartitionId>)>;

/// The servers as they were at a moment.
#[derive(Debug)]
pub(super) struct Seating {
    at: Instant,
    pub servers: BTreeMap<String, ServerInfo>,
    pub owners: BTreeMap<Slot, String>,
}

impl Seating {
    fn new(at: Instant, servers: BTreeMap<String, ServerInfo>) -> Self {
        let of_server = |server: &ServerInfo| server.slots.iter().map(|slot| (*slot, server.id.clone())).collect::<Vec<_>>();
        Seating { at, owners: servers.values().flat_map(of_server).collect(), servers }
    }

    /// Who has a slot; `None` while it is on its way.
    pub fn owner(&self, slot: Slot) -> Option<&ServerInfo> {
        self.servers.get(self.owners.get(&slot)?)
    }

    /// The standby of a slot of that place, from 0; `None`: there are not so many, or the slot is on its way.
    pub fn standby(&self, slot: Slot, place: usize) -> Option<&ServerInfo> {
        standbys(slot, self.owner(slot)?, self.servers.values()).get(place).copied()
    }
}

/// What is known of the servers.
#[derive(Default)]
pub(super) struct Servers {
    known: RwLock<Option<Arc<Seating>>>,
    /// Held while somebody looks.
    cards: Mutex<Cards>,
}

#[derive(Default)]
struct Cards {
    read_to: Offset,
    by_server: BTreeMap<String, Card>,
}

impl Servers {
    /// What was written down is to be read anew: the topic is another.
    pub fn forget(&self) {
        *self.cards.lock() = Cards::default();
        *self.known.write() = None;
    }
}

/// Writes down where this server is reached.
///
/// # Errors
/// The log is away, or does not allow it.
pub(super) fn announce(config: &EngineConfig, log: &dyn Log, clock: &dyn Clock, server: &str) -> Result<(), EngineError> {
    let Some(url) = config.advertised.clone() else { return Ok(()) };
    let card = Card { url, version: env!("CARGO_PKG_VERSION").to_owned(), rack: config.rack.clone(), understands: Understanding::own() };
    let value = serde_json::to_vec(&card).map_err(|error| EngineError::internal(error.to_string()))?;
    let (topic, _) = log.topic(&config.slots_topic())?;
    let (key, value) = (Some(server.as_bytes()), Some(value.as_slice()));
    Ok(log.append(topic, OutRecord { partition: CARDS, timestamp: clock.now_ms(), key, value, headers: &[] })?)
}

impl Cards {
    /// Reads what was written down since.
    fn read_on(&mut self, log: &dyn Log, topic: String) -> Result<(), LogError> {
        let by_server = &mut self.by_server;
        let cards = TopicPartition { topic: topic.into(), partition: CARDS };
        let read = read_whole(log, &cards, self.read_to, READ_TIMEOUT, &mut |record| {
            let Some(server) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else { return };
            match record.value.and_then(|value| serde_json::from_slice(value).ok()) {
                Some(card) => by_server.insert(server.to_owned(), card),
                None => by_server.remove(server),
            };
        });
        match read {
            Ok(read_to) => self.read_to = read_to,
            // Until it is made anew (see [`super::slots_topic`]) what it said holds on.
            Err(LogError::UnknownTopic(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Engine {
    /// The servers that share the service, as they are now; empty where this one is alone by itself.
    ///
    /// # Errors
    /// The log is away.
    pub fn servers(&self) -> Result<Vec<ServerInfo>, EngineError> {
        if self.share.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.seating(Some(self.clock.instant()))?.servers.values().cloned().collect())
    }

    /// Whether several servers may share the service.
    pub fn is_shared(&self) -> bool {
        self.share.is_some()
    }

    /// Partitions of a query's by the servers that have them, `None` of those that nobody has: as much as is known, or as it was after
    /// a moment.
    ///
    /// # Errors
    /// The servers have to be looked at, and the log is away.
    pub fn owners(&self, query: &str, partitions: &[PartitionId], after: Option<Instant>) -> Result<Owners, EngineError> {
        let seating = self.seating(after)?;
        let slots = self.runtime.config().slots;
        let mut owners: Owners = Vec::new();
        for partition in partitions {
            let owner = seating.owner(slots.of(query, *partition));
            match owners.iter_mut().find(|(known, _)| known.as_ref().map(|known| &known.id) == owner.map(|owner| &owner.id)) {
                Some((_, partitions)) => partitions.push(*partition),
                None => owners.push((owner.cloned(), vec![*partition])),
            }
        }
        Ok(owners)
    }

    /// As much as is known of the servers, or as they were after a moment.
    ///
    /// # Errors
    /// They have to be looked at, and the log is away.
    pub(super) fn seating(&self, after: Option<Instant>) -> Result<Arc<Seating>, EngineError> {
        let is_new = |seating: &Arc<Seating>| after.is_none_or(|after| seating.at >= after);
        if let Some(known) = self.servers.known.read().clone().filter(is_new) {
            return Ok(known);
        }
        let mut cards = self.servers.cards.lock();
        // Somebody may have looked meanwhile.
        if let Some(known) = self.servers.known.read().clone().filter(is_new) {
            return Ok(known);
        }
        let at = self.clock.instant();
        let mut shares = self.claim.shared().map(SharedClaim::shares).transpose()?.unwrap_or_default();
        if shares.values().all(SlotSet::is_empty)
            && let Some(before) = &*self.servers.known.read()
        {
            // While the group agrees anew it says nothing of who has what, and servers keep what they had.
            for (id, slots) in &mut shares {
                *slots = before.servers.get(id).map(|server| server.slots.clone()).unwrap_or_default();
            }
        }
        cards.read_on(&*self.log, self.config.slots_topic())?;
        let this = &self.runtime.config().server;
        let server = |(id, slots): (String, SlotSet)| {
            let card = cards.by_server.get(&id);
            let (url, version) = (card.map(|card| card.url.clone()), card.map(|card| card.version.clone()));
            let (rack, understands) = card.map(|card| (card.rack.clone(), card.understands)).unwrap_or_default();
            (id.clone(), ServerInfo { is_this: id == *this, id, url, version, rack, understands, slots })
        };
        let seating = Arc::new(Seating::new(at, shares.into_iter().map(server).collect()));
        *self.servers.known.write() = Some(seating.clone());
        Ok(seating)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_owner_or_none() {
        let server = |id: &str, slots: &[Slot]| {
            let (id, slots, is_this) = (id.to_owned(), slots.iter().copied().collect(), id == "a");
            (id.clone(), ServerInfo { id, url: None, version: None, rack: None, understands: Understanding::default(), slots, is_this })
        };
        let seating = Seating::new(Instant::now(), BTreeMap::from([server("a", &[0, 2]), server("b", &[1])]));
        let owners: Vec<_> = (0..4).map(|slot| seating.owner(slot).map(|server| server.id.as_str())).collect();
        assert_eq!(owners, [Some("a"), Some("b"), Some("a"), None]);
    }
}
