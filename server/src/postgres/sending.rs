//! Rows are sent as they are made, and no faster than the client takes them; meanwhile it is looked whether the client cancels, is gone,
//! or has to go.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::copy::CopyFormat;
use super::error::{CANCELLED, PgError};
use super::message::Format;
use super::rows::{Row, Rows};
use super::session::{End, Session, Stop};
use super::wire::Wire;
use crate::net::{Leave, Place};

/// A time that never comes.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// How rows are written.
pub enum Written<'a> {
    Rows(&'a [Format]),
    Copy(&'a CopyFormat),
}

/// When a statement that begins now has to be over.
pub fn deadline(timeout: Option<Duration>) -> Instant {
    Instant::now() + timeout.unwrap_or(FOR_EVER)
}

/// Waits for something, and for what may end that.
pub async fn attended<T>(
    wire: &mut Wire,
    place: &mut Place,
    cancelled: &Notify,
    until: Instant,
    work: impl Future<Output = T>,
) -> Result<T, Stop> {
    tokio::select! {
        biased;
        stop = stopped(place, cancelled, until) => Err(stop),
        gone = wire.watch() => Err(gone.into()),
        done = work => Ok(done),
    }
}

/// Waits for what ends a statement from outside.
pub async fn stopped(place: &mut Place, cancelled: &Notify, until: Instant) -> Stop {
    loop {
        tokio::select! {
            biased;
            () = cancelled.notified() => return PgError::new(CANCELLED, "canceling statement due to user request").into(),
            () = tokio::time::sleep_until(until) => return PgError::new(CANCELLED, "canceling statement due to statement timeout").into(),
            leave = place.has_to_leave() => match leave {
                Leave::Ends => return Stop::End(End::Leave(leave)),
                // It was idle when that was asked for, and is not now.
                Leave::Room => {}
            },
        }
    }
}

impl Session {
    /// Sends rows, `limit` at most. How many, and whether there may be more.
    ///
    /// # Errors
    /// They broke off, or there is nobody to send them to.
    pub async fn send(&mut self, rows: &mut Rows, limit: Option<u64>, written: &Written<'_>) -> Result<(u64, bool), Stop> {
        let until = deadline(self.settings.statement_timeout);
        let Session { wire, place, cancelled, .. } = self;
        let mut count = 0;
        loop {
            let before = wire.out.bytes.len();
            while let Some(row) = rows.pop() {
                if limit == Some(count) {
                    rows.unpop(row);
                    return Ok((count, true));
                }
                write(wire, row, rows, written);
                count += 1;
                if wire.out.is_full() {
                    break;
                }
            }
            rows.sent(wire.out.bytes.len().saturating_sub(before));
            let at_limit = limit == Some(count);
            if wire.out.is_full() || (rows.is_live() && !at_limit) {
                flush(wire, place, cancelled, until).await?;
            }
            if at_limit {
                // Whether more come is not waited for: the client asks.
                return Ok((count, !(rows.is_done() && rows.is_empty())));
            }
            if !rows.is_empty() {
                continue;
            }
            if rows.is_done() {
                return Ok((count, false));
            }
            attended(wire, place, cancelled, until, rows.fill()).await??;
        }
    }
}

/// Sends what is gathered, unless the statement ends before.
async fn flush(wire: &mut Wire, place: &mut Place, cancelled: &Notify, until: Instant) -> Result<(), Stop> {
    tokio::select! {
        biased;
        stop = stopped(place, cancelled, until) => Err(stop),
        flushed = wire.flush() => flushed.map_err(Stop::from),
    }
}

fn write(wire: &mut Wire, row: Row, rows: &Rows, written: &Written<'_>) {
    match (row, written) {
        (Row::Values(values), Written::Rows(formats)) => wire.out.row(&values, &rows.columns, formats),
        (Row::Written(fields, row), Written::Rows(_)) => wire.out.written_row(fields, &row),
        (Row::Values(values), Written::Copy(format)) => {
            let line = format.row(&values, &rows.columns, &rows.types);
            wire.out.copy_data(&line);
        }
        (Row::Written(_, row), Written::Copy(format)) => {
            let line = format.line(fields(&row).into_iter());
            wire.out.copy_data(&line);
        }
    }
}

/// The fields of a row that is written as texts.
fn fields(mut row: &[u8]) -> Vec<Option<String>> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = row.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        match usize::try_from(length) {
            Ok(length) => {
                let (field, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                fields.push(Some(String::from_utf8_lossy(field).into_owned()));
                row = after;
            }
            Err(_) => {
                fields.push(None);
                row = rest;
            }
        }
    }
    fields
}
