//! GROUP BY, aggregates and HAVING: what is grouped, what is calculated, and that nothing else is asked for.

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind, Ident, Span};

use super::aliases::Aliases;
use super::error::{Problem, Problems};
use super::keys::list;
use super::projection::{self, Item};
use super::rewrite;
use super::scope::{Scope, is_window_bound};
use super::typing;

/// What the columns of aggregates are called.
const AGGREGATE_PREFIX: &str = "KSQL_AGG_VARIABLE_";

/// A group expression.
#[derive(Debug, Clone)]
pub(crate) struct GroupKey {
    /// Qualified.
    pub expr: Expr,
    /// Name of the key column in the plan.
    pub name: String,
}

/// An aggregate's call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Internal names; `COUNT(*)` is `COUNT(ROWTIME)` here.
    pub expr: Expr,
    /// Name of the result's column in the plan.
    pub name: String,
    /// As messages show it.
    pub shown: String,
}

/// The aggregation of a query.
#[derive(Debug, Clone)]
pub(crate) struct Aggregation {
    pub keys: Vec<GroupKey>,
    pub calls: Vec<Call>,
    /// Whether everything that is asked of the result is in it. What is not was reported, and would be unknown behind the
    /// aggregation: there is no need to say so again.
    pub covers: bool,
}

/// Whether an expression calls an aggregate anywhere.
pub(crate) fn has_aggregate(expr: &Expr) -> bool {
    let mut found = false;
    rewrite::visit(expr, &mut |e| {
        found |= is_aggregate_call(e);
        !found
    });
    found
}

/// Whether an expression calls a function that there is not.
fn calls_unknown(expr: &Expr) -> bool {
    let mut found = false;
    rewrite::visit(expr, &mut |e| {
        found |= matches!(&e.kind, ExprKind::Call { name, .. } if typing::is_unknown(&name.name));
        !found
    });
    found
}

fn is_aggregate_call(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { name, .. } if typing::is_aggregate(&name.name))
}

/// The input of [`read`].
pub(crate) struct Clauses<'a> {
    /// Qualified group expressions; `None` without GROUP BY.
    pub group_by: Option<&'a [Expr]>,
    /// There is no GROUP BY, and `group_by` is a constant: all rows are one group.
    pub all_rows: bool,
    pub items: &'a [Item],
    /// Qualified.
    pub having: Option<&'a Expr>,
    /// The query has a WINDOW clause.
    pub windowed: bool,
    /// `CREATE TABLE AS SELECT statement`, or what else the query is.
    pub statement: &'static str,
}

/// Reads the aggregation of a query that has GROUP BY or calls aggregates.
pub(crate) fn read(clauses: &Clauses<'_>, scope: &Scope, problems: &mut Problems) -> Aggregation {
    let mut reader = Reader { clauses, scope, calls: Vec::new(), problems };
    reader.check_group_by();
    let exprs = clauses.items.iter().map(|i| &i.expr).chain(clauses.having);
    exprs.for_each(|e| reader.collect(e));
    let covers = reader.check_rest();
    let calls = std::mem::take(&mut reader.calls);
    let keys = name_keys(clauses, scope, &calls);
    Aggregation { keys, calls, covers }
}

struct Reader<'a, 'p> {
    clauses: &'a Clauses<'a>,
    scope: &'a Scope,
    calls: Vec<Call>,
    problems: &'p mut Problems,
}

impl Reader<'_, '_> {
    fn check_group_by(&mut self) {
        let exprs = self.clauses.group_by.unwrap_or_default();
        for (i, expr) in exprs.iter().enumerate() {
            if exprs.iter().take(i).any(|e| e == expr) {
                self.problems.add(Problem::new(format!("Duplicate GROUP BY expression: {expr}")).at(expr.span));
            }
            rewrite::visit(expr, &mut |e| {
                if let ExprKind::Call { name, .. } = &e.kind {
                    let kind = match &name.name {
                        n if typing::is_aggregate(n) => "aggregate",
                        n if typing::is_table_function(n) => "table",
                        _ => return true,
                    };
                    let name = &name.name;
                    let message = format!("GROUP BY does not support {kind} functions: {name} is {} {kind} function.", article(kind));
                    self.problems.add(Problem::new(message).at(e.span));
                }
                true
            });
            self.refuse_own_bounds(expr);
        }
        if self.clauses.group_by.is_some_and(<[Expr]>::is_empty) {
            self.problems.add(Problem::new("GROUP BY requires at least one expression"));
        }
    }

    /// Finds the aggregates of an expression.
    fn collect(&mut self, expr: &Expr) {
        let ExprKind::Call { name, args } = &expr.kind else {
            expr.children().into_iter().for_each(|c| self.collect(c));
            return;
        };
        if typing::is_table_function(&name.name) {
            self.problems.add(Problem::new("Table functions cannot be used with aggregations.").at(expr.span));
        }
        if !typing::is_aggregate(&name.name) {
            args.iter().for_each(|c| self.collect(c));
            return;
        }
        for arg in args {
            self.check_argument(&name.name, arg);
        }
        let call = self.normal(expr);
        if !self.calls.iter().any(|c| c.expr == call) {
            let shown = call.to_string();
            let name = format!("{AGGREGATE_PREFIX}{}", self.calls.len());
            self.calls.push(Call { expr: call, name, shown });
        }
    }

    fn check_argument(&mut self, outer: &str, arg: &Expr) {
        rewrite::visit(arg, &mut |e| {
            if let ExprKind::Call { name, .. } = &e.kind
                && typing::is_aggregate(&name.name)
            {
                let message = format!("Aggregate functions can not be nested: {outer}({}())", name.name);
                self.problems.add(Problem::new(message).at(e.span));
            }
            true
        });
        self.refuse_own_bounds(arg);
    }

    /// Bounds of the query's own windows are known only behind the aggregation.
    fn refuse_own_bounds(&mut self, expr: &Expr) {
        rewrite::visit(expr, &mut |e| {
            if let Some(name) = own_bound(e) {
                self.problems.add(own_bound_problem(name, e.span));
            }
            true
        });
    }

    /// A call with internal names, and with ROWTIME for a missing argument or a star: every row has one.
    fn normal(&self, call: &Expr) -> Expr {
        normal(self.scope, call)
    }

    /// Everything outside of aggregates must follow from the group expressions; whether it does.
    fn check_rest(&mut self) -> bool {
        let keys = self.clauses.group_by.unwrap_or_default();
        let mut unmatched: Vec<String> = Vec::new();
        for item in self.clauses.items {
            let own_bound = self.clauses.windowed && projection::is_bound(item);
            if !own_bound && !self.follows(&item.expr, keys) {
                let text = rewrite::unqualified(&item.expr).to_string();
                if !unmatched.contains(&text) {
                    unmatched.push(text);
                }
            }
        }
        let group_by = self.clauses.group_by.is_some() && !self.clauses.all_rows;
        if self.calls.is_empty() && group_by {
            let message = "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.";
            self.problems.add(Problem::new(message));
        } else if !unmatched.is_empty() && !group_by {
            let calls: Vec<&str> = self.calls.iter().map(|c| c.shown.as_str()).collect();
            self.problems.add(Problem::new(format!(
                "Non-aggregate SELECT expression(s) not part of GROUP BY: {loose}\nThe query has no GROUP BY clause, which the aggregate \
                 function [{}] needs: add GROUP BY {loose}, or remove {loose} from the SELECT and group by something else.",
                calls.join(", "),
                loose = unmatched.join(", "),
            )));
        } else if !unmatched.is_empty() {
            self.problems.add(Problem::new(format!(
                "Non-aggregate SELECT expression(s) not part of GROUP BY: {}\nEither add the column(s) to the GROUP BY or remove them from \
                 the SELECT.",
                unmatched.join(", ")
            )));
        } else if self.clauses.group_by.is_none() && !self.calls.is_empty() {
            let calls: Vec<&str> = self.calls.iter().map(|c| c.shown.as_str()).collect();
            self.problems.add(Problem::new(format!(
                "{} does not support aggregate function [{}] without a GROUP BY clause.",
                self.clauses.statement,
                calls.join(", ")
            )));
        }
        // A name that may have been meant for an aggregate is told beside the want of one.
        let may_be_meant = || self.clauses.items.iter().any(|item| calls_unknown(&item.expr));
        let covers = unmatched.is_empty() || (self.calls.is_empty() && (!group_by || may_be_meant()));
        let Some(having) = self.clauses.having else { return covers };
        self.refuse_own_bounds(having);
        let mut loose: Vec<String> = Vec::new();
        outside_columns(having, keys, &mut |column| {
            let text = rewrite::unqualified(column).to_string();
            if !is_window_bound(&text) && !loose.contains(&text) {
                loose.push(text);
            }
        });
        let group_by = self.clauses.group_by.is_some();
        if !loose.is_empty() && group_by {
            let message = format!("Non-aggregate HAVING expression not part of GROUP BY: {}", list(&loose, "and"));
            self.problems.add(Problem::new(message).at(having.span));
        }
        covers && (loose.is_empty() || !group_by)
    }

    /// Whether a select item is made of nothing but group expressions, aggregates and constants.
    fn follows(&self, expr: &Expr, keys: &[Expr]) -> bool {
        let mut loose = false;
        outside_columns(expr, keys, &mut |c| loose |= !(self.clauses.windowed && own_bound(c).is_some()));
        !loose
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with('a') { "an" } else { "a" }
}

/// The name of a bound of the query's own windows: those stay without a source.
fn own_bound(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Column(ColumnRef { source: None, name }) if is_window_bound(&name.name) => Some(&name.name),
        _ => None,
    }
}

fn own_bound_problem(name: &str, span: Span) -> Problem {
    Problem::new(format!(
        "Window bounds column {name} can only be used in the SELECT clause of windowed aggregations and can not be passed to aggregate \
         functions.\nSee https://github.com/confluentinc/ksql/issues/4397"
    ))
    .at(span)
    .of_types()
}

/// Shows every column outside of aggregates, except within parts that are one of `keys`.
fn outside_columns(expr: &Expr, keys: &[Expr], f: &mut dyn FnMut(&Expr)) {
    fn walk(expr: &Expr, keys: &[Expr], params: &mut Vec<String>, f: &mut dyn FnMut(&Expr)) {
        if keys.contains(expr) || is_aggregate_call(expr) {
            return;
        }
        match &expr.kind {
            ExprKind::Column(c) if c.source.is_some() || !params.contains(&c.name.name) => f(expr),
            ExprKind::Lambda { params: own, body } => {
                let bound = params.len();
                params.extend(own.iter().map(|p| p.name.clone()));
                walk(body, keys, params, f);
                params.truncate(bound);
            }
            _ => expr.children().into_iter().for_each(|c| walk(c, keys, params, f)),
        }
    }
    walk(expr, keys, &mut Vec::new(), f);
}

fn normal(scope: &Scope, call: &Expr) -> Expr {
    let internal = scope.internal(call);
    match internal.kind {
        ExprKind::Call { name, args } => {
            let counts_rows = match args.as_slice() {
                [] => name.name == "COUNT",
                [only] => only.kind == ExprKind::Star,
                _ => false,
            };
            let args = if counts_rows { vec![Expr::column("ROWTIME")] } else { args };
            Expr { kind: ExprKind::Call { name, args }, span: internal.span }
        }
        kind => Expr { kind, span: internal.span },
    }
}

/// Names the key columns: a column keeps its name, an expression takes that of the select item that shows it, unless that is also
/// the name of a column that is aggregated, which it must not hide.
fn name_keys(clauses: &Clauses<'_>, scope: &Scope, calls: &[Call]) -> Vec<GroupKey> {
    let mut aliases = Aliases::new(scope);
    let is_read = |name: &String| calls.iter().any(|call| rewrite::columns(&call.expr).contains(&name.as_str()));
    let mut keys: Vec<GroupKey> = Vec::new();
    for expr in clauses.group_by.unwrap_or_default() {
        let shown = clauses.items.iter().find(|i| i.expr == *expr).map(|i| i.name.clone());
        let name = match &expr.kind {
            ExprKind::Column(ColumnRef { source: Some(alias), name }) => scope.internal_name(&alias.name, &name.name),
            _ => shown.filter(|name| !is_read(name)).unwrap_or_else(|| aliases.for_key(scope, expr, &is_read)),
        };
        let name = if keys.iter().any(|k| k.name == name) { aliases.generated() } else { name };
        keys.push(GroupKey { expr: expr.clone(), name });
    }
    keys
}

impl Aggregation {
    /// A qualified expression over the aggregation's result: group expressions and aggregates become columns.
    pub fn over_result(&self, scope: &Scope, expr: &Expr) -> Expr {
        let replaced = rewrite::replace(expr.clone(), &mut |e| {
            if let Some(key) = self.keys.iter().find(|k| k.expr == *e) {
                return Some(named(&key.name, e.span));
            }
            if !is_aggregate_call(e) {
                return None;
            }
            let call = normal(scope, e);
            self.calls.iter().find(|c| c.expr == call).map(|c| named(&c.name, e.span))
        });
        scope.internal(&replaced)
    }
}

fn named(name: &str, span: Span) -> Expr {
    Expr { kind: ExprKind::Column(ColumnRef { source: None, name: Ident::new(name) }), span }
}
