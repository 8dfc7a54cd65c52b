//! What analysis finds wrong with a statement: everything at once, each with its place.

use std::fmt;

use tidemill_parser::ast::{Location, Span};

/// Whose error it is, as far as the wire's codes tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ErrorKind {
    /// The statement is wrong (400, 40001).
    #[default]
    Statement,
    /// The statement asks for what the world around it does not allow (400, 40000).
    Request,
    /// The statement needs a Schema Registry and none is configured (428, 42801).
    SchemaRegistry,
    /// Kafka's ACLs forbid it (403, 40301).
    Denied,
    /// What ksqlDB answers as an error of its own, though the statement is at fault (500, 50000).
    Server,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One or more sentences, without the place.
    pub message: String,
    /// Where in the text, if it has one place.
    pub span: Option<Span>,
    pub kind: ErrorKind,
    /// What was going on, said before the place. Empty for most; scripts look for ksqlDB's words in the others.
    pub stage: &'static str,
    /// What clients are told that the statement was, where that is not its text.
    pub statement: Option<String>,
    /// The statement is well formed, but for the types of its expressions.
    pub is_of_types: bool,
}

/// The stage at which names get their sources.
pub(crate) const QUALIFYING: &str = "Exception while preparing statement: ";
/// The stage before that: literals, properties, types.
pub(crate) const PREPARING: &str = "Failed to prepare statement: ";

impl Problem {
    pub fn new(message: impl Into<String>) -> Self {
        Problem { message: message.into(), span: None, kind: ErrorKind::Statement, stage: "", statement: None, is_of_types: false }
    }

    /// With what clients are told that the statement was.
    pub(crate) fn of_statement(mut self, statement: impl Into<String>) -> Self {
        self.statement = Some(statement.into());
        self
    }

    /// It is one of types.
    pub(crate) fn of_types(mut self) -> Self {
        self.is_of_types = true;
        self
    }

    /// With what was going on.
    pub(crate) fn while_(mut self, stage: &'static str) -> Self {
        self.stage = stage;
        self
    }

    /// With its place. A generated node's empty span is none.
    pub fn at(mut self, span: Span) -> Self {
        self.span = (span.start.line > 0).then_some(span);
        self
    }

    pub fn kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stage)?;
        match self.span {
            Some(Span { start: Location { line, column }, .. }) => write!(f, "Line: {line}, Col: {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a statement is refused: at least one problem, in the order of the statement's clauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysisError {
    pub problems: Vec<Problem>,
}

impl AnalysisError {
    pub fn one(problem: Problem) -> Self {
        AnalysisError { problems: vec![problem] }
    }

    /// The kind of the first problem, which decides the answer's code.
    pub fn kind(&self) -> ErrorKind {
        self.problems.first().map(|p| p.kind).unwrap_or_default()
    }

    /// As push queries are refused: what is wrong with types is found when ksqlDB has begun to make the query, and is told as an
    /// error of the request.
    pub(crate) fn of_push(mut self) -> Self {
        if let Some(first) = self.problems.first_mut().filter(|problem| problem.is_of_types) {
            first.kind = ErrorKind::Request;
        }
        self
    }

    /// What clients are told that the statement was, where that is not its text.
    pub fn statement(&self) -> Option<&str> {
        self.problems.first().and_then(|p| p.statement.as_deref())
    }

    /// Once a statement is understood, clients are told how: with names resolved and defaults filled in.
    pub(crate) fn understood(mut self, statement: impl FnOnce() -> Option<String>) -> Self {
        if let Some(first) = self.problems.first_mut()
            && first.kind == ErrorKind::Statement
            && first.stage.is_empty()
            && first.statement.is_none()
        {
            first.statement = statement();
        }
        self
    }
}

impl From<Problem> for AnalysisError {
    fn from(problem: Problem) -> Self {
        AnalysisError::one(problem)
    }
}

impl From<crate::catalog::CatalogError> for AnalysisError {
    fn from(error: crate::catalog::CatalogError) -> Self {
        AnalysisError::one(Problem::new(error.0))
    }
}

impl fmt::Display for AnalysisError {
    /// One problem after the other, each beginning a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for AnalysisError {}

/// Collects problems while analysis goes on.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// The query as far as its names could be resolved.
    pub printed: Option<tidemill_parser::ast::Query>,
}

impl Problems {
    /// Adds a problem; one that says the same of the same place is dropped.
    pub fn add(&mut self, problem: Problem) {
        let place = |p: &Problem| p.span.map(|s| (s.start.line, s.start.column));
        if !self.found.iter().any(|p| p.message == problem.message && place(p) == place(&problem)) {
            self.found.push(problem);
        }
    }

    /// Adds the problem of a failed result and goes on without its value.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|p| self.add(p)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The error of what was found; there must be something.
    pub fn error(&mut self) -> AnalysisError {
        AnalysisError { problems: std::mem::take(&mut self.found) }
    }

    /// The error, if anything was found.
    pub fn check(&mut self) -> Result<(), AnalysisError> {
        if self.found.is_empty() { Ok(()) } else { Err(self.error()) }
    }
}
