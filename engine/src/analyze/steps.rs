//! Building steps one on the other, with their types worked out on the way.

use tidemill_parser::ast::Expr;

use super::error::{Problem, Problems};
use super::typing::{self, Place};
use crate::plan::{NamedExpr, Step, StepKind};
use crate::types::{Column, Schema, SqlType};

/// Texts to put in place of generated names in messages: what stands in the plan, and what the user wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub pairs: Vec<(String, String)>,
}

impl Shown {
    fn restore(&self, mut problem: Problem) -> Problem {
        // Longer names first, for one may begin with another.
        let mut pairs: Vec<&(String, String)> = self.pairs.iter().collect();
        pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, text) in pairs {
            problem.message = problem.message.replace(name.as_str(), text);
        }
        problem
    }
}

/// The type of an expression over what a step puts out. A null without a type is a problem.
pub(crate) fn column_type(expr: &Expr, input: &Step, place: Place, shown: &Shown, problems: &mut Problems) -> Option<SqlType> {
    let found = typing::over_step(expr, input, place).and_then(|t| t.ok_or_else(|| typing::untyped_null(expr)));
    problems.take(found.map_err(|p| shown.restore(p)))
}

/// Keeps rows for which `predicate` (with internal names) is true.
pub(crate) fn filter(input: Step, predicate: &Expr, place: Place, shown: &Shown, problems: &mut Problems) -> Step {
    match typing::over_step(predicate, &input, place) {
        Ok(Some(SqlType::Boolean)) => {}
        Ok(other) => {
            let got = other.map_or("null".to_string(), |t| t.to_string());
            let message =
                format!("Type error in {} expression: Should evaluate to boolean but is {predicate} ({got}) instead.", place.clause_name());
            problems.add(shown.restore(Problem::new(message).at(predicate.span)));
        }
        Err(problem) => problems.add(shown.restore(problem)),
    }
    let schema = input.schema.clone();
    Step { kind: StepKind::Filter { input: Box::new(input), predicate: predicate.to_string(), deletes_unmatched: false }, schema }
}

/// Computes value columns; key columns get `key_names`.
pub(crate) fn select(input: Step, key_names: Vec<String>, items: Vec<(Column, Expr)>) -> Step {
    let key = input.schema.key.iter().zip(&key_names).map(|(c, name)| Column::new(name.clone(), c.sql_type.clone())).collect();
    let (value, items) = items.into_iter().map(|(c, e)| (c.clone(), NamedExpr { name: c.name, expr: e.to_string() })).unzip();
    Step { kind: StepKind::Select { input: Box::new(input), key_names, items }, schema: Schema { key, value } }
}

/// The columns of `schema` that are in `needed`, as value columns; those named in `except` are left out.
pub(crate) fn pick(schema: &Schema, needed: &std::collections::BTreeSet<String>, except: &[Column]) -> Vec<Column> {
    let is_wanted = |c: &&Column| needed.contains(&c.name) && !except.iter().any(|k| k.name == c.name);
    // A value column hides a key column of its name.
    let keys = schema.key.iter().filter(|k| !schema.value.iter().any(|v| v.name == k.name));
    schema.value.iter().chain(keys).filter(is_wanted).cloned().collect()
}
