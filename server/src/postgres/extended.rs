//! The extended protocol: a statement is prepared, its parameters are bound to it, what comes of it is described and taken, all at
//! once or so many rows at a time.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlparser::tokenizer::Token;
use tidemill_query::Question;

use super::error::{DUPLICATE_STATEMENT, PROTOCOL, PgError, SYNTAX_ERROR, TOO_MANY, UNKNOWN_CURSOR, UNKNOWN_STATEMENT};
use super::insert;
use super::kind::{Kind, kind};
use super::message::{Bind, Format, Target};
use super::names::{Piece, parameters, pieces, translate};
use super::output::AnswerColumn;
use super::params::literal;
use super::rows::{Rows, answer_columns};
use super::sending::{Written, attended, deadline};
use super::session::{Session, Stop};
use super::statement::{Outcome, lists};
use super::types::{INT8, TEXT, UNKNOWN, oid};
use crate::query;

/// Bytes of the texts of a connection's prepared statements, together.
const MAX_PREPARED_BYTES: usize = 32 << 20;

/// A statement that is known by a name.
pub struct Prepared {
    /// `None`: it is empty.
    pub what: Option<(Piece, Kind)>,
    /// What the client says of its parameters; 0: nothing.
    declared: Vec<u32>,
    /// What was found out of it.
    described: Mutex<Option<Described>>,
}

#[derive(Clone)]
pub struct Described {
    pub parameters: Vec<u32>,
    /// `None`: no rows.
    columns: Option<Vec<AnswerColumn>>,
}

/// A statement with its parameters, and how far it is.
pub struct Portal {
    prepared: Arc<Prepared>,
    params: Vec<String>,
    formats: Vec<Format>,
    state: State,
}

#[expect(clippy::large_enum_variant, reason = "there is one for each portal, and it is never copied")]
enum State {
    Bound,
    Begun(Outcome),
    Over,
}

impl Prepared {
    fn bytes(&self) -> usize {
        self.what.as_ref().map_or(0, |(piece, _)| piece.text.len())
    }

    /// Whether rows come of it.
    fn gives_rows(&self) -> bool {
        match &self.what {
            Some((piece, Kind::Statement)) => lists(piece),
            Some((_, kind)) => {
                matches!(kind, Kind::Query | Kind::Catalog | Kind::ShowSetting(_) | Kind::ShowAll | Kind::Fetch { .. })
            }
            None => false,
        }
    }

    /// How many parameters it has.
    pub fn count(&self) -> usize {
        self.what.as_ref().map_or(0, |(piece, _)| parameters(piece)).max(self.declared.len())
    }

    /// The type of a parameter, as far as it is known.
    pub fn parameter(&self, index: usize) -> u32 {
        let described = || self.described.lock().as_ref().and_then(|described| described.parameters.get(index).copied());
        self.declared(index).or_else(described).unwrap_or(0)
    }

    /// The type of a parameter, where the client has said it.
    pub fn declared(&self, index: usize) -> Option<u32> {
        self.declared.get(index).copied().filter(|oid| *oid != 0)
    }
}

impl Session {
    pub fn parse(&mut self, name: String, text: &str, types: Vec<u32>) -> Result<(), Stop> {
        self.is_free(&name)?;
        let mut pieces = pieces(text)?;
        if pieces.len() > 1 {
            return Err(PgError::new(SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement").into());
        }
        let what = match pieces.pop() {
            Some(piece) => {
                let kind = kind(&piece, &self.app.engine.catalog())?;
                Some((piece, kind))
            }
            None => None,
        };
        self.hold(name, what, types)?;
        self.wire.out.parse_complete();
        Ok(())
    }

    /// # Errors
    /// There is such a statement.
    fn is_free(&self, name: &str) -> Result<(), PgError> {
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(PgError::new(DUPLICATE_STATEMENT, format!("prepared statement \"{name}\" already exists")));
        }
        Ok(())
    }

    /// Keeps a statement by its name, with the types of its parameters where they are said.
    ///
    /// # Errors
    /// There is one of that name, or the connection holds too much already.
    pub fn hold(&mut self, name: String, what: Option<(Piece, Kind)>, declared: Vec<u32>) -> Result<(), PgError> {
        self.is_free(&name)?;
        self.room()?;
        let prepared = Prepared { what, declared, described: Mutex::new(None) };
        let held: usize = self.prepared.values().map(|prepared| prepared.bytes()).sum();
        if held + prepared.bytes() > MAX_PREPARED_BYTES {
            let message = format!("the prepared statements of a connection take up to {MAX_PREPARED_BYTES} bytes; close some");
            return Err(PgError::new(TOO_MANY, message));
        }
        self.prepared.insert(name, Arc::new(prepared));
        Ok(())
    }

    /// Whether rows come of a statement.
    fn gives_rows(&self, prepared: &Prepared) -> bool {
        match &prepared.what {
            Some((_, Kind::Execute(executing))) => self.prepared(&executing.name).is_ok_and(|executed| executed.gives_rows()),
            _ => prepared.gives_rows(),
        }
    }

    pub fn prepared(&self, name: &str) -> Result<Arc<Prepared>, PgError> {
        let found = self.prepared.get(name).cloned();
        found.ok_or_else(|| PgError::new(UNKNOWN_STATEMENT, format!("prepared statement \"{name}\" does not exist")))
    }

    pub fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let prepared = self.prepared(&bind.statement)?;
        self.room()?;
        let wanted = prepared.count();
        if bind.values.len() != wanted {
            let message = format!("bind message supplies {} parameters, but the prepared statement requires {wanted}", bind.values.len());
            return Err(PgError::new(PROTOCOL, message).into());
        }
        if bind.formats.len() > 1 && bind.formats.len() != wanted {
            return Err(PgError::new(PROTOCOL, "there are neither one format nor as many as parameters").into());
        }
        let mut params = Vec::with_capacity(wanted);
        for (index, value) in bind.values.into_iter().enumerate() {
            let given = literal(value, prepared.parameter(index), Format::of(&bind.formats, index));
            params.push(given.map_err(|error| PgError { message: format!("parameter ${}: {}", index + 1, error.message), ..error })?);
        }
        let portal = Portal { prepared, params, formats: bind.result_formats, state: State::Bound };
        self.portals.insert(bind.portal, portal);
        self.wire.out.bind_complete();
        Ok(())
    }

    pub async fn describe(&mut self, target: Target) -> Result<(), Stop> {
        match target {
            Target::Statement(name) => {
                let prepared = self.prepared(&name)?;
                let described = self.described(&prepared).await?;
                self.wire.out.parameters(&described.parameters);
                match described.columns {
                    Some(columns) => self.wire.out.columns(&columns, &[]),
                    None => self.wire.out.no_data(),
                }
            }
            // A cursor that was declared is a portal, too.
            Target::Portal(name) if !self.portals.contains_key(&name) && self.cursors.contains_key(&name) => {
                let columns = self.cursor_columns(&name)?;
                self.wire.out.columns(&columns, &[]);
            }
            Target::Portal(name) => {
                let mut portal = self.take_portal(&name)?;
                let described = self.describe_portal(&mut portal).await;
                self.portals.insert(name, portal);
                described?;
            }
        }
        Ok(())
    }

    fn take_portal(&mut self, name: &str) -> Result<Portal, PgError> {
        self.portals.remove(name).ok_or_else(|| PgError::new(UNKNOWN_CURSOR, format!("portal \"{name}\" does not exist")))
    }

    /// What only gives rows is begun, so that it is known which.
    async fn describe_portal(&mut self, portal: &mut Portal) -> Result<(), Stop> {
        if !self.gives_rows(&portal.prepared) {
            self.wire.out.no_data();
            return Ok(());
        }
        self.begin_portal(portal).await?;
        match &portal.state {
            State::Begun(Outcome::Rows(rows)) => self.wire.out.columns(&rows.columns, &portal.formats),
            State::Begun(Outcome::Fetch(name, _)) => {
                let columns = self.cursor_columns(name)?;
                self.wire.out.columns(&columns, &portal.formats);
            }
            _ => self.wire.out.no_data(),
        }
        Ok(())
    }

    async fn begin_portal(&mut self, portal: &mut Portal) -> Result<(), Stop> {
        if let (State::Bound, Some((piece, kind))) = (&portal.state, &portal.prepared.what) {
            self.forget_cancelling();
            let begun = self.start(piece, kind, Some(&portal.params), &portal.formats).await?;
            portal.state = State::Begun(begun);
        }
        Ok(())
    }

    pub async fn execute(&mut self, name: String, max_rows: u32) -> Result<(), Stop> {
        let mut portal = self.take_portal(&name)?;
        let executed = self.execute_portal(&mut portal, max_rows).await;
        self.portals.insert(name, portal);
        executed
    }

    async fn execute_portal(&mut self, portal: &mut Portal, max_rows: u32) -> Result<(), Stop> {
        if portal.prepared.what.is_none() {
            self.wire.out.empty_query();
            return Ok(());
        }
        self.begin_portal(portal).await?;
        match std::mem::replace(&mut portal.state, State::Over) {
            State::Begun(Outcome::Rows(mut rows)) => {
                if !self.gives_rows(&portal.prepared) {
                    // The client was told that none come.
                    self.wire.out.complete(rows.tag);
                    return Ok(());
                }
                let limit = (max_rows > 0).then_some(u64::from(max_rows));
                let (count, more) = self.send(&mut rows, limit, &Written::Rows(&portal.formats)).await?;
                if more {
                    portal.state = State::Begun(Outcome::Rows(rows));
                    self.wire.out.suspended();
                } else {
                    let tag = if rows.tag == "SELECT" { format!("SELECT {count}") } else { rows.tag.to_owned() };
                    self.wire.out.complete(&tag);
                }
            }
            State::Begun(Outcome::Copy(rows, format)) => {
                let tag = self.send_copy(rows, &format).await?;
                self.wire.out.complete(&tag);
            }
            State::Begun(Outcome::CopyIn(incoming)) => {
                let tag = self.receive_copy(*incoming).await?;
                self.wire.out.complete(&tag);
            }
            State::Begun(Outcome::Fetch(name, count)) => {
                let formats = portal.formats.clone();
                let tag = self.fetch(&name, count, &formats).await?;
                self.wire.out.complete(&tag);
            }
            State::Begun(Outcome::Done(tag)) => self.wire.out.complete(&tag),
            State::Bound | State::Over => {
                let empty = Rows::listed(Vec::new(), Vec::new(), "SELECT");
                self.wire.out.complete(&format!("{} 0", empty.tag));
            }
        }
        Ok(())
    }

    pub fn close(&mut self, target: Target) {
        match target {
            Target::Statement(name) => drop(self.prepared.remove(&name)),
            Target::Portal(name) => drop(self.portals.remove(&name)),
        }
        self.wire.out.close_complete();
    }

    /// Finds out what a statement takes and gives, without its parameters' values.
    pub async fn described(&mut self, prepared: &Arc<Prepared>) -> Result<Described, Stop> {
        let known = prepared.described.lock().clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let Some((piece, kind)) = &prepared.what else { return Ok(Described { parameters: Vec::new(), columns: None }) };
        if let Kind::Execute(executing) = kind {
            // What it gives is what the other one does; that may be another one the next time.
            let executed = self.prepared(&executing.name)?;
            let columns = Box::pin(self.described(&executed)).await?.columns;
            return Ok(Described { parameters: vec![TEXT; parameters(piece)], columns });
        }
        let count = prepared.count();
        let catalog = self.app.engine.catalog();
        let mut found: Vec<Option<u32>> = vec![None; count];
        let columns = match kind {
            Kind::Query if !piece.tokens.iter().enumerate().any(|(index, _)| piece.is(index, "EMIT")) => {
                let translated = translate(piece, &catalog, None)?;
                let (session, permit) =
                    query::permitted(&self.app, &translated.text, &self.properties).map_err(|error| PgError::from(&error))?;
                let question = Question { text: translated.text.clone(), session: session.properties().clone(), ..Question::default() };
                let until = deadline(self.settings.statement_timeout);
                let Session { wire, place, cancelled, app, .. } = self;
                let described = attended(wire, place, cancelled, until, app.queries.describe(question)).await?;
                drop(permit);
                let described = described.map_err(|error| translated.placed(piece, error.into()))?;
                for (index, (place, sql_type)) in found.iter_mut().zip(&described.parameters).enumerate() {
                    *place = sql_type.as_ref().map(oid).or_else(|| counts_rows(piece, index).then_some(INT8));
                }
                Some(answer_columns(&described.columns))
            }
            _ if prepared.gives_rows() => {
                // With nulls for what is not known it is begun, and given up: what it gives is known then.
                let nulls = vec!["NULL".to_owned(); count];
                match self.start(piece, kind, Some(&nulls), &[]).await? {
                    Outcome::Rows(rows) => Some(rows.columns.clone()),
                    Outcome::Fetch(name, _) => Some(self.cursor_columns(&name)?),
                    _ => None,
                }
            }
            _ => {
                for (place, sql_type) in found.iter_mut().zip(insert::parameter_types(piece, &catalog, count)) {
                    *place = sql_type.as_ref().map(oid);
                }
                None
            }
        };
        let declared = |index: usize| prepared.declared.get(index).copied().filter(|oid| !matches!(*oid, 0 | UNKNOWN));
        let parameters = found.into_iter().enumerate().map(|(index, found)| declared(index).or(found).unwrap_or(TEXT)).collect();
        let described = Described { parameters, columns };
        *prepared.described.lock() = Some(described.clone());
        Ok(described)
    }
}

/// Whether a parameter says how many rows: it stands behind LIMIT or OFFSET.
fn counts_rows(piece: &Piece, parameter: usize) -> bool {
    piece.tokens.iter().enumerate().any(|(index, token)| {
        let before = |word| index.checked_sub(1).is_some_and(|before| piece.is(before, word));
        matches!(&token.token, Token::Placeholder(name) if super::names::parameter(name) == Some(parameter + 1))
            && (before("LIMIT") || before("OFFSET"))
    })
}
