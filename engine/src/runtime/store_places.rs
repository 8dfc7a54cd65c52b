//! Up to where the stores of this server's tasks include their changelogs.

use std::sync::Arc;

use super::Runtime;
use crate::log::{Offset, TopicPartition};
use crate::state::StateError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlace {
    pub query: Arc<str>,
    pub store: Arc<str>,
    pub changelog: TopicPartition,
    /// The first offset that it does not include, while its task is being restored or waits for that; `None`: it includes all.
    pub next: Option<Offset>,
}

impl Runtime {
    /// Those of persistent queries that have changelogs: tasks that run here, and that are being made.
    ///
    /// # Errors
    /// The state of one that waits can't be read.
    pub fn store_places(&self) -> Result<Vec<StorePlace>, StateError> {
        if self.parts.log.is_atomic() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        let queries = self.queries.lock();
        for (query, running) in queries.iter().filter(|(_, running)| running.start.collector.is_none()) {
            for (index, partition) in running.seats.keys() {
                let specs = running.running.get(*index).into_iter().flat_map(|sub| &sub.spec.stores);
                for spec in specs.filter(|store| store.changelog) {
                    let topic = self.changelog_name(query, &spec.name).into();
                    let is_made = running.stores.get(&spec.name).is_some_and(|own| own.contains_key(partition));
                    let next = (!is_made).then_some(Offset(0));
                    let changelog = TopicPartition { topic, partition: *partition };
                    all.push(StorePlace { query: query.clone(), store: spec.name.clone(), changelog, next });
                }
            }
        }
        drop(queries);
        for place in all.iter_mut().filter(|place| place.next.is_some()) {
            place.next = match self.restore_places.of(&place.changelog) {
                Some(next) => Some(next),
                // Nothing, where it is about to be emptied.
                None => self.parts.state.positions(&place.query)?.get(&place.changelog).copied().map(|next| next.max(Offset(0))),
            };
            place.next.get_or_insert(Offset(0));
        }
        Ok(all)
    }
}
