//! What lies under the overlays: an ordered map of bytes, in RocksDB or (tests, scripts) in memory.

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
}
