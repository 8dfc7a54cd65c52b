//! Which select items carry the key of the result. A sink needs each key column exactly once.

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind};

use super::error::{Problem, Problems};
use super::projection::Item;
use super::rewrite;
use super::scope::Scope;

/// Where a query's key comes from; it decides what messages call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOrigin {
    Source,
    PartitionBy,
    GroupBy,
    Join,
    /// A join on a foreign key: the key of the left table stays.
    ForeignKey,
}

/// A column of the key before the projection.
#[derive(Debug, Clone)]
pub(crate) struct KeyColumn {
    /// Qualified expressions that all stand for the key, best first. Only a join gives more than one.
    pub exprs: Vec<Expr>,
    /// Further ones that are equal to it, and are taken where none of the others is there; messages don't name them.
    pub equals: Vec<Expr>,
    /// The column's name in the plan.
    pub internal: String,
}

impl KeyColumn {
    /// A column that one expression stands for.
    pub fn new(expr: Expr, internal: String) -> Self {
        KeyColumn { exprs: vec![expr], equals: Vec::new(), internal }
    }
}

/// For each key column the item that carries it; what is missing or doubled goes to `problems`. A name for each key
/// column comes back in any case, so that analysis can go on.
pub(crate) fn matched(
    keys: &[KeyColumn],
    items: &[Item],
    origin: KeyOrigin,
    scope: &Scope,
    sink: &str,
    problems: &mut Problems,
) -> Vec<(String, Option<usize>)> {
    let mut found = Vec::new();
    let mut missing: Vec<&KeyColumn> = Vec::new();
    for key in keys {
        let carrying = key.exprs.iter().chain(&key.equals).map(|e| positions(e, items)).find(|p| !p.is_empty()).unwrap_or_default();
        let names = |p: &[usize]| p.iter().filter_map(|i| items.get(*i)).map(|i| i.name.clone()).collect::<Vec<_>>();
        match carrying.as_slice() {
            [] => {
                missing.push(key);
                found.push((key.internal.clone(), None));
            }
            [first, ..] => {
                let mut names = names(&carrying);
                found.push((names.first().cloned().unwrap_or_default(), Some(*first)));
                if names.len() > 1 {
                    names.sort();
                    problems.add(Problem::new(format!(
                        "The projection contains a key column (`{}`) more than once, aliased as: {}.\nEach key column must only be in the \
                         projection once. If you intended to copy the key into the value, then consider using the AS_VALUE function to \
                         indicate which key reference should be copied.",
                        key.internal,
                        list(&names, "and")
                    )));
                }
            }
        }
    }
    if !missing.is_empty() {
        problems.add(match origin {
            KeyOrigin::ForeignKey => missing_primary_keys(&missing, scope),
            _ => missing_keys(keys, origin, scope, sink),
        });
    }
    found
}

fn positions(expr: &Expr, items: &[Item]) -> Vec<usize> {
    items.iter().enumerate().filter(|(_, item)| item.expr == *expr).map(|(i, _)| i).collect()
}

fn missing_primary_keys(missing: &[&KeyColumn], scope: &Scope) -> Problem {
    let table = scope.sides.first().map(|s| s.source.name.as_str()).unwrap_or_default();
    let names: Vec<String> = missing.iter().flat_map(|k| &k.exprs).map(|e| format!("`{}`", rewrite::unqualified(e))).collect();
    let plural = if names.len() > 1 { "s" } else { "" };
    Problem::new(format!(
        "Primary key column{plural} missing in projection. For foreign-key table-table joins, the projection must include all primary key \
         columns from the left input table (`{table}`). Missing column{plural}: {}.",
        names.join(", ")
    ))
}

fn missing_keys(keys: &[KeyColumn], origin: KeyOrigin, scope: &Scope, sink: &str) -> Problem {
    let synthetic = |e: &Expr| matches!(&e.kind, ExprKind::Column(ColumnRef { source: None, name }) if scope.free.contains(&name.name));
    let shown = |e: &Expr| match origin {
        KeyOrigin::Source | KeyOrigin::GroupBy => rewrite::unqualified(e).to_string(),
        KeyOrigin::PartitionBy | KeyOrigin::Join | KeyOrigin::ForeignKey => e.to_string(),
    };
    let all: Vec<String> = keys.iter().flat_map(|k| &k.exprs).map(shown).collect();
    let (what, names, example) = match origin {
        KeyOrigin::Source => ("key column", list(&all, "and"), all.join(", ")),
        KeyOrigin::PartitionBy => ("partitioning expression", list(&all, "and"), all.join(", ")),
        KeyOrigin::GroupBy => ("grouping expression", list(&all, "and"), all.join(", ")),
        KeyOrigin::Join | KeyOrigin::ForeignKey => ("join expression", list(&all, "or"), all.first().cloned().unwrap_or_default()),
    };
    let plural = if all.len() > 1 { "s" } else { "" };
    let mut message = format!(
        "Key missing from projection (ie, SELECT). \nThe query used to build `{sink}` must include the {what}{plural} {names} in its \
         projection (eg, SELECT {example}...)."
    );
    if origin == KeyOrigin::Join && keys.iter().flat_map(|k| &k.exprs).any(synthetic) {
        message.push_str(&format!(
            "\n{names} was added as a synthetic key column because the join criteria did not match any source column. This expression \
             must be included in the projection and may be aliased."
        ));
    }
    Problem::new(message)
}

/// `A`, `A and B`, `A, B and C`.
pub(crate) fn list(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
