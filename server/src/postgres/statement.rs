//! A statement is carried out: what comes of it is rows, or words.

use tidemill_parser::ast::{Query, Statement};
use tidemill_parser::split_script;
use tidemill_query::Question;

use super::copy::CopyFormat;
use super::copy_in::Incoming;
use super::copy_kind::CopyOf;
use super::error::{INTERNAL, PgError, TOO_MANY};
use super::insert;
use super::kind::{Count, Kind};
use super::message::Format;
use super::names::{Piece, Translated, pieces, translate};
use super::output::Transaction;
use super::rows::Rows;
use super::sending::{attended, deadline};
use super::session::{Session, Stop};
use crate::blocking;
use crate::entities::{Said, said};
use crate::error::ApiError;
use crate::query;
use crate::request::{KsqlRequest, Settings};
use crate::statements::{self, Caller, Session as Overrides, guard};

/// Prepared statements, portals and cursors of one connection, together.
pub const MAX_HELD: usize = 2_000;

/// What comes of a statement.
pub enum Outcome {
    Rows(Rows),
    Copy(Rows, CopyFormat),
    /// Rows that the client is to send.
    CopyIn(Box<Incoming>),
    /// Rows of a cursor.
    Fetch(String, Count),
    /// The words that complete it.
    Done(String),
}

/// What a query of the dialect or of SQL is.
enum Route {
    /// For ever.
    Push(Box<Query>),
    /// Once.
    Ask,
}

fn route(text: &str) -> Result<Route, PgError> {
    let raw = split_script(text);
    let Some(raw) = raw.first() else { return Ok(Route::Ask) };
    match raw.parse() {
        Ok(spanned) => match spanned.statement {
            Statement::Select(query) if query.emit.is_some() => Ok(Route::Push(Box::new(query))),
            _ => Ok(Route::Ask),
        },
        // What is no query of the dialect may be one of SQL; if it is none either, that is said in its words.
        Err(_) if raw.may_be_sql() || !text.to_ascii_uppercase().contains("EMIT") => Ok(Route::Ask),
        Err(error) => Err(PgError::from(&error)),
    }
}

impl Session {
    /// Carries a statement out. `params` are the literals of its parameters, where they are known; `formats` those of the columns.
    ///
    /// # Errors
    /// It is wrong or refused, or the connection ends.
    pub async fn start(&mut self, piece: &Piece, kind: &Kind, params: Option<&[String]>, formats: &[Format]) -> Result<Outcome, Stop> {
        let done = |tag: &str| Ok(Outcome::Done(tag.to_owned()));
        match kind {
            Kind::Begin => {
                if !std::mem::replace(&mut self.said_transaction, true) {
                    self.wire
                        .out
                        .notice(&PgError::notice("there are no transactions here: each statement takes effect by itself, at once"));
                }
                (self.transaction, self.changed) = (Transaction::Begun, false);
                done("BEGIN")
            }
            Kind::Commit => {
                self.end_transaction();
                done("COMMIT")
            }
            Kind::Rollback => {
                if self.transaction == Transaction::Begun && self.changed {
                    let message = "what was changed since BEGIN stays: there are no transactions here";
                    self.wire.out.notice(&PgError::warning(message));
                }
                self.end_transaction();
                done("ROLLBACK")
            }
            Kind::Nothing(tag) => done(tag),
            Kind::Set { name, value } => {
                if let Some((name, value)) = self.settings.set(name, value.as_deref())? {
                    self.wire.out.parameter_status(name, &value);
                }
                done(if value.is_some() { "SET" } else { "RESET" })
            }
            Kind::ResetAll => {
                self.reset_settings();
                done("RESET")
            }
            Kind::DiscardAll => {
                self.reset_settings();
                self.prepared.clear();
                self.portals.clear();
                self.cursors.clear();
                done("DISCARD ALL")
            }
            Kind::ShowSetting(name) => {
                let (name, value) = self.settings.show(name)?;
                Ok(Outcome::Rows(Rows::listed(vec![name], vec![vec![Some(value)]], "SHOW")))
            }
            Kind::ShowAll => {
                let all = self.settings.all().into_iter().map(|(name, value)| vec![Some(name), Some(value)]).collect();
                Ok(Outcome::Rows(Rows::listed(vec!["name".to_owned(), "setting".to_owned()], all, "SHOW")))
            }
            Kind::Declare { name, query } => {
                self.declare(name, &piece.behind(*query), params).await?;
                done("DECLARE CURSOR")
            }
            Kind::Fetch { name, count } => Ok(Outcome::Fetch(name.clone(), *count)),
            Kind::CloseCursor(name) => {
                self.close_cursor(name.as_deref())?;
                done("CLOSE CURSOR")
            }
            Kind::Deallocate(name) => {
                self.deallocate(name.as_deref())?;
                done(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" })
            }
            Kind::Copy { query, format } => {
                let piece = copied(piece, query)?;
                let catalog = self.app.engine.catalog();
                let rows = match super::kind::kind(&piece, &catalog)? {
                    Kind::Catalog => self.ask_catalog(&piece, params, &[]).await?,
                    _ => self.query(&piece, params).await?,
                };
                Ok(Outcome::Copy(rows, format.clone()))
            }
            Kind::CopyIn(into) => Ok(Outcome::CopyIn(Box::new(self.incoming(into).await?))),
            Kind::Prepare(preparing) => {
                self.prepare(piece, preparing)?;
                done("PREPARE")
            }
            Kind::Execute(executing) => self.execute_prepared(piece, executing, params, formats).await,
            Kind::Catalog => Ok(Outcome::Rows(self.ask_catalog(piece, params, formats).await?)),
            Kind::Query => Ok(Outcome::Rows(self.query(piece, params).await?)),
            Kind::Statement => self.statement(piece, params).await,
        }
    }

    fn end_transaction(&mut self) {
        self.transaction = Transaction::None;
        self.changed = false;
        self.cursors.retain(|_, cursor| !cursor.in_transaction);
        self.portals.retain(|name, _| name.is_empty());
    }

    fn reset_settings(&mut self) {
        for (name, value) in self.settings.reset() {
            self.wire.out.parameter_status(name, &value);
        }
    }

    /// # Errors
    /// The connection holds too much already.
    pub fn room(&self) -> Result<(), PgError> {
        if self.prepared.len() + self.portals.len() + self.cursors.len() < MAX_HELD {
            return Ok(());
        }
        let message = format!("a connection holds up to {MAX_HELD} prepared statements, portals and cursors; close some");
        Err(PgError::new(TOO_MANY, message))
    }

    async fn ask_catalog(&mut self, piece: &Piece, params: Option<&[String]>, formats: &[Format]) -> Result<Rows, Stop> {
        // Names of the system's catalog are its own.
        let translated = translate(piece, &tidemill_engine::catalog::Catalog::default(), params)?;
        let text = pieces(&translated.text)?.first().map(super::system::askable).unwrap_or_default();
        let until = deadline(self.settings.statement_timeout);
        let Session { wire, place, cancelled, catalog, .. } = self;
        let asked = attended(wire, place, cancelled, until, catalog.ask(&text, formats)).await?;
        asked.map_err(|error| translated.placed(piece, error).into())
    }

    /// Begins a query: once, or for ever.
    ///
    /// # Errors
    /// It is wrong or refused.
    pub async fn query(&mut self, piece: &Piece, params: Option<&[String]>) -> Result<Rows, Stop> {
        let translated = translate(piece, &self.app.engine.catalog(), params)?;
        let begun = self.begin(&translated).await;
        begun.map_err(|stop| match stop {
            Stop::Error(error) => Stop::Error(translated.placed(piece, error)),
            end => end,
        })
    }

    async fn begin(&mut self, translated: &Translated) -> Result<Rows, Stop> {
        let text = translated.text.as_str();
        let query = match route(text)? {
            Route::Push(query) => query,
            Route::Ask => return self.ask(text).await,
        };
        let app = self.app.clone();
        let session =
            Overrides::new(&app, &self.properties, Settings::new()).map_err(|error| refused(&ApiError::overrides(&error, text)))?;
        guard::check_query(&app, &query, text).map_err(|error| refused(&error))?;
        let permit = app.push_permit().map_err(|error| refused(&error))?;
        let (asked, statement, user) = (app.clone(), format!("{text};"), self.principal.name.clone());
        let start = move || asked.engine.push_query(&query, &statement, session.properties(), user);
        let starting = app.blocking.run(blocking::Kind::Query, start);
        let until = deadline(self.settings.statement_timeout);
        let Session { wire, place, cancelled, peer, .. } = self;
        let started = attended(wire, place, cancelled, until, starting).await?;
        let query = started.map_err(|error| PgError::new(INTERNAL, format!("the query broke off: {error}")))?.map_err(PgError::from)?;
        tracing::info!(%peer, query = query.id, "push query of a PostgreSQL client");
        Ok(Rows::pushed(app, query, permit))
    }

    async fn ask(&mut self, text: &str) -> Result<Rows, Stop> {
        let (session, permit) = query::permitted(&self.app, text, &self.properties).map_err(|error| refused(&error))?;
        let question = Question { text: text.to_owned(), session: session.properties().clone(), ..Question::default() };
        let until = deadline(self.settings.statement_timeout);
        let Session { wire, place, cancelled, app, .. } = self;
        let answer = attended(wire, place, cancelled, until, app.queries.ask(question)).await?.map_err(PgError::from)?;
        Ok(Rows::asked(answer, permit))
    }

    /// A statement of the dialect. It goes on where its client cancels or leaves: it is written down already.
    async fn statement(&mut self, piece: &Piece, params: Option<&[String]>) -> Result<Outcome, Stop> {
        let translated = translate(piece, &self.app.engine.catalog(), params)?;
        let raw = split_script(&translated.text);
        if raw.first().is_some_and(|raw| raw.may_be_sql()) {
            let asked = self.ask(&translated.text).await;
            return asked.map(Outcome::Rows).map_err(|stop| match stop {
                Stop::Error(error) => Stop::Error(translated.placed(piece, error)),
                end => end,
            });
        }
        let parsed = raw.first().map(|raw| raw.parse());
        let (script, count) = match (&parsed, insert::rows(piece, &translated)?) {
            // Several rows are as many statements.
            (Some(Err(_)), Some(rows)) if rows.len() > 1 => (rows.join(";\n"), rows.len()),
            _ => (translated.text.clone(), 1),
        };
        let request = KsqlRequest {
            ksql: format!("{script};"),
            properties: self.properties.clone(),
            variables: self.variables.clone(),
            command_sequence_number: None,
        };
        let caller = Caller::new(self.peer, self.principal.clone(), None);
        let app = self.app.clone();
        let ran = app.blocking.run(blocking::Kind::Statement, {
            let app = app.clone();
            move || statements::run(&app, &request, &caller)
        });
        let ran = ran.await.map_err(|error| PgError::new(INTERNAL, format!("the statement broke off: {error}")))?;
        let entities = ran.map_err(|error| translated.placed(piece, PgError::from(&error)))?;
        if let Some(Ok(spanned)) = &parsed {
            self.remember(&spanned.statement);
            self.changed |= guard::changes(&spanned.statement);
        }
        self.changed |= count > 1;
        let Some(entity) = entities.last() else { return Ok(Outcome::Done(tag(piece, count))) };
        let (said, remarks) = said(&app.engine.catalog(), entity);
        remarks.into_iter().for_each(|remark| self.wire.out.notice(&PgError::warning(remark)));
        Ok(match said {
            Said::Rows(listing) => Outcome::Rows(Rows::listed(listing.names, listing.rows, listing.verb)),
            Said::Done(message) => {
                self.wire.out.notice(&PgError::notice(message));
                Outcome::Done(tag(piece, count))
            }
        })
    }

    /// What a statement sets for those after it.
    fn remember(&mut self, statement: &Statement) {
        match statement {
            Statement::SetProperty { name, value } => drop(self.properties.insert(name.clone(), value.clone())),
            Statement::UnsetProperty { name: Some(name) } => drop(self.properties.remove(name)),
            Statement::UnsetProperty { name: None } => self.properties.clear(),
            Statement::DefineVariable { name, value } => crate::request::define(&mut self.variables, name.clone(), value.clone()),
            Statement::UndefineVariable { name } => crate::request::undefine(&mut self.variables, name),
            _ => {}
        }
    }
}

fn refused(error: &ApiError) -> Stop {
    Stop::Error(PgError::from(error))
}

/// The query of a COPY.
fn copied(piece: &Piece, of: &CopyOf) -> Result<Piece, PgError> {
    let part = |first: usize, last: usize| {
        let (from, to) = (piece.rest(first), piece.rest(last));
        from.get(..from.len() - to.len()).unwrap_or_default()
    };
    let (text, shift) = match of {
        CopyOf::Query { first, last } => (part(*first, *last).to_owned(), Some(piece.characters_before(*first))),
        CopyOf::Source { first, last } => {
            let columns =
                (*first..*last).find(|index| piece.tokens.get(*index).is_some_and(|t| t.token == sqlparser::tokenizer::Token::LParen));
            let text = match columns {
                Some(open) => {
                    let listed = part(open, *last).trim().trim_start_matches('(').trim_end_matches(')').to_owned();
                    format!("SELECT {listed} FROM {}", part(*first, open))
                }
                None => format!("SELECT * FROM {}", part(*first, *last)),
            };
            (text, None)
        }
    };
    let mut all = pieces(&text)?;
    match all.pop() {
        Some(query) if all.is_empty() => Ok(Piece { before: shift.map_or(0, |shift| piece.before + shift + query.before), ..query }),
        _ => Err(PgError::new(super::error::SYNTAX_ERROR, "COPY takes one query in parentheses, or the name of a stream or table")),
    }
}

/// The words that complete a statement.
fn tag(piece: &Piece, rows: usize) -> String {
    let first = piece.word(0).unwrap_or_default();
    if first == "INSERT" && piece.tokens.iter().enumerate().any(|(index, _)| piece.is(index, "VALUES")) {
        return format!("INSERT 0 {rows}");
    }
    let kinds = ["STREAM", "TABLE", "TYPE", "CONNECTOR"];
    let kind = (1..6).filter_map(|index| piece.word(index)).find(|word| kinds.contains(&word.as_str()));
    match kind {
        Some(kind) if matches!(first.as_str(), "CREATE" | "DROP" | "ALTER") => format!("{first} {kind}"),
        _ => first,
    }
}

/// Whether a statement of the dialect answers with rows, and changes nothing.
pub fn lists(piece: &Piece) -> bool {
    piece.word(0).is_some_and(|first| matches!(first.as_str(), "SHOW" | "LIST" | "DESCRIBE" | "EXPLAIN"))
}
