//! Pull queries: run to their end, then answered.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use hyper::StatusCode;
use tidemill_engine::engine::PullResult;
use tidemill_engine::types::Value;
use tidemill_parser::ast::{BinaryOp, Expr, ExprKind, Query, Relation};

use super::transient_id;
use crate::app::App;
use crate::error::{ApiError, ErrorCode};
use crate::limits::PullPermit;
use crate::net::ReplyBody;
use crate::reply::{self, Reply};
use crate::request::Settings;
use crate::rows::{Header, RowFormat, RowWriter};
use crate::statements::{Session, guard};

/// Rows of the older form are gathered up to this many bytes before they are sent.
const GATHER_BYTES: usize = 32 << 10;
/// Answers up to this many rows are written at once, larger ones as the client takes them.
const MAX_ROWS_AT_ONCE: usize = 256;

/// # Errors
/// The query or a property of it is refused.
pub async fn pull(app: Arc<App>, query: Box<Query>, text: String, properties: &Settings, format: RowFormat) -> Result<Reply, ApiError> {
    let session = Session::for_pull(&app, properties, Settings::new()).map_err(|error| match error {
        invalid @ crate::config::OverrideError::Invalid { .. } => {
            ApiError::statement(ErrorCode::BAD_STATEMENT, invalid.message(), text.as_str())
        }
        other => ApiError::overrides(&other, &text),
    })?;
    guard::check_query(&app, &query, &text)?;
    let permit = app.limits.pull()?;
    let limit = query.limit;
    let stream_id = transient_id(&query);
    let result = if is_key_lookup(&app, &query) {
        // One look into memory: cheaper than handing it to another thread.
        app.engine.pull_query(&query, &text, session.properties())
    } else {
        let (app, text) = (app.clone(), text.clone());
        tokio::task::spawn_blocking(move || app.engine.pull_query(&query, &text, session.properties()))
            .await
            .map_err(|error| ApiError::statement(ErrorCode::SERVER_ERROR, format!("the query broke off: {error}"), ""))?
    };
    let result = result.map_err(|error| ApiError::engine(error, &text))?;
    let query_id = if result.from_stream { stream_id } else { app.next_query_id() };
    Ok(answer(result, query_id, limit, format, permit))
}

/// Whether WHERE pins a key column of a table to a value, so that the query touches few entries.
fn is_key_lookup(app: &App, query: &Query) -> bool {
    let Relation::Source { name, .. } = &query.from else { return false };
    let catalog = app.engine.catalog();
    let Some(source) = catalog.source(&name.name).filter(|s| s.kind == tidemill_engine::catalog::SourceKind::Table) else { return false };
    // Topics are looked at for streams only, so nothing here waits for a broker.
    let pinned = |column: &str| query.selection.as_ref().is_some_and(|s| pins(s, column));
    !source.schema.key.is_empty() && source.schema.key.iter().all(|k| pinned(&k.name))
}

/// Whether an expression can only be true where `column` is one literal value.
fn pins(expr: &Expr, column: &str) -> bool {
    let is_column = |e: &Expr| matches!(&e.kind, ExprKind::Column(c) if c.name.name == column);
    match &expr.kind {
        ExprKind::Binary { op: BinaryOp::And, left, right } => pins(left, column) || pins(right, column),
        ExprKind::Binary { op: BinaryOp::Equal, left, right } => {
            (is_column(left) && is_literal(right)) || (is_column(right) && is_literal(left))
        }
        _ => false,
    }
}

fn is_literal(expr: &Expr) -> bool {
    use ExprKind::{BigInt, Boolean, Decimal, Double, Integer, String};
    matches!(&expr.kind, Boolean(_) | Integer(_) | BigInt(_) | Decimal(_) | Double(_) | String(_))
}

fn answer(result: PullResult, query_id: String, limit: Option<u64>, format: RowFormat, permit: PullPermit) -> Reply {
    let columns = result.columns.iter().map(|c| {
        let is_key = c.is_key && !result.from_stream;
        (c.column.name.clone(), c.column.sql_type.clone(), is_key)
    });
    let header = Header { query_id, columns: columns.collect() };
    let writer = header.row_writer();
    let final_message = result.from_stream.then_some(match limit {
        Some(limit) if result.rows.len() as u64 >= limit => "Limit Reached",
        _ => "Query Completed",
    });
    let mut first = Vec::with_capacity(256);
    format.header(&header, &mut first);
    let content_type = Some(format.content_type());
    let rows = Rows { format, writer, rows: result.rows.into_iter(), final_message, first: Some(first), done: false };
    let at_once = rows.rows.len() <= MAX_ROWS_AT_ONCE;
    let rows = rows.inspect(move |chunk| permit.answered(chunk.len()));
    if at_once {
        let chunks: VecDeque<Bytes> = rows.collect();
        return reply::chunks(StatusCode::OK, content_type, chunks);
    }
    reply::stream(content_type, ReplyBody::stream(stream::iter(rows)))
}

/// The chunks of an answer, one after the other.
struct Rows {
    format: RowFormat,
    writer: RowWriter,
    rows: std::vec::IntoIter<Vec<Value>>,
    /// Streams only.
    final_message: Option<&'static str>,
    first: Option<Vec<u8>>,
    done: bool,
}

impl Iterator for Rows {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        if self.final_message.is_none() && self.format.is_older() {
            return Some(self.gathered());
        }
        if let Some(mut first) = self.first.take() {
            first.extend_from_slice(self.format.separator());
            return Some(first.into());
        }
        let mut out = Vec::with_capacity(64);
        if let Some(row) = self.rows.next() {
            self.format.row(&self.writer, &row, false, &mut out);
            out.extend_from_slice(self.format.separator());
            return Some(out.into());
        }
        if let Some(message) = self.final_message.take() {
            self.format.final_message(message, &mut out);
            if !out.is_empty() {
                return Some(out.into());
            }
        }
        self.done = true;
        let end = self.format.end();
        (!end.is_empty()).then(|| Bytes::from_static(end))
    }
}

impl Rows {
    /// Rows of the older form, as many as fit in one chunk.
    fn gathered(&mut self) -> Bytes {
        let mut out = self.first.take().unwrap_or_default();
        for row in self.rows.by_ref() {
            out.extend_from_slice(self.format.separator());
            self.format.row(&self.writer, &row, false, &mut out);
            if out.len() >= GATHER_BYTES {
                return out.into();
            }
        }
        out.extend_from_slice(self.format.end());
        self.done = true;
        out.into()
    }
}
