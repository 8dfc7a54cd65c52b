//! What one commit writes: frozen overlays, their stream times, and positions.

use std::fmt;
use std::sync::Arc;

use super::db::Db;
use super::frozen::FrozenOverlay;
use super::records::position_key;
use super::{StateDb, StateError, StoreKind};
use crate::log::{Offset, TopicPartition};

/// Changes of any number of stores and the positions that go with them, to be written in one piece. Holds the frozen
/// overlays themselves: nothing is copied before it is written.
#[derive(Default, Clone)]
pub struct StateBatch {
    pub(super) frozen: Vec<Arc<FrozenOverlay>>,
    positions: Vec<(Vec<u8>, [u8; 8])>,
    pub(super) db: Option<Arc<Db>>,
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

    /// Remembers how far a query's state includes a partition (next offset to apply): an input or a changelog. Read
    /// again by [`StateDb::positions`].
    pub fn set_position(&mut self, db: &StateDb, query: &str, partition: &TopicPartition, next: Offset) {
        self.db.get_or_insert_with(|| db.0.clone());
        self.positions.push((position_key(query, partition), next.0.to_be_bytes()));
    }

    /// Writes everything in one piece, or nothing.
    ///
    /// # Errors
    /// `Storage`; also where an earlier commit of one of the stores was not written, or was thrown away.
    pub fn write(&self) -> Result<(), StateError> {
        self.write_by(|db, batch| db.backing.write(batch))
    }

    /// Writes everything in slices, positions last (see [`super::StateWriter`]).
    pub(super) fn write_in_slices(&self) -> Result<(), StateError> {
        self.write_by(|db, batch| db.backing.write_in_slices(batch))
    }

    fn write_by(&self, write: impl FnOnce(&Db, &StateBatch) -> Result<(), StateError>) -> Result<(), StateError> {
        let Some(db) = &self.db else { return Ok(()) };
        self.check()?;
        write(db, self)?;
        self.mark_written();
        Ok(())
    }

    /// Whether this batch belongs to a database; an empty one belongs to any.
    pub(crate) fn is_of(&self, db: &StateDb) -> bool {
        self.db.as_ref().is_none_or(|own| Arc::ptr_eq(own, &db.0))
    }

    /// To be called before the entries are written by other means than [`StateBatch::write`].
    pub(crate) fn check(&self) -> Result<(), StateError> {
        self.frozen.iter().try_for_each(|frozen| frozen.check_order())
    }

    /// To be called after the entries were written by other means than [`StateBatch::write`].
    pub(crate) fn mark_written(&self) {
        for frozen in &self.frozen {
            frozen.mark_written();
        }
    }

    /// All entries with their full keys; each store's in order, then stream times and positions.
    pub(crate) fn visit(&self, f: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.visit_entries(f);
        self.visit_closing(f);
    }

    /// The entries of stores with their full keys, each store's in order.
    pub(super) fn visit_entries(&self, f: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let mut full_key = Vec::new();
        for frozen in &self.frozen {
            frozen.for_each_sorted(&mut |key, value| {
                full_key.clear();
                full_key.extend_from_slice(&frozen.core.prefix);
                full_key.extend_from_slice(key);
                f(&full_key, value);
            });
        }
    }

    /// Stream times and positions: what makes the entries valid.
    pub(super) fn visit_closing(&self, f: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for frozen in &self.frozen {
            f(&frozen.core.prefix, Some(&frozen.stream_time().to_be_bytes()));
        }
        for (key, offset) in &self.positions {
            f(key, Some(offset));
        }
    }

    /// The windowed stores with the time before which their windows are dead.
    pub(super) fn visit_expiry(&self, f: &mut dyn FnMut([u8; 8], i64)) {
        for frozen in &self.frozen {
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
