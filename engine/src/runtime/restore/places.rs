//! Up to where changelogs are read while tasks of this server are restored from them.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::log::{Offset, TopicPartition};

/// See the module: of each changelog that is being read, the first offset that the store does not include yet.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Places(Mutex<BTreeMap<TopicPartition, Offset>>);

impl Places {
    /// `None`: it is not being read.
    pub(in crate::runtime) fn of(&self, changelog: &TopicPartition) -> Option<Offset> {
        self.0.lock().get(changelog).copied()
    }

    pub(super) fn set(&self, changelog: &TopicPartition, next: Offset) {
        if let Some(known) = self.0.lock().get_mut(changelog) {
            *known = next;
        }
    }

    /// Changelogs that are read until what is returned is dropped.
    pub(super) fn reading<'p>(&'p self, changelogs: Vec<(TopicPartition, Offset)>) -> ReadPlaces<'p> {
        let read = changelogs.iter().map(|(changelog, _)| changelog.clone()).collect();
        self.0.lock().extend(changelogs);
        ReadPlaces { places: self, read }
    }
}

/// The places of one restore.
pub(super) struct ReadPlaces<'p> {
    places: &'p Places,
    read: Vec<TopicPartition>,
}

impl Drop for ReadPlaces<'_> {
    fn drop(&mut self) {
        let mut places = self.places.0.lock();
        for changelog in &self.read {
            places.remove(changelog);
        }
    }
}
