//! A registry within the process: no network, no history, every schema is taken.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Registered, RegistryError, Schema, SchemaId, SchemaRegistry};

/// Schemas in memory. Ids count from 1; the same schema has the same id under every subject.
#[derive(Default)]
pub struct MemoryRegistry {
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    by_id: HashMap<SchemaId, Arc<Schema>>,
    ids: HashMap<Arc<Schema>, SchemaId>,
    subjects: HashMap<String, Vec<Registered>>,
    last_id: i32,
}

impl MemoryRegistry {
    /// Registers a schema under an id of the caller's choice.
    ///
    /// # Errors
    /// Another schema has that id.
    pub fn register_as(&self, subject: &str, schema: Schema, id: SchemaId) -> Result<(), RegistryError> {
        let content = &mut *self.content.lock();
        let schema = Arc::new(schema);
        let known = content.by_id.entry(id).or_insert_with(|| schema.clone());
        if **known != *schema {
            return Err(RegistryError::Refused(format!("Schema id {id} is taken by another schema")));
        }
        content.ids.entry(schema.clone()).or_insert(id);
        content.add_version(subject, id, schema);
        Ok(())
    }
}

impl Content {
    fn id_of(&mut self, schema: &Arc<Schema>) -> SchemaId {
        if let Some(id) = self.ids.get(schema) {
            return *id;
        }
        let mut id = SchemaId(self.last_id + 1);
        while self.by_id.contains_key(&id) {
            id.0 += 1;
        }
        self.last_id = id.0;
        self.by_id.insert(id, schema.clone());
        self.ids.insert(schema.clone(), id);
        id
    }

    fn add_version(&mut self, subject: &str, id: SchemaId, schema: Arc<Schema>) {
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if versions.iter().all(|known| known.id != id) {
            let version = versions.last().map_or(1, |last| last.version + 1);
            versions.push(Registered { id, version, schema });
        }
    }
}

impl SchemaRegistry for MemoryRegistry {
    fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, RegistryError> {
        let content = &mut *self.content.lock();
        let versions = content.subjects.get(subject);
        if let Some(known) = versions.and_then(|versions| versions.iter().rev().find(|known| *known.schema == *schema)) {
            return Ok(known.id);
        }
        let schema = Arc::new(schema.clone());
        let id = content.id_of(&schema);
        content.add_version(subject, id, schema);
        Ok(id)
    }

    fn by_id(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        self.content.lock().by_id.get(&id).cloned().ok_or(RegistryError::UnknownId(id))
    }

    fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        self.by_id(id).map(Some)
    }

    fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError> {
        Ok(self.content.lock().subjects.get(subject).and_then(|versions| versions.last().cloned()))
    }

    fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        self.content.lock().subjects.remove(subject);
        Ok(())
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Registered>, RegistryError> {
        let content = self.content.lock();
        Ok(content.subjects.get(subject).and_then(|versions| versions.iter().find(|known| known.version == version).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::SchemaKind;

    #[test]
    fn a_schema_has_one_id_and_a_version_in_each_subject() {
        let registry = MemoryRegistry::default();
        let (int, long) = (Schema::new(SchemaKind::Avro, "\"int\""), Schema::new(SchemaKind::Avro, "\"long\""));
        assert_eq!(registry.register("a-value", &int), Ok(SchemaId(1)));
        assert_eq!(registry.register("a-value", &long), Ok(SchemaId(2)));
        assert_eq!(registry.register("b-value", &long), Ok(SchemaId(2)));
        assert_eq!(registry.register("a-value", &int), Ok(SchemaId(1)));
        let latest = |subject| registry.latest(subject).unwrap().map(|found| (found.id.0, found.version));
        assert_eq!((latest("a-value"), latest("b-value"), latest("c-value")), (Some((2, 2)), Some((2, 1)), None));
        registry.delete("b-value").unwrap();
        registry.delete("never-there").unwrap();
        assert_eq!((latest("a-value"), latest("b-value")), (Some((2, 2)), None));
        assert_eq!(registry.by_id(SchemaId(2)), Ok(Arc::new(long.clone())));
        assert_eq!(registry.by_id(SchemaId(3)), Err(RegistryError::UnknownId(SchemaId(3))));
        registry.register_as("c-value", int.clone(), SchemaId(40)).unwrap();
        assert!(registry.register_as("c-value", long, SchemaId(40)).is_err());
        assert_eq!(registry.by_id(SchemaId(40)), Ok(Arc::new(int.clone())));
        assert_eq!(registry.register("c-value", &int), Ok(SchemaId(40)), "a subject knows its own versions best");
    }
}
