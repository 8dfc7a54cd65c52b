//! The typed syntax tree of the dialect.
//!
//! Every node that a user can get wrong carries a [`Span`]. Spans never take part in equality, so that
//! `parse(print(ast)) == ast` is a statement about meaning. Printing (`Display`) lives in [`crate::print`].

mod expr;
mod statement;
mod types;

pub use expr::{BinaryOp, CastTarget, ColumnRef, Expr, ExprKind, WhenClause};
pub use statement::*;
pub use types::{DataType, IntervalUnit};

/// A place in the statement's text: 1-based line and column, in characters.
#[derive(Debug, Clone, Copy, Default, Eq)]
pub struct Location {
    pub line: u32,
    pub column: u32,
}

/// From the first character of a node to one past its last.
#[derive(Debug, Clone, Copy, Default, Eq)]
pub struct Span {
    pub start: Location,
    pub end: Location,
}

impl PartialEq for Location {
    /// Always equal: places do not take part in the equality of trees.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl PartialEq for Span {
    /// Always equal: spans do not take part in the equality of trees.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// A name as the catalog knows it: unquoted names are already upper-cased, quoted ones keep their case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    pub name: String,
    pub span: Span,
}

impl Ident {
    /// A name without a place, for generated nodes.
    pub fn new(name: impl Into<String>) -> Self {
        Ident { name: name.into(), span: Span::default() }
    }
}
