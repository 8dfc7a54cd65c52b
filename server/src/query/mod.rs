//! Queries over HTTP: what `/query` and `/query-stream` share.

mod print;
mod pull;
mod push;

use std::sync::Arc;

use tidemill_engine::catalog::Catalog;
use tidemill_parser::ast::{Print, Query, Relation, Statement};
use tidemill_parser::{hide_values, split_script};

use crate::app::App;
use crate::blocking::Kind;
use crate::error::{ApiError, ErrorCode};
use crate::request::Settings;
use crate::statements::{self, SUBSTITUTION, Session};

pub use print::{PrintOptions, print};
pub use pull::pull;
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
}

/// Longest text that is parsed where the connection is served, bytes; longer ones go to another thread.
const MAX_INLINE_BYTES: usize = 16 << 10;

/// Parts, substitutes and parses.
///
/// # Errors
/// Not exactly one statement, or one that can't be parsed.
pub async fn prepare(app: &Arc<App>, request: &Arc<QueryRequest>) -> Result<PreparedQuery, ApiError> {
    if request.sql.len() <= MAX_INLINE_BYTES {
        return parse(app, request);
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
    // Only what bears on the text; whether all properties may be set is asked once it is known what the text is.
    let bearing = request.properties.iter().filter(|(name, _)| name.as_str() == SUBSTITUTION);
    let bearing: Settings = bearing.map(|(name, value)| (name.clone(), value.clone())).collect();
    let session =
        Session::new(app, &bearing, request.variables.clone()).map_err(|e| ApiError::overrides(&e, &hide_values(&request.sql)))?;
    let spanned = statements::prepare(raw, &session)?;
    let text = statements::text_of(&spanned);
    let statement = match spanned.statement {
        Statement::Select(query) if query.emit.is_some() => Prepared::Push(Box::new(query)),
        Statement::Select(query) => Prepared::Pull(Box::new(query)),
        Statement::Print(print) => Prepared::Print(print),
        _ => Prepared::Other,
    };
    Ok(PreparedQuery { statement, text })
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
