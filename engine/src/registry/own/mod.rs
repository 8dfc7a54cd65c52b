//! A registry of our own: everything that Confluent's has (subjects, versions, ids, references, levels of compatibility,
//! modes, contexts, soft and permanent deletion), kept in a topic in Confluent's own record format. The server gives it to
//! others as an API; queries ask it directly.
//!
//! [`Content`] is what the topic's records add up to, [`topic`] reads and writes them. What is written is appended first and
//! then applied, one change after the other; reading never waits for the log.

mod change;
mod content;
mod context;
mod delete;
mod error;
mod look_up;
mod record;
mod register;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod topic;
mod version_id;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::log::{Log, LogError};

pub use content::{Deleted, SubjectVersion, Version};
pub use context::{DEFAULT_CONTEXT, qualified};
pub use error::OwnError;
pub use record::{Config, Link, Mode};
pub use register::NewSchema;
pub use version_id::VersionId;

use content::Content;
use topic::SchemaTopic;

/// See the module.
pub struct OwnRegistry {
    content: RwLock<Content>,
    /// Held as long as something is changed.
    topic: Mutex<SchemaTopic>,
}

impl OwnRegistry {
    /// Reads the topic, where it is there already; else it is made once there is something to keep.
    ///
    /// # Errors
    /// The topic can't be read, or has more than one partition.
    pub fn open(log: Arc<dyn Log>, clock: Arc<dyn Clock>, topic: &str, replicas: u16) -> Result<Self, LogError> {
        let mut topic = SchemaTopic::open(log, clock, topic, replicas)?;
        let content = RwLock::new(Content::default());
        topic.read_into(&content)?;
        Ok(OwnRegistry { content, topic: Mutex::new(topic) })
    }
}
