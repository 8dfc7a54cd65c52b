//! Walks over a store's entries in order: all layers merged, the newest hiding the ones below.

use super::StateError;
use super::expiry::window_end;
use super::frozen::PREFIX_BYTES;
use super::layers::StoreLayers;
use super::merge::{LayerRange, Layers};
use crate::types::codec::{prefix_end, to_ordered};

/// Takes entries one by one until it returns false.
pub(super) type EntryVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

impl StoreLayers {
    /// Shows the entries of one key whose windows start between `first` and `last`, in order, until `f` returns false. The
    /// active overlay must have its index.
    pub fn scan_windows(&self, key: &[u8], first: i64, last: i64, f: &mut EntryVisitor<'_>) -> Result<(), StateError> {
        let from = [key, &to_ordered(first)].concat();
        self.scan(&from, windows_until(key, last).as_deref(), Some(first), f)
    }

    /// Shows the entries of one key whose windows start at `last` or before, the latest first, until `f` returns false; also
    /// those that have expired, where they are not dropped yet. The active overlay must have its index.
    ///
    /// The backing is asked only where no layer above it has satisfied `f`.
    pub fn scan_windows_back(&self, key: &[u8], last: i64, f: &mut EntryVisitor<'_>) -> Result<(), StateError> {
        let to = windows_until(key, last);
        let mut upper = self.merged(key, to.as_deref(), Direction::Back);
        // Nothing that starts after `evicted` lies in the backing alone.
        let in_memory = [key, &to_ordered(self.evicted), &[u8::MAX; 8]].concat();
        if self.evicted != i64::MIN {
            if upper.show(Some(&in_memory), f) == Shown::Stop {
                return Ok(());
            }
            let backing_to = windows_until(key, last.min(self.evicted));
            let (lower, backing_upper) = full_bounds(self.core.prefix, key, backing_to.as_deref());
            let mut wants_more = true;
            self.core.db.backing.scan_back(&lower, &backing_upper, &mut |full_key, value| {
                let Some(key) = full_key.get(PREFIX_BYTES..) else { return true };
                wants_more = upper.show_above(key, value, f);
                wants_more
            })?;
            if !wants_more {
                return Ok(());
            }
        }
        upper.show(None, f);
        Ok(())
    }

    /// Shows visible entries with `from <= key < to` in order until `f` returns false; none of them has a time before
    /// `min_time`. The active overlay must have its index.
    pub fn scan(&self, from: &[u8], to: Option<&[u8]>, min_time: Option<i64>, f: &mut EntryVisitor<'_>) -> Result<(), StateError> {
        let below = |visit: &mut EntryVisitor<'_>| {
            if self.is_in_memory(min_time) {
                return Ok(());
            }
            let (lower, upper) = full_bounds(self.core.prefix, from, to);
            self.core.db.backing.scan(&lower, &upper, visit)
        };
        self.merged(from, to, Direction::Forward).show_all(self.expiry_bound(), below, f)
    }

    /// The overlays' entries with `from <= key < to`.
    fn merged(&self, from: &[u8], to: Option<&[u8]>, direction: Direction) -> Merged<'_> {
        assert!(self.active.has_index(), "a range without an index");
        let mut layers = Layers::new(direction);
        layers.push(LayerRange::Active(self.active.range(from, to)));
        for frozen in self.frozen.iter().rev() {
            layers.push(LayerRange::Frozen(frozen.range(from, to)));
        }
        Merged { layers, direction }
    }
}

/// Bounds of a range of a store among the keys of all stores.
pub(super) fn full_bounds(prefix: [u8; PREFIX_BYTES], from: &[u8], to: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
    let upper = match to {
        Some(to) => [&prefix, to].concat(),
        None => u64::from_be_bytes(prefix).wrapping_add(1).to_be_bytes().to_vec(),
    };
    ([&prefix, from].concat(), upper)
}

/// Where the windows of a key end that start at `last` or before.
fn windows_until(key: &[u8], last: i64) -> Option<Vec<u8>> {
    match last.checked_add(1) {
        Some(next) => Some([key, &to_ordered(next)].concat()),
        None => prefix_end(key),
    }
}

/// Whether a window has not expired.
pub(super) fn is_visible(bound: i64, key: &[u8]) -> bool {
    bound == i64::MIN || window_end(key).is_none_or(|end| end >= bound)
}

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Back,
}

/// How far the overlays were shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// All that comes before the limit.
    All,
    /// They have a newer entry (or a delete) of the limit itself, which was shown.
    Hides,
    /// Nobody wants more.
    Stop,
}

/// What lies above the backing.
pub(super) struct Merged<'a> {
    pub layers: Layers<'a>,
    pub direction: Direction,
}

impl Merged<'_> {
    /// Shows what comes before a limit (`None`: all that is left), and what lies at it.
    pub fn show(&mut self, limit: Option<&[u8]>, f: &mut EntryVisitor<'_>) -> Shown {
        while let Some(key) = self.layers.peek() {
            let is_behind = |limit: &[u8]| match self.direction {
                Direction::Forward => key > limit,
                Direction::Back => key < limit,
            };
            if limit.is_some_and(is_behind) {
                break;
            }
            let hides = limit == Some(key);
            if let Some((key, Some(value))) = self.layers.next()
                && !f(key, value)
            {
                return Shown::Stop;
            }
            if hides {
                return Shown::Hides;
            }
        }
        Shown::All
    }
    /// Shows an entry of what lies below, behind all that comes before it and unless something above hides it; whether more is
    /// wanted.
    fn show_above(&mut self, key: &[u8], value: &[u8], f: &mut EntryVisitor<'_>) -> bool {
        match self.show(Some(key), f) {
            Shown::Hides => true,
            Shown::Stop => false,
            Shown::All => f(key, value),
        }
    }

    /// Shows the visible entries of these layers and of what lies below them, which `below` walks in the order of its keys, until
    /// `f` returns false.
    pub fn show_all(
        mut self,
        expiry_bound: i64,
        below: impl FnOnce(&mut EntryVisitor<'_>) -> Result<(), StateError>,
        f: &mut EntryVisitor<'_>,
    ) -> Result<(), StateError> {
        let mut f = |key: &[u8], value: &[u8]| !is_visible(expiry_bound, key) || f(key, value);
        let mut wants_more = true;
        below(&mut |full_key, value| {
            // The entry with an empty key is the store's stream time.
            let Some(key) = full_key.get(PREFIX_BYTES..).filter(|key| !key.is_empty()) else { return true };
            wants_more = self.show_above(key, value, &mut f);
            wants_more
        })?;
        if wants_more {
            self.show(None, &mut f);
        }
        Ok(())
    }
}
