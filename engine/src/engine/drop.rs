//! DROP STREAM and DROP TABLE.

use std::sync::Arc;

use tidemill_parser::ast::{DropSource, SpannedStatement};

use super::command::{Action, CommandOutcome};
use super::ddl::{capitalized, closed};
use super::{CommandState, Engine, EngineError, SessionProperties};
use crate::analyze::ErrorKind;
use crate::catalog::SourceKind;
use crate::formats::subjects;
use crate::plan::TopicFormat;
use crate::points::{self, Point};
use crate::registry::RegistryError;

impl Engine {
    pub(super) fn drop_source(
        self: &Arc<Self>,
        commands: &mut CommandState,
        drop: &DropSource,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let catalog = self.catalog();
        let name = &drop.name.name;
        let kind = SourceKind::from(drop.kind);
        // The topic is deleted here, once; the command that is replayed only drops the source.
        let statement_text = if drop.delete_topic {
            let plain = DropSource { delete_topic: false, ..drop.clone() };
            format!("{};", tidemill_parser::ast::Statement::DropSource(plain))
        } else {
            closed(&statement.text)
        };
        let mut outcome = CommandOutcome {
            statement_text,
            command_id: format!("{}/{name}/drop", kind.lower()),
            message: String::new(),
            query_id: None,
            sequence_number: None,
            warnings: Vec::new(),
        };
        let Some(source) = catalog.source(name) else {
            if drop.if_exists {
                outcome.message = format!("Source `{name}` does not exist.");
                return self.nothing(commands, outcome, session);
            }
            let near = catalog.near_source(name).map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
            let message = format!("{} {name} does not exist.{near}", capitalized(kind));
            // There is no topic to delete either: not the statement is wrong, but what it asks for can't be done.
            let code = drop.delete_topic.then_some(ErrorKind::Request);
            return Err(EngineError { span: Some(drop.name.span), code, ..EngineError::user(message) });
        };
        if source.kind != kind {
            return Err(EngineError::user(format!(
                "Incompatible data source type is {}, but statement was DROP {}",
                source.kind.lower(),
                kind.lower()
            )));
        }
        catalog.check_droppable(name)?;
        let topic = source.format.topic.clone();
        if drop.delete_topic {
            self.check_deletable(&topic)?;
        }
        if drop.delete_topic && source.read_only {
            let message = format!("Cannot delete topic for read-only source: {name}. The topic belongs to whoever writes it.");
            return Err(EngineError { code: Some(ErrorKind::Request), ..EngineError::user(message) });
        }
        if drop.delete_topic {
            let shared = catalog.check_owns_topic(source).map_err(EngineError::from);
            shared.map_err(|error| EngineError { code: Some(ErrorKind::Request), ..error })?;
        }
        outcome.message = format!("Source `{name}` (topic: {topic}) was dropped.");
        if drop.delete_topic {
            self.intend_deletion(source)?;
        }
        outcome.sequence_number =
            Some(self.append_and_apply(commands, &outcome.statement_text, session, Action::DropSource { name: name.clone() })?);
        if drop.delete_topic {
            points::reach(Point::DropAppended);
            match self.log.delete_topic(&topic) {
                Ok(()) | Err(crate::log::LogError::UnknownTopic(_)) => commands.deleted = Some(source.format.clone()),
                // The source is gone all the same: what is left is said.
                Err(error) => outcome
                    .warnings
                    .push(format!("The topic {topic} was not deleted, and is still there until the next start of the server: {error}")),
            }
            points::reach(Point::DropDone);
        }
        Ok(outcome)
    }

    /// Whether the registry can be asked to delete the subjects of a topic, before anything is dropped.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn check_subjects_answer(&self, drop: &DropSource) -> Result<(), EngineError> {
        let catalog = self.catalog();
        let Some(source) = catalog.source(&drop.name.name).filter(|_| drop.delete_topic) else { return Ok(()) };
        subjects(&source.format).try_for_each(|subject| self.registry.latest(&subject).map(|_| ())).map_err(|error| {
            let message = format!("{}. Nothing was dropped.", not_cleaned_up(&source.format, &error));
            EngineError { message, code: Some(ErrorKind::Server), ..error.into() }
        })
    }

    /// Deletes the subjects of a topic that is gone: whoever makes it anew begins with schemas of his own. Gives what is to be
    /// said of those that are left.
    pub(super) fn delete_subjects(&self, format: &TopicFormat) -> Option<String> {
        let refused: Vec<(String, RegistryError)> =
            subjects(format).filter_map(|subject| self.registry.delete(&subject).err().map(|error| (subject, error))).collect();
        let (_, error) = refused.first()?;
        let left: Vec<&str> = refused.iter().map(|(subject, _)| subject.as_str()).collect();
        Some(format!(
            "{}. The stream or table and its topic are gone; what is left under {} holds for whoever makes the topic anew, unless you \
             delete it there.",
            not_cleaned_up(format, error),
            left.join(" and ")
        ))
    }
}

fn not_cleaned_up(format: &TopicFormat, error: &RegistryError) -> String {
    format!("Could not clean up the schema registry for topic: {}. {}", format.topic, error.to_string().trim_end_matches('.'))
}
