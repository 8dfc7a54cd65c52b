//! Persistent queries: CREATE … AS and INSERT INTO … SELECT, and TERMINATE, PAUSE and RESUME of them.

use std::sync::Arc;

use tidemill_parser::ast::{CreateAs, Ident, InsertSelect, SpannedStatement};

use super::command::{Action, CommandOutcome, query_number};
use super::ddl::{closed, exists_already};
use super::failures::Told;
use super::queries::{PersistentQuery, QueryKind};
use super::supervise::Care;
use super::{CommandState, Engine, EngineError, LogAway, SessionProperties};
use crate::analyze::{self, Action as SourceAction, PlannedQuery};
use crate::catalog::{Catalog, Source, SourceKind};
use crate::formats::register_plan;
use crate::plan::{QueryPlan, upgrade};
use crate::points::{self, Point};
use crate::registry::SchemaRegistry;
use crate::runtime::QueryFailure;

/// What CREATE … AS comes to.
pub(super) struct PlannedAs {
    id: String,
    plan: QueryPlan,
    source: Source,
    action: SourceAction,
    /// The query whose place it takes.
    replaces: Option<String>,
    warnings: Vec<String>,
}

impl Engine {
    /// Where failures of queries are told.
    pub(super) fn told(&self) -> Told {
        Told { clock: self.clock.clone(), log: self.runtime.parts().processing_log.clone() }
    }

    pub(super) fn create_as(
        self: &Arc<Self>,
        commands: &mut CommandState,
        create: &CreateAs,
        statement: &SpannedStatement,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
    ) -> Result<CommandOutcome, EngineError> {
        let catalog = self.catalog();
        let (kind, name) = (SourceKind::from(create.kind), &create.name.name);
        let planned = self.plan_create_as(&catalog, create, session, registry, self.next_query_number(commands))?;
        let PlannedAs { id, plan, source, action, replaces, warnings } = planned;
        if action == SourceAction::Keep {
            return Ok(exists_already(catalog.source(name).unwrap_or(&Arc::new(source)), kind, statement));
        }
        self.ensure_topic(&source)?;
        points::reach(Point::CreateTopicMade);
        let (statement_text, topic) = (source.statement.clone(), source.format.topic.clone());
        let action = Action::StartQuery { plan: Arc::new(plan), sink: Some(Box::new(source)), replaces };
        let sequence_number = self.append_and_apply(commands, &statement_text, session, action)?;
        self.is_done(&topic);
        points::reach(Point::CreateDone);
        Ok(CommandOutcome { warnings, ..query_created(kind, name, id, statement_text, sequence_number) })
    }

    /// A query that may start, with its schemas registered; `number` is for its id.
    pub(super) fn plan_create_as(
        &self,
        catalog: &Catalog,
        create: &CreateAs,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
        number: i64,
    ) -> Result<PlannedAs, EngineError> {
        let kind = SourceKind::from(create.kind);
        let name = &create.name.name;
        let replaces = match catalog.source(name).and_then(|s| s.created_by.clone()) {
            Some(query) if create.or_replace => Some(query),
            _ => None,
        };
        // A query that takes another's place keeps its id, and with it offsets and state.
        let id = replaces.clone().unwrap_or_else(|| {
            let prefix = if kind == SourceKind::Stream { "CSAS" } else { "CTAS" };
            format!("{prefix}_{name}_{number}")
        });
        let away = LogAway::default();
        let topics = self.topic_lookup_unless(Some(&away));
        let planned = away.or(analyze::create_as(create, &self.context_with(registry, catalog, session, &topics), &id))?;
        let (mut plan, warnings) = (planned.plan, planned.warnings);
        let Some((source, action)) = planned.sink else {
            return Err(EngineError::internal("a CREATE … AS was planned without its sink"));
        };
        if action == SourceAction::Keep {
            return Ok(PlannedAs { id, plan, source, action, replaces, warnings });
        }
        self.check_writable(&source.format.topic)?;
        if replaces.is_none() {
            self.check_query_limit()?;
        }
        // A query that was terminated is no longer there, nor is its state.
        if let Some(old) = replaces.as_ref().and_then(|id| self.queries.get(id)) {
            if let Some(reason) = upgrade::refusal(&old.plan, &plan) {
                return Err(EngineError { statement: Some(source.statement), ..EngineError::user(reason) });
            }
            upgrade::take_over(&old.plan, &mut plan);
        }
        crate::runtime::check_start(&plan, session.offset_reset())?;
        self.check_own_topics(&plan, &format!("The {}'s name is part of its id: give it a shorter one.", kind.lower()))?;
        let written: Vec<String> = [source.format.topic.clone()].into_iter().chain(self.check_letters(session)?).collect();
        self.check_rights(&topics_of(&plan.sources, catalog), &written)?;
        register_plan(&mut plan, registry)?;
        Ok(PlannedAs { id, plan, source, action, replaces, warnings })
    }

    pub(super) fn insert_select(
        self: &Arc<Self>,
        commands: &mut CommandState,
        insert: &InsertSelect,
        statement: &SpannedStatement,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
    ) -> Result<CommandOutcome, EngineError> {
        let catalog = self.catalog();
        let planned = self.plan_insert(&catalog, insert, statement, session, registry, self.next_query_number(commands))?;
        let kind = catalog.source(&insert.target.name).map_or(SourceKind::Stream, |s| s.kind);
        let id = planned.plan.query_id.clone();
        let action = Action::StartQuery { plan: Arc::new(planned.plan), sink: None, replaces: None };
        let statement_text = closed(&statement.text);
        let sequence_number = self.append_and_apply(commands, &statement_text, session, action)?;
        let created = query_created(kind, &insert.target.name, id, statement_text, sequence_number);
        Ok(CommandOutcome { warnings: planned.warnings, ..created })
    }

    /// As [`Self::plan_create_as`], for INSERT INTO … SELECT.
    pub(super) fn plan_insert(
        &self,
        catalog: &Catalog,
        insert: &InsertSelect,
        statement: &SpannedStatement,
        session: &SessionProperties,
        registry: &dyn SchemaRegistry,
        number: i64,
    ) -> Result<PlannedQuery, EngineError> {
        let topics = self.topic_lookup();
        let id = match analyze::requested_query_id(insert)? {
            Some(id) if self.queries.get(&id).is_some() => {
                return Err(EngineError::user(format!("Query ID '{id}' already exists.")));
            }
            Some(id) => id,
            None => format!("INSERTQUERY_{number}"),
        };
        let context = self.context_with(registry, catalog, session, &topics);
        let mut planned = analyze::insert_select(insert, &closed(&statement.text), &context, &id)?;
        if let Some(target) = catalog.source(&insert.target.name) {
            self.check_writable(&target.format.topic)?;
        }
        self.check_query_limit()?;
        crate::runtime::check_start(&planned.plan, session.offset_reset())?;
        self.check_own_topics(&planned.plan, "Give it a shorter id: INSERT INTO … WITH (QUERY_ID='…') SELECT ….")?;
        let written = catalog.source(&insert.target.name).map(|target| target.format.topic.clone());
        let written: Vec<String> = written.into_iter().chain(self.check_letters(session)?).collect();
        self.check_rights(&topics_of(&planned.plan.sources, catalog), &written)?;
        register_plan(&mut planned.plan, registry)?;
        Ok(planned)
    }

    pub(super) fn terminate(
        self: &Arc<Self>,
        commands: &mut CommandState,
        id: Option<&Ident>,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let queries = self.named(id)?;
        let outcome = lifecycle("terminate", id, "Query terminated.", statement);
        self.act(commands, outcome, session, Action::Terminate { queries })
    }

    pub(super) fn pause(
        self: &Arc<Self>,
        commands: &mut CommandState,
        id: Option<&Ident>,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let queries = self.named(id)?;
        self.act(commands, lifecycle("pause", id, "Query paused.", statement), session, Action::Pause { queries })
    }

    pub(super) fn resume(
        self: &Arc<Self>,
        commands: &mut CommandState,
        id: Option<&Ident>,
        statement: &SpannedStatement,
        session: &SessionProperties,
    ) -> Result<CommandOutcome, EngineError> {
        let queries = self.named(id)?;
        self.act(commands, lifecycle("resume", id, "Query resumed.", statement), session, Action::Resume { queries })
    }

    fn act(
        self: &Arc<Self>,
        commands: &mut CommandState,
        mut outcome: CommandOutcome,
        session: &SessionProperties,
        action: Action,
    ) -> Result<CommandOutcome, EngineError> {
        outcome.sequence_number = Some(self.append_and_apply(commands, &outcome.statement_text, session, action)?);
        Ok(outcome)
    }

    /// The query of that id, or all.
    pub(super) fn named(&self, id: Option<&Ident>) -> Result<Vec<String>, EngineError> {
        match id {
            None => Ok(self.queries.persistent().iter().map(|q| q.id.clone()).collect()),
            Some(id) => {
                let name = id.name.to_uppercase();
                let found = self.queries.persistent().into_iter().find(|q| q.id.to_uppercase() == name);
                found.map(|q| vec![q.id.clone()]).ok_or_else(|| {
                    let known = self.queries.persistent();
                    let near = tidemill_parser::did_you_mean(&name, known.iter().map(|q| q.id.as_str()));
                    let hint = near.map(|n| format!(". Did you mean '{n}'?")).unwrap_or_default();
                    EngineError { span: Some(id.span), ..EngineError::user(format!("Unknown queryId: {name}{hint}")) }
                })
            }
        }
    }

    /// Whether one more query may run.
    ///
    /// # Errors
    /// There are as many as `ksql.query.persistent.active.limit` allows.
    pub(super) fn check_query_limit(&self) -> Result<(), EngineError> {
        let (running, limit) = (self.queries.persistent().len(), self.config.max_persistent_queries);
        if running < limit {
            return Ok(());
        }
        Err(EngineError::user(format!(
            "Not executing statement(s) as it would cause the number of active, persistent queries to exceed the configured limit. Use \
             the TERMINATE command to terminate existing queries, or increase the 'ksql.query.persistent.active.limit' setting in the \
             server's configuration. Current persistent query count: {running}. Configured limit: {limit}."
        )))
    }

    pub(super) fn next_query_number(&self, commands: &CommandState) -> i64 {
        query_number(commands.count())
    }

    /// As [`Self::next_query_number`] while no statement is under way; for those who only want to show it.
    pub(super) fn probable_query_number(&self) -> i64 {
        query_number(self.carried_out.load(std::sync::atomic::Ordering::Acquire))
    }

    /// Registers a query and starts it. One that can't start stays listed, with the reason.
    pub(super) fn start_persistent(&self, plan: Arc<crate::plan::QueryPlan>, kind: QueryKind, session: &SessionProperties, paused: bool) {
        let id = plan.query_id.clone();
        let sink = plan.sink.clone().unwrap_or_default();
        let sink_topic = self.catalog().source(&sink).map(|s| s.format.topic.clone()).unwrap_or_default();
        let query = PersistentQuery {
            id,
            kind,
            plan,
            sink,
            sink_topic,
            properties: session.0.clone(),
            handle: parking_lot::RwLock::new(Err(QueryFailure::outside("it was not started yet"))),
            failures: Arc::default(),
            care: Care::new(paused, false, self.clock.now_ms()),
            materialized: Default::default(),
        };
        let handle = self.run_first(&query);
        query.care.end_start(handle.is_ok());
        query.set_handle(handle, self.told());
        self.queries.add(query);
    }
}

/// The topics behind streams and tables.
fn topics_of(sources: &[String], catalog: &Catalog) -> Vec<String> {
    sources.iter().filter_map(|name| catalog.source(name)).map(|source| source.format.topic.clone()).collect()
}

/// What is answered where a statement has started a query that writes `target`.
fn query_created(kind: SourceKind, target: &str, query_id: String, statement_text: String, sequence_number: i64) -> CommandOutcome {
    CommandOutcome {
        statement_text,
        command_id: format!("{}/`{target}`/create", kind.lower()),
        message: format!("Created query with ID {query_id}"),
        query_id: Some(query_id),
        sequence_number: Some(sequence_number),
        warnings: Vec::new(),
    }
}

fn lifecycle(verb: &str, id: Option<&Ident>, message: &str, statement: &SpannedStatement) -> CommandOutcome {
    let name = id.map_or_else(|| "ALL".to_owned(), |id| id.name.to_uppercase());
    CommandOutcome {
        statement_text: closed(&statement.text),
        command_id: format!("{verb}/{name}/execute"),
        message: message.to_owned(),
        query_id: None,
        sequence_number: None,
        warnings: Vec::new(),
    }
}
