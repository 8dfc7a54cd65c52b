//! Statements of `/ksql`: a script is parted, and each statement runs with the session of the request as those before it
//! left it. What ran before an error stays.

mod alter_system;
mod assert_schema;
mod assert_topic;
mod asserting;
mod command;
mod connectors;
mod dead_letters;
mod describe;
mod describe_function;
mod execution_plan;
mod explain;
#[cfg(test)]
mod functions_manual;
pub mod guard;
mod insert;
pub mod queries;
pub mod queries_file;
mod query_metrics;
mod session;
mod set;
mod show_functions;
mod show_properties;
mod show_queries;
mod show_servers;
mod show_sources;
mod show_topics;
mod show_types;
mod show_variables;
mod terminate;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hyper::header::HeaderValue;
use parking_lot::Mutex;
use tidemill_engine::log::TopicPartition;
use tidemill_parser::ast::{Explain, Show, SpannedStatement, Statement};
use tidemill_parser::{ParseErrorKind, RawStatement, hide_values, split_script, substitute};

use crate::access::{Principal, of_statement};
use crate::app::App;
use crate::entities::KsqlEntity;
use crate::error::{ApiError, ErrorCode};
use crate::request::KsqlRequest;

pub use queries::state_name;
pub use session::{SUBSTITUTION, Session};

/// Statements in one request at most.
const MAX_STATEMENTS: usize = 10_000;
/// Characters of a statement that the log shows.
const MAX_NOTED_CHARS: usize = 2_000;

/// Who asks for statements.
pub struct Caller {
    pub peer: SocketAddr,
    /// Who it is, and what it may do.
    pub principal: Principal,
    /// What it sent to be known by; only Kafka Connect is told.
    pub authorization: Option<HeaderValue>,
    /// Where rows were written for it that it wants to hear of.
    pub written: Mutex<BTreeSet<TopicPartition>>,
}

impl Caller {
    pub fn new(peer: SocketAddr, principal: Principal, authorization: Option<HeaderValue>) -> Self {
        Caller { peer, principal, authorization, written: Mutex::default() }
    }
}

/// Runs a request's statements; one entity for each that has something to say. Blocks.
///
/// # Errors
/// The first thing that is wrong. Syntax errors are found before anything runs.
pub fn run(app: &App, request: &KsqlRequest, caller: &Caller) -> Result<Vec<KsqlEntity>, ApiError> {
    let raw = split_script(&request.ksql);
    let first_text = raw.first().map(|raw| hide_values(&closed(raw)).into_owned()).unwrap_or_default();
    let mut session =
        Session::new(app, &request.properties, request.variables.clone()).map_err(|e| ApiError::overrides(&e, &first_text))?;
    if raw.len() > MAX_STATEMENTS {
        return Err(ApiError::bad_request(format!("The request has {} statements; {MAX_STATEMENTS} are allowed", raw.len())));
    }
    check_syntax(&raw, &request.ksql, &session)?;
    let mut entities = Vec::new();
    for raw in &raw {
        let statement = prepare(raw, &session)?;
        let allowed = check(app, caller, &statement);
        let ran = allowed.and_then(|()| run_one(app, &mut session, Some(caller), &statement));
        note(&statement, Some(caller), ran.as_ref().err());
        entities.extend(ran?);
    }
    Ok(entities)
}

/// Whether a caller may have a statement run.
///
/// # Errors
/// It lacks the role, or the configuration forbids the statement.
fn check(app: &App, caller: &Caller, statement: &SpannedStatement) -> Result<(), ApiError> {
    let ended = terminate::push_query_of(app, &statement.statement);
    let needed = ended.as_ref().map_or_else(|| of_statement(&statement.statement), |query| caller.principal.needed_to_end(query));
    let permitted = caller.principal.check(needed, "this statement");
    permitted.map_err(|message| ApiError::generic(ErrorCode::FORBIDDEN, message))?;
    match ended {
        // The end of a push query changes nothing, and may come however often and wherever its client may hang up.
        Some(_) => Ok(()),
        None => guard::check(app, &statement.statement, &text_of(statement)),
    }
}

/// Logs a statement that changes something, with who asked (`None`: the file of the configuration). Rows are none of the log's business, and there may be many:
/// INSERT … VALUES only at debug, and without its values.
fn note(statement: &SpannedStatement, caller: Option<&Caller>, error: Option<&ApiError>) {
    let is_row = matches!(statement.statement, Statement::InsertValues(_));
    if !guard::changes(&statement.statement) {
        return;
    }
    let peer = caller.map_or_else(
        || "the configuration".to_owned(),
        |caller| match &caller.principal.name {
            Some(name) => format!("{name} at {}", caller.peer),
            None => caller.peer.to_string(),
        },
    );
    let text = || shortened(statement.statement.masked().as_deref().unwrap_or(&statement.text));
    match error {
        None if is_row => tracing::debug!(peer, statement = text(), "row inserted"),
        None => tracing::info!(peer, statement = text(), "statement carried out"),
        // What a value was refused for may tell the value.
        Some(_) if is_row => tracing::debug!(peer, statement = text(), "row refused"),
        // What is said of a connector's properties may tell their values.
        Some(error) if matches!(statement.statement, Statement::AlterSystem { .. } | Statement::CreateConnector { .. }) => {
            tracing::info!(peer, statement = text(), code = error.code().0, "statement refused");
        }
        Some(error) => tracing::info!(peer, statement = text(), code = error.code().0, "statement refused: {}", shortened(error.message())),
    }
}

/// At most [`MAX_NOTED_CHARS`] of a text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_NOTED_CHARS) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A statement's text with its semicolon.
pub fn closed(raw: &RawStatement) -> String {
    format!("{};", raw.text)
}

/// Refuses a script with a syntax error as a whole. Statements with variables are left to when their values are known.
fn check_syntax(raw: &[RawStatement], script: &str, session: &Session) -> Result<(), ApiError> {
    for statement in raw {
        statement.check_terminated().map_err(|e| ApiError::parse(&e, script))?;
        if session.substitutes(&statement.text) {
            continue;
        }
        match statement.parse() {
            Err(error) if error.kind == ParseErrorKind::Syntax => return Err(ApiError::parse(&error, script)),
            _ => {}
        }
    }
    Ok(())
}

/// Puts variables in their places and parses.
pub fn prepare(raw: &RawStatement, session: &Session) -> Result<SpannedStatement, ApiError> {
    let text = closed(raw);
    if !session.substitutes(&text) {
        return raw.parse().map_err(|e| ApiError::parse(&e, text));
    }
    let substituted = substitute(&text, session.variables()).map_err(|e| ApiError::parse(&e, text.as_str()))?;
    tidemill_parser::parse_statement(&substituted).map_err(|e| ApiError::parse(&e, substituted))
}

/// A statement's text with variables in their places.
pub fn substituted(raw: &RawStatement, session: &Session) -> Result<String, ApiError> {
    let text = closed(raw);
    if !session.substitutes(&text) {
        return Ok(text);
    }
    substitute(&text, session.variables()).map_err(|e| ApiError::parse(&e, text.as_str()))
}

/// Runs one statement, of a request or (without a caller) of the configuration's file.
fn run_one(app: &App, session: &mut Session, caller: Option<&Caller>, spanned: &SpannedStatement) -> Result<Option<KsqlEntity>, ApiError> {
    let text = text_of(spanned);
    let authorization = caller.and_then(|caller| caller.authorization.as_ref());
    let entity = match &spanned.statement {
        Statement::Terminate { .. } => match terminate::push_query_of(app, &spanned.statement) {
            Some(query) => terminate::push_query(app, query, &text),
            None => command::run(app, session, spanned, &text)?,
        },
        Statement::CreateSource(_)
        | Statement::CreateAs(_)
        | Statement::InsertSelect(_)
        | Statement::AlterSource(_)
        | Statement::DropSource(_)
        | Statement::CreateType { .. }
        | Statement::DropType { .. }
        | Statement::Pause { .. }
        | Statement::Resume { .. } => command::run(app, session, spanned, &text)?,
        Statement::ReplayDeadLetters { of, into } => dead_letters::replay(app, session, of, into.as_ref(), text)?,
        Statement::InsertValues(values) => {
            insert::run(app, session, caller, values, spanned)?;
            return Ok(None);
        }
        Statement::SetProperty { name, value } => {
            set::set(app, session, name, value, &text)?;
            return Ok(None);
        }
        Statement::UnsetProperty { name } => {
            set::unset(app, session, name.as_deref(), &text)?;
            return Ok(None);
        }
        Statement::DefineVariable { name, value } => {
            session.define(name, value);
            return Ok(None);
        }
        Statement::UndefineVariable { name } => {
            session.undefine(name);
            return Ok(None);
        }
        Statement::Show(show) => match show {
            Show::Streams { extended: false } => show_sources::streams(app, text),
            Show::Tables { extended: false } => show_sources::tables(app, text),
            Show::Streams { extended: true } => describe::all(app, tidemill_parser::ast::SourceKind::Stream, true, text)?,
            Show::Tables { extended: true } => describe::all(app, tidemill_parser::ast::SourceKind::Table, true, text)?,
            Show::Topics { all, extended } => show_topics::run(app, *all, *extended, text)?,
            Show::Queries { extended } => show_queries::run(app, *extended, text)?,
            Show::Functions => show_functions::run(text),
            Show::Types => show_types::run(app, text),
            Show::Variables => show_variables::run(session, text),
            Show::Properties => show_properties::run(app, session, text),
            Show::Connectors { kind } => connectors::list(app, authorization, *kind, text)?,
            Show::ConnectorPlugins => connectors::plugins(app, authorization, text)?,
            Show::Servers => show_servers::run(app, text)?,
            Show::DeadLetters { of, limit } => dead_letters::show(app, session, of.as_ref(), *limit, text)?,
        },
        Statement::Describe { name, extended } => describe::one(app, name, *extended, text)?,
        Statement::DescribeAll { kind, extended } => describe::all(app, *kind, *extended, text)?,
        Statement::DescribeFunction { name } => describe_function::run(name, text)?,
        Statement::Explain(Explain::Query(id)) => explain::query(app, id, text)?,
        Statement::Explain(Explain::Statement(inner)) => explain::statement(app, session, inner, text)?,
        Statement::AssertTopic { topic, exists, properties, timeout } => {
            assert_topic::run(app, topic, *exists, properties, *timeout, text)?
        }
        Statement::AssertSchema { subject: None, id: None, .. } => {
            return Err(refused("Failed to prepare statement: ASSERT SCHEMA statements must include a subject name or an id", text));
        }
        Statement::AssertSchema { subject, id, exists, timeout } => {
            assert_schema::run(app, &assert_schema::Asserted { subject: subject.as_deref(), id: *id }, *exists, *timeout, text)?
        }
        Statement::Select(_) | Statement::Print(_) => {
            let message =
                "The following statement types should be issued to the endpoint '/query' or '/query-stream':\n\t* PRINT\n\t* SELECT";
            return Err(ApiError::statement(ErrorCode::WRONG_ENDPOINT, message, text));
        }
        Statement::CreateConnector { kind, name, if_not_exists, properties } => {
            let create = connectors::Create { kind: *kind, name, if_not_exists: *if_not_exists, properties };
            connectors::create(app, authorization, &create, text)?
        }
        Statement::DropConnector { name, if_exists } => connectors::drop(app, authorization, name, *if_exists, text)?,
        Statement::DescribeConnector { name } => connectors::describe(app, authorization, name, text)?,
        Statement::AlterSystem { name, value } => {
            return Err(alter_system::refused(app, session, name, value, text));
        }
        Statement::AssertValues(_)
        | Statement::AssertTombstone(_)
        | Statement::AssertSource(_)
        | Statement::AssertNoValues { .. }
        | Statement::AssertProcessingLog { .. }
        | Statement::Advance(_)
        | Statement::RunScript { .. } => {
            return Err(refused("this statement belongs to test scripts; see tidemill test", text));
        }
    };
    Ok(Some(entity))
}

/// A statement's text as it may be shown, with its semicolon: without values of rows, of connectors' properties, and of
/// passwords.
pub fn text_of(statement: &SpannedStatement) -> String {
    match statement.statement.masked() {
        Some(masked) => format!("{masked};"),
        None => format!("{};", statement.text.trim_end_matches(';')),
    }
}

fn refused(message: &str, text: String) -> ApiError {
    ApiError::statement(ErrorCode::BAD_STATEMENT, message, text)
}
