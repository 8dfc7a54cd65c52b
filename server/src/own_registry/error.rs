//! Failures as Confluent's registry answers them: a code of three or five digits and a message.

use hyper::StatusCode;
use tidemill_engine::registry::own::OwnError;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: StatusCode,
    pub code: u32,
    pub message: String,
    /// The methods that the path takes, where it does not take the one that was used.
    pub allowed: Option<&'static str>,
}

impl Failure {
    pub fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Failure { status, code, message: message.into(), allowed: None }
    }

    /// What HTTP says by itself.
    pub fn plain(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Failure::new(status, u32::from(status.as_u16()), format!("HTTP {} {reason}", status.as_u16()))
    }

    pub fn server(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, 500, message)
    }

    /// A body that can't be read as what it should be.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, 400, message)
    }

    /// A body that is well formed and asks for what is not there.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, 422, message)
    }
}

impl From<OwnError> for Failure {
    fn from(error: OwnError) -> Self {
        let code = match error {
            OwnError::SubjectNotFound(_) => 40401,
            OwnError::VersionNotFound(_) => 40402,
            OwnError::SchemaNotFound | OwnError::IdNotFound(_) => 40403,
            OwnError::SubjectSoftDeleted(_) => 40404,
            OwnError::SubjectNotSoftDeleted(_) => 40405,
            OwnError::VersionSoftDeleted(..) => 40406,
            OwnError::VersionNotSoftDeleted(..) => 40407,
            OwnError::CompatibilityNotConfigured(_) => 40408,
            OwnError::ModeNotConfigured(_) => 40409,
            OwnError::Incompatible { .. } => 409,
            OwnError::InvalidSchema(_) => 42201,
            OwnError::InvalidVersion(_) => 42202,
            OwnError::InvalidLevel => 42203,
            OwnError::InvalidMode => 42204,
            OwnError::NotPermitted(_) => 42205,
            OwnError::ReferenceExists(..) => 42206,
            OwnError::InvalidSubject(_) => 42208,
            OwnError::TooLarge { .. } => 42209,
            OwnError::Store(_) => 50001,
        };
        let status = if code < 1_000 { code } else { code / 100 };
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        Failure::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), code, error.to_string())
    }
}
