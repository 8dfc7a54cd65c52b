//! Errors as gRPC's statuses. The message is that of the other protocols: with the line and the column in the SQL, and the line
//! quoted.

use tidemill_engine::engine::{Blame, EngineError};
use tidemill_query::{QueryError, QueryErrorKind};
use tonic::{Code, Status};

use crate::blocking::Broken;
use crate::error::{ApiError, ErrorCode};

/// Characters of a message: it travels as a header, and clients bound these.
const MAX_MESSAGE_CHARS: usize = 2_000;

pub fn status(code: Code, message: &str) -> Status {
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => Status::new(code, format!("{} …", message.get(..end).unwrap_or_default())),
        None => Status::new(code, message),
    }
}

pub fn api(error: &ApiError) -> Status {
    let code = match error.code() {
        ErrorCode::FORBIDDEN | ErrorCode::FORBIDDEN_BY_KAFKA => Code::PermissionDenied,
        ErrorCode::TOO_MANY_REQUESTS | ErrorCode::TOO_MANY_PUSH_QUERIES => Code::ResourceExhausted,
        ErrorCode::UNAVAILABLE | ErrorCode::COMMAND_TIMEOUT | ErrorCode::NOT_READY | ErrorCode::SHUTTING_DOWN => Code::Unavailable,
        ErrorCode::SERVER_ERROR => Code::Internal,
        _ => Code::InvalidArgument,
    };
    status(code, error.message())
}

pub fn query(error: &QueryError) -> Status {
    let code = match error.kind {
        QueryErrorKind::User => Code::InvalidArgument,
        QueryErrorKind::Limit => Code::ResourceExhausted,
        QueryErrorKind::External => Code::Unavailable,
        QueryErrorKind::Internal => Code::Internal,
    };
    status(code, &error.message)
}

pub fn engine(error: &EngineError) -> Status {
    let code = match error.blame {
        Blame::User => Code::InvalidArgument,
        Blame::External => Code::Unavailable,
        Blame::Internal => Code::Internal,
    };
    status(code, &error.message)
}

pub fn broken(error: &Broken) -> Status {
    Status::internal(format!("the statement broke off: {error}"))
}
