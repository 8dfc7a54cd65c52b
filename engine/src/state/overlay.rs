//! The changes of one store since the last commit, and what was read lately: a hash map over an arena.
//!
//! A delete is an entry without a value; entries leave only where the overlay is [rebuilt](Overlay::rebuilt) without them.
//! Changes are walked in the order in which keys changed first, so every walk is deterministic. An ordered index is made
//! when the first range is asked for and kept from then on.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Bound;

use hashbrown::HashTable;

use super::StoreKind;
use super::arena::{Arena, Place, narrow};
use super::expiry::key_time;

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
    /// No older layer has a value: deleted again before the commit, there is nothing to be written.
    is_new: bool,
}

/// See the module.
pub(super) struct Overlay {
    hasher: foldhash::fast::RandomState,
    table: HashTable<u32>,
    slots: Vec<Slot>,
    arena: Arena,
    index: Option<BTreeMap<Box<[u8]>, u32>>,
    /// Bytes that the index takes.
    index_bytes: usize,
    /// Slots to be written, in order of their first change.
    dirty: Vec<u32>,
    /// Latest [`key_time`] of the keys (`i64::MAX` once there is one without). `i64::MIN` without keys.
    max_time: i64,
    kind: StoreKind,
}

/// What an entry of the index takes besides its key: its pointer, the allocation, its part of a node.
const INDEX_ENTRY_BYTES: usize = 56;

impl Overlay {
    pub fn new(kind: StoreKind) -> Self {
        Overlay {
            hasher: foldhash::fast::RandomState::default(),
            table: HashTable::new(),
            slots: Vec::new(),
            arena: Arena::default(),
            index: None,
            index_bytes: 0,
            dirty: Vec::new(),
            max_time: i64::MIN,
            kind,
        }
    }

    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// A new overlay that hashes as this one does, with an index if this one has one.
    pub fn successor(&self) -> Overlay {
        Overlay { hasher: self.hasher.clone(), index: self.index.as_ref().map(|_| BTreeMap::new()), ..Overlay::new(self.kind) }
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

    /// Adds a key that has no slot yet.
    pub fn insert(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>, dirty: bool) -> u32 {
        let index = narrow(self.slots.len());
        let place = self.arena.push(key, key.len());
        let mut slot = Slot {
            hash,
            key: place,
            value: Place::default(),
            key_len: narrow(key.len()),
            value_len: ABSENT,
            capacity: 0,
            dirty,
            is_new: false,
        };
        if let Some(value) = value {
            slot.capacity = narrow(value.len().next_multiple_of(8));
            slot.value = self.arena.push(value, slot.capacity as usize);
            slot.value_len = narrow(value.len());
        }
        self.slots.push(slot);
        self.max_time = self.max_time.max(key_time(self.kind, key).unwrap_or(i64::MAX));
        if dirty {
            self.dirty.push(index);
        }
        let slots = &self.slots;
        self.table.insert_unique(hash, index, |&i| slots[i as usize].hash);
        if let Some(ordered) = &mut self.index {
            ordered.insert(key.into(), index);
            self.index_bytes += key.len() + INDEX_ENTRY_BYTES;
        }
        index
    }

    /// Sets the value of a slot and marks it for the commit.
    pub fn set(&mut self, index: u32, value: Option<&[u8]>) {
        let slot = &mut self.slots[index as usize];
        if !slot.dirty {
            slot.dirty = true;
            // Where nothing was written yet, the slot shows what older layers hold. (Who deletes what is not there wants the
            // delete written.)
            slot.is_new = slot.value_len == ABSENT && value.is_some();
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

    /// Says of a slot that was inserted just now that no older layer has a value of its key.
    pub fn mark_new(&mut self, slot: u32) {
        self.slots[slot as usize].is_new = true;
    }

    /// Slots that were written to, in order of their first change.
    pub fn dirty(&self) -> &[u32] {
        &self.dirty
    }

    /// Slots to be written, in order of their first change.
    pub fn changes(&self) -> impl Iterator<Item = u32> + '_ {
        self.dirty.iter().copied().filter(|slot| self.is_change(*slot))
    }

    /// Whether a slot is to be written.
    pub fn is_change(&self, slot: u32) -> bool {
        let slot = &self.slots[slot as usize];
        slot.dirty && !(slot.is_new && slot.value_len == ABSENT)
    }

    /// A copy of what is to be written; here it counts as written from now on.
    pub fn take_changes(&mut self) -> Overlay {
        let mut changes = Overlay { hasher: self.hasher.clone(), ..Overlay::new(self.kind) };
        changes.slots.reserve_exact(self.dirty.len());
        changes.table.reserve(self.dirty.len(), |_| 0);
        for slot in std::mem::take(&mut self.dirty) {
            if self.is_change(slot) {
                let (key, value) = self.entry(slot);
                changes.insert(self.slots[slot as usize].hash, key, value, true);
            }
            let slot = &mut self.slots[slot as usize];
            (slot.dirty, slot.is_new) = (false, false);
        }
        changes
    }

    /// All entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Latest time of a key; `i64::MAX` where keys have none, `i64::MIN` where there are no keys.
    pub fn max_time(&self) -> i64 {
        self.max_time
    }

    /// Bytes that some of the entries would take by themselves.
    pub fn bytes_of(&self, slots: &[u32]) -> usize {
        let index_bytes = if self.index.is_some() { INDEX_ENTRY_BYTES } else { 0 };
        let size = |slot: &u32| {
            let slot = &self.slots[*slot as usize];
            slot.key_len as usize + slot.capacity as usize + size_of::<Slot>() + 8 + index_bytes
        };
        slots.iter().map(size).sum()
    }

    /// A copy of some of the entries, and none to be written.
    pub fn rebuilt(&self, slots: &[u32]) -> Overlay {
        let mut copy = self.successor();
        for &slot in slots {
            let (key, value) = self.entry(slot);
            copy.insert(self.slots[slot as usize].hash, key, value, false);
        }
        copy
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot>() + self.table.capacity() * 5 + self.dirty.capacity() * 4;
        self.arena.bytes() + slots + self.index_bytes
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
            self.index_bytes = self.slots.iter().map(|slot| slot.key_len as usize + INDEX_ENTRY_BYTES).sum();
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

impl DoubleEndedIterator for OverlayRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (key, slot) = self.inner.as_mut()?.next_back()?;
        Some((key, self.overlay.value(*slot)))
    }
}

/// Room to keep for a value that has outgrown its place: one that grows for ever leaves behind at most a few times as
/// much as it holds.
fn room_for(len: usize) -> usize {
    (len + len / 2).next_multiple_of(16)
}
