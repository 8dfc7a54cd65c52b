//! Cursors: DECLARE begins a query, FETCH takes its next rows, of a push query the rows that come.

use super::error::{DUPLICATE_CURSOR, PgError, UNKNOWN_CURSOR, UNKNOWN_STATEMENT};
use super::kind::{Count, Kind, kind};
use super::message::Format;
use super::names::Piece;
use super::output::{AnswerColumn, Transaction};
use super::sending::Written;
use super::session::{Cursor, Session, Stop};
use super::statement::Outcome;

impl Session {
    pub async fn declare(&mut self, name: &str, query: &Piece, params: Option<&[String]>) -> Result<(), Stop> {
        if self.cursors.contains_key(name) {
            return Err(PgError::new(DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")).into());
        }
        self.room()?;
        let kind = kind(query, &self.app.engine.catalog())?;
        let rows = match kind {
            Kind::Query | Kind::Catalog | Kind::ShowSetting(_) | Kind::ShowAll | Kind::Statement => {
                match Box::pin(self.start(query, &kind, params, &[])).await? {
                    Outcome::Rows(rows) => rows,
                    _ => return Err(PgError::new("42P11", "a cursor is declared for a query").into()),
                }
            }
            _ => return Err(PgError::new("42P11", "a cursor is declared for a query").into()),
        };
        let in_transaction = self.transaction == Transaction::Begun;
        self.cursors.insert(name.to_owned(), Cursor { rows, in_transaction });
        Ok(())
    }

    /// The columns of a cursor.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn cursor_columns(&self, name: &str) -> Result<Vec<AnswerColumn>, PgError> {
        self.cursors.get(name).map(|cursor| cursor.rows.columns.clone()).ok_or_else(|| unknown(name))
    }

    /// Sends the next rows of a cursor. The words that complete that.
    pub async fn fetch(&mut self, name: &str, count: Count, formats: &[Format]) -> Result<String, Stop> {
        // Not held by the session while it sends.
        let mut cursor = self.cursors.remove(name).ok_or_else(|| unknown(name))?;
        let limit = match count {
            Count::Rows(rows) => Some(rows),
            Count::All => None,
        };
        let sent = self.send(&mut cursor.rows, limit, &Written::Rows(formats)).await;
        self.cursors.insert(name.to_owned(), cursor);
        let (count, _) = sent?;
        Ok(format!("FETCH {count}"))
    }

    pub fn close_cursor(&mut self, name: Option<&str>) -> Result<(), PgError> {
        match name {
            None => self.cursors.clear(),
            Some(name) => drop(self.cursors.remove(name).ok_or_else(|| unknown(name))?),
        }
        Ok(())
    }

    pub fn deallocate(&mut self, name: Option<&str>) -> Result<(), PgError> {
        match name {
            None => self.prepared.clear(),
            Some(name) => {
                let removed = self.prepared.remove(name);
                removed.ok_or_else(|| PgError::new(UNKNOWN_STATEMENT, format!("prepared statement \"{name}\" does not exist")))?;
            }
        }
        Ok(())
    }
}

fn unknown(name: &str) -> PgError {
    PgError::new(UNKNOWN_CURSOR, format!("cursor \"{name}\" does not exist"))
}
