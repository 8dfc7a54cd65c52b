//! The registry as queries ask it.

use std::sync::Arc;

use super::content::Deleted;
use super::record::Link;
use super::{NewSchema, OwnError, OwnRegistry, Version, VersionId};
use crate::registry::{Registered, RegistryError, Schema, SchemaId, SchemaRegistry};

impl From<OwnError> for RegistryError {
    fn from(error: OwnError) -> Self {
        match error {
            OwnError::IdNotFound(id) => RegistryError::UnknownId(SchemaId(id)),
            OwnError::Store(reason) => RegistryError::Away(reason),
            other => RegistryError::Refused(other.to_string()),
        }
    }
}

impl OwnRegistry {
    fn registered(&self, version: &Version) -> Result<Registered, RegistryError> {
        Ok(Registered { id: SchemaId(version.id), version: version.version, schema: self.resolved(version)? })
    }

    fn optional(&self, subject: &str, version: VersionId) -> Result<Option<Registered>, RegistryError> {
        match self.version(subject, version, false) {
            Ok(found) => self.registered(&found).map(Some),
            Err(OwnError::SubjectNotFound(_) | OwnError::VersionNotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl SchemaRegistry for OwnRegistry {
    fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, RegistryError> {
        let links = schema.references.iter().map(|r| Link { name: r.name.clone(), subject: r.subject.clone(), version: r.version });
        let new = NewSchema { references: links.collect(), ..NewSchema::new(schema.kind, schema.text.clone()) };
        Ok(SchemaId(self.register(subject, &new, false)?.id))
    }

    fn by_id(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        let version = match self.by_id(id.0, None) {
            // Another server may have registered it meanwhile.
            Err(OwnError::IdNotFound(_)) => {
                drop(self.change()?);
                self.by_id(id.0, None)?
            }
            found => found?,
        };
        Ok(self.resolved(&version)?)
    }

    fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        let version = self.by_id(id.0, None)?;
        Ok(Some(self.resolved(&version)?))
    }

    fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError> {
        self.optional(subject, VersionId::Latest)
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Registered>, RegistryError> {
        self.optional(subject, VersionId::Number(version))
    }

    fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        if self.subjects(subject, Deleted::Exclude).iter().all(|known| known != subject) {
            return Ok(());
        }
        match self.delete_subject(subject, false) {
            Ok(_) | Err(OwnError::SubjectNotFound(_) | OwnError::SubjectSoftDeleted(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
