//! What is wrong with an expression before any row.

use std::fmt;

use tidemill_parser::ast::Span;

/// An expression that can't be compiled: what is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// One or more sentences, without the place.
    pub message: String,
    pub span: Span,
    pub phase: Phase,
}

/// When an error is found. ksqlDB's messages begin differently for the two, and callers put that beginning before ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// While types are worked out.
    Types,
    /// While code is made; ksqlDB writes `Invalid Select: ` or `Invalid Predicate: ` before it.
    Code,
}

impl ExprError {
    /// An error in types.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        ExprError { message: message.into(), span, phase: Phase::Types }
    }

    /// An error in what the types are used for.
    pub fn code(message: impl Into<String>, span: Span) -> Self {
        ExprError { message: message.into(), span, phase: Phase::Code }
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExprError {}
