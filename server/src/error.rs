//! Errors as the REST API answers them: `@type`, a five-digit `error_code`, `message`, and for a statement its text.

use std::borrow::Cow;

use hyper::StatusCode;
use serde::Serialize;
use tidemill_engine::analyze::ErrorKind;
use tidemill_engine::engine::{Blame, EngineError};
use tidemill_parser::{ParseError, ParseErrorKind, hide_row, hide_values};

use crate::config::OverrideError;
use crate::entities::KsqlEntity;
use crate::reply::{self, JSON, Reply};

/// The first three digits of an error code are the HTTP status; the last two tell errors of one status apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    pub const BAD_REQUEST: ErrorCode = ErrorCode(40000);
    pub const BAD_STATEMENT: ErrorCode = ErrorCode(40001);
    /// No more streams of rows at a time.
    pub const TOO_MANY_PUSH_QUERIES: ErrorCode = ErrorCode(40003);
    /// Asked by HTTP/1.
    pub const HTTP2_ONLY: ErrorCode = ErrorCode(40004);
    /// A query where it can't be answered.
    pub const WRONG_ENDPOINT: ErrorCode = ErrorCode(40002);
    /// Nobody knows who asks.
    pub const UNAUTHORIZED: ErrorCode = ErrorCode(40100);
    /// A web page that may not ask, or somebody whose role does not suffice.
    pub const FORBIDDEN: ErrorCode = ErrorCode(40300);
    /// Kafka's ACLs forbid it.
    pub const FORBIDDEN_BY_KAFKA: ErrorCode = ErrorCode(40301);
    pub const NOT_FOUND: ErrorCode = ErrorCode(40400);
    /// The client stopped sending.
    pub const REQUEST_TIMEOUT: ErrorCode = ErrorCode(40800);
    pub const BODY_TOO_LARGE: ErrorCode = ErrorCode(41300);
    pub const ASSERTION_FAILED: ErrorCode = ErrorCode(41700);
    pub const NO_SCHEMA_REGISTRY: ErrorCode = ErrorCode(42801);
    /// Beyond a limit that the configuration sets.
    pub const TOO_MANY_REQUESTS: ErrorCode = ErrorCode(42900);
    pub const SERVER_ERROR: ErrorCode = ErrorCode(50000);
    pub const UNAVAILABLE: ErrorCode = ErrorCode(50300);
    /// An earlier command did not show up in time.
    pub const COMMAND_TIMEOUT: ErrorCode = ErrorCode(50301);
    pub const NOT_READY: ErrorCode = ErrorCode(50302);
    pub const SHUTTING_DOWN: ErrorCode = ErrorCode(50303);

    pub fn status(self) -> StatusCode {
        let status = u16::try_from(self.0 / 100).ok().and_then(|s| StatusCode::from_u16(s).ok());
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// An answer that is an error.
#[derive(Debug, Serialize)]
#[serde(tag = "@type")]
pub enum ApiError {
    /// Whatever is no fault of one statement.
    #[serde(rename = "generic_error")]
    Generic { error_code: u32, message: String },
    /// A statement that was refused, and the answers of those before it.
    #[serde(rename = "statement_error")]
    Statement {
        error_code: u32,
        message: String,
        #[serde(rename = "statementText")]
        statement_text: String,
        entities: Vec<KsqlEntity>,
    },
}

impl ApiError {
    pub fn generic(code: ErrorCode, message: impl Into<String>) -> Self {
        ApiError::Generic { error_code: code.0, message: message.into() }
    }

    pub fn statement(code: ErrorCode, message: impl Into<String>, statement_text: impl Into<String>) -> Self {
        ApiError::Statement { error_code: code.0, message: message.into(), statement_text: statement_text.into(), entities: Vec::new() }
    }

    /// A request that can't be read as one.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::generic(ErrorCode::BAD_REQUEST, message)
    }

    /// What the parser says of a statement.
    pub fn parse(error: &ParseError, statement_text: impl Into<String>) -> Self {
        let text = statement_text.into();
        let hidden = hide_values(&text);
        // Whoever wrote a statement wrongly has it back; a value that can't be is a row's all the same.
        let shown = if error.kind == ParseErrorKind::Syntax { hidden } else { Cow::Owned(hide_row(&hidden).into_owned()) };
        Self::statement(ErrorCode::BAD_STATEMENT, error.to_string(), shown)
    }

    /// What the engine says of a statement. `text` is the statement as it was given.
    pub fn engine(error: EngineError, text: &str) -> Self {
        let text = error.statement.clone().unwrap_or_else(|| text.to_owned());
        match (error.blame, error.code) {
            (Blame::External, _) => Self::statement(ErrorCode::UNAVAILABLE, error.message, text),
            (Blame::Internal, _) | (_, Some(ErrorKind::Server)) => Self::statement(ErrorCode::SERVER_ERROR, error.message, text),
            (_, Some(ErrorKind::Request)) => Self::bad_request(error.message),
            (_, Some(ErrorKind::Denied)) => Self::generic(ErrorCode::FORBIDDEN_BY_KAFKA, error.message),
            (_, Some(ErrorKind::SchemaRegistry)) => Self::generic(ErrorCode::NO_SCHEMA_REGISTRY, error.message),
            (Blame::User, Some(ErrorKind::Statement) | None) => Self::statement(ErrorCode::BAD_STATEMENT, error.message, text),
        }
    }

    /// What is wrong with a request's properties. `text` is the statement that they were given with.
    pub fn overrides(error: &OverrideError, text: &str) -> Self {
        match error {
            OverrideError::Unknown(_) => Self::statement(ErrorCode::SERVER_ERROR, error.message(), text),
            _ => Self::bad_request(error.message()),
        }
    }

    pub fn code(&self) -> ErrorCode {
        match self {
            ApiError::Generic { error_code, .. } | ApiError::Statement { error_code, .. } => ErrorCode(*error_code),
        }
    }

    pub fn message(&self) -> &str {
        match self {
            ApiError::Generic { message, .. } | ApiError::Statement { message, .. } => message,
        }
    }

    /// As an answer with its length and as `application/json`.
    pub fn reply(&self) -> Reply {
        reply::whole(self.code().status(), Some(JSON), reply::to_json(self))
    }

    /// As an answer without a content type, which is how ksqlDB answers what it could not read.
    pub fn bare_reply(&self) -> Reply {
        reply::whole(self.code().status(), None, reply::to_json(self))
    }

    /// As an answer of the query endpoints, which are chunked and name no content type.
    pub fn chunked_reply(&self) -> Reply {
        reply::chunks(self.code().status(), None, [reply::to_json(self).into()].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_carry_their_status() {
        assert_eq!(ErrorCode::NO_SCHEMA_REGISTRY.status().as_u16(), 428);
        assert_eq!(ErrorCode::ASSERTION_FAILED.status().as_u16(), 417);
        assert_eq!(ErrorCode(7).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn errors_name_their_type_first() {
        let error = ApiError::statement(ErrorCode::BAD_STATEMENT, "no", "SELEC;");
        let text = String::from_utf8(reply::to_json(&error)).expect("text");
        assert_eq!(text, r#"{"@type":"statement_error","error_code":40001,"message":"no","statementText":"SELEC;","entities":[]}"#);
    }
}
