//! What is said of a query that can't be answered.

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use tidemill_engine::EngineError;
use tidemill_engine::engine::Blame;
use tidemill_parser::ast::{Location, Span};
use tidemill_parser::did_you_mean;

/// A query that was refused or broke off.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    pub kind: QueryErrorKind,
    pub message: String,
    /// Where in the query's text.
    pub span: Option<Span>,
}

/// Whose matter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The query is wrong.
    User,
    /// It came to a limit of memory or time.
    Limit,
    /// Something outside is away; the same query may be answered later.
    External,
    /// A defect of ours.
    Internal,
}

impl QueryError {
    pub fn user(message: impl Into<String>) -> Self {
        QueryError { kind: QueryErrorKind::User, message: message.into(), span: None }
    }

    pub fn limit(message: impl Into<String>) -> Self {
        QueryError { kind: QueryErrorKind::Limit, ..Self::user(message) }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        QueryError { kind: QueryErrorKind::Internal, ..Self::user(message) }
    }

    pub fn at(self, span: Span) -> Self {
        QueryError { span: Some(span), ..self }
    }

    /// With the line that it stands in, if it has a place or the text has one for what it names.
    pub fn quoting(mut self, text: &str) -> Self {
        if self.kind == QueryErrorKind::User {
            self.span = self.span.or_else(|| crate::place::place(&self.message, text));
        }
        let Some(Location { line, column }) = self.span.map(|span| span.start) else { return self };
        if line == 0 {
            return self;
        }
        let quoted = usize::try_from(line - 1).ok().and_then(|line| text.lines().nth(line)).unwrap_or_default();
        // A line of any length would hide what is said of it.
        let quoted: String = quoted.chars().take(MAX_QUOTED_CHARS).collect();
        let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
        self.message = format!("line {line}:{column}: {}\nStatement: {quoted}", self.message);
        if before < MAX_QUOTED_CHARS {
            self.message.push_str(&format!("\n           {}^", " ".repeat(before)));
        }
        self
    }
}

/// Characters of a line that are quoted at most.
const MAX_QUOTED_CHARS: usize = 400;

impl From<EngineError> for QueryError {
    fn from(error: EngineError) -> Self {
        let kind = match error.blame {
            Blame::User => QueryErrorKind::User,
            Blame::External => QueryErrorKind::External,
            Blame::Internal => QueryErrorKind::Internal,
        };
        QueryError { kind, message: error.message, span: error.span }
    }
}

/// An error of ours on its way through DataFusion.
pub(crate) fn external(error: impl Into<QueryError>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

/// What DataFusion says, in the dialect's words. `limit` says which memory there is.
pub(crate) fn told(error: &DataFusionError, memory_bytes: usize) -> QueryError {
    let span = error.diagnostic().and_then(place);
    let told = match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<QueryError>() {
            Some(own) => own.clone(),
            None => QueryError::user(inner.to_string()),
        },
        DataFusionError::SchemaError(schema, _) => QueryError::user(schema_error(schema)),
        DataFusionError::ResourcesExhausted(message) => QueryError::limit(format!(
            "The query came to the limit of the memory that queries share ({memory_bytes} bytes): {}. Raise tidemill.query.memory.bytes, or \
             ask for less at a time",
            message.lines().next().unwrap_or_default().trim_end_matches('.')
        )),
        DataFusionError::Plan(message) => QueryError::user(plain(message)),
        DataFusionError::NotImplemented(message) => QueryError::user(format!("Not supported: {}", plain(message))),
        DataFusionError::Execution(message) => QueryError::user(plain(message)),
        DataFusionError::ArrowError(inner, _) if matches!(**inner, ArrowError::DivideByZero) => {
            QueryError::user(format!("{inner}. NULLIF(divisor, 0) as the divisor gives null instead"))
        }
        DataFusionError::ArrowError(inner, _) => QueryError::user(with_own_types(&inner.to_string())),
        DataFusionError::SQL(inner, _) => QueryError::user(inner.to_string()),
        DataFusionError::Internal(message) if of_function(message).is_some() => QueryError::user(plain(message)),
        DataFusionError::Internal(message) => QueryError::internal(format!("The query could not be planned: {}", plain(message))),
        other => QueryError::user(plain(&other.strip_backtrace())),
    };
    match (told.span, span) {
        (None, Some(span)) => told.at(span),
        _ => told,
    }
}

fn place(diagnostic: &Diagnostic) -> Option<Span> {
    let found = diagnostic.span.or_else(|| diagnostic.notes.iter().find_map(|note| note.span))?;
    let location = |line: u64, column: u64| Location {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    };
    Some(Span { start: location(found.start.line, found.start.column), end: location(found.end.line, found.end.column) })
}

fn schema_error(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
            let shown = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => field.name.clone(),
            };
            let hint = did_you_mean(&field.name, names.iter().copied()).map(|near| format!(" Did you mean '{near}'?"));
            // Where the name is right, its source is not.
            let hint = hint.or_else(|| {
                let same = valid_fields.iter().find(|column| column.name == field.name)?;
                same.relation.as_ref().map(|relation| format!(" There is {}.{}.", relation.table(), same.name))
            });
            format!("Column '{shown}' cannot be resolved.{}", hint.unwrap_or_default())
        }
        SchemaError::AmbiguousReference { field } => {
            format!("Column '{}' is ambiguous. Say of which source it is: source.{}", field.name, field.name)
        }
        other => plain(&other.to_string()),
    }
}

/// What is said of a function that is not there, or not for such arguments.
fn of_function(message: &str) -> Option<String> {
    if let Some(rest) = message.strip_prefix("Invalid function '") {
        let mut names = rest.split('\'').step_by(2);
        let (name, near) = (names.next()?, names.next());
        let hint = near.filter(|near| !near.is_empty()).map(|near| format!(" Did you mean '{}'?", near.to_uppercase()));
        return Some(format!("Can't find any functions with the name '{}'.{}", name.to_uppercase(), hint.unwrap_or_default()));
    }
    let (_, call) = message.split_once("No function matches the given name and argument types '")?;
    let (name, arguments) = call.split_once("'").map_or(call, |(call, _)| call).split_once('(')?;
    let arguments = arguments.trim_end_matches(')');
    Some(format!("Function '{}' does not accept parameters ({arguments}).", name.to_uppercase()))
}

/// Arrow's names of types, and the dialect's.
const TYPES: [(&str, &str); 9] = [
    ("Utf8View", "STRING"),
    ("LargeUtf8", "STRING"),
    ("Utf8", "STRING"),
    ("Int64", "BIGINT"),
    ("Int32", "INTEGER"),
    ("Float64", "DOUBLE"),
    ("Boolean", "BOOLEAN"),
    ("Date32", "DATE"),
    ("Binary", "BYTES"),
];

/// With the dialect's names of types, where Arrow's stand as words.
fn with_own_types(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(word.len());
        let (word, behind) = word.split_at(end);
        shown.push_str(before);
        shown.push_str(TYPES.iter().find(|(arrow, _)| *arrow == word).map_or(word, |(_, own)| own));
        rest = behind;
    }
    shown + rest
}

/// Without what DataFusion puts before and behind its messages.
fn plain(message: &str) -> String {
    if let Some(said) = of_function(message) {
        return with_own_types(&said);
    }
    let message = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let message = message.trim_start_matches("Error during planning: ").trim_start_matches("Execution error: ");
    with_own_types(&message.replace("tidemill.public.", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_in_the_words_of_the_dialect() {
        for (given, expected) in [
            ("Invalid function 'lenn'.\nDid you mean 'len'?", "Can't find any functions with the name 'LENN'. Did you mean 'LEN'?"),
            (
                "Internal error: Function 'sum' failed. No function matches the given name and argument types 'sum(Utf8)'. You might need …",
                "Function 'SUM' does not accept parameters (STRING).",
            ),
            (
                "Cannot coerce arithmetic expression Utf8 + Int64 to valid types",
                "Cannot coerce arithmetic expression STRING + BIGINT to valid types",
            ),
            ("Column Int64x and my_Utf8", "Column Int64x and my_Utf8"),
        ] {
            assert_eq!(plain(given), expected);
        }
    }
}
