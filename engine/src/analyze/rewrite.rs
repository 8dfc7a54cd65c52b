//! Rebuilding expressions: names to sources, user types to types, whole parts to columns.

use tidemill_parser::ast::{CastTarget, ColumnRef, Expr, ExprKind, Ident};

use super::error::{PREPARING, Problem, Problems};
use super::scope::{Clause, Scope};
use crate::catalog::Catalog;

/// Levels of an expression that analysis follows; the parser allows no more.
const MAX_DEPTH: usize = 512;

/// See [`Scope::qualify`].
pub(crate) fn qualify(scope: &Scope, expr: Expr, clause: Clause, problems: &mut Problems) -> Expr {
    Qualifier { scope, clause, problems, params: Vec::new(), depth: 0 }.expr(expr)
}

struct Qualifier<'a> {
    scope: &'a Scope,
    clause: Clause,
    problems: &'a mut Problems,
    /// Parameters of the lambdas around the expression.
    params: Vec<String>,
    depth: usize,
}

impl Qualifier<'_> {
    fn expr(&mut self, expr: Expr) -> Expr {
        let span = expr.span;
        if self.depth >= MAX_DEPTH {
            self.problems.add(Problem::new(format!("The expression is nested more than {MAX_DEPTH} levels deep.")).at(span));
            return expr;
        }
        self.depth += 1;
        let rebuilt = match expr.kind {
            ExprKind::Column(column) => Expr { kind: ExprKind::Column(self.column(column, span)), span },
            ExprKind::Lambda { params, body } => {
                let bound = self.params.len();
                self.params.extend(params.iter().map(|p| p.name.clone()));
                self.check_params(&params);
                let body = Box::new(self.expr(*body));
                self.params.truncate(bound);
                Expr { kind: ExprKind::Lambda { params, body }, span }
            }
            ExprKind::Cast { expr, to } => {
                let data_type = match self.scope.catalog.resolve_type(&to.data_type) {
                    Ok(sql_type) => sql_type.to_ast(),
                    Err(error) => {
                        self.problems.add(Problem::new(error.message).while_(PREPARING));
                        to.data_type
                    }
                };
                let expr = Box::new(self.expr(*expr));
                Expr { kind: ExprKind::Cast { expr, to: CastTarget { data_type, span: to.span } }, span }
            }
            kind => Expr { kind, span }.map_children(&mut |child| self.expr(child)),
        };
        self.depth -= 1;
        rebuilt
    }

    fn column(&mut self, column: ColumnRef, span: tidemill_parser::ast::Span) -> ColumnRef {
        if column.source.is_none() && self.params.contains(&column.name.name) {
            return column;
        }
        match self.scope.resolve(&column, span, self.clause) {
            Ok(Some(alias)) => ColumnRef { source: Some(Ident::new(alias)), name: column.name },
            Ok(None) => ColumnRef { source: None, name: column.name },
            Err(problem) => {
                self.problems.add(problem);
                column
            }
        }
    }

    /// A parameter that hides a column is refused: which of them is meant should be plain to see.
    fn check_params(&mut self, params: &[Ident]) {
        let twice = params.iter().enumerate().find(|(i, p)| params.iter().take(*i).any(|q| q.name == p.name));
        if let Some((_, param)) = twice {
            let names: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
            self.problems.add(Problem::new(format!("Lambda arguments have duplicates: [{}]", names.join(", "))).at(param.span));
        }
        for param in params {
            if self.scope.sides.iter().any(|s| s.has(&param.name)) {
                let message = format!("Lambda function argument can't be a column name: {}", param.name);
                self.problems.add(Problem::new(message).at(param.span));
            }
        }
    }
}

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
