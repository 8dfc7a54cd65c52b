//! COPY … FROM STDIN: rows that a client sends are written as those of an INSERT are, a few hundred at a time. Of what comes no more is
//! at hand than a message and a record that is not whole; the next is read when the rows before it are written.

use std::collections::HashSet;

use hyper::Method;
use tidemill_engine::engine::{Inserting, Unwritten};
use tidemill_engine::types::{SqlType, Value};
use tidemill_parser::did_you_mean;

use super::copy::{CopyFormat, Header};
use super::copy_kind::CopyInto;
use super::copy_lines::{Lines, fields};
use super::copy_values::{shown as beginning, value_of};
use super::error::{
    BAD_COPY, CANCELLED, DENIED, DUPLICATE_COLUMN, INTERNAL, NOT_SUPPORTED, PROTOCOL, PgError, UNKNOWN_COLUMN, UNKNOWN_TABLE,
};
use super::message::{Frame, MAX_MESSAGE_BYTES};
use super::names::{Named, shown};
use super::sending::{deadline, stopped};
use super::session::{Session, Stop};
use crate::access::of_path;
use crate::blocking::Kind;
use crate::statements::guard;

/// Bytes that are gathered, while more are there at once, before their rows are written.
const WRITE_BYTES: usize = 64 << 10;
/// Rows that are written together, before it is looked whether the client cancels.
const MAX_ROWS_AT_A_TIME: usize = 500;

/// Rows on their way in.
pub struct Incoming {
    inserting: Inserting,
    /// The lines of the rows that are not yet written.
    unwritten: Vec<u64>,
    /// What each field is for.
    columns: Vec<Target>,
    format: CopyFormat,
    lines: Lines,
    /// Whether the line of names has come, where there is one.
    is_begun: bool,
    count: u64,
    /// As the client named it.
    name: String,
}

/// A column, and where its value stands in the row.
struct Target {
    name: String,
    sql_type: SqlType,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    /// A slot of the row; the key's come first.
    Slot(usize),
    Rowtime,
}

impl Session {
    /// Prepares to take rows.
    ///
    /// # Errors
    /// They may not, or can't, be written there.
    pub async fn incoming(&mut self, into: &CopyInto) -> Result<Incoming, Stop> {
        let app = self.app.clone();
        let needed = of_path(&Method::POST, &["inserts-stream"]);
        self.principal.check(needed, "inserting rows").map_err(|message| PgError::new(DENIED, message))?;
        if app.reads_only() {
            return Err(PgError::from(&guard::reads_only(&app, "")).into());
        }
        if !app.config.flag("ksql.insert.into.values.enabled") {
            let message = "Inserting rows is switched off by ksql.insert.into.values.enabled=false";
            return Err(PgError::new(NOT_SUPPORTED, message).into());
        }
        let catalog = app.engine.catalog();
        let meant = into.target.among(catalog.sources().map(|source| source.name.as_str()));
        let target = meant.map_or_else(|| into.target.word.clone(), |name| format!("`{name}`"));
        let is_known = meant.is_some();
        let engine = app.engine.clone();
        let prepared = app.blocking.run(Kind::Statement, move || engine.inserting(&target)?.as_insert_into()).await;
        let inserting = prepared.map_err(|error| PgError::new(INTERNAL, format!("the statement broke off: {error}")))?;
        let inserting = inserting.map_err(|error| {
            let error = PgError::from(error);
            if is_known { error } else { PgError { code: UNKNOWN_TABLE, ..error }.at_char(into.target.at) }
        })?;
        Ok(Incoming::new(inserting, into)?)
    }

    /// Takes rows until the client has no more. The words that complete that.
    ///
    /// # Errors
    /// A row is wrong, or the client breaks off: the rows before are written.
    pub async fn receive_copy(&mut self, mut incoming: Incoming) -> Result<String, Stop> {
        self.wire.out.copy_in(incoming.columns.len());
        let until = deadline(self.settings.statement_timeout);
        loop {
            let frame = match Frame::take(&mut self.wire.input, MAX_MESSAGE_BYTES) {
                Ok(Some(frame)) => frame,
                Ok(None) if self.wire.read_at_hand().await => continue,
                Ok(None) => {
                    // What has come is written before more is waited for.
                    incoming = self.write_copied(incoming, until).await?;
                    let Session { wire, place, cancelled, .. } = self;
                    tokio::select! {
                        biased;
                        stop = stopped(place, cancelled, until) => return Err(incoming.broken_off(stop)),
                        frame = async {
                            wire.flush().await?;
                            wire.frame(MAX_MESSAGE_BYTES).await
                        } => frame?,
                    }
                }
                Err(malformed) => return Err(super::wire::Gone::from(malformed).into()),
            };
            match frame.tag {
                b'd' => incoming.lines.push(&frame.body),
                b'c' => {
                    incoming.lines.finish();
                    let incoming = self.write_copied(incoming, until).await?;
                    return Ok(format!("COPY {}", incoming.count));
                }
                b'f' => {
                    let end = frame.body.iter().position(|byte| *byte == 0).unwrap_or(frame.body.len());
                    let said = String::from_utf8_lossy(frame.body.get(..end).unwrap_or_default()).into_owned();
                    return Err(incoming.at_line(PgError::new(CANCELLED, format!("COPY from stdin failed: {said}"))).into());
                }
                // Clients that send a statement's messages all at once have sent these.
                b'H' | b'S' => {}
                other => {
                    let message = format!("unexpected message type 0x{other:02X} during COPY from stdin");
                    return Err(incoming.at_line(PgError::new(PROTOCOL, message)).into());
                }
            }
            if incoming.lines.waiting() >= WRITE_BYTES {
                incoming = self.write_copied(incoming, until).await?;
            }
        }
    }

    /// Writes the rows that are whole.
    async fn write_copied(&mut self, mut incoming: Incoming, until: tokio::time::Instant) -> Result<Incoming, Stop> {
        loop {
            if incoming.lines.waiting() == 0 {
                return Ok(incoming);
            }
            let before = incoming.count;
            let written = self.app.blocking.run(Kind::Statement, move || {
                let more = incoming.write(MAX_ROWS_AT_A_TIME);
                (incoming, more)
            });
            let (back, more) = written.await.map_err(|error| PgError::new(INTERNAL, format!("the statement broke off: {error}")))?;
            incoming = back;
            self.changed |= incoming.count > before;
            if !more? {
                return Ok(incoming);
            }
            let Session { place, cancelled, .. } = self;
            tokio::select! {
                biased;
                stop = stopped(place, cancelled, until) => return Err(incoming.broken_off(stop)),
                () = std::future::ready(()) => {}
            }
        }
    }
}

impl Incoming {
    fn new(inserting: Inserting, into: &CopyInto) -> Result<Self, PgError> {
        let (source, schema) = (inserting.source(), inserting.schema());
        let own = schema.columns().enumerate();
        let own =
            own.map(|(slot, column)| Target { name: column.name.clone(), sql_type: column.sql_type.clone(), place: Place::Slot(slot) });
        let mut all: Vec<Target> = own.collect();
        let columns = if into.columns.is_empty() {
            // In the order of SELECT *.
            let at = |target: &Target| source.column_order.iter().position(|name| *name == target.name);
            all.sort_by_key(|target| (!schema.is_key(&target.name), at(target)));
            all
        } else {
            all.push(Target { name: "ROWTIME".to_owned(), sql_type: SqlType::BigInt, place: Place::Rowtime });
            named(&into.columns, &all)?
        };
        let (format, is_begun, name) = (into.format.clone(), into.format.header == Header::None, shown(&source.name));
        Ok(Incoming { inserting, unwritten: Vec::new(), columns, format, lines: Lines::default(), is_begun, count: 0, name })
    }

    /// Writes rows, so many at most; whether there may be more.
    ///
    /// # Errors
    /// A row is wrong: those before it are written.
    fn write(&mut self, most: usize) -> Result<bool, PgError> {
        let read = self.read(most);
        let unwritten = std::mem::take(&mut self.unwritten);
        let (written, refused) = match self.inserting.write() {
            Ok(written) => (written, None),
            Err(Unwritten { written, error }) => (written, Some(error)),
        };
        self.count += u64::try_from(written).unwrap_or(u64::MAX);
        if let Some(error) = refused {
            let line = unwritten.get(written).copied().unwrap_or(self.lines.line);
            return Err(self.said(PgError { context: Some(self.place(line)), ..PgError::from(error) }));
        }
        read.map_err(|error| self.said(error))
    }

    /// Reads rows, so many at most, which are then to be written; whether there may be more.
    fn read(&mut self, most: usize) -> Result<bool, PgError> {
        for _ in 0..most {
            let at_line = |incoming: &Self, error: PgError| PgError { context: Some(incoming.place(incoming.lines.line)), ..error };
            let Some(record) = self.lines.next(&self.format).map_err(|error| at_line(self, error))? else { return Ok(false) };
            if !std::mem::replace(&mut self.is_begun, true) {
                self.check_header(&record).map_err(|error| at_line(self, error))?;
                continue;
            }
            self.row(&record)?;
            self.unwritten.push(self.lines.line);
            if self.inserting.is_full() {
                break;
            }
        }
        Ok(true)
    }

    fn row(&mut self, record: &str) -> Result<(), PgError> {
        let place = self.place(self.lines.line);
        let whole = |error: PgError| PgError { context: Some(format!("{place}: \"{}\"", beginning(record))), ..error };
        let fields = fields(record, &self.format).map_err(whole)?;
        if let Some(missing) = self.columns.get(fields.len()) {
            return Err(whole(PgError::new(BAD_COPY, format!("missing data for column \"{}\"", shown(&missing.name)))));
        }
        if fields.len() > self.columns.len() {
            return Err(whole(PgError::new(BAD_COPY, "extra data after last expected column")));
        }
        let mut row = vec![Value::Null; self.inserting.schema().width()];
        let mut timestamp = None;
        for (target, field) in self.columns.iter().zip(&fields) {
            let in_column = |error: PgError| {
                let given = field.as_deref().map_or_else(|| "null input".to_owned(), |text| format!("\"{}\"", beginning(text)));
                PgError { context: Some(format!("{place}, column {}: {given}", shown(&target.name))), ..error }
            };
            let Some(text) = field else { continue };
            let read = value_of(text, &target.sql_type).map_err(in_column)?;
            match (target.place, &read) {
                (Place::Rowtime, Value::BigInt(ms)) if *ms >= 0 => timestamp = Some(*ms),
                (Place::Rowtime, _) => {
                    let message = "Invalid ROWTIME. Give milliseconds since 1970-01-01T00:00:00Z, 0 or more, or leave it out.";
                    return Err(in_column(PgError::new(super::error::WRONG_TEXT, message)));
                }
                (Place::Slot(slot), _) => {
                    if let Some(slot) = row.get_mut(slot) {
                        *slot = read;
                    }
                }
            }
        }
        self.inserting.push(row, timestamp).map_err(|error| whole(PgError::from(error)))
    }

    /// Looks whether the first line has the names of the columns, where that is asked for.
    fn check_header(&self, record: &str) -> Result<(), PgError> {
        if self.format.header != Header::Match {
            return Ok(());
        }
        let fields = fields(record, &self.format)?;
        let is_same = |(target, field): (&Target, &Option<std::borrow::Cow<'_, str>>)| {
            field.as_deref().is_some_and(|field| field == target.name || field == shown(&target.name))
        };
        if fields.len() == self.columns.len() && self.columns.iter().zip(&fields).all(is_same) {
            return Ok(());
        }
        let names: Vec<_> = self.columns.iter().map(|target| shown(&target.name)).collect();
        let message = format!("the first line does not name the columns, which are {}", names.join(", "));
        Err(PgError::new(BAD_COPY, message))
    }

    fn place(&self, line: u64) -> String {
        format!("COPY {}, line {line}", self.name)
    }

    /// An error with what is there already.
    fn said(&self, error: PgError) -> PgError {
        match self.count {
            0 => error,
            count => error.hint(format!("Rows that are written and stay: the first {count}.")),
        }
    }

    fn at_line(&self, error: PgError) -> PgError {
        PgError { context: Some(self.place(self.lines.line)), ..self.said(error) }
    }

    /// Why it does not go on, with what is there already.
    fn broken_off(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Error(error) => Stop::Error(self.at_line(error)),
            end => end,
        }
    }
}

/// The columns that are named.
fn named(names: &[Named], all: &[Target]) -> Result<Vec<Target>, PgError> {
    let mut given = HashSet::new();
    let found = names.iter().map(|name| {
        let Some(meant) = name.among(all.iter().map(|target| target.name.as_str())) else {
            let near = did_you_mean(&name.word.to_uppercase(), all.iter().map(|target| target.name.as_str()));
            let error =
                PgError::new(UNKNOWN_COLUMN, format!("column \"{}\" can't be written: there is no such one", name.word)).at_char(name.at);
            return Err(match near {
                Some(near) => error.hint(format!("Did you mean \"{}\"?", shown(near))),
                None => error,
            });
        };
        if !given.insert(meant) {
            return Err(PgError::new(DUPLICATE_COLUMN, format!("column \"{}\" specified more than once", shown(meant))).at_char(name.at));
        }
        let target = all.iter().find(|target| target.name == meant);
        let target = target.ok_or_else(|| PgError::new(INTERNAL, "a column is not to be found"))?;
        Ok(Target { name: target.name.clone(), sql_type: target.sql_type.clone(), place: target.place })
    });
    found.collect()
}
