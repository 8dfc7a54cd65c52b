//! Reading tables in partitions that other servers have, as of the last commit that was followed.

use parking_lot::RwLockReadGuard;
use std::sync::Arc;

use super::super::Runtime;
use super::follower::{Follower, Held};
use crate::log::PartitionId;
use crate::state::StoreReader;

/// A table's stores in one partition, as they are followed here.
pub struct Standby {
    pub partition: PartitionId,
    followers: Vec<Arc<Follower>>,
    stores: Arc<[String]>,
}

/// The stores while they are read: nothing is followed meanwhile.
pub struct Reading<'s> {
    /// In the order in which they were asked for.
    pub readers: Vec<StoreReader>,
    _held: Vec<RwLockReadGuard<'s, Held>>,
}

impl Runtime {
    /// What is followed here of some stores of a query, in those of the partitions of which that is all of them.
    pub fn standbys_of(&self, query: &str, stores: &[String], partitions: &[PartitionId]) -> Vec<Standby> {
        let (followers, stores) = (self.standbys.followers.lock(), Arc::<[String]>::from(stores));
        let of_partition = |partition: &PartitionId| {
            let own = followers.by_task.iter().filter(|((of, place), _)| **of == *query && place.1 == *partition);
            let own: Vec<Arc<Follower>> = own.map(|(_, (follower, _))| follower.clone()).collect();
            let has_all = stores.iter().all(|store| own.iter().any(|follower| follower.follows(store)));
            has_all.then(|| Standby { partition: *partition, followers: own, stores: stores.clone() })
        };
        partitions.iter().filter_map(of_partition).collect()
    }
}

impl Standby {
    /// Reads them, where they are so many offsets of their changelogs behind at most.
    ///
    /// # Errors
    /// Why they can't be read now, in words that go behind a server's name.
    pub fn read(&self, most: u64) -> Result<Reading<'_>, String> {
        let partition = self.partition;
        let held = self.followers.iter().map(|follower| follower.read(most));
        let held =
            held.collect::<Result<Vec<_>, _>>().map_err(|reason| format!("its state in partition {partition} is a standby's, {reason}"))?;
        let readers = self.stores.iter().filter_map(|store| held.iter().find_map(|held| held.reader(store))).collect::<Vec<_>>();
        if readers.len() < self.stores.len() {
            return Err(format!("its state in partition {partition} is a standby's, which ends"));
        }
        Ok(Reading { readers, _held: held })
    }
}
