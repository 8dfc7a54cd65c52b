//! Changes: appended to the topic, then applied.

use parking_lot::MutexGuard;
use serde::Serialize;

use super::record::Key;
use super::topic::SchemaTopic;
use super::{OwnError, OwnRegistry};

/// The right to change something, as long as it is held. What others wrote before is known.
pub(super) struct Change<'r> {
    registry: &'r OwnRegistry,
    topic: MutexGuard<'r, SchemaTopic>,
}

impl OwnRegistry {
    /// # Errors
    /// The topic can't be read.
    pub(super) fn change(&self) -> Result<Change<'_>, OwnError> {
        let mut change = Change { registry: self, topic: self.topic.lock() };
        change.catch_up()?;
        Ok(change)
    }
}

impl Change<'_> {
    fn catch_up(&mut self) -> Result<(), OwnError> {
        // Read apart, so that nobody who asks for a schema waits for the log.
        self.topic.read_into(&self.registry.content)?;
        Ok(())
    }

    /// # Errors
    /// The record could not be written; nothing has changed then, or will be seen to have before the next change.
    pub fn put<T: Serialize>(&mut self, key: &Key, value: &T) -> Result<(), OwnError> {
        let value = serde_json::to_vec(value).map_err(|error| OwnError::Store(error.to_string()))?;
        self.write(key, Some(&value))
    }

    /// # Errors
    /// As for [`Self::put`].
    pub fn remove(&mut self, key: &Key) -> Result<(), OwnError> {
        self.write(key, None)
    }

    fn write(&mut self, key: &Key, value: Option<&[u8]>) -> Result<(), OwnError> {
        self.topic.append(key, value)?;
        self.registry.content.write().apply(key, value).map_err(OwnError::Store)
    }
}
