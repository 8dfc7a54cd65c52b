//! Which version of a subject is meant.

use super::OwnError;

/// A version by its number, or the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionId {
    Latest,
    Number(i32),
}

impl VersionId {
    /// `latest`, `-1` for the same, or a number from 1.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Self, OwnError> {
        match text.trim() {
            "-1" => Ok(VersionId::Latest),
            text if text.eq_ignore_ascii_case("latest") => Ok(VersionId::Latest),
            text => text
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .map(VersionId::Number)
                .ok_or_else(|| OwnError::InvalidVersion(text.to_owned())),
        }
    }

    /// As it is shown: the newest is -1.
    pub fn number(self) -> i32 {
        match self {
            VersionId::Latest => -1,
            VersionId::Number(number) => number,
        }
    }
}
