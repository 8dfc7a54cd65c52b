//! Why a record was left out.

use crate::processing_log::ProcessingErrorKind;

/// Why a record, or a part of what came of it, was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterKind {
    /// Its key or value could not be decoded.
    Undecodable,
    /// An expression failed on it, or it has a time that nothing can be done with. A failed column is null and the row goes on.
    Failed,
    /// What came of it could not be written.
    Unwritable,
    /// It came after all windows that it belongs to were closed.
    Late,
    /// It has no key where one is needed, or belongs to no group.
    NullKey,
}

impl LetterKind {
    /// Every kind, in the order of its number.
    pub const ALL: [LetterKind; 5] = [Self::Undecodable, Self::Failed, Self::Unwritable, Self::Late, Self::NullKey];

    /// Its name in settings, headers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Failed => "failed",
            Self::Unwritable => "unwritable",
            Self::Late => "late",
            Self::NullKey => "null_key",
        }
    }

    pub fn named(name: &str) -> Option<LetterKind> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name.trim()))
    }

    /// What an entry of the processing log stands for, where nothing more is known.
    pub fn of(error: ProcessingErrorKind) -> LetterKind {
        match error {
            ProcessingErrorKind::Deserialization => Self::Undecodable,
            ProcessingErrorKind::RecordProcessing | ProcessingErrorKind::KafkaStreamsThread => Self::Failed,
            ProcessingErrorKind::Production | ProcessingErrorKind::Serialization => Self::Unwritable,
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// The names of the kinds that [`Kinds::default`] has, as a value of the setting.
    pub const DEFAULT: &str = "undecodable,failed,unwritable";

    /// The kinds that a list names, by commas.
    ///
    /// # Errors
    /// The name that is none.
    pub fn parse(list: &str) -> Result<Kinds, String> {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| LetterKind::named(name).ok_or_else(|| name.to_owned())).try_fold(Kinds(0), |kinds, kind| Ok(kinds.with(kind?)))
    }

    #[must_use]
    pub fn with(self, kind: LetterKind) -> Kinds {
        Kinds(self.0 | 1 << kind as u8)
    }

    pub fn contains(self, kind: LetterKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Default for Kinds {
    /// What is lost for a fault, and not because the query says so.
    fn default() -> Self {
        Kinds(0).with(LetterKind::Undecodable).with(LetterKind::Failed).with(LetterKind::Unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names() {
        for kind in LetterKind::ALL {
            assert_eq!(LetterKind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kinds::parse(Kinds::DEFAULT), Ok(Kinds::default()));
        let some = Kinds::parse(" Late , null_key,").unwrap();
        assert!(some.contains(LetterKind::Late) && some.contains(LetterKind::NullKey) && !some.contains(LetterKind::Failed));
        assert!(Kinds::parse("").unwrap().is_empty());
        assert_eq!(Kinds::parse("late,lost"), Err("lost".to_owned()));
    }
}
