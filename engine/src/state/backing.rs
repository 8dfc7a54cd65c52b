//! What lies under the overlays: an ordered map of bytes, in RocksDB or (tests, scripts) in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::StateError;
use super::batch::BatchPart;

/// An ordered map of bytes that takes a batch in one piece.
pub(crate) trait Backing: Send + Sync {
    /// Shows a key's value to `f`, once.
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError>;
    /// Shows entries with `from <= key < to` in order until `f` returns false. `f` must not write.
    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError>;
    /// As [`Self::scan`], from the last entry to the first.
    fn scan_back(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError>;
    /// Writes a batch: all of it or nothing.
    fn write(&self, batch: &BatchPart<'_>) -> Result<(), StateError>;
    /// Writes a batch in slices, stream times and positions in the last: after a crash a part of the entries may be
    /// there, with the old positions, from which the changelog is applied again.
    fn write_in_slices(&self, batch: &BatchPart<'_>) -> Result<(), StateError> {
        self.write(batch)
    }
    /// Writes single entries of the engine's own, in one piece; `None` deletes.
    fn put_all(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), StateError>;
    /// Deletes everything with `from <= key < to`.
    fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StateError>;
    /// What is there now, whatever is written later. Copies, where the map has nothing better.
    fn snapshot(&self) -> Result<Arc<dyn BackingSnapshot>, StateError> {
        let mut copy = BTreeMap::new();
        self.scan(&[], &[u8::MAX; 16], &mut |key, value| {
            copy.insert(key.into(), value.into());
            true
        })?;
        Ok(Arc::new(Copy(copy)))
    }
}

/// What was there at one moment. Reads as [`Backing`] does.
pub(crate) trait BackingSnapshot: Send + Sync {
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError>;
    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError>;
}

/// A copy of a map in memory.
struct Copy(BTreeMap<Box<[u8]>, Box<[u8]>>);

impl BackingSnapshot for Copy {
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError> {
        f(self.0.get(key).map(|value| &**value));
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        if from < to {
            let range = (std::ops::Bound::Included(from), std::ops::Bound::Excluded(to));
            self.0.range::<[u8], _>(range).all(|(key, value)| f(key, value));
        }
        Ok(())
    }
}
