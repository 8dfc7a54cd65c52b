//! Rebuilding expressions: user types to types, whole parts to columns.

use tidemill_parser::ast::{CastTarget, ColumnRef, Expr, ExprKind};

use super::error::{PREPARING, Problem};
use crate::catalog::Catalog;

/// The expression with every user type resolved.
pub(crate) fn resolve_types(expr: Expr, catalog: &Catalog) -> Result<Expr, Problem> {
    let mut failed = None;
    let resolved = expr.transform(&mut |e| match e.kind {
        ExprKind::Cast { expr, to } => {
            let data_type = match catalog.resolve_type(&to.data_type) {
                Ok(sql_type) => sql_type.to_ast(),
                Err(error) => {
                    failed.get_or_insert(Problem::new(error.message).while_(PREPARING));
                    to.data_type
                }
            };
            Expr { kind: ExprKind::Cast { expr, to: CastTarget { data_type, span: to.span } }, span: e.span }
        }
        kind => Expr { kind, span: e.span },
    });
    failed.map_or(Ok(resolved), Err)
}

/// Rebuilds the tree top-down: what `f` gives for a node stands in its place, and its operands are not looked at.
pub(crate) fn replace(expr: Expr, f: &mut dyn FnMut(&Expr) -> Option<Expr>) -> Expr {
    match f(&expr) {
        Some(other) => other,
        None => expr.map_children(&mut |child| replace(child, f)),
    }
}

/// Calls `f` for every node, top-down; where it says `false`, not for the operands.
pub(crate) fn visit<'e>(expr: &'e Expr, f: &mut dyn FnMut(&'e Expr) -> bool) {
    if f(expr) {
        for child in expr.children() {
            visit(child, f);
        }
    }
}

/// Names of the columns in an expression with internal names. Parameters of lambdas are none, for no column may share
/// their names; those of the lambdas inside are left out.
pub(crate) fn columns(expr: &Expr) -> Vec<&str> {
    fn walk<'e>(expr: &'e Expr, params: &mut Vec<&'e str>, found: &mut Vec<&'e str>) {
        match &expr.kind {
            ExprKind::Column(column) if !params.contains(&column.name.name.as_str()) => found.push(&column.name.name),
            ExprKind::Lambda { params: own, body } => {
                let bound = params.len();
                params.extend(own.iter().map(|p| p.name.as_str()));
                walk(body, params, found);
                params.truncate(bound);
            }
            _ => expr.children().into_iter().for_each(|c| walk(c, params, found)),
        }
    }
    let mut found = Vec::new();
    walk(expr, &mut Vec::new(), &mut found);
    found
}

/// The expression as messages show it: columns without their sources.
pub(crate) fn unqualified(expr: &Expr) -> Expr {
    expr.clone().transform(&mut |e| match e.kind {
        ExprKind::Column(ColumnRef { source: Some(_), name }) => {
            Expr { kind: ExprKind::Column(ColumnRef { source: None, name }), span: e.span }
        }
        kind => Expr { kind, span: e.span },
    })
}
