//! The backing in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::StateError;
use super::backing::Backing;
use super::batch::BatchPart;
use super::expiry::window_end;

/// Entries looked at for expiry, for each store in a commit.
const SWEEP_ENTRIES: usize = 64;

type Bytes = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// A `BTreeMap` behind a lock.
#[derive(Default)]
pub(super) struct MemoryBacking {
    map: RwLock<Bytes>,
    /// Where the sweep for expired windows goes on, by prefix.
    cursors: parking_lot::Mutex<BTreeMap<[u8; 8], Box<[u8]>>>,
}

impl Backing for MemoryBacking {
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError> {
        f(self.map.read().get(key).map(|value| &**value));
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        if from < to {
            for (key, value) in self.map.read().range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))) {
                #[cfg(test)]
                super::visits::count();
                if !f(key, value) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        if from < to {
            for (key, value) in self.map.read().range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))).rev() {
                #[cfg(test)]
                super::visits::count();
                if !f(key, value) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn write(&self, batch: &BatchPart<'_>) -> Result<(), StateError> {
        let mut map = self.map.write();
        batch.visit(&mut |key, value| match value {
            Some(value) => {
                map.insert(key.into(), value.into());
            }
            None => {
                map.remove(key);
            }
        });
        drop(map);
        batch.visit_expiry(&mut |prefix, bound| self.sweep(prefix, bound));
        Ok(())
    }

    fn put_all(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), StateError> {
        let mut map = self.map.write();
        for (key, value) in entries {
            match value {
                Some(value) => map.insert(key.as_slice().into(), value.as_slice().into()),
                None => map.remove(key.as_slice()),
            };
        }
        Ok(())
    }

    fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StateError> {
        let mut map = self.map.write();
        let mut tail = map.split_off(from);
        let mut rest = tail.split_off(to);
        map.append(&mut rest);
        Ok(())
    }
}

impl MemoryBacking {
    /// Drops windows that ended before `bound` among the next few entries of a store.
    fn sweep(&self, prefix: [u8; 8], bound: i64) {
        let mut cursors = self.cursors.lock();
        let mut map = self.map.write();
        let from: &[u8] = cursors.get(&prefix).map_or(&prefix, |key| key);
        let entries = map.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        let mut keys: Vec<Box<[u8]>> =
            entries.take(SWEEP_ENTRIES + 1).map(|(key, _)| key.clone()).take_while(|key| key.starts_with(&prefix)).collect();
        let next = if keys.len() > SWEEP_ENTRIES { keys.pop() } else { None };
        for key in keys {
            if key.len() > prefix.len() && window_end(&key).is_some_and(|end| end < bound) {
                map.remove(&key);
            }
        }
        match next {
            Some(key) => cursors.insert(prefix, key),
            None => cursors.remove(&prefix),
        };
    }
}
