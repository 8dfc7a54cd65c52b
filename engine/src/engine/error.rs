//! What the engine says to whoever asked for something that can't be done.

use tidemill_parser::ParseError;
use tidemill_parser::ast::Span;

use crate::analyze::{AnalysisError, ErrorKind};
use crate::catalog::{CatalogError, TypeError};
use crate::formats::RegisterError;
use crate::log::LogError;
use crate::registry::RegistryError;
use crate::runtime::StartError;
use crate::state::StateError;

/// Whose fault it is: decides the HTTP status and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The statement is wrong.
    User,
    /// The log or another server is away; the same statement may succeed later.
    External,
    /// A defect of ours.
    Internal,
}

/// A statement that was refused or failed. Nothing of it was done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    pub blame: Blame,
    /// What was wrong and what would be right.
    pub message: String,
    /// Where in the statement.
    pub span: Option<Span>,
    /// What analysis says of the answer's code.
    pub code: Option<ErrorKind>,
    /// The statement as far as it was understood, where that is more than its text.
    pub statement: Option<String>,
}

impl EngineError {
    pub fn user(message: impl Into<String>) -> Self {
        EngineError { blame: Blame::User, message: message.into(), span: None, code: None, statement: None }
    }

    pub fn external(message: impl Into<String>) -> Self {
        EngineError { blame: Blame::External, ..Self::user(message) }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        EngineError { blame: Blame::Internal, message: message.into(), span: None, code: None, statement: None }
    }
}

impl From<LogError> for EngineError {
    fn from(error: LogError) -> Self {
        let code = matches!(error, LogError::Denied { .. }).then_some(ErrorKind::Denied);
        let blame = match error {
            LogError::Denied { .. } => Blame::User,
            LogError::UnknownTopic(_) | LogError::TopicExists(_) => Blame::User,
            LogError::Retriable(_) => Blame::External,
            LogError::Undeliverable { .. } | LogError::Fenced(_) => Blame::External,
            LogError::Fatal(_) => Blame::Internal,
        };
        EngineError { blame, message: error.to_string(), span: None, code, statement: None }
    }
}

impl From<RegistryError> for EngineError {
    fn from(error: RegistryError) -> Self {
        let (blame, code) = match &error {
            RegistryError::Away(_) => (Blame::External, None),
            RegistryError::NotConfigured => (Blame::User, Some(ErrorKind::SchemaRegistry)),
            RegistryError::UnknownId(_) | RegistryError::Refused(_) => (Blame::User, None),
        };
        EngineError { blame, code, message: error.to_string(), span: None, statement: None }
    }
}

impl From<RegisterError> for EngineError {
    fn from(error: RegisterError) -> Self {
        let (blame, code) = match &error {
            RegisterError::NotConfigured { .. } => (Blame::User, Some(ErrorKind::SchemaRegistry)),
            RegisterError::Failed(RegistryError::Away(_)) => (Blame::External, None),
            _ => (Blame::User, None),
        };
        EngineError { blame, code, message: error.to_string(), span: None, statement: None }
    }
}

impl From<ParseError> for EngineError {
    fn from(error: ParseError) -> Self {
        EngineError { blame: Blame::User, message: error.to_string(), span: Some(error.span), code: None, statement: None }
    }
}

impl From<AnalysisError> for EngineError {
    fn from(error: AnalysisError) -> Self {
        let span = error.problems.first().and_then(|p| p.span);
        let statement = error.statement().map(str::to_owned);
        EngineError { blame: Blame::User, code: Some(error.kind()), message: error.to_string(), span, statement }
    }
}

impl From<CatalogError> for EngineError {
    fn from(error: CatalogError) -> Self {
        EngineError::user(error.0)
    }
}

impl From<TypeError> for EngineError {
    fn from(error: TypeError) -> Self {
        EngineError::user(error.to_string())
    }
}

impl From<StateError> for EngineError {
    fn from(error: StateError) -> Self {
        let blame = match error {
            StateError::Busy => Blame::External,
            _ => Blame::Internal,
        };
        EngineError { blame, ..EngineError::internal(error.to_string()) }
    }
}

impl From<StartError> for EngineError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Log(error) => error.into(),
            StartError::State(error) => error.into(),
            StartError::NotCopartitioned(message) | StartError::ReadTwice(message) => EngineError::user(message),
            StartError::StillEnding(_) | StartError::Abandoned | StartError::Swapped(_) => EngineError::user(error.to_string()),
            StartError::CalledOff | StartError::NoThread(_) => EngineError::external(error.to_string()),
            StartError::Plan(error) => EngineError::internal(error.0),
        }
    }
}
