//! Pull queries: answered row by row, read as the client takes them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::StatusCode;
use tidemill_engine::engine::{Blame, EngineError, PullRows, TOKEN};
use tidemill_engine::types::Value;
use tidemill_parser::ast::{BinaryOp, Expr, ExprKind, Query, Relation};

use super::sending::{Chunks, Read, Sending};
use super::{Known, transient_id};
use crate::app::App;
use crate::blocking::{Blocking, Broken, Kind};
use crate::error::{ApiError, ErrorCode};
use crate::limits::PullPermit;
use crate::net::ReplyBody;
use crate::reply::{self, Reply};
use crate::request::Settings;
use crate::rows::{Header, RowFormat, RowWriter};
use crate::statements::{Session, guard};

/// Rows of the older form are gathered up to this many bytes before they are sent.
const GATHER_BYTES: usize = 32 << 10;
/// What a chunk of rows takes, about, bytes.
const HELD_BYTES: usize = tidemill_engine::engine::CHUNK_BYTES;
/// Answers up to this many rows are written at once, larger ones as the client takes them.
const MAX_ROWS_AT_ONCE: usize = 256;

/// # Errors
/// The query or a property of it is refused.
pub async fn pull(
    app: Arc<App>,
    query: Box<Query>,
    text: String,
    known_as: Option<String>,
    properties: &Settings,
    format: RowFormat,
) -> Result<Reply, ApiError> {
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
    // What may have to wait for its token goes the other way.
    if !session.properties().0.contains_key(TOKEN) && is_key_lookup(&app, &query) {
        let planned = app.engine.plan_look_up(&query, &text, session.properties());
        let plan = planned.map_err(|error| ApiError::engine(error, &text))?;
        let known = Arc::new(Known { plan, text, limit });
        if let Some(sql) = known_as {
            app.known.add(sql, known.clone());
        }
        return looked_up(app, known, format, permit).await;
    }
    let asked = (app.clone(), text.clone());
    let begun = move || begin(asked.0.engine.pull_query(&query, &asked.1, session.properties())?);
    let begun = app.blocking.run(Kind::Query, begun).await.map_err(broke_off)?;
    let begun = begun.map_err(|error| ApiError::engine(error, &text))?;
    let query_id = if begun.rows.from_stream { stream_id } else { app.next_query_id() };
    answer(app, begun, query_id, limit, format, permit).map_err(|why| ApiError::statement(ErrorCode::BAD_STATEMENT, why, text))
}

/// A look-up that was asked for before.
///
/// # Errors
/// The table can't be looked up now.
pub async fn known_look_up(app: Arc<App>, known: Arc<Known>, format: RowFormat) -> Result<Reply, ApiError> {
    let permit = app.limits.pull()?;
    looked_up(app, known, format, permit).await
}

async fn looked_up(app: Arc<App>, known: Arc<Known>, format: RowFormat, permit: PullPermit) -> Result<Reply, ApiError> {
    // One look into memory: cheaper than handing it to another thread.
    let begun = match look_up(&app, &known) {
        Ok(Some(begun)) => Ok(begun),
        Err(error) => Err(error),
        // Its task is at work, and may be for long where what it makes can't be sent.
        Ok(None) => {
            let asked = (app.clone(), known.clone());
            let begun = move || begin(asked.0.engine.look_up(&asked.1.plan)?);
            app.blocking.run(Kind::Query, begun).await.map_err(broke_off)?
        }
    };
    let begun = begun.map_err(|error| ApiError::engine(error, &known.text))?;
    let query_id = app.next_query_id();
    let answered = answer(app, begun, query_id, known.limit, format, permit);
    answered.map_err(|why| ApiError::statement(ErrorCode::BAD_STATEMENT, why, known.text.clone()))
}

fn broke_off(error: Broken) -> ApiError {
    ApiError::statement(ErrorCode::SERVER_ERROR, format!("the query broke off: {error}"), "")
}

/// An answer whose first rows were read: what is wrong with it shows there mostly.
struct Begun {
    rows: PullRows,
    first: Vec<Vec<Value>>,
}

fn begin(mut rows: PullRows) -> Result<Begun, EngineError> {
    let first = rows.next_chunk()?;
    Ok(Begun { rows, first })
}

/// Looks a key up without waiting for anything; `None`: its store is not to be had now.
fn look_up(app: &App, known: &Known) -> Result<Option<Begun>, EngineError> {
    match begin(app.engine.look_up(&known.plan)?.without_waiting()) {
        Ok(begun) if begun.rows.is_done() => Ok(Some(begun)),
        // There is more than a look-up should have to read.
        Ok(_) => Ok(None),
        Err(error) if error.blame == Blame::External => Ok(None),
        Err(error) => Err(error),
    }
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

/// # Errors
/// The rows can't be sent in this form.
fn answer(
    app: Arc<App>,
    begun: Begun,
    query_id: String,
    limit: Option<u64>,
    format: RowFormat,
    permit: PullPermit,
) -> Result<Reply, String> {
    let Begun { rows, first } = begun;
    let columns = rows.columns.iter().map(|c| {
        let is_key = c.is_key && !rows.from_stream;
        (c.column.name.clone(), c.column.sql_type.clone(), is_key)
    });
    let header = Header::new(format, query_id, columns.collect())?;
    let content_type = Some(format.content_type());
    let writing = Writing { says_end: rows.from_stream, limit, ..Writing::new(format, &header, first) };
    if rows.is_done() && writing.rows.len() <= MAX_ROWS_AT_ONCE {
        let chunks: VecDeque<Bytes> = Whole(writing).inspect(|chunk| permit.answered(chunk.len())).collect();
        return Ok(reply::chunks(StatusCode::OK, content_type, chunks));
    }
    let unread = Unread { rows, blocking: app.blocking.clone() };
    Ok(reply::stream(content_type, ReplyBody::read(Sending::new(unread, writing, permit, || HELD_BYTES))))
}

/// The rest of a look into a table, or into a stream's topic.
struct Unread {
    rows: PullRows,
    blocking: Blocking,
}

impl Chunks for Unread {
    fn read(self) -> BoxFuture<'static, Read<Self>> {
        async move {
            let Unread { mut rows, blocking } = self;
            let read = blocking.run(Kind::Query, move || rows.next_chunk().map(|chunk| (rows, chunk))).await;
            let (rows, chunk) = read.map_err(broke_off)?.map_err(|error| ApiError::engine(error, ""))?;
            Ok((!chunk.is_empty()).then_some((Unread { rows, blocking }, chunk)))
        }
        .boxed()
    }
}

/// What comes after the rows.
pub(super) enum Step {
    Rows,
    Failed(ApiError),
    End,
    Done,
}

/// Turns rows into the chunks of an answer.
pub(super) struct Writing {
    format: RowFormat,
    writer: RowWriter,
    /// Whether it is said why the rows end (of streams only).
    says_end: bool,
    limit: Option<u64>,
    /// Rows that were written.
    count: u64,
    header: Option<Vec<u8>>,
    pub rows: std::vec::IntoIter<Vec<Value>>,
    pub step: Step,
}

/// An answer whose rows are all there.
struct Whole(Writing);

impl Iterator for Whole {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next(true)
    }
}

impl Writing {
    pub fn new(format: RowFormat, header: &Header, first: Vec<Vec<Value>>) -> Self {
        let mut text = Vec::with_capacity(256);
        format.header(header, &mut text);
        Writing {
            format,
            writer: header.row_writer(),
            says_end: false,
            limit: None,
            count: 0,
            header: Some(text),
            rows: first.into_iter(),
            step: Step::Rows,
        }
    }

    /// Throws away what was not written yet; the reason comes instead, unless the end was written already.
    pub fn cut(&mut self, reason: &str) {
        self.rows = Vec::new().into_iter();
        if matches!(self.step, Step::Rows | Step::End) {
            self.step = Step::Failed(ApiError::generic(ErrorCode::SERVER_ERROR, reason));
        }
    }

    /// The next chunk; `None` where more rows are needed first, or at the end. `all`: no rows come behind those at hand.
    pub fn next(&mut self, all: bool) -> Option<Bytes> {
        let gathers = !self.says_end && self.format.is_older();
        let mut out = Vec::new();
        if let Some(header) = self.header.take() {
            out = header;
            if !gathers {
                out.extend_from_slice(self.format.separator());
                return Some(out.into());
            }
        }
        while matches!(self.step, Step::Rows) {
            let Some(row) = self.rows.next() else {
                if all {
                    self.step = Step::End;
                }
                break;
            };
            self.count += 1;
            // Gathered rows bear the separator before them, as nothing may follow.
            if gathers {
                out.extend_from_slice(self.format.separator());
            }
            self.format.row(&self.writer, &row, false, &mut out);
            if !gathers {
                out.extend_from_slice(self.format.separator());
                return Some(out.into());
            }
            if out.len() >= GATHER_BYTES {
                return Some(out.into());
            }
        }
        if let Step::Failed(error) = &self.step {
            if gathers {
                out.extend_from_slice(self.format.separator());
            }
            self.format.error(error, &mut out);
            self.step = Step::Done;
            out.extend_from_slice(self.format.end());
            return Some(out.into());
        }
        if matches!(self.step, Step::End) {
            if self.says_end {
                self.says_end = false;
                let limited = self.limit.is_some_and(|limit| self.count >= limit);
                self.format.final_message(if limited { "Limit Reached" } else { "Query Completed" }, &mut out);
                if !out.is_empty() {
                    return Some(out.into());
                }
            }
            self.step = Step::Done;
            out.extend_from_slice(self.format.end());
        }
        (!out.is_empty()).then(|| out.into())
    }
}
