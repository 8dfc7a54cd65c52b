//! Names as written to names with their sources, and user types to types, through a whole expression.

use tidemill_parser::ast::{CastTarget, ColumnRef, Expr, ExprKind, Ident, Span};

use super::error::{PREPARING, Problem, Problems};
use super::scope::{Clause, Scope};

/// Levels of an expression that analysis follows; the parser allows no more.
const MAX_DEPTH: usize = 512;

impl Scope {
    /// The expression with every column qualified and every user type resolved. Names that can't be are left as they are
    /// and go to `problems`.
    pub fn qualify(&self, expr: &Expr, clause: Clause, problems: &mut Problems) -> Expr {
        Qualifier { scope: self, clause, problems, params: Vec::new(), depth: 0 }.expr(expr.clone())
    }
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

    fn column(&mut self, column: ColumnRef, span: Span) -> ColumnRef {
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
