//! Push queries: rows are sent as they come, until the limit, until the query is closed, or until the client leaves.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tidemill_engine::engine::{PushQuery, PushRow};
use tidemill_engine::types::Value;
use tidemill_parser::ast::Query;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::access::{Asker, Held, Role};
use crate::app::App;
use crate::blocking::{Blocking, Kind};
use crate::error::{ApiError, ErrorCode};
use crate::net::ReplyBody;
use crate::reply::{self, Reply};
use crate::request::Settings;
use crate::rows::{Header, RowFormat, RowWriter};
use crate::statements::{Session, guard};

/// # Errors
/// The query or a property of it is refused.
pub async fn push(
    app: Arc<App>,
    query: Box<Query>,
    text: String,
    properties: &Settings,
    format: RowFormat,
    asker: Asker,
) -> Result<Reply, ApiError> {
    let session = Session::new(&app, properties, Settings::new()).map_err(|error| ApiError::overrides(&error, &text))?;
    guard::check_query(&app, &query, &text)?;
    let permit = app.push_permit()?;
    let server_closing = app.closing();
    let ousted = asker.principal.ousted(Role::Read);
    let started = {
        let (asked, text) = (app.clone(), text.clone());
        app.blocking
            .run(Kind::Query, move || asked.engine.push_query(&query, &text, session.properties(), asker.principal.name))
            .await
            .map_err(|error| ApiError::statement(ErrorCode::SERVER_ERROR, format!("the query broke off: {error}"), ""))?
    };
    let query = started.map_err(|error| ApiError::engine(error, &text))?;
    tracing::info!(peer = %asker.peer, query = query.id, "push query of a client");
    let columns = query.columns.iter().map(|c| (c.name.clone(), c.sql_type.clone(), false)).collect();
    let header = Header::new(format, query.id.clone(), columns).map_err(|why| ApiError::statement(ErrorCode::BAD_STATEMENT, why, &text))?;
    let mut first = Vec::new();
    format.header(&header, &mut first);
    first.extend_from_slice(format.separator());
    let sending = Sending {
        blocking: app.blocking.clone(),
        writer: header.row_writer(),
        query: Some(query),
        format,
        ready: Some(first.into()),
        room: BytesMut::with_capacity(ROOM_BYTES),
        row: Vec::new(),
        closing: false,
        server_closing,
        _permit: permit,
    };
    let last_words = move |why: String| {
        let mut out = Vec::new();
        format.error(&ApiError::generic(ErrorCode::UNAUTHORIZED, why), &mut out);
        out.extend_from_slice(format.end());
        out.into()
    };
    Ok(reply::stream(Some(format.content_type()), ReplyBody::stream(Held::new(sending, ousted, last_words))))
}

/// An answer under way. Dropping it ends the query.
struct Sending {
    blocking: Blocking,
    query: Option<PushQuery>,
    format: RowFormat,
    writer: RowWriter,
    /// A chunk that is ready to go.
    ready: Option<Bytes>,
    /// Room for rows, which chunks are cut off.
    room: BytesMut,
    /// The row at hand.
    row: Vec<u8>,
    /// Only what closes the answer is left.
    closing: bool,
    /// Whether the server is about to end, which then is why the query ends.
    server_closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

/// Rows share the memory that they are written to, this much at a time.
const ROOM_BYTES: usize = 2 << 10;

impl Stream for Sending {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let sending = self.get_mut();
        if let Some(chunk) = sending.ready.take() {
            return Poll::Ready(Some(chunk));
        }
        if !sending.closing {
            let row = match &mut sending.query {
                Some(query) => loop {
                    match ready!(query.poll_next(cx)) {
                        Some(PushRow::Row { tombstone: true, .. }) if !sending.format.shows_tombstones() => {}
                        row => break row,
                    }
                },
                None => None,
            };
            if let Some(PushRow::Row { values, tombstone }) = row {
                return Poll::Ready(Some(sending.row(&values, tombstone)));
            }
            let last = sending.last(row);
            if !last.is_empty() {
                return Poll::Ready(Some(last));
            }
        }
        let end = std::mem::replace(&mut sending.format, RowFormat::Delimited).end();
        Poll::Ready((!end.is_empty()).then(|| Bytes::from_static(end)))
    }
}

impl Sending {
    /// A row's chunk.
    fn row(&mut self, values: &[Value], tombstone: bool) -> Bytes {
        self.row.clear();
        self.format.row(&self.writer, values, tombstone, &mut self.row);
        self.row.extend_from_slice(self.format.separator());
        if self.row.len() > ROOM_BYTES {
            // What is large goes as it is.
            return std::mem::take(&mut self.row).into();
        }
        // What was sent is used again.
        self.room.reserve(self.row.len());
        self.room.extend_from_slice(&self.row);
        self.room.split().freeze()
    }

    /// The chunk that says why no more comes; the end of the format comes behind it.
    fn last(&mut self, row: Option<PushRow>) -> Bytes {
        let message = match row {
            Some(PushRow::LimitReached) => Ok("Limit Reached"),
            Some(PushRow::Ended { error: Some(error) }) => Err(error),
            _ if *self.server_closing.borrow() => Ok("Server is shutting down"),
            _ => Ok("Query Completed"),
        };
        self.closing = true;
        // Ends the query now, not when the client has read the last of it. Stopping waits for its tasks.
        self.end();
        let mut out = Vec::new();
        match message {
            Ok(message) => self.format.final_message(message, &mut out),
            Err(error) => self.format.error(&ApiError::generic(ErrorCode::SERVER_ERROR, error), &mut out),
        }
        out.into()
    }

    /// Ends the query beside this thread: that waits for its tasks.
    fn end(&mut self) {
        if let Some(query) = self.query.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let blocking = self.blocking.clone();
            runtime.spawn(async move { blocking.run(Kind::End, move || drop(query)).await });
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.end();
    }
}
