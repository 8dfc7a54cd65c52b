//! Queries that the dialect's pull queries can't say: joins, groups, orders, queries within queries. They go to the package
//! `query`, whose batches become rows here, as the client takes them.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tidemill_engine::engine::{Blame, EngineError};
use tidemill_engine::functions::registry;
use tidemill_parser::ast::{Expr, ExprKind, Query, Relation, SelectItemKind};
use tidemill_query::{Answer, QueryError, QueryErrorKind, Question};

use super::pull::Writing;
use super::sending::{Chunks, Read, Sending};
use crate::app::App;
use crate::error::{ApiError, ErrorCode};
use crate::limits::PullPermit;
use crate::net::{self, ReplyBody};
use crate::reply::{self, Reply};
use crate::request::Settings;
use crate::rows::{Header, RowFormat};
use crate::statements::{Session, guard};

/// Properties that allow what such a query does.
const SWITCHES: [(&str, &str); 3] = [
    ("ksql.pull.queries.enable", "Pull queries are"),
    ("ksql.query.pull.table.scan.enabled", "Reading whole tables is"),
    ("ksql.query.pull.stream.enabled", "Reading streams in pull queries is"),
];

/// What the batches of rows take that wait for their client, about, bytes.
const HELD_BYTES: usize = 1 << 20;

/// Whether a query without EMIT that the dialect can read is more than its pull queries can say.
pub fn is_more_than_pull(query: &Query) -> bool {
    // These have a meaning of the dialect's own, and none without EMIT.
    if query.window.is_some() || query.partition_by.is_some() {
        return false;
    }
    let is_join = match &query.from {
        Relation::Join(join) => {
            if join.within.is_some() {
                return false;
            }
            true
        }
        Relation::Source { .. } => false,
    };
    let items = query.items.iter().filter_map(|item| match &item.kind {
        SelectItemKind::Expr { expr, .. } => Some(expr),
        _ => None,
    });
    is_join || query.group_by.is_some() || query.having.is_some() || items.chain(&query.selection).any(calls_more)
}

/// Whether an expression calls an aggregate, or a function that only other queries have.
fn calls_more(expr: &Expr) -> bool {
    let calls = match &expr.kind {
        ExprKind::Call { name, .. } => {
            let name = &name.name;
            registry::aggregate(name).is_some()
                || (registry::scalar(name).is_none() && registry::table(name).is_none() && tidemill_query::is_function(name))
        }
        _ => false,
    };
    calls || expr.children().into_iter().any(calls_more)
}

/// What such a query runs with, and its leave to run; for whatever protocol it comes by.
///
/// # Errors
/// The query or a property of it is refused.
pub fn permitted(app: &App, text: &str, properties: &Settings) -> Result<(Session, PullPermit), ApiError> {
    let session = Session::for_pull(app, properties, Settings::new()).map_err(|error| match error {
        invalid @ crate::config::OverrideError::Invalid { .. } => ApiError::statement(ErrorCode::BAD_STATEMENT, invalid.message(), text),
        other => ApiError::overrides(&other, text),
    })?;
    for (property, what) in SWITCHES {
        if session.properties().get(property.trim_start_matches("ksql.")).is_some_and(|value| value.eq_ignore_ascii_case("false")) {
            return Err(ApiError::statement(ErrorCode::BAD_STATEMENT, format!("{what} switched off by {property}=false."), text));
        }
    }
    let shape = tidemill_query::check(text).map_err(|error| api_error(error.quoting(text), text))?;
    guard::check_limit(app, shape.has_limit, text)?;
    Ok((session, app.limits.pull()?))
}

/// # Errors
/// As of [`permitted`].
pub async fn ask(app: Arc<App>, text: String, properties: &Settings, format: RowFormat) -> Result<Reply, ApiError> {
    let (session, permit) = permitted(&app, &text, properties)?;
    let question = Question { text: text.clone(), session: session.properties().clone(), ..Question::default() };
    let begun = net::large(async {
        let mut answer = app.queries.ask(question).await?;
        // What is wrong shows with the first rows mostly, when it can be told as such.
        let first = answer.next_rows().await.transpose()?;
        Ok((answer, first))
    });
    let (answer, first) = begun.await.map_err(|error| api_error(error, &text))?;
    let columns = answer.columns.iter().map(|column| (column.name.clone(), column.sql_type.clone(), false));
    let header = Header::new(format, app.next_query_id(), columns.collect());
    let header = header.map_err(|why| ApiError::statement(ErrorCode::BAD_STATEMENT, why, text.as_str()))?;
    let writing = Writing::new(format, &header, first.unwrap_or_default());
    let memory = answer.memory();
    let sending = Sending::new(answer, writing, permit, move || HELD_BYTES + memory.bytes());
    Ok(reply::stream(Some(format.content_type()), ReplyBody::read(sending)))
}

fn api_error(error: QueryError, text: &str) -> ApiError {
    let QueryError { kind, message, span } = error;
    let blame = match kind {
        QueryErrorKind::User => Blame::User,
        QueryErrorKind::External => Blame::External,
        QueryErrorKind::Limit | QueryErrorKind::Internal => Blame::Internal,
    };
    ApiError::engine(EngineError { blame, span, ..EngineError::user(message) }, text)
}

impl Chunks for Answer {
    fn read(mut self) -> BoxFuture<'static, Read<Self>> {
        async move {
            let rows = self.next_rows().await.transpose().map_err(|error| api_error(error, ""))?;
            Ok(rows.map(|rows| (self, rows)))
        }
        .boxed()
    }
}
