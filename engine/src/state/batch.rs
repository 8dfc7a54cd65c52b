//! What one commit writes: frozen overlays, their stream times, and positions.

use std::fmt;
use std::sync::Arc;

use super::db::Db;
use super::frozen::FrozenOverlay;
use super::records::position_key;
use super::{ChangeVisitor, StateDb, StateError, StoreKind};
use crate::log::{Offset, TopicPartition};

/// Changes of any number of stores and the positions that go with them, to be written in one piece (for each database,
/// where stores of several come together: those of push queries have one for themselves). Holds the frozen overlays
/// themselves: nothing is copied before it is written.
#[derive(Default, Clone)]
pub struct StateBatch {
    pub(super) frozen: Vec<Arc<FrozenOverlay>>,
    positions: Vec<Position>,
}

#[derive(Clone)]
struct Position {
    db: Arc<Db>,
    key: Vec<u8>,
    next: [u8; 8],
}

impl StateBatch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.frozen.is_empty() && self.positions.is_empty()
    }

    /// How many entries change.
    pub fn len(&self) -> usize {
        self.frozen.iter().map(|frozen| frozen.len()).sum::<usize>() + self.positions.len()
    }

    /// Takes in what belongs to the same commit.
    pub fn extend(&mut self, other: StateBatch) {
        self.frozen.extend(other.frozen);
        self.positions.extend(other.positions);
    }

    /// Remembers how far a query's state includes a partition (next offset to apply): an input or a changelog. Read
    /// again by [`StateDb::positions`].
    pub fn set_position(&mut self, db: &StateDb, query: &str, partition: &TopicPartition, next: Offset) {
        self.positions.push(Position { db: db.0.clone(), key: position_key(query, partition), next: next.0.to_be_bytes() });
    }

    /// Writes everything: for each database in one piece, or nothing.
    ///
    /// # Errors
    /// `Storage`; also where an earlier commit of one of the stores was not written, or was thrown away.
    pub fn write(&self) -> Result<(), StateError> {
        self.check()?;
        self.databases().into_iter().try_for_each(|db| self.write_one(db, |part| db.backing.write(part)))
    }

    /// Writes everything in slices, positions last (see [`super::StateWriter`]).
    pub(super) fn write_in_slices(&self) -> Result<(), StateError> {
        self.check()?;
        self.databases().into_iter().try_for_each(|db| self.write_one(db, |part| db.backing.write_in_slices(part)))
    }

    /// Writes what belongs to other databases than this one.
    pub(crate) fn write_others(&self, own: &StateDb) -> Result<(), StateError> {
        let others = self.databases().into_iter().filter(|db| !Arc::ptr_eq(db, &own.0));
        others.into_iter().try_for_each(|db| self.write_one(db, |part| db.backing.write(part)))
    }

    fn write_one(&self, db: &Arc<Db>, write: impl FnOnce(&BatchPart<'_>) -> Result<(), StateError>) -> Result<(), StateError> {
        let part = BatchPart { batch: self, db };
        write(&part)?;
        part.mark_written();
        Ok(())
    }

    /// What belongs to one database.
    pub(crate) fn part<'a>(&'a self, db: &'a StateDb) -> BatchPart<'a> {
        BatchPart { batch: self, db: &db.0 }
    }

    fn databases(&self) -> Vec<&Arc<Db>> {
        let mut databases: Vec<&Arc<Db>> = Vec::new();
        for db in self.frozen.iter().map(|frozen| &frozen.core.db).chain(self.positions.iter().map(|position| &position.db)) {
            if !databases.iter().any(|known| Arc::ptr_eq(known, db)) {
                databases.push(db);
            }
        }
        databases
    }

    /// Whether every store's changes come in their turn. To be called before [`BatchPart::visit`].
    pub(crate) fn check(&self) -> Result<(), StateError> {
        if !self.frozen.is_empty() && self.frozen.iter().all(|frozen| frozen.is_written()) {
            return Err(StateError::Storage("a commit is written twice".into()));
        }
        // Some may be: a batch for several databases that is tried again because another of them failed.
        self.frozen.iter().filter(|frozen| !frozen.is_written()).try_for_each(|frozen| frozen.check_order())
    }

    /// The commit has succeeded; the changes will be written later and survive a rollback.
    pub(super) fn mark_submitted(&self) {
        for frozen in &self.frozen {
            frozen.mark_submitted();
        }
    }
}

/// What a batch has for one database.
pub(crate) struct BatchPart<'a> {
    batch: &'a StateBatch,
    db: &'a Arc<Db>,
}

impl BatchPart<'_> {
    fn frozen(&self) -> impl Iterator<Item = &Arc<FrozenOverlay>> {
        self.batch.frozen.iter().filter(|frozen| Arc::ptr_eq(&frozen.core.db, self.db) && !frozen.is_written())
    }

    /// To be called after the entries are written.
    pub fn mark_written(&self) {
        for frozen in self.frozen() {
            frozen.mark_written();
        }
    }

    /// All entries with their full keys; each store's in order, then stream times and positions.
    pub fn visit(&self, f: &mut ChangeVisitor<'_>) {
        self.visit_entries(f);
        self.visit_closing(f);
    }

    /// The entries of stores with their full keys, each store's in order.
    pub(super) fn visit_entries(&self, f: &mut ChangeVisitor<'_>) {
        let mut full_key = Vec::new();
        for frozen in self.frozen() {
            frozen.for_each_sorted(&mut |key, value| {
                full_key.clear();
                full_key.extend_from_slice(&frozen.core.prefix);
                full_key.extend_from_slice(key);
                f(&full_key, value);
            });
        }
    }

    /// Stream times and positions: what makes the entries valid.
    pub(super) fn visit_closing(&self, f: &mut ChangeVisitor<'_>) {
        for frozen in self.frozen() {
            f(&frozen.core.prefix, Some(&frozen.summary()));
        }
        for position in self.batch.positions.iter().filter(|position| Arc::ptr_eq(&position.db, self.db)) {
            f(&position.key, Some(&position.next));
        }
    }

    /// The windowed stores with the time before which their windows are dead.
    pub(super) fn visit_expiry(&self, f: &mut dyn FnMut([u8; 8], i64)) {
        for frozen in self.frozen() {
            if let StoreKind::Windowed { retention_ms } = frozen.core.kind {
                f(frozen.core.prefix, frozen.stream_time().saturating_sub(retention_ms.max(0)));
            }
        }
    }
}

impl fmt::Debug for StateBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateBatch").field("stores", &self.frozen.len()).field("entries", &self.len()).finish_non_exhaustive()
    }
}
