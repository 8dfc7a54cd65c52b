//! Push queries: rows are sent as they come, until the limit, until the query is closed, or until the client leaves.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use tidemill_engine::engine::{PushQuery, PushRow};
use tidemill_parser::ast::Query;
use tokio::sync::{OwnedSemaphorePermit, watch};

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
    peer: SocketAddr,
) -> Result<Reply, ApiError> {
    let session = Session::new(&app, properties, Settings::new()).map_err(|error| ApiError::overrides(&error, &text))?;
    guard::check_query(&app, &query, &text)?;
    let permit = app.push_permit()?;
    let server_closing = app.closing();
    let started = {
        let (asked, text) = (app.clone(), text.clone());
        app.blocking
            .run(Kind::Query, move || asked.engine.push_query(&query, &text, session.properties()))
            .await
            .map_err(|error| ApiError::statement(ErrorCode::SERVER_ERROR, format!("the query broke off: {error}"), ""))?
    };
    let query = started.map_err(|error| ApiError::engine(error, &text))?;
    tracing::info!(%peer, query = query.id, "push query of a client");
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
        ready: Some(first),
        closing: false,
        server_closing,
        _permit: permit,
    };
    Ok(reply::stream(Some(format.content_type()), ReplyBody::stream(stream::unfold(sending, Sending::next))))
}

/// An answer under way. Dropping it ends the query.
struct Sending {
    blocking: Blocking,
    query: Option<PushQuery>,
    format: RowFormat,
    writer: RowWriter,
    /// A chunk that is ready to go.
    ready: Option<Vec<u8>>,
    /// Only what closes the answer is left.
    closing: bool,
    /// Whether the server is about to end, which then is why the query ends.
    server_closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Sending {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(chunk) = self.ready.take() {
            return Some((chunk.into(), self));
        }
        if !self.closing {
            let shows_tombstones = self.format.shows_tombstones();
            let row = loop {
                match &mut self.query {
                    Some(query) => match query.next().await {
                        Some(PushRow::Row { tombstone: true, .. }) if !shows_tombstones => {}
                        row => break row,
                    },
                    None => break None,
                }
            };
            let mut out = Vec::with_capacity(128);
            let message = match row {
                Some(PushRow::Row { values, tombstone }) => {
                    self.format.row(&self.writer, &values, tombstone, &mut out);
                    out.extend_from_slice(self.format.separator());
                    return Some((out.into(), self));
                }
                Some(PushRow::LimitReached) => Ok("Limit Reached"),
                Some(PushRow::Ended { error: Some(error) }) => Err(error),
                Some(PushRow::Ended { error: None }) | None if *self.server_closing.borrow() => Ok("Server is shutting down"),
                Some(PushRow::Ended { error: None }) | None => Ok("Query Completed"),
            };
            self.closing = true;
            // Ends the query now, not when the client has read the last of it. Stopping waits for its tasks.
            self.end();
            match message {
                Ok(message) => self.format.final_message(message, &mut out),
                Err(error) => self.format.error(&ApiError::generic(ErrorCode::SERVER_ERROR, error), &mut out),
            }
            if !out.is_empty() {
                return Some((out.into(), self));
            }
        }
        let end = std::mem::replace(&mut self.format, RowFormat::Delimited).end();
        (!end.is_empty()).then(|| (Bytes::from_static(end), self))
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
