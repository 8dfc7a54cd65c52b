//! Contexts: namespaces of subjects and ids. A subject `:.name:rest` is in the context `.name`; one without such a prefix is
//! in the default context.

use super::OwnError;

/// The context of subjects that name none.
pub const DEFAULT_CONTEXT: &str = ".";
/// Stands for all contexts where a prefix of subjects is asked for.
pub(super) const ALL_CONTEXTS: &str = ":*:";
/// Bytes of a subject at most.
const MAX_SUBJECT_BYTES: usize = 1_000;
/// Subjects that mean something else.
const RESERVED: [&str; 2] = ["__GLOBAL", "__EMPTY"];

/// The context and the rest of a subject.
pub(super) fn parted(subject: &str) -> (&str, &str) {
    match subject.strip_prefix(':').and_then(|rest| rest.split_once(':')) {
        Some((context, rest)) if context.starts_with('.') => (context, rest),
        _ => (DEFAULT_CONTEXT, subject),
    }
}

/// The context of a subject.
pub(super) fn context_of(subject: &str) -> &str {
    parted(subject).0
}

/// A subject in a context.
pub fn qualified(context: &str, subject: &str) -> String {
    if context == DEFAULT_CONTEXT { subject.to_owned() } else { format!(":{context}:{subject}") }
}

/// A subject as it is kept: without the default context's prefix.
pub(super) fn normal(subject: &str) -> &str {
    match parted(subject) {
        (DEFAULT_CONTEXT, rest) => rest,
        _ => subject,
    }
}

/// # Errors
/// Nothing can be registered under it.
pub(super) fn check(subject: &str) -> Result<(), OwnError> {
    let (context, rest) = parted(subject);
    let is_wrong = rest.is_empty()
        || subject.len() > MAX_SUBJECT_BYTES
        || RESERVED.contains(&rest)
        || subject.chars().any(char::is_control)
        || (context != DEFAULT_CONTEXT && !context.chars().skip(1).all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')));
    if is_wrong { Err(OwnError::InvalidSubject(subject.chars().take(MAX_SUBJECT_BYTES).collect())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_parted() {
        for (subject, context, rest) in [
            ("a-value", ".", "a-value"),
            (":.c:a", ".c", "a"),
            (":.:a", ".", "a"),
            (":a", ".", ":a"),
            (":x:a", ".", ":x:a"),
            (":.c:", ".c", ""),
        ] {
            assert_eq!(parted(subject), (context, rest), "{subject}");
        }
        assert_eq!((normal(":.:a"), normal(":.c:a"), normal("a")), ("a", ":.c:a", "a"));
        assert_eq!((qualified(".", "a").as_str(), qualified(".c", "a").as_str()), ("a", ":.c:a"));
        for wrong in ["", ":.c:", "__GLOBAL", "a\nb", ":.a b:c"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert!(check(":.c:a b").is_ok());
    }
}
