//! Names for select items without an alias.

use std::collections::BTreeSet;

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind};

use super::scope::Scope;

/// Gives names that no column of the sources has and that it has not given before.
#[derive(Debug)]
pub(crate) struct Aliases {
    taken: BTreeSet<String>,
    next_generated: usize,
}

impl Aliases {
    pub fn new(scope: &Scope) -> Self {
        Aliases { taken: scope.all_column_names(), next_generated: 0 }
    }

    /// The name of a select item without an alias, from its qualified expression: a column's own name (with its source
    /// before it where several have it), a struct's field, else `KSQL_COL_n`.
    pub fn for_item(&mut self, scope: &Scope, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Column(ColumnRef { source: Some(alias), name }) if scope.is_shared(&name.name) => {
                format!("{}_{}", alias.name, name.name)
            }
            ExprKind::Column(ColumnRef { name, .. }) => name.name.clone(),
            ExprKind::Field { field, .. } => self.field(&field.name),
            _ => self.generated(),
        }
    }

    /// The same for a column of a new key, which must not have a name that `is_read` beside it.
    pub fn for_key(&mut self, scope: &Scope, expr: &Expr, is_read: &dyn Fn(&String) -> bool) -> String {
        let name = self.for_item(scope, expr);
        if is_read(&name) { self.generated() } else { name }
    }

    /// A name for a struct's field: its own, with a number behind it where that is taken.
    pub fn field(&mut self, field: &str) -> String {
        let numbered = (1usize..).map(|n| format!("{field}_{n}"));
        self.first_free(std::iter::once(field.to_string()).chain(numbered))
    }

    /// The next `KSQL_COL_n`.
    pub fn generated(&mut self) -> String {
        let start = self.next_generated;
        let name = self.first_free((start..).map(|n| format!("KSQL_COL_{n}")));
        self.next_generated = name.rsplit('_').next().and_then(|n| n.parse::<usize>().ok()).map_or(start, |n| n + 1);
        name
    }

    fn first_free(&mut self, mut names: impl Iterator<Item = String>) -> String {
        let name = names.find(|n| !self.taken.contains(n)).unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }
}
