//! Queries that the dialect's pull queries can't say: joins, groups, orders, queries within queries. They go to the package
//! `query`, whose batches become rows here, as the client takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use tidemill_engine::engine::{Blame, EngineError};
use tidemill_engine::functions::registry;
use tidemill_engine::types::Value;
use tidemill_parser::ast::{Expr, ExprKind, Query, Relation, SelectItemKind};
use tidemill_query::{Answer, QueryError, QueryErrorKind, QueryMemory, Question};

use super::pull::{Step, Writing};
use crate::app::App;
use crate::error::{ApiError, ErrorCode};
use crate::limits::PullPermit;
use crate::net::{self, ReplyBody, Rows};
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
    let sending = Sending { memory: answer.memory(), answer: Rest::Here(answer), writing, permit: Some(permit) };
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

/// An answer that is sent as it comes. Dropping it ends the query.
struct Sending {
    answer: Rest,
    /// The memory that the query has.
    memory: QueryMemory,
    writing: Writing,
    /// `None` once it was cut.
    permit: Option<PullPermit>,
}

type MadeRows = Result<Vec<Vec<Value>>, QueryError>;

/// What was not read yet.
enum Rest {
    Here(Answer),
    /// The next rows are being made.
    Made(BoxFuture<'static, (Answer, Option<MadeRows>)>),
    /// All was read, or reading failed.
    Nothing,
}

impl Stream for Sending {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let sending = self.get_mut();
        loop {
            if let Some(chunk) = sending.writing.next(matches!(sending.answer, Rest::Nothing)) {
                if let Some(permit) = &sending.permit {
                    permit.answered(chunk.len());
                }
                return Poll::Ready(Some(chunk));
            }
            let Rest::Made(made) = &mut sending.answer else {
                let Rest::Here(mut answer) = std::mem::replace(&mut sending.answer, Rest::Nothing) else { return Poll::Ready(None) };
                let made = async move {
                    let rows = answer.next_rows().await;
                    (answer, rows)
                };
                sending.answer = Rest::Made(made.boxed());
                continue;
            };
            let (answer, rows) = ready!(made.as_mut().poll(cx));
            sending.answer = Rest::Nothing;
            match rows {
                Some(Ok(rows)) => {
                    sending.answer = Rest::Here(answer);
                    sending.writing.rows = rows.into_iter();
                }
                Some(Err(error)) => sending.writing.step = Step::Failed(api_error(error, "")),
                None => {}
            }
        }
    }
}

impl Rows for Sending {
    fn held_bytes(&self) -> usize {
        HELD_BYTES + self.memory.bytes()
    }

    fn cut(self: Pin<&mut Self>, reason: &str) {
        let sending = self.get_mut();
        (sending.answer, sending.permit) = (Rest::Nothing, None);
        sending.writing.cut(reason);
    }
}
