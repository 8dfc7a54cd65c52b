//! Errors as PostgreSQL's clients read them: a severity, a code of five characters, a message, a hint, a place in the text.

use bytes::{BufMut, BytesMut};
use tidemill_engine::engine::{Blame, EngineError};
use tidemill_parser::ParseError;
use tidemill_query::{QueryError, QueryErrorKind};

use super::output::text;
use crate::error::{ApiError, ErrorCode};

/// A code of SQL's.
pub type SqlState = &'static str;

pub const SYNTAX_ERROR: SqlState = "42601";
pub const WRONG_STATEMENT: SqlState = "42000";
pub const UNKNOWN_TABLE: SqlState = "42P01";
pub const UNKNOWN_COLUMN: SqlState = "42703";
pub const AMBIGUOUS_COLUMN: SqlState = "42702";
pub const UNKNOWN_FUNCTION: SqlState = "42883";
pub const DUPLICATE_TABLE: SqlState = "42P07";
pub const UNKNOWN_SETTING: SqlState = "42704";
pub const UNKNOWN_CURSOR: SqlState = "34000";
pub const DUPLICATE_CURSOR: SqlState = "42P03";
pub const UNKNOWN_STATEMENT: SqlState = "26000";
pub const DUPLICATE_STATEMENT: SqlState = "42P05";
pub const NOT_SUPPORTED: SqlState = "0A000";
pub const WRONG_VALUE: SqlState = "22023";
pub const WRONG_TEXT: SqlState = "22P02";
pub const WRONG_NUMBER: SqlState = "22003";
pub const WRONG_BYTES: SqlState = "22021";
pub const BAD_COPY: SqlState = "22P04";
pub const DUPLICATE_COLUMN: SqlState = "42701";
pub const PROTOCOL: SqlState = "08P01";
pub const DENIED: SqlState = "42501";
pub const WRONG_PASSWORD: SqlState = "28P01";
pub const NOT_ADMITTED: SqlState = "28000";
pub const CANCELLED: SqlState = "57014";
pub const SHUTDOWN: SqlState = "57P01";
pub const STARTING: SqlState = "57P03";
pub const IDLE: SqlState = "57P05";
pub const TOO_MUCH: SqlState = "53400";
pub const OUT_OF_MEMORY: SqlState = "53200";
pub const TOO_MANY: SqlState = "54000";
pub const EXTERNAL: SqlState = "58030";
pub const INTERNAL: SqlState = "XX000";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    /// The connection ends.
    Fatal,
    Warning,
    Notice,
}

/// Where in a text something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Line and column of the statement, from 1.
    Line(u32, u32),
    /// Characters of the whole text that was sent, from 1.
    Char(usize),
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgError {
    pub severity: Severity,
    pub code: SqlState,
    pub message: String,
    pub hint: Option<String>,
    /// What was being done.
    pub context: Option<String>,
    pub at: Option<At>,
}

impl PgError {
    pub fn new(code: SqlState, message: impl Into<String>) -> Self {
        PgError { severity: Severity::Error, code, message: message.into(), hint: None, context: None, at: None }
    }

    pub fn fatal(code: SqlState, message: impl Into<String>) -> Self {
        PgError { severity: Severity::Fatal, ..Self::new(code, message) }
    }

    pub fn notice(message: impl Into<String>) -> Self {
        PgError { severity: Severity::Notice, ..Self::new("00000", message) }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        PgError { severity: Severity::Warning, ..Self::new("01000", message) }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        PgError { hint: Some(hint.into()), ..self }
    }

    /// Says the place in characters of the text.
    pub fn at_char(self, at: usize) -> Self {
        PgError { at: Some(At::Char(at)), ..self }
    }

    pub fn write(&self, out: &mut BytesMut) {
        let severity = match self.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
        };
        let mut field = |tag: u8, value: &str| {
            out.put_u8(tag);
            text(value, out);
        };
        field(b'S', severity);
        field(b'V', severity);
        field(b'C', self.code);
        field(b'M', &self.message);
        if let Some(hint) = &self.hint {
            field(b'H', hint);
        }
        if let Some(context) = &self.context {
            field(b'W', context);
        }
        if let Some(At::Char(at)) = self.at {
            field(b'P', &at.to_string());
        }
        out.put_u8(0);
    }

    /// What is said in the dialect's way: with the place before it, the line quoted behind it.
    fn said(code: SqlState, said: &str) -> Self {
        let (place, rest) = placed(said);
        let (message, hint) = quoted(rest);
        let code = if message.starts_with("Syntax Error") { SYNTAX_ERROR } else { code_of(code, &message) };
        let message = message.strip_prefix("Syntax Error\n").unwrap_or(&message).trim().to_owned();
        match message.rsplit_once('\n') {
            Some((first, meant)) if hint.is_none() && meant.starts_with("Did you mean") => {
                PgError { hint: Some(meant.to_owned()), at: place, ..Self::new(code, first) }
            }
            _ => PgError { hint, at: place, ..Self::new(code, message) },
        }
    }
}

/// `line 1:8: ` before a message, and what follows.
fn placed(said: &str) -> (Option<At>, &str) {
    let said = said.strip_prefix("Failed to prepare statement: ").unwrap_or(said);
    let placed = said.strip_prefix("line ").and_then(|rest| {
        let (place, message) = rest.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        Some((At::Line(line.parse().ok()?, column.parse().ok()?), message))
    });
    match placed {
        Some((at, message)) => (Some(at), message),
        None => (None, said),
    }
}

/// A message without the line that it quotes, and what is suggested behind that.
fn quoted(said: &str) -> (String, Option<String>) {
    let Some((message, quote)) = said.split_once("\nStatement: ") else { return (said.to_owned(), None) };
    // The line, the caret below it, the suggestion.
    let suggestion = quote.splitn(3, '\n').nth(2).map(str::trim).filter(|text| !text.is_empty());
    (message.to_owned(), suggestion.map(str::to_owned))
}

/// The code that a message's matter has, where it is known by its words.
fn code_of(code: SqlState, message: &str) -> SqlState {
    if code != WRONG_STATEMENT {
        return code;
    }
    let has = |words: &str| message.contains(words);
    if has("cannot be resolved") {
        UNKNOWN_COLUMN
    } else if has("is ambiguous") {
        AMBIGUOUS_COLUMN
    } else if has("nvalid function") || has("Can't find any functions with the name") || has("nknown function") {
        UNKNOWN_FUNCTION
    } else if has("already exists") {
        DUPLICATE_TABLE
    } else if has("does not exist") || has("doesn't exist") {
        UNKNOWN_TABLE
    } else if has("Not supported") || has("is not built") {
        NOT_SUPPORTED
    } else {
        code
    }
}

impl From<&ApiError> for PgError {
    fn from(error: &ApiError) -> Self {
        let code = match error.code() {
            ErrorCode::FORBIDDEN | ErrorCode::FORBIDDEN_BY_KAFKA => DENIED,
            ErrorCode::TOO_MANY_REQUESTS | ErrorCode::TOO_MANY_PUSH_QUERIES => TOO_MUCH,
            ErrorCode::UNAVAILABLE | ErrorCode::COMMAND_TIMEOUT | ErrorCode::NOT_READY => EXTERNAL,
            ErrorCode::SERVER_ERROR => INTERNAL,
            ErrorCode::SHUTTING_DOWN => SHUTDOWN,
            _ => WRONG_STATEMENT,
        };
        PgError::said(code, error.message())
    }
}

impl From<ApiError> for PgError {
    fn from(error: ApiError) -> Self {
        PgError::from(&error)
    }
}

impl From<EngineError> for PgError {
    fn from(error: EngineError) -> Self {
        let code = match error.blame {
            Blame::User => WRONG_STATEMENT,
            Blame::External => EXTERNAL,
            Blame::Internal => INTERNAL,
        };
        let span = error.span;
        let said = PgError::said(code, &error.message);
        let at = said.at.or(span.map(|span| At::Line(span.start.line, span.start.column)));
        PgError { at, ..said }
    }
}

impl From<QueryError> for PgError {
    fn from(error: QueryError) -> Self {
        let code = match error.kind {
            QueryErrorKind::User => WRONG_STATEMENT,
            QueryErrorKind::Limit if error.message.contains("memory") => OUT_OF_MEMORY,
            QueryErrorKind::Limit => CANCELLED,
            QueryErrorKind::External => EXTERNAL,
            QueryErrorKind::Internal => INTERNAL,
        };
        let span = error.span;
        let said = PgError::said(code, &error.message);
        let at = said.at.or(span.map(|span| At::Line(span.start.line, span.start.column)));
        PgError { at, ..said }
    }
}

impl From<&ParseError> for PgError {
    fn from(error: &ParseError) -> Self {
        let said = PgError::said(SYNTAX_ERROR, &error.to_string());
        PgError { at: Some(At::Line(error.span.start.line, error.span.start.column)), ..said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dialect_says_is_taken_apart() {
        let said = "line 1:8: Column 'PAEG' cannot be resolved. Did you mean 'PAGE'?\nStatement: SELECT paeg FROM t\n                  ^";
        let error = PgError::said(WRONG_STATEMENT, said);
        assert_eq!((error.code, error.at), (UNKNOWN_COLUMN, Some(At::Line(1, 8))));
        assert_eq!(error.message, "Column 'PAEG' cannot be resolved. Did you mean 'PAGE'?");
        let error = tidemill_parser::parse_statement("SELEC 1;").map(|_| ()).expect_err("wrong");
        let error = PgError::from(&error);
        assert_eq!((error.code, error.at), (SYNTAX_ERROR, Some(At::Line(1, 1))));
        assert!(!error.message.contains('\n') && error.hint.is_some_and(|hint| hint.contains("SELECT")), "{}", error.message);
    }
}
