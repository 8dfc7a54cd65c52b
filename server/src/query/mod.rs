//! Queries over HTTP: what `/query` and `/query-stream` share.

mod analyze;
mod ask;
mod known;
mod print;
mod pull;
mod push;
mod sending;

use std::sync::Arc;

use tidemill_engine::catalog::Catalog;
use tidemill_parser::ast::{Explain, Print, Query, Relation, Statement};
use tidemill_parser::{ParseError, RawStatement, hide_values, split_script};
use tidemill_query::QueryError;

use crate::app::App;
use crate::blocking::Kind;
use crate::error::{ApiError, ErrorCode};
use crate::request::Settings;
use crate::statements::{self, SUBSTITUTION, Session};

pub use analyze::analyze;
pub use ask::{ask, permitted};
pub use known::{Known, KnownLookUps};
pub use print::{PrintOptions, print};
pub use pull::{known_look_up, pull};
pub use push::push;

/// The one statement of a request to a query endpoint.
pub struct QueryRequest {
    pub sql: String,
    pub properties: Settings,
    pub variables: Settings,
}

/// What it turned out to be.
pub enum Prepared {
    Pull(Box<Query>),
    /// A key look-up that was asked for before.
    Known(Arc<Known>),
    /// A query that the dialect's pull queries can't say.
    Ask,
    /// `EXPLAIN ANALYZE` of the persistent query of that id.
    Analyze(String),
    Push(Box<Query>),
    Print(Print),
    /// Something for `/ksql`.
    Other,
}

/// A query request that was understood.
pub struct PreparedQuery {
    pub statement: Prepared,
    /// With variables put in, with its semicolon.
    pub text: String,
    /// The request's text, where it alone says what is meant.
    pub known_as: Option<String>,
}

/// The property that allows more than the dialect's queries.
const ANY_SQL: &str = "tidemill.rest.any.sql";
/// Longest text that is parsed where the connection is served, bytes; longer ones go to another thread.
const MAX_INLINE_BYTES: usize = 16 << 10;

/// Parts, substitutes and parses.
///
/// # Errors
/// Not exactly one statement, or one that can't be parsed.
pub async fn prepare(app: &Arc<App>, request: &Arc<QueryRequest>) -> Result<PreparedQuery, ApiError> {
    let alone = request.properties.is_empty() && request.variables.is_empty();
    if alone && let Some(known) = app.known.get(&request.sql, &app.engine) {
        return Ok(PreparedQuery { text: known.text.clone(), statement: Prepared::Known(known), known_as: None });
    }
    if request.sql.len() <= MAX_INLINE_BYTES {
        return parse(app, request).map(|prepared| PreparedQuery { known_as: alone.then(|| request.sql.clone()), ..prepared });
    }
    let (asked, request) = (app.clone(), request.clone());
    let parsed = app.blocking.run(Kind::Query, move || parse(&asked, &request)).await;
    parsed.map_err(|error| ApiError::generic(ErrorCode::SERVER_ERROR, format!("parsing the query broke off: {error}")))?
}

fn parse(app: &App, request: &QueryRequest) -> Result<PreparedQuery, ApiError> {
    let raw = split_script(&request.sql);
    let [raw] = raw.as_slice() else {
        let message = format!("Expected exactly one KSQL statement; found {} instead", raw.len());
        return Err(ApiError::statement(ErrorCode::BAD_STATEMENT, message, hide_values(&request.sql)));
    };
    raw.check_terminated().map_err(|error| ApiError::parse(&error, request.sql.as_str()))?;
    if let Some(id) = analyzed_query(&raw.text) {
        return Ok(PreparedQuery { statement: Prepared::Analyze(id.to_owned()), text: raw.text.clone(), known_as: None });
    }
    // Only what bears on the text; whether all properties may be set is asked once it is known what the text is.
    let bearing = request.properties.iter().filter(|(name, _)| name.as_str() == SUBSTITUTION);
    let bearing: Settings = bearing.map(|(name, value)| (name.clone(), value.clone())).collect();
    let session =
        Session::new(app, &bearing, request.variables.clone()).map_err(|e| ApiError::overrides(&e, &hide_values(&request.sql)))?;
    let spanned = match statements::prepare(raw, &session) {
        Ok(spanned) => spanned,
        Err(refused) => {
            // What the dialect can't read may be SQL all the same. If it is none either, the dialect's word stands.
            let text = statements::substituted(raw, &session)?;
            if !raw.may_be_sql() || !app.config.flag(ANY_SQL) {
                return Err(refused);
            }
            return match tidemill_query::check(&text) {
                Ok(_) => Ok(PreparedQuery { statement: Prepared::Ask, text, known_as: None }),
                Err(error) => Err(farther(refused, raw, error, text)),
            };
        }
    };
    let text = statements::text_of(&spanned);
    let statement = match spanned.statement {
        Statement::Select(query) if query.emit.is_some() => Prepared::Push(Box::new(query)),
        Statement::Select(query) if ask::is_more_than_pull(&query) && app.config.flag(ANY_SQL) => Prepared::Ask,
        Statement::Select(query) => Prepared::Pull(Box::new(query)),
        Statement::Explain(Explain::Statement(inner)) if is_query(&inner.statement) && app.config.flag(ANY_SQL) => Prepared::Ask,
        Statement::Print(print) => Prepared::Print(print),
        _ => Prepared::Other,
    };
    Ok(PreparedQuery { statement, text, known_as: None })
}

/// The id of the query that `EXPLAIN ANALYZE id` names.
fn analyzed_query(text: &str) -> Option<&str> {
    let mut words = text.split_ascii_whitespace();
    let is_next =
        |words: &mut std::str::SplitAsciiWhitespace<'_>, word: &str| words.next().is_some_and(|found| found.eq_ignore_ascii_case(word));
    if !is_next(&mut words, "EXPLAIN") || !is_next(&mut words, "ANALYZE") {
        return None;
    }
    let id = words.next().filter(|id| id.chars().all(|letter| letter.is_alphanumeric() || letter == '_'))?;
    words.next().is_none().then_some(id)
}

/// Whether a statement is a query that is answered at once.
fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Select(query) if query.emit.is_none())
}

/// Of two refusals of a text, as a statement of the dialect and as SQL, the one that got farther in it.
fn farther(refused: ApiError, raw: &RawStatement, error: QueryError, text: String) -> ApiError {
    // What a continuous query lacks is nothing to be told of where SQL has it.
    let lacks = |error: &ParseError| error.suggestion.as_ref().is_some_and(|suggestion| suggestion.contains("is not supported"));
    let in_dialect = raw.parse().err().map(|error| (error.span.start, lacks(&error)));
    match (in_dialect, error.span.map(|span| span.start)) {
        (Some((dialect, lacks)), Some(sql)) if (sql.line, sql.column, lacks) > (dialect.line, dialect.column, false) => {
            ApiError::statement(ErrorCode::BAD_STATEMENT, error.quoting(&text).message, text)
        }
        _ => refused,
    }
}

/// Whether all streams and tables that a query names are there. ksqlDB finds such errors earlier than others and answers
/// them in another way.
pub fn knows_sources(app: &Arc<App>, query: &Query) -> bool {
    fn known(relation: &Relation, catalog: &Catalog) -> bool {
        match relation {
            Relation::Source { name, .. } => catalog.source(&name.name).is_some(),
            Relation::Join(join) => known(&join.left, catalog) && known(&join.right, catalog),
        }
    }
    known(&query.from, &app.engine.catalog())
}

/// `transient_<source>_<number>`.
fn transient_id(query: &Query) -> String {
    fn left_most(relation: &Relation) -> &str {
        match relation {
            Relation::Source { name, .. } => &name.name,
            Relation::Join(join) => left_most(&join.left),
        }
    }
    let number = uuid::Uuid::new_v4().as_u64_pair().0 >> 1;
    format!("transient_{}_{number}", left_most(&query.from))
}
