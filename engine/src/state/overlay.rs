//! The changes of one store since the last commit, and what was read lately: a hash map over an arena.
//!
//! Entries are never removed: a delete is an entry without a value. Changes are walked in the order in which keys changed
//! first, so every walk is deterministic. An ordered index is made when the first range is asked for and kept from then on.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Bound;

use hashbrown::HashTable;

use super::arena::{Arena, Place, narrow};
use super::expiry::window_start;

/// A key and its value; `None`: deleted.
pub(super) type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// Length of the value of a deleted entry.
const ABSENT: u32 = u32::MAX;

struct Slot {
    hash: u64,
    key: Place,
    value: Place,
    key_len: u32,
    value_len: u32,
    /// Room at `value`.
    capacity: u32,
    /// To be written at the commit; otherwise only what was read.
    dirty: bool,
}

/// See the module.
pub(super) struct Overlay {
    hasher: foldhash::fast::RandomState,
    table: HashTable<u32>,
    slots: Vec<Slot>,
    arena: Arena,
    index: Option<BTreeMap<Box<[u8]>, u32>>,
    /// Slots to be written, in order of their first change.
    dirty: Vec<u32>,
    /// Latest start among the windows of the keys (windowed stores; else `i64::MAX` once there is a key). `i64::MIN`
    /// without keys.
    max_start: i64,
    windowed: bool,
}

impl Overlay {
    pub fn new(windowed: bool) -> Self {
        Overlay {
            hasher: foldhash::fast::RandomState::default(),
            table: HashTable::new(),
            slots: Vec::new(),
            arena: Arena::default(),
            index: None,
            dirty: Vec::new(),
            max_start: i64::MIN,
            windowed,
        }
    }

    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// A new overlay that hashes as this one does, with an index if this one has one.
    pub fn successor(&self) -> Overlay {
        Overlay { hasher: self.hasher.clone(), index: self.index.as_ref().map(|_| BTreeMap::new()), ..Overlay::new(self.windowed) }
    }

    /// The slot of a key.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.table.find(hash, |&i| self.key(i) == key).copied()
    }

    pub fn key(&self, slot: u32) -> &[u8] {
        let slot = &self.slots[slot as usize];
        self.arena.get(slot.key, slot.key_len)
    }

    pub fn value(&self, slot: u32) -> Option<&[u8]> {
        let slot = &self.slots[slot as usize];
        (slot.value_len != ABSENT).then(|| self.arena.get(slot.value, slot.value_len))
    }

    pub fn entry(&self, slot: u32) -> Entry<'_> {
        (self.key(slot), self.value(slot))
    }

    pub fn is_dirty(&self, slot: u32) -> bool {
        self.slots[slot as usize].dirty
    }

    /// Adds a key that has no slot yet.
    pub fn insert(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>, dirty: bool) -> u32 {
        let index = narrow(self.slots.len());
        let place = self.arena.push(key, key.len());
        let mut slot =
            Slot { hash, key: place, value: Place::default(), key_len: narrow(key.len()), value_len: ABSENT, capacity: 0, dirty };
        if let Some(value) = value {
            slot.capacity = narrow(value.len().next_multiple_of(8));
            slot.value = self.arena.push(value, slot.capacity as usize);
            slot.value_len = narrow(value.len());
        }
        self.slots.push(slot);
        self.max_start = self.max_start.max(if self.windowed { window_start(key).unwrap_or(i64::MAX) } else { i64::MAX });
        if dirty {
            self.dirty.push(index);
        }
        let slots = &self.slots;
        self.table.insert_unique(hash, index, |&i| slots[i as usize].hash);
        if let Some(ordered) = &mut self.index {
            ordered.insert(key.into(), index);
        }
        index
    }

    /// Sets the value of a slot and marks it for the commit.
    pub fn set(&mut self, index: u32, value: Option<&[u8]>) {
        let slot = &mut self.slots[index as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(index);
        }
        let Some(value) = value else {
            slot.value_len = ABSENT;
            return;
        };
        if value.len() <= slot.capacity as usize {
            self.arena.set(slot.value, value);
        } else {
            slot.capacity = narrow(room_for(value.len()));
            slot.value = self.arena.push(value, slot.capacity as usize);
        }
        slot.value_len = narrow(value.len());
    }

    /// Slots to be written, in order of their first change.
    pub fn dirty(&self) -> &[u32] {
        &self.dirty
    }

    /// A copy of what is to be written; here it counts as written from now on.
    pub fn take_changes(&mut self) -> Overlay {
        let mut changes = Overlay { hasher: self.hasher.clone(), ..Overlay::new(self.windowed) };
        changes.slots.reserve_exact(self.dirty.len());
        changes.table.reserve(self.dirty.len(), |_| 0);
        for slot in std::mem::take(&mut self.dirty) {
            let (key, value) = self.entry(slot);
            changes.insert(self.slots[slot as usize].hash, key, value, true);
            self.slots[slot as usize].dirty = false;
        }
        changes
    }

    /// All entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Latest start of a window; `i64::MAX` where keys have none, `i64::MIN` where there are no keys.
    pub fn max_start(&self) -> i64 {
        self.max_start
    }

    /// A copy of the entries that `keep` wants, and none to be written; `None` if it would take more than `limit` bytes.
    pub fn rebuilt(&self, limit: usize, keep: impl Fn(u32) -> bool) -> Option<Overlay> {
        let kept: Vec<u32> = self.slots().filter(|&slot| keep(slot)).collect();
        let size = |slot: &u32| {
            let slot = &self.slots[*slot as usize];
            slot.key_len as usize + slot.capacity as usize + size_of::<Slot>() + 8
        };
        if kept.iter().map(size).sum::<usize>() > limit {
            return None;
        }
        let mut copy = self.successor();
        for slot in kept {
            let (key, value) = self.entry(slot);
            copy.insert(self.slots[slot as usize].hash, key, value, false);
        }
        Some(copy)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.slots.capacity() * size_of::<Slot>() + self.table.capacity() * 5 + self.dirty.capacity() * 4
    }

    /// Slots in order of first touch.
    pub fn slots(&self) -> impl Iterator<Item = u32> + use<> {
        0..narrow(self.slots.len())
    }

    /// All slots in the order of their keys.
    pub fn sorted(&self) -> Vec<u32> {
        if let Some(ordered) = &self.index {
            return ordered.values().copied().collect();
        }
        let mut slots: Vec<u32> = self.slots().collect();
        slots.sort_unstable_by(|&a, &b| self.key(a).cmp(self.key(b)));
        slots
    }

    pub fn has_index(&self) -> bool {
        self.index.is_some()
    }

    /// Makes the ordered index, if there is none.
    pub fn build_index(&mut self) {
        if self.index.is_none() {
            self.index = Some(self.slots().map(|slot| (self.key(slot).into(), slot)).collect());
        }
    }

    /// Entries with `from <= key < to` in order. Nothing without an index.
    pub fn range<'a>(&'a self, from: &[u8], to: Option<&[u8]>) -> OverlayRange<'a> {
        let upper = to.map_or(Bound::Unbounded, Bound::Excluded);
        let inner = match &self.index {
            Some(ordered) if to.is_none_or(|to| from < to) => Some(ordered.range::<[u8], _>((Bound::Included(from), upper))),
            _ => None,
        };
        OverlayRange { overlay: self, inner }
    }
}

/// Entries of an overlay in order of their keys.
pub(super) struct OverlayRange<'a> {
    overlay: &'a Overlay,
    inner: Option<std::collections::btree_map::Range<'a, Box<[u8]>, u32>>,
}

impl<'a> Iterator for OverlayRange<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (key, slot) = self.inner.as_mut()?.next()?;
        Some((key, self.overlay.value(*slot)))
    }
}

/// Room to keep for a value that has outgrown its place: one that grows for ever leaves behind at most a few times as
/// much as it holds.
fn room_for(len: usize) -> usize {
    (len + len / 2).next_multiple_of(16)
}
