//! What was asked of the registry already. A schema never changes under its id, so what is known stays known, up to a bound;
//! that an id is not known holds for a while only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use tidemill_engine::registry::{RegistryError, Schema, SchemaId};

/// Schemas that are remembered; those that were not asked for the longest go first.
const MAX_SCHEMAS: usize = 1_000;
/// Characters of all of them.
const MAX_BYTES: usize = 64 << 20;
/// Ids without a schema that are remembered.
const MAX_UNKNOWN: usize = 10_000;
/// How long it holds that an id has no schema.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);

/// What is known of an id.
#[derive(Debug)]
pub(super) enum Known {
    Schema(Arc<Schema>),
    /// There is none, or none that can be used.
    Not(RegistryError),
    /// Somebody asks the registry for it.
    OnItsWay,
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The one that was asked for last stands last.
    schemas: IndexMap<SchemaId, (Arc<Schema>, usize)>,
    bytes: usize,
    /// The oldest first.
    unknown: IndexMap<SchemaId, (RegistryError, Instant)>,
    /// Ids that are asked for, with when somebody last wanted to know.
    on_their_way: IndexMap<SchemaId, Instant>,
}

impl Cache {
    /// The schema of an id.
    pub fn known(&mut self, id: SchemaId) -> Option<Arc<Schema>> {
        let (schema, bytes) = self.schemas.shift_remove(&id)?;
        self.schemas.insert(id, (schema.clone(), bytes));
        Some(schema)
    }

    /// What is known of an id, for somebody who wants to know.
    pub fn wanted(&mut self, id: SchemaId, now: Instant) -> Known {
        if let Some(schema) = self.known(id) {
            return Known::Schema(schema);
        }
        if let Some(asked) = self.on_their_way.get_mut(&id) {
            *asked = now;
            return Known::OnItsWay;
        }
        match self.unknown.get(&id) {
            Some((error, since)) if now.saturating_duration_since(*since) < UNKNOWN_FOR => Known::Not(error.clone()),
            _ => Known::Nothing,
        }
    }

    /// Schemas that are asked for.
    pub fn on_their_way(&self) -> usize {
        self.on_their_way.len()
    }

    /// An id is asked for from now on.
    pub fn ask(&mut self, id: SchemaId, now: Instant) {
        self.on_their_way.insert(id, now);
    }

    /// When somebody last wanted to know an id that is asked for.
    pub fn last_wanted(&self, id: SchemaId) -> Option<Instant> {
        self.on_their_way.get(&id).copied()
    }

    /// Nobody asks for it any more.
    pub fn give_up(&mut self, id: SchemaId) {
        self.on_their_way.swap_remove(&id);
    }

    /// The answer to an id.
    pub fn keep(&mut self, id: SchemaId, schema: Arc<Schema>) {
        self.give_up(id);
        self.unknown.shift_remove(&id);
        let bytes = size(&schema);
        self.forget(id);
        self.schemas.insert(id, (schema, bytes));
        self.bytes += bytes;
        while self.schemas.len() > 1 && (self.schemas.len() > MAX_SCHEMAS || self.bytes > MAX_BYTES) {
            let Some((oldest, _)) = self.schemas.first() else { break };
            let oldest = *oldest;
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: SchemaId) {
        if let Some((_, bytes)) = self.schemas.shift_remove(&id) {
            self.bytes -= bytes;
        }
    }

    /// The registry has none for it, or none that can be used.
    pub fn keep_unknown(&mut self, id: SchemaId, error: RegistryError, now: Instant) {
        self.give_up(id);
        self.unknown.shift_remove(&id);
        if self.unknown.len() >= MAX_UNKNOWN {
            // Half of them at once: taking the first away moves all others.
            self.unknown.drain(..MAX_UNKNOWN / 2);
        }
        self.unknown.insert(id, (error, now));
    }
}

/// Characters of a schema and of what it refers to.
fn size(schema: &Schema) -> usize {
    schema.text.len() + schema.references.iter().map(|reference| size(&reference.schema)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use tidemill_engine::registry::SchemaKind;

    use super::*;

    fn schema(text: &str) -> Arc<Schema> {
        Arc::new(Schema::new(SchemaKind::Avro, text))
    }

    #[test]
    fn those_that_were_not_asked_for_the_longest_go_first() {
        let mut cache = Cache::default();
        for id in 0..1_000 {
            cache.keep(SchemaId(id), schema("x"));
        }
        assert!(cache.known(SchemaId(0)).is_some());
        cache.keep(SchemaId(5_000), schema("x"));
        assert!(cache.known(SchemaId(1)).is_none());
        assert!(cache.known(SchemaId(0)).is_some() && cache.known(SchemaId(5_000)).is_some());
        // A big one pushes out many.
        cache.keep(SchemaId(1), schema(&"x".repeat(MAX_BYTES - 10)));
        assert!(cache.schemas.len() <= 11 && cache.bytes <= MAX_BYTES);
        cache.keep(SchemaId(1), schema("x"));
        assert!(cache.bytes < 100);
    }

    #[test]
    fn that_an_id_is_not_known_holds_for_a_while() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let id = SchemaId(7);
        assert!(matches!(cache.wanted(id, now), Known::Nothing));
        cache.ask(id, now);
        assert!(matches!(cache.wanted(id, now + Duration::from_secs(1)), Known::OnItsWay));
        assert_eq!(cache.last_wanted(id), Some(now + Duration::from_secs(1)));
        cache.keep_unknown(id, RegistryError::UnknownId(id), now);
        assert!(matches!(cache.wanted(id, now + Duration::from_secs(29)), Known::Not(RegistryError::UnknownId(_))));
        assert!(matches!(cache.wanted(id, now + Duration::from_secs(30)), Known::Nothing));
        for id in 0..30_000 {
            cache.keep_unknown(SchemaId(id), RegistryError::UnknownId(SchemaId(id)), now);
        }
        assert!(cache.unknown.len() <= MAX_UNKNOWN);
        assert!(matches!(cache.wanted(SchemaId(29_999), now), Known::Not(_)));
    }
}
