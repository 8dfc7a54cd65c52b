//! A registry for tests that does not know yet, for as long as a test wants, what it is asked without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{MemoryRegistry, Registered, RegistryError, Schema, SchemaId, SchemaRegistry};

/// Told how many questions came before; true: the answer is not there yet.
type IsLate = Box<dyn FnMut(u64) -> bool + Send>;

/// See the module.
pub struct SlowRegistry {
    pub content: MemoryRegistry,
    is_late: Mutex<IsLate>,
    polls: AtomicU64,
    late: AtomicU64,
}

impl SlowRegistry {
    pub fn new(is_late: impl FnMut(u64) -> bool + Send + 'static) -> Arc<Self> {
        let content = MemoryRegistry::default();
        Arc::new(SlowRegistry { content, is_late: Mutex::new(Box::new(is_late)), polls: AtomicU64::new(0), late: AtomicU64::new(0) })
    }

    /// From now on it answers at once.
    pub fn answer(&self) {
        *self.is_late.lock() = Box::new(|_| false);
    }

    /// How often it did not know yet.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}

impl SchemaRegistry for SlowRegistry {
    fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, RegistryError> {
        self.content.register(subject, schema)
    }

    fn by_id(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        self.content.by_id(id)
    }

    fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        let before = self.polls.fetch_add(1, Ordering::Relaxed);
        if (self.is_late.lock())(before) {
            self.late.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        self.content.poll_by_id(id)
    }

    fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError> {
        self.content.latest(subject)
    }

    fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        self.content.delete(subject)
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Registered>, RegistryError> {
        self.content.version(subject, version)
    }

    fn trouble(&self) -> Option<String> {
        Some("The registry is slow.".into())
    }
}
