//! Reading the topic of marks, and the keys of its records.

use std::collections::BTreeSet;

use super::epochs::taken;
use super::ids::has_ended;
use super::{Kept, Known, Marked, Marks, Owners, PARTITIONS, Place, READ_TIMEOUT};
use crate::log::{self, Log, LogError, OffsetSpec, PartitionId, TransactionalId, read_whole};
use crate::runtime::ends::End;
use crate::runtime::epoch::{Epoch, Owner};

/// Begins the keys of marks.
const MARK: &[u8] = b"mark\0";
/// Begins the keys of what owners of tasks with state write down.
const OWNER: &[u8] = b"owner\0";

/// What reading the topic found.
#[derive(Default)]
pub(super) struct Found {
    pub marks: Known,
    pub owners: Owners,
    /// Transactional ids that somebody used last.
    pub ids: BTreeSet<String>,
    /// The highest epoch of all.
    pub epoch: Epoch,
}

impl Marks {
    pub(super) fn read(&self, log: &dyn Log, partitions: u32) -> Result<Found, LogError> {
        let mut found = Found::default();
        let places = log::partitions_of(&self.topic, partitions);
        // Most of them are empty.
        let (firsts, ends) = (log.offsets(&places, OffsetSpec::Earliest)?, log.offsets(&places, OffsetSpec::Latest)?);
        for ((place, first), end) in places.iter().zip(firsts).zip(ends) {
            if first >= end {
                continue;
            }
            read_whole(log, place, first, READ_TIMEOUT, &mut |record| {
                if let Some(key) = record.key {
                    found.take(place.partition, key, record.value);
                }
            })?;
        }
        Ok(found)
    }
}

impl Found {
    fn take(&mut self, from: PartitionId, key: &[u8], value: Option<&[u8]>) {
        if let Some(id) = TransactionalId::held(key) {
            if has_ended(value) {
                self.ids.remove(id);
            } else {
                self.ids.insert(id.to_owned());
            }
        } else if let Some((epoch, _)) = taken(key, value) {
            self.epoch = self.epoch.max(epoch);
        } else if let Some((query, place)) = task(OWNER, key) {
            self.take_owner(query, place, value);
        } else if let Some((query, place)) = task(MARK, key) {
            self.take_mark(from, query, place, value);
        }
    }

    fn take_owner(&mut self, query: &str, place: Place, value: Option<&[u8]>) {
        let owners = self.owners.entry(query.into()).or_default();
        let Some(value) = value else {
            owners.remove(&place);
            return;
        };
        let Ok(owner) = serde_json::from_slice::<Owner>(value) else {
            tracing::warn!(query, ?place, "what is written down of who has the changelogs of a task can't be read");
            return;
        };
        self.epoch = self.epoch.max(owner.epoch);
        // A process that was replaced may have said so late.
        if owners.get(&place).is_none_or(|known| known.epoch <= owner.epoch) {
            owners.insert(place, owner);
        }
    }

    fn take_mark(&mut self, from: PartitionId, query: &str, place: Place, value: Option<&[u8]>) {
        let Some(end) = value.and_then(End::decode) else {
            // A dropped query: what lies in other partitions goes as well.
            if value.is_none()
                && let Some(marks) = self.marks.get_mut(query)
            {
                marks.remove(&place);
            }
            return;
        };
        self.epoch = self.epoch.max(end.epoch());
        let commit = end.commit();
        let kept = self.marks.entry(query.into()).or_default().entry(place);
        let kept = kept.or_insert_with(Kept::nothing);
        kept.partitions |= bit(from);
        if kept.marked.commit <= commit {
            kept.marked = Marked { commit, inputs: end.inputs };
        }
    }
}

/// The partition's bit.
pub(super) fn bit(partition: PartitionId) -> u16 {
    1 << (partition.unsigned_abs() % PARTITIONS)
}

/// The key of a task's marks: the query, the sub-topology, the partition.
pub(super) fn key(query: &str, place: Place) -> Vec<u8> {
    key_of(MARK, query, place)
}

/// The key of what a task's owner has written down.
pub(super) fn owner_key(query: &str, place: Place) -> Vec<u8> {
    key_of(OWNER, query, place)
}

fn key_of(kind: &[u8], query: &str, (sub_topology, partition): Place) -> Vec<u8> {
    [kind, format!("{query}\0{sub_topology}\0{partition}").as_bytes()].concat()
}

/// The task of a key of a kind.
fn task<'k>(kind: &[u8], key: &'k [u8]) -> Option<(&'k str, Place)> {
    let mut parts = std::str::from_utf8(key.strip_prefix(kind)?).ok()?.rsplitn(3, '\0');
    let (partition, sub_topology, query) = (parts.next()?, parts.next()?, parts.next()?);
    Some((query, (sub_topology.parse().ok()?, partition.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_there_and_back() {
        assert_eq!(task(MARK, &key("CSAS_O_1", (2, 17))), Some(("CSAS_O_1", (2, 17))));
        assert_eq!(task(OWNER, &owner_key("CSAS_O_1", (2, 17))), Some(("CSAS_O_1", (2, 17))));
        for other in [&b"mark\0q"[..], b"mark\0q\0x\x001", b"holder\0q", b"owner\0q\x001\x002", b""] {
            assert_eq!(task(MARK, other), None);
        }
    }
}
