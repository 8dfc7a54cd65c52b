//! Parts of an expression that sqlparser's tree has no place for, kept aside until conversion.

use sqlparser::ast::{Expr, Value};

use crate::ast::{CastTarget, Ident, IntervalUnit, Span};
use crate::tokens::sql_span;

use super::KsqlDialect;

/// A part kept aside: its operands are still sqlparser's.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Call { name: Ident, args: Vec<Expr> },
    Lambda { params: Vec<Ident>, body: Expr },
    Cast { expr: Expr, to: CastTarget },
    Array(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Struct(Vec<(Ident, Expr)>),
    Star,
    Unit(IntervalUnit),
}

impl KsqlDialect {
    /// Keeps a node; gives what stands for it in sqlparser's tree.
    pub(super) fn keep(&self, kind: NodeKind, span: Span) -> Expr {
        let mut nodes = self.nodes.borrow_mut();
        let index = nodes.len();
        nodes.push(Some(Node { kind, span }));
        Expr::Value(Value::Placeholder(index.to_string()).with_span(sql_span(span)))
    }

    /// The node that a placeholder stands for. Each is asked for once.
    pub(super) fn take(&self, placeholder: &str) -> Option<Node> {
        let index: usize = placeholder.parse().ok()?;
        self.nodes.borrow_mut().get_mut(index)?.take()
    }
}
