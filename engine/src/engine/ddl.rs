//! Statements about streams, tables and types that read existing topics or make empty ones.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemill_parser::ast::{AlterSource, CreateSource, DataType, Ident, SpannedStatement, Statement};

use super::command::{Action, CommandOutcome};
use super::leftovers::Intent;
use super::topic_name::check_topic_name;
use super::{CommandState, Engine, EngineError, LogAway, SessionProperties};
use crate::analyze::{self, Action as SourceAction};
use crate::catalog::{Catalog, Source, SourceKind};
use crate::formats::register_source;
use crate::log::{LogError, Operation, TopicSpec};
use crate::registry::{Foreknown, SchemaRegistry};
use crate::types::{Column, SqlType};

/// How often a statement asks the registry anew because others have changed, meanwhile, what it asks.
const MAX_REHEARSALS: usize = 3;

/// How often a statement is checked anew because another server's came before it.
const MAX_ATTEMPTS: usize = 20;

/// How long a statement waits for another one, and for a sign of the log. Whoever sent it is answered within 10 s.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

impl Engine {
    /// Runs a statement that changes something: DDL, CREATE … AS, INSERT INTO … SELECT, DROP, TERMINATE, PAUSE, RESUME.
    ///
    /// A schema registry may be slow, and others are not to wait for it: what the statement asks is asked before it has its turn.
    ///
    /// # Errors
    /// What is wrong with the statement; nothing of it was done then.
    pub fn execute(
        self: &std::sync::Arc<Self>,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        if let Some(reason) = self.deposed.get() {
            return Err(EngineError::external(format!("{reason}. This server runs nothing any more: end it")));
        }
        self.check_log()?;
        if !self.runtime.tenure().lasts(self.clock.instant()) {
            return Err(EngineError::external(
                "This server was away from its group for long, or shut out of it, so that another may have taken its place. Nothing was \
                 done; try again in a moment.",
            ));
        }
        if let Statement::DropSource(drop) = &statement.statement {
            self.check_subjects_answer(drop)?;
        }
        let known = Foreknown::default();
        for _ in 0..MAX_REHEARSALS {
            let carried_out = self.in_turn(statement, session, &known);
            if carried_out.is_ok() || !known.was_surprised() {
                return carried_out;
            }
            self.rehearse(statement, session, &known);
        }
        let carried_out = self.in_turn(statement, session, &known);
        if carried_out.is_err() && known.was_surprised() {
            return Err(EngineError::external(
                "Other statements keep changing the schemas that this one needs. Nothing was done; try again later.",
            ));
        }
        carried_out
    }

    /// Asks the registry all that a statement will ask. Whether the statement is right is found out when it has its turn.
    fn rehearse(&self, statement: &SpannedStatement, session: &SessionProperties, known: &Foreknown) {
        let (catalog, registry) = (self.catalog(), known.asking(&*self.registry));
        let number = self.probable_query_number();
        match &statement.statement {
            Statement::CreateSource(create) => drop(self.declare(&catalog, create, session, &registry)),
            Statement::CreateAs(create) => drop(self.plan_create_as(&catalog, create, session, &registry, number)),
            Statement::InsertSelect(insert) => drop(self.plan_insert(&catalog, insert, statement, session, &registry, number)),
            _ => {}
        }
    }

    /// Carries a statement out, with what is known of its schemas.
    fn in_turn(
        self: &std::sync::Arc<Self>,
        statement: &SpannedStatement,
        session: &SessionProperties,
        known: &Foreknown,
    ) -> Result<CommandOutcome, EngineError> {
        let Some(mut commands) = self.commands.try_lock_for(STATEMENT_PATIENCE) else {
            return Err(EngineError::external("Another statement is still being carried out. Nothing was done; try again later."));
        };
        // No statement goes into a topic that is not the one that the others are in.
        self.check_command_log(&mut commands)?;
        self.catch_up(&mut commands)?;
        commands.log.give_way()?;
        let mut attempts = 0;
        let mut outcome = loop {
            self.catch_up(&mut commands)?;
            if let Some(problem) = commands.log.problem() {
                return Err(EngineError::external(problem));
            }
            commands.given = closed(&statement.text);
            (commands.deleted, commands.was_overtaken) = (None, false);
            let carried_out = self.carry_out(&mut commands, statement, session, &known.recalling());
            attempts += 1;
            if carried_out.is_ok() || !commands.was_overtaken || attempts >= MAX_ATTEMPTS {
                break carried_out?;
            }
        };
        let deleted = commands.deleted.take();
        drop(commands);
        if let Some(format) = deleted {
            outcome.warnings.extend(self.delete_subjects(&format));
            self.is_done(&format.topic);
        }
        Ok(outcome)
    }

    fn carry_out(
        self: &std::sync::Arc<Self>,
        commands: &mut CommandState,
        statement: &SpannedStatement,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
    ) -> Result<CommandOutcome, EngineError> {
        match &statement.statement {
            Statement::CreateSource(create) => self.create_source(commands, create, statement, session, registry),
            Statement::CreateAs(create) => self.create_as(commands, create, statement, session, registry),
            Statement::InsertSelect(insert) => self.insert_select(commands, insert, statement, session, registry),
            Statement::AlterSource(alter) => self.alter_source(commands, alter, statement, session),
            Statement::DropSource(drop) => self.drop_source(commands, drop, statement, session),
            Statement::CreateType { name, if_not_exists, data_type } => {
                self.create_type(commands, name, *if_not_exists, data_type, statement, session)
            }
            Statement::DropType { name, if_exists } => self.drop_type(commands, name, *if_exists, statement, session),
            Statement::Terminate { id } => self.terminate(commands, id.as_ref(), statement, session),
            Statement::Pause { id } => self.pause(commands, id.as_ref(), statement, session),
            Statement::Resume { id } => self.resume(commands, id.as_ref(), statement, session),
            _ => Err(EngineError::user("this statement does not change anything that the command log keeps")),
        }
    }

    /// Refuses at once what can't be done while the log is away: nobody is to wait for the time limits of all that a statement
    /// asks of it.
    fn check_log(&self) -> Result<(), EngineError> {
        let reason = match self.log.outage() {
            Some(outage) => outage,
            None => match self.log.ping(PING_TIMEOUT) {
                Ok(()) => return Ok(()),
                Err(error) => error.to_string(),
            },
        };
        Err(EngineError::external(format!("{reason}. Nothing was done; try again when it is back.")))
    }

    fn create_source(
        self: &std::sync::Arc<Self>,
        commands: &mut CommandState,
        create: &CreateSource,
        statement: &SpannedStatement,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
    ) -> Result<CommandOutcome, EngineError> {
        let catalog = self.catalog();
        let kind = SourceKind::from(create.kind);
        let source = match self.declare(&catalog, create, session, registry)? {
            (source, SourceAction::Keep) => {
                return Ok(exists_already(catalog.source(&create.name.name).unwrap_or(&std::sync::Arc::new(source)), kind, statement));
            }
            (source, _) => source,
        };
        self.ensure_topic(&source)?;
        let statement_text = source.statement.clone();
        let name = source.name.clone();
        // A read-only table is kept in a store by a query of its own, so that it can be looked up.
        let query = (source.read_only && kind == SourceKind::Table).then(|| {
            let id = format!("CST_{name}_{}", self.next_query_number(commands));
            let topics = self.topic_lookup();
            std::sync::Arc::new(analyze::source_table(&source, &self.context_with(registry, &catalog, session, &topics), &id))
        });
        let query_id = query.as_ref().map(|q| q.query_id.clone());
        let source = Source { created_by: query_id.clone(), ..source };
        let topic = source.format.topic.clone();
        let sequence_number = self.append_and_apply(commands, &statement_text, session, Action::PutSource(Box::new(source), query))?;
        self.is_done(&topic);
        Ok(CommandOutcome {
            statement_text,
            command_id: format!("{}/`{name}`/create", kind.lower()),
            message: query_id.as_ref().map_or_else(|| format!("{} created", capitalized(kind)), |id| format!("Created query with ID {id}")),
            query_id,
            sequence_number: Some(sequence_number),
            warnings: Vec::new(),
        })
    }

    /// Whether the log lets this server read and write these topics, as far as that is known beforehand. A topic that is missing
    /// denies nothing.
    pub(super) fn check_rights(&self, reads: &[String], writes: &[String]) -> Result<(), EngineError> {
        let wanted = reads.iter().map(|topic| (topic, Operation::Read)).chain(writes.iter().map(|topic| (topic, Operation::Write)));
        for (topic, operation) in wanted {
            if !self.log.denied(topic, &[operation]).is_empty() {
                return Err(LogError::Denied { operation: operation.name(), resource: format!("topic(s): [{topic}]") }.into());
            }
        }
        Ok(())
    }

    /// A declared source whose schemas are registered, and what is to be done with it.
    fn declare(
        &self,
        catalog: &Catalog,
        create: &CreateSource,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
    ) -> Result<(Source, SourceAction), EngineError> {
        let away = LogAway::default();
        let topics = self.topic_lookup_unless(Some(&away));
        let declared = away.or(analyze::create_source(create, &self.context_with(registry, catalog, session, &topics)))?;
        let existing = catalog.source(&create.name.name);
        if declared.action == SourceAction::Keep && existing.is_some() {
            return Ok((declared.source, SourceAction::Keep));
        }
        let (source, replaces) = (declared.source, existing.is_some_and(|s| s.created_by.is_some()));
        if source.read_only && source.kind == SourceKind::Table && !replaces {
            self.check_query_limit()?;
        }
        self.check_rights(std::slice::from_ref(&source.format.topic), &[])?;
        register_source(&source, registry)?;
        Ok((source, declared.action))
    }

    /// Makes a source's topic where it is missing.
    pub(super) fn ensure_topic(&self, source: &Source) -> Result<(), EngineError> {
        check_topic_name(&source.format.topic).map_err(EngineError::user)?;
        if self.log.describe_topic(&source.format.topic)?.is_some() {
            return Ok(());
        }
        let settings = source.topic;
        let mut config = BTreeMap::from([("cleanup.policy".to_owned(), settings.cleanup.name().to_owned())]);
        if let Some(retention) = settings.retention_ms {
            config.insert("retention.ms".to_owned(), retention.to_string());
        }
        let topic = &source.format.topic;
        let spec = TopicSpec { name: topic.clone(), partitions: settings.partitions, replicas: settings.replicas, config };
        self.intend(topic, &Intent::Make { source: source.name.clone(), made: None })?;
        match self.log.create_topic(&spec) {
            Ok(()) => {}
            // It is somebody else's.
            Err(LogError::TopicExists(_)) => {
                self.is_done(topic);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let made = self.log.identify(&[topic])?.first().copied().flatten();
        self.intend(topic, &Intent::Make { source: source.name.clone(), made })
    }

    fn alter_source(
        self: &std::sync::Arc<Self>,
        commands: &mut CommandState,
        alter: &AlterSource,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let catalog = self.catalog();
        let name = &alter.name.name;
        let kind = SourceKind::from(alter.kind);
        let Some(source) = catalog.source(name) else {
            return Err(EngineError::user(format!("Source {name} does not exist.")));
        };
        if source.kind != kind {
            return Err(EngineError::user(format!(
                "Incompatible data source type is {}, but statement was ALTER {}",
                source.kind.upper(),
                kind.upper()
            )));
        }
        if source.read_only {
            return Err(EngineError::user(format!(
                "Cannot alter {} '{name}': ALTER operations are not supported on source {}s.",
                kind.lower(),
                kind.lower()
            )));
        }
        if source.created_by.is_some() {
            return Err(EngineError::user(format!(
                "ALTER command is not supported for CREATE ... AS statements: '{name}' was made by a query. Use CREATE OR REPLACE instead."
            )));
        }
        if source.format.value.schema.as_ref().is_some_and(|schema| schema.chosen.is_some()) {
            return Err(EngineError::user(format!(
                "Cannot alter {} '{name}': its columns are those of the schema that VALUE_SCHEMA_ID chose. Use CREATE OR REPLACE with the id of \
                 another schema instead.",
                kind.lower()
            )));
        }
        let mut altered = Source::clone(source);
        for (column, data_type) in &alter.add {
            if altered.schema.columns().any(|c| c.name == column.name) {
                return Err(EngineError::user(format!(
                    "Cannot add column `{}` to schema. A column with the same name already exists.",
                    column.name
                )));
            }
            altered.schema.value.push(Column::new(&column.name, self.resolve(data_type)?));
            altered.column_order.push(column.name.clone());
        }
        let sequence_number =
            self.append_and_apply(commands, &closed(&statement.text), session, Action::PutSource(Box::new(altered), None))?;
        Ok(CommandOutcome {
            statement_text: closed(&statement.text),
            command_id: format!("{}/{name}/alter", kind.lower()),
            message: format!("{} {name} altered.", capitalized(kind)),
            query_id: None,
            sequence_number: Some(sequence_number),
            warnings: Vec::new(),
        })
    }

    fn create_type(
        self: &std::sync::Arc<Self>,
        commands: &mut CommandState,
        name: &Ident,
        if_not_exists: bool,
        data_type: &DataType,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let catalog = self.catalog();
        let sql_type = self.resolve(data_type)?;
        let mut outcome = CommandOutcome {
            statement_text: closed(&statement.text),
            command_id: format!("type/{}/create", name.name),
            message: format!("Registered custom type with name '{}' and SQL type {sql_type}", name.name),
            query_id: None,
            sequence_number: None,
            warnings: Vec::new(),
        };
        if let Some(existing) = catalog.user_type(&name.name)
            && if_not_exists
        {
            outcome.message = format!("{} is already registered with type {existing}", name.name);
            return self.nothing(commands, outcome, session);
        }
        catalog.with_type(&name.name, sql_type.clone())?;
        let action = Action::PutType { name: name.name.clone(), sql_type };
        outcome.sequence_number = Some(self.append_and_apply(commands, &outcome.statement_text, session, action)?);
        Ok(outcome)
    }

    fn drop_type(
        self: &std::sync::Arc<Self>,
        commands: &mut CommandState,
        name: &Ident,
        if_exists: bool,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let mut outcome = CommandOutcome {
            statement_text: closed(&statement.text),
            command_id: format!("type/{}/drop", name.name),
            message: format!("Dropped type '{}'", name.name),
            query_id: None,
            sequence_number: None,
            warnings: Vec::new(),
        };
        if let Err(error) = self.catalog().without_type(&name.name) {
            if !if_exists {
                return Err(error.into());
            }
            outcome.message = format!("Type '{}' does not exist", name.name);
            return self.nothing(commands, outcome, session);
        }
        let action = Action::DropType { name: name.name.clone() };
        outcome.sequence_number = Some(self.append_and_apply(commands, &outcome.statement_text, session, action)?);
        Ok(outcome)
    }

    /// Counts a statement that changes nothing.
    pub(super) fn nothing(
        self: &std::sync::Arc<Self>,
        commands: &mut CommandState,
        mut outcome: CommandOutcome,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        outcome.sequence_number = Some(self.append_and_apply(commands, &outcome.statement_text, session, Action::Nothing)?);
        Ok(outcome)
    }

    fn resolve(&self, data_type: &DataType) -> Result<SqlType, EngineError> {
        Ok(self.catalog().resolve_type(data_type)?)
    }
}

/// What `IF NOT EXISTS` answers for a name that is taken.
pub(super) fn exists_already(existing: &Source, wanted: SourceKind, statement: &SpannedStatement) -> CommandOutcome {
    CommandOutcome {
        statement_text: closed(&statement.text),
        command_id: format!("{}/`{}`/create", wanted.lower(), existing.name),
        message: format!(
            "Cannot add {} `{}`: A {} with the same name already exists.",
            wanted.lower(),
            existing.name,
            existing.kind.lower()
        ),
        query_id: None,
        sequence_number: None,
        warnings: Vec::new(),
    }
}

/// `Stream` or `Table`.
pub(super) fn capitalized(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "Stream",
        SourceKind::Table => "Table",
    }
}

/// A statement's text with its semicolon.
pub(super) fn closed(text: &str) -> String {
    format!("{};", text.trim_end_matches(';'))
}
