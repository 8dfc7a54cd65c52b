//! One ordered walk over several layers, where the newest layer's entry hides those below it.

use super::frozen::FrozenRange;
use super::overlay::{Entry, OverlayRange};
use super::scan::Direction;
use super::snapshot::CopiedRange;

/// One layer's entries in order of their keys.
pub(super) enum LayerRange<'a> {
    Active(OverlayRange<'a>),
    Frozen(FrozenRange<'a>),
    Copied(CopiedRange<'a>),
}

impl<'a> LayerRange<'a> {
    fn step(&mut self, direction: Direction) -> Option<Entry<'a>> {
        #[cfg(test)]
        super::visits::count();
        match (self, direction) {
            (LayerRange::Active(range), Direction::Forward) => range.next(),
            (LayerRange::Active(range), Direction::Back) => range.next_back(),
            (LayerRange::Frozen(range), Direction::Forward) => range.next(),
            (LayerRange::Frozen(range), Direction::Back) => range.next_back(),
            (LayerRange::Copied(range), Direction::Forward) => range.next(),
            (LayerRange::Copied(range), Direction::Back) => range.next_back(),
        }
    }
}

/// Layers with their next entry, newest first.
pub(super) struct Layers<'a> {
    layers: Vec<(Entry<'a>, LayerRange<'a>)>,
    direction: Direction,
}

impl<'a> Layers<'a> {
    pub fn new(direction: Direction) -> Self {
        Layers { layers: Vec::new(), direction }
    }

    /// Adds the next older layer.
    pub fn push(&mut self, mut range: LayerRange<'a>) {
        if let Some(entry) = range.step(self.direction) {
            self.layers.push((entry, range));
        }
    }

    /// The next key.
    pub fn peek(&self) -> Option<&'a [u8]> {
        let keys = self.layers.iter().map(|((key, _), _)| *key);
        match self.direction {
            Direction::Forward => keys.min(),
            Direction::Back => keys.max(),
        }
    }
}

impl<'a> Iterator for Layers<'a> {
    type Item = Entry<'a>;

    /// The entry of the next key, from the newest layer that has it.
    fn next(&mut self) -> Option<Entry<'a>> {
        let key = self.peek()?;
        let direction = self.direction;
        let mut found = None;
        self.layers.retain_mut(|(entry, range)| {
            if entry.0 != key {
                return true;
            }
            found.get_or_insert(*entry);
            match range.step(direction) {
                Some(next) => {
                    *entry = next;
                    true
                }
                None => false,
            }
        });
        found
    }
}
