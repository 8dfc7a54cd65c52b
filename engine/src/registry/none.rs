//! No registry at all: what needs one is refused.

use std::sync::Arc;

use super::{Registered, RegistryError, Schema, SchemaId, SchemaRegistry};

/// Knows no schema and takes none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRegistry;

impl NoRegistry {
    fn refused<T>() -> Result<T, RegistryError> {
        Err(RegistryError::NotConfigured)
    }
}

impl SchemaRegistry for NoRegistry {
    fn register(&self, _subject: &str, _schema: &Schema) -> Result<SchemaId, RegistryError> {
        Self::refused()
    }

    fn by_id(&self, _id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        Self::refused()
    }

    fn poll_by_id(&self, _id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        Self::refused()
    }

    fn latest(&self, _subject: &str) -> Result<Option<Registered>, RegistryError> {
        Self::refused()
    }

    fn delete(&self, _subject: &str) -> Result<(), RegistryError> {
        Self::refused()
    }

    fn version(&self, _subject: &str, _version: i32) -> Result<Option<Registered>, RegistryError> {
        Self::refused()
    }
}
