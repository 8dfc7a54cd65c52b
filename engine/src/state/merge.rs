//! One ordered walk over several layers, where the newest layer's entry hides those below it.

use super::frozen::FrozenRange;
use super::overlay::{Entry, OverlayRange};

/// One layer's entries in order of their keys.
pub(super) enum LayerRange<'a> {
    Active(OverlayRange<'a>),
    Frozen(FrozenRange<'a>),
}

impl<'a> Iterator for LayerRange<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        match self {
            LayerRange::Active(range) => range.next(),
            LayerRange::Frozen(range) => range.next(),
        }
    }
}

/// Layers with their next entry, newest first.
#[derive(Default)]
pub(super) struct Layers<'a> {
    layers: Vec<(Entry<'a>, LayerRange<'a>)>,
}

impl<'a> Layers<'a> {
    /// Adds the next older layer.
    pub fn push(&mut self, mut range: LayerRange<'a>) {
        if let Some(entry) = range.next() {
            self.layers.push((entry, range));
        }
    }

    /// The smallest key that is left.
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.layers.iter().map(|((key, _), _)| *key).min()
    }
}

impl<'a> Iterator for Layers<'a> {
    type Item = Entry<'a>;

    /// The entry of the smallest key, from the newest layer that has it.
    fn next(&mut self) -> Option<Entry<'a>> {
        let key = self.peek()?;
        let mut found = None;
        self.layers.retain_mut(|(entry, range)| {
            if entry.0 != key {
                return true;
            }
            found.get_or_insert(*entry);
            match range.next() {
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
