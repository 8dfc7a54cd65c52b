//! Why something did not run, and how a run ended.

use tidemill_parser::ParseError;
use tidemill_parser::ast::Location;

use crate::client::ClientError;
use crate::shell::place::Source;
use crate::shell::screen::ScreenError;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// Something failed, and that was said.
    Failed,
    /// Ctrl-C.
    Interrupted,
    /// Whoever read the output has left.
    Unread,
    /// `exit`.
    Left,
}

impl Ending {
    /// The exit code, as shells give it: 128 and the signal's number where one ends a program.
    pub fn code(self) -> i32 {
        match self {
            Ending::Done | Ending::Left => 0,
            Ending::Failed => 1,
            Ending::Interrupted => 128 + 2,
            Ending::Unread => 128 + 13,
        }
    }
}

/// Why a statement did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Parse(ParseError),
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Other(String),
    #[error("{0}")]
    Screen(#[from] ScreenError),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// It was already said what failed.
    #[error("failed")]
    Said,
    /// `exit`.
    #[error("left")]
    Left,
}

impl Failure {
    /// What is wrong with the statement that begins at `start` of a text, with its place there.
    pub fn at(self, start: Location, source: Source<'_>) -> Self {
        match self {
            Failure::Parse(error) => Failure::Other(source.parser_says(&error)),
            Failure::Client(ClientError::Refused(_)) | Failure::Other(_) => Failure::Other(source.server_says(&self.to_string(), start)),
            other => other,
        }
    }
}
