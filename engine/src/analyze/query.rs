//! Queries that run: CREATE … AS, INSERT INTO … SELECT, and push queries.

use tidemill_parser::ast::{CreateAs, Ident, InsertSelect, Query, Relation, Statement};

use super::build::{self, Built};
use super::builder::{self, Builder};
use super::clauses::{self, Clauses, Purpose};
use super::context::AnalysisContext;
use super::create_source::{self, Action};
use super::error::{AnalysisError, ErrorKind, Problem, Problems};
use super::formats::{self, Choice};
use super::insert_into;
use super::properties::{self, Clause as WithClauseOf, WithClause};
use super::scope;
use super::sink::{self, Inherited, Output};
use crate::catalog::{Source, SourceKind, WindowType};
use crate::plan::names::Names;
use crate::plan::{PLAN_VERSION, QueryPlan, Step, StepKind, TimestampColumn, TopicFormat, WindowedKey};
use crate::types::{Column, Schema};

/// A query ready to run.
#[derive(Debug, Clone)]
pub struct PlannedQuery {
    pub plan: QueryPlan,
    /// CREATE … AS: the source that it makes, and whether that replaces one.
    pub sink: Option<(Source, Action)>,
    /// What comes out. For a push query the value columns are the projection, in order.
    pub schema: Schema,
    pub kind: SourceKind,
    /// Windows of the result's keys.
    pub window: Option<WindowType>,
    /// Advice for the user; the query runs all the same.
    pub warnings: Vec<String>,
}

/// Plans CREATE … AS.
///
/// # Errors
/// Everything that is wrong with the statement.
pub fn create_as(create: &CreateAs, ctx: &AnalysisContext<'_>, query_id: &str) -> Result<PlannedQuery, AnalysisError> {
    let mut problems = Problems::default();
    let planned = plan_create_as(create, ctx, query_id, &mut problems);
    planned.map_err(|error| error.understood(|| understood(create, problems.printed.take()?, ctx)))
}

/// CREATE … AS as far as it was understood: its query in resolved names, its topic as it would be made.
fn understood(create: &CreateAs, query: Query, ctx: &AnalysisContext<'_>) -> Option<String> {
    let mut ignored = Problems::default();
    let with = properties::read(WithClauseOf::CreateAs, &create.properties, &mut ignored);
    let from = ctx.catalog.source(&left_most(&query.from).name)?;
    let windowed = query.window.is_some() || from.is_windowed();
    let topic = with.topic.clone().unwrap_or_else(|| create.name.name.clone());
    let settings = sink::settings(&with, create.kind.into(), &topic, Some(from), windowed, ctx, &mut ignored);
    let properties = sink::printed_properties(&create.properties, &topic, &settings);
    Some(format!("{};", Statement::CreateAs(CreateAs { query, properties, ..create.clone() })))
}

/// Advice on joins in time: how late rows may come is better said than guessed.
fn advice(relation: &Relation) -> Vec<String> {
    let Relation::Join(join) = relation else { return Vec::new() };
    let mut advice = advice(&join.left);
    if join.within.as_ref().is_some_and(|w| w.grace.is_none()) && advice.is_empty() {
        advice.push(
            "DEPRECATION NOTICE: a stream-stream join without a GRACE PERIOD takes rows that are up to 24 hours late, and ksqlDB \
             announced that it will refuse it. Say how late rows may come: WITHIN 1 HOUR GRACE PERIOD 10 MINUTES."
                .to_owned(),
        );
    }
    advice
}

fn left_most(relation: &Relation) -> &Ident {
    match relation {
        Relation::Source { name, .. } => name,
        Relation::Join(join) => left_most(&join.left),
    }
}

fn plan_create_as(
    create: &CreateAs,
    ctx: &AnalysisContext<'_>,
    query_id: &str,
    problems: &mut Problems,
) -> Result<PlannedQuery, AnalysisError> {
    let kind = SourceKind::from(create.kind);
    create_source::check_name(&create.name, problems);
    let with = properties::read(WithClauseOf::CreateAs, &create.properties, problems);
    let action = create_source::action(kind, &create.name.name, create.or_replace, create.if_not_exists, false, ctx, problems);
    let purpose = Purpose::Create { sink: &create.name.name, kind };
    let clauses = clauses::read(&create.query, purpose, ctx, problems)?;
    let inherited = inherited(&clauses)?;
    let (key, value) = sink::choose_formats(&with, &create.name.name, &inherited, ctx);
    if inherited.null_key && key.name != formats::NONE {
        problems.add(Problem::new("Key format specified for stream without key columns."));
    }
    let names = Names::persistent(ctx.service_id, query_id);
    let built = steps(&clauses, &names, ctx, &key, true, problems);
    let Some(Built { step, .. }) = built else { return Err(problems.error()) };
    let window = window_of(&clauses, &step);
    let output = Output { schema: &step.schema, windowed_key: step.windowed_key(), window };
    let mut source = sink::make(create, &with, (&key, &value), &inherited, &output, ctx, problems);
    let mut printed = CreateAs { query: clauses.printed.clone(), ..create.clone() };
    if let Err(error) = problems.check() {
        return Err(with_statement(error, &printed));
    }
    if action == Action::Replace
        && let Some(existing) = ctx.catalog.source(&source.name)
    {
        check_replaced(existing, &source, ctx)?;
    }
    let mut written = create.properties.clone();
    sink::check_schema_ids(&with, (&key, &value), &mut source, &mut written, ctx)?;
    printed.properties = sink::printed_properties(&written, &source.format.topic, &source.topic);
    source.statement = format!("{};", Statement::CreateAs(printed));
    source.created_by = Some(query_id.to_string());
    let schema = step.schema.clone();
    let root = into_sink(step, &source.format, source.timestamp.clone(), kind);
    let plan = plan(query_id, source.statement.clone(), &clauses, Some(source.name.clone()), root, ctx);
    Ok(PlannedQuery { plan, sink: Some((source, action)), schema, kind, window, warnings: advice(&create.query.from) })
}

/// A source that several queries write, or that a query made which does something else now, can't be replaced.
fn check_replaced(existing: &Source, new: &Source, ctx: &AnalysisContext<'_>) -> Result<(), AnalysisError> {
    let writers: Vec<&str> = ctx.catalog.writers(&existing.name).map(|q| q.query_id.as_str()).collect();
    if writers.len() > 1 {
        return Err(Problem::new(format!(
            "REPLACE for sink `{}` is not supported because there are multiple queries writing into it: [{}]",
            existing.name,
            writers.join(", ")
        ))
        .into());
    }
    Ok(existing.check_upgrade(new)?)
}

/// Formats that don't hold the result are reported with the statement, as ksqlDB does.
fn with_statement(mut error: AnalysisError, create: &CreateAs) -> AnalysisError {
    for problem in &mut error.problems {
        if problem.kind == ErrorKind::Request && problem.message.contains("format does not support schema") {
            problem.message.push_str(&format!("\nStatement: {}", Statement::CreateAs(create.clone())));
        }
    }
    error
}

/// The id that a WITH clause asks for (`INSERT INTO s WITH (QUERY_ID = 'mine') …`).
///
/// # Errors
/// The clause is wrong.
pub fn requested_query_id(insert: &InsertSelect) -> Result<Option<String>, AnalysisError> {
    let mut problems = Problems::default();
    let with = properties::read(WithClauseOf::InsertSelect, &insert.properties, &mut problems);
    problems.check()?;
    Ok(with.query_id)
}

/// Plans INSERT INTO … SELECT. `statement` is its text.
///
/// # Errors
/// Everything that is wrong with the statement.
pub fn insert_select(
    insert: &InsertSelect,
    statement: &str,
    ctx: &AnalysisContext<'_>,
    query_id: &str,
) -> Result<PlannedQuery, AnalysisError> {
    let mut problems = Problems::default();
    properties::read(WithClauseOf::InsertSelect, &insert.properties, &mut problems);
    let Some(target) = ctx.catalog.source(&insert.target.name).cloned() else {
        let near = scope::unknown_source(ctx.catalog, &insert.target).message;
        let hint = near.split_once("does not exist.").map(|(_, hint)| hint).unwrap_or_default();
        let message = format!("Source `{}` does not exist.{hint}", insert.target.name);
        return Err(Problem::new(message).at(insert.target.span).into());
    };
    problems.take(insert_into::check_target(&target));
    let purpose = Purpose::Insert { sink: &target.name };
    let clauses = clauses::read(&insert.query, purpose, ctx, &mut problems)?;
    let names = Names::persistent(ctx.service_id, query_id);
    let built = steps(&clauses, &names, ctx, &Choice::internal(&target.format.key), true, &mut problems);
    let Some(Built { step, .. }) = built else { return Err(problems.error()) };
    let step = insert_into::fit(step, &target, &mut problems);
    problems.check()?;
    let window = window_of(&clauses, &step);
    let schema = step.schema.clone();
    let root = into_sink(step, &target.format, target.timestamp.clone(), target.kind);
    let plan = plan(query_id, statement.to_string(), &clauses, Some(target.name.clone()), root, ctx);
    Ok(PlannedQuery { plan, sink: None, schema, kind: SourceKind::Stream, window, warnings: advice(&insert.query.from) })
}

/// Plans a push query: `SELECT … EMIT CHANGES`. `statement` is its text.
///
/// # Errors
/// Everything that is wrong with the query.
pub fn push_query(query: &Query, statement: &str, ctx: &AnalysisContext<'_>, query_id: &str) -> Result<PlannedQuery, AnalysisError> {
    let mut problems = Problems::default();
    let clauses = clauses::read(query, Purpose::Push, ctx, &mut problems)?;
    let inherited = inherited(&clauses)?;
    let (key, _) = sink::choose_formats(&WithClause::default(), query_id, &inherited, ctx);
    let names = Names::transient(ctx.service_id, query_id);
    let built = steps(&clauses, &names, ctx, &key, false, &mut problems);
    problems.check()?;
    let Some(Built { step, value }) = built else { return Err(problems.error()) };
    let window = window_of(&clauses, &step);
    let schema = Schema { key: step.schema.key.clone(), value };
    let root = Step { schema: step.schema.clone(), kind: StepKind::Collect { input: Box::new(step), limit: clauses.limit } };
    let plan = plan(query_id, statement.to_string(), &clauses, None, root, ctx);
    Ok(PlannedQuery { plan, sink: None, schema, kind: clauses.kind, window, warnings: vec![] })
}

/// Plans the query that keeps a CREATE SOURCE TABLE in a store, so that it can be looked up.
pub fn source_table(source: &Source, ctx: &AnalysisContext<'_>, query_id: &str) -> QueryPlan {
    let store = crate::plan::names::TABLE_STORE.to_string();
    QueryPlan {
        version: PLAN_VERSION,
        query_id: query_id.to_string(),
        statement: source.statement.clone(),
        sources: vec![source.name.clone()],
        sink: None,
        properties: ctx.plan_properties(),
        root: builder::source_step(source, Some(store)),
    }
}

fn inherited(clauses: &Clauses) -> Result<Inherited<'_>, AnalysisError> {
    let Some(side) = clauses.scope.sides.first() else { return Err(Problem::new("The query reads no source.").into()) };
    let null_key = clauses.partition_by.as_ref().is_some_and(Vec::is_empty);
    Ok(Inherited { source: &side.source, has_key: !clauses.keys.is_empty(), null_key })
}

fn steps(
    clauses: &Clauses,
    names: &Names,
    ctx: &AnalysisContext<'_>,
    key_format: &Choice,
    persistent: bool,
    problems: &mut Problems,
) -> Option<Built> {
    for side in &clauses.scope.sides {
        let format = &side.source.format;
        for name in [&format.key.name, &format.value.name] {
            problems.take(formats::check_known(name));
        }
    }
    let value_format = Choice::internal(&clauses.scope.sides.first()?.source.format.value);
    // A schema that the statement chose is that of its sink, not of the topics on the way.
    let key_format = key_format.on_the_way();
    let builder = Builder { clauses, names, properties: ctx.properties, key_format, value_format, persistent };
    build::build(&builder, problems)
}

/// Windows of the result's keys, by the name that users know them under.
fn window_of(clauses: &Clauses, step: &Step) -> Option<WindowType> {
    step.windowed_key()?;
    let from_source = || clauses.scope.sides.first().and_then(|s| s.source.window);
    clauses.window.map(|w| w.window_type).or_else(from_source)
}

fn into_sink(input: Step, format: &TopicFormat, timestamp: Option<TimestampColumn>, kind: SourceKind) -> Step {
    let schema = input.schema.clone();
    let windowed_key: Option<WindowedKey> = input.windowed_key();
    let format = TopicFormat { windowed_key, ..format.clone() };
    Step { kind: StepKind::Sink { input: Box::new(input), format, timestamp, is_table: kind == SourceKind::Table }, schema }
}

fn plan(query_id: &str, statement: String, clauses: &Clauses, sink: Option<String>, root: Step, ctx: &AnalysisContext<'_>) -> QueryPlan {
    QueryPlan {
        version: PLAN_VERSION,
        query_id: query_id.to_string(),
        statement,
        sources: clauses.scope.sides.iter().map(|s| s.source.name.clone()).collect(),
        sink,
        properties: ctx.plan_properties(),
        root,
    }
}

/// A column of an answer to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    pub column: Column,
    /// Part of the source's key, or a bound of its window.
    pub is_key: bool,
}
