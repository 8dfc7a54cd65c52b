//! Answers that a registry gave before they are needed. Statements that change something go one at a time, and none is to keep the
//! others waiting because a registry is slow: what a statement asks is found out by a rehearsal that changes nothing but the
//! registry, and while it is carried out the answers are recalled.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Registered, RegistryError, Schema, SchemaId, SchemaRegistry};

#[derive(PartialEq, Eq, Hash)]
enum Question {
    Register(String, Schema),
    ById(SchemaId),
    Latest(String),
    Version(String, i32),
}

#[derive(Clone)]
enum Answer {
    Id(SchemaId),
    Schema(Arc<Schema>),
    Version(Option<Registered>),
}

/// See the module. One for each statement.
#[derive(Default)]
pub struct Foreknown {
    answers: Mutex<HashMap<Question, Result<Answer, RegistryError>>>,
    surprised: AtomicBool,
}

impl Foreknown {
    /// Passes questions on, and remembers the answers.
    pub fn asking<'a>(&'a self, registry: &'a dyn SchemaRegistry) -> impl SchemaRegistry + 'a {
        Side { known: self, registry: Some(registry) }
    }

    /// Answers what was asked before, without asking again. Anything else is [a surprise](Self::was_surprised) and an error.
    pub fn recalling(&self) -> impl SchemaRegistry + '_ {
        Side { known: self, registry: None }
    }

    /// Whether something was to be recalled that nobody had asked; the next call tells of what came since.
    pub fn was_surprised(&self) -> bool {
        self.surprised.swap(false, Ordering::Relaxed)
    }
}

struct Side<'a> {
    known: &'a Foreknown,
    registry: Option<&'a dyn SchemaRegistry>,
}

impl Side<'_> {
    fn ask(
        &self,
        question: Question,
        ask: impl FnOnce(&dyn SchemaRegistry) -> Result<Answer, RegistryError>,
    ) -> Result<Answer, RegistryError> {
        let Some(registry) = self.registry else {
            let known = self.known.answers.lock().get(&question).cloned();
            return known.unwrap_or_else(|| {
                self.known.surprised.store(true, Ordering::Relaxed);
                Err(not_asked())
            });
        };
        let answer = ask(registry);
        self.known.answers.lock().insert(question, answer.clone());
        answer
    }
}

fn not_asked() -> RegistryError {
    RegistryError::Away("The Schema Registry was not asked yet".to_owned())
}

impl SchemaRegistry for Side<'_> {
    fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, RegistryError> {
        let question = Question::Register(subject.to_owned(), schema.clone());
        match self.ask(question, |registry| registry.register(subject, schema).map(Answer::Id))? {
            Answer::Id(id) => Ok(id),
            Answer::Schema(_) | Answer::Version(_) => Err(not_asked()),
        }
    }

    fn by_id(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        match self.ask(Question::ById(id), |registry| registry.by_id(id).map(Answer::Schema))? {
            Answer::Schema(schema) => Ok(schema),
            Answer::Id(_) | Answer::Version(_) => Err(not_asked()),
        }
    }

    fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        self.by_id(id).map(Some)
    }

    fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError> {
        match self.ask(Question::Latest(subject.to_owned()), |registry| registry.latest(subject).map(Answer::Version))? {
            Answer::Version(found) => Ok(found),
            Answer::Id(_) | Answer::Schema(_) => Err(not_asked()),
        }
    }

    /// Statements delete once they are done.
    fn delete(&self, _subject: &str) -> Result<(), RegistryError> {
        Err(not_asked())
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Registered>, RegistryError> {
        let question = Question::Version(subject.to_owned(), version);
        match self.ask(question, |registry| registry.version(subject, version).map(Answer::Version))? {
            Answer::Version(found) => Ok(found),
            Answer::Id(_) | Answer::Schema(_) => Err(not_asked()),
        }
    }

    fn trouble(&self) -> Option<String> {
        self.registry.and_then(SchemaRegistry::trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{MemoryRegistry, NoRegistry, SchemaKind};

    #[test]
    fn what_was_asked_is_recalled_and_all_else_is_a_surprise() {
        let (known, registry) = (Foreknown::default(), MemoryRegistry::default());
        let (int, long) = (Schema::new(SchemaKind::Avro, "\"int\""), Schema::new(SchemaKind::Avro, "\"long\""));
        assert!(known.recalling().register("s", &int).is_err() && known.was_surprised() && !known.was_surprised());
        let asking = known.asking(&registry);
        assert!(asking.latest("s").unwrap().is_none());
        let id = asking.register("s", &int).unwrap();
        assert_eq!(asking.by_id(SchemaId(9)), Err(RegistryError::UnknownId(SchemaId(9))));
        let recalling = known.recalling();
        assert!(recalling.latest("s").unwrap().is_none(), "as it was asked");
        assert_eq!(recalling.register("s", &int), Ok(id));
        assert_eq!(recalling.by_id(SchemaId(9)), Err(RegistryError::UnknownId(SchemaId(9))));
        assert!(!known.was_surprised());
        assert!(recalling.register("s", &long).is_err() && recalling.latest("t").is_err() && known.was_surprised());
        assert_eq!(known.asking(&NoRegistry).by_id(id), Err(RegistryError::NotConfigured));
        assert_eq!(known.recalling().by_id(id), Err(RegistryError::NotConfigured), "the newest answer");
    }
}
