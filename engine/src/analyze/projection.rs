//! The select list: stars are spread, names given, aliases checked.

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind, Ident, Query, SelectItem, SelectItemKind, Span};

use super::aliases::Aliases;
use super::error::{Problem, Problems};
use super::scope::{Clause, Scope, Side, is_window_bound, qualified};
use super::typing;
use crate::types::{SqlType, is_pseudo_column};

/// One column of the result.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Qualified.
    pub expr: Expr,
    pub name: String,
    pub span: Span,
    /// A star stands for it.
    pub from_star: bool,
}

/// What a star stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StarMode {
    /// The columns go into a sink, which has no room for window bounds.
    pub persistent: bool,
    /// Behind PARTITION BY or GROUP BY on other columns the old keys stand last, among the values.
    pub repartitioned: bool,
}

/// The select list of a query, and the list as it is printed back (stars kept, columns qualified, every item named).
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    pub items: Vec<Item>,
    pub printed: Vec<SelectItem>,
}

/// Reads the select list. `new_keys`: the qualified PARTITION BY expressions that make a new key, if there are any.
pub(crate) fn read(query: &Query, scope: &Scope, mode: StarMode, new_keys: &[Expr], problems: &mut Problems) -> Projection {
    let mut reader = Reader { scope, mode, aliases: Aliases::new(scope), problems };
    let mut projection = Projection { items: Vec::new(), printed: Vec::new() };
    // Explicit items name their expressions first: a star's generated names follow.
    for item in &query.items {
        match &item.kind {
            SelectItemKind::Wildcard { source } => {
                let spread = match source {
                    Some(alias) if scope.side(&alias.name).is_none() => {
                        reader.problems.add(scope.unknown_alias(alias));
                        continue;
                    }
                    _ => reader.star(source.as_ref(), new_keys, item.span),
                };
                projection.items.extend(spread);
                projection.printed.push(item.clone());
            }
            SelectItemKind::Expr { expr, alias } => {
                for one in reader.item(expr, alias.as_ref(), item.span) {
                    let kind = SelectItemKind::Expr { expr: one.expr.clone(), alias: Some(Ident::new(one.name.clone())) };
                    projection.printed.push(SelectItem { kind, span: one.span });
                    projection.items.push(one);
                }
            }
        }
    }
    projection
}

struct Reader<'a> {
    scope: &'a Scope,
    mode: StarMode,
    aliases: Aliases,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn item(&mut self, expr: &Expr, alias: Option<&Ident>, span: Span) -> Vec<Item> {
        if let ExprKind::AllFields(base) = &expr.kind {
            return self.all_fields(base, span);
        }
        let expr = self.scope.qualify(expr, Clause::Select, self.problems);
        let name = match alias {
            Some(alias) => {
                self.check_alias(&expr, alias);
                alias.name.clone()
            }
            None => self.aliases.for_item(self.scope, &expr),
        };
        vec![Item { expr, name, span, from_star: false }]
    }

    /// A reserved name is none for a column, unless the item is that very pseudo-column (which a sink refuses later).
    fn check_alias(&mut self, expr: &Expr, alias: &Ident) {
        let own = matches!(&expr.kind, ExprKind::Column(ColumnRef { name, .. }) if name.name == alias.name);
        if is_pseudo_column(&alias.name) && !own {
            let message = format!("`{}` is a reserved column name. You cannot use it as an alias for a column.", alias.name);
            self.problems.add(Problem::new(message).at(alias.span));
        }
    }

    /// `struct->*`: a column for each field.
    fn all_fields(&mut self, base: &Expr, span: Span) -> Vec<Item> {
        let base = self.scope.qualify(base, Clause::Select, self.problems);
        if !self.problems.is_empty() {
            return vec![];
        }
        match typing::type_in_scope(self.scope, &base) {
            Ok(Some(SqlType::Struct(fields))) => fields
                .iter()
                .map(|f| Item {
                    expr: Expr { kind: ExprKind::Field { base: Box::new(base.clone()), field: Ident::new(&*f.name) }, span },
                    name: self.aliases.field(&f.name),
                    span,
                    from_star: false,
                })
                .collect(),
            Ok(other) => {
                let got = other.map_or("null".to_string(), |t| t.to_string());
                let message =
                    format!("Cannot perform struct all operation on {} as it is not a STRUCT, but {got}.", self.scope.internal(&base));
                self.problems.add(Problem::new(message).at(span));
                vec![]
            }
            Err(problem) => {
                self.problems.add(problem.at(span));
                vec![]
            }
        }
    }

    fn star(&mut self, source: Option<&Ident>, new_keys: &[Expr], span: Span) -> Vec<Item> {
        let mut items = Vec::new();
        if self.mode.repartitioned {
            for key in new_keys {
                let from_here = source.is_none_or(|s| side_of(key).is_none_or(|alias| alias == s.name));
                if from_here {
                    let name = self.star_key_name(key);
                    items.push(Item { expr: key.clone(), name, span, from_star: true });
                }
            }
        } else if source.is_none() && self.scope.is_join() {
            // A synthetic join key comes first.
            let synthetic = self.scope.free.iter().filter(|n| !is_pseudo_column(n));
            items.extend(synthetic.map(|n| Item { expr: Expr::column(n.clone()), name: n.clone(), span, from_star: true }));
        }
        for side in self.scope.sides.iter().filter(|s| source.is_none_or(|name| name.name == s.alias)) {
            for column in self.star_columns(side) {
                let expr = qualified(&side.alias, &column);
                if !new_keys.contains(&expr) || !self.mode.repartitioned {
                    let name = self.scope.internal_name(&side.alias, &column);
                    items.push(Item { expr: Expr { span, ..expr }, name, span, from_star: true });
                }
            }
        }
        items
    }

    /// The name of a new key in a star: as the column is called in the plan.
    fn star_key_name(&mut self, key: &Expr) -> String {
        match &key.kind {
            ExprKind::Column(ColumnRef { source: Some(alias), name }) => self.scope.internal_name(&alias.name, &name.name),
            _ => self.aliases.for_item(self.scope, key),
        }
    }

    /// Columns of a source in the order of a star.
    fn star_columns(&self, side: &Side) -> Vec<String> {
        let schema = &side.source.schema;
        let keys = schema.key.iter().map(|c| c.name.clone());
        let values = schema.value.iter().map(|c| c.name.clone());
        let bounds = ["WINDOWSTART", "WINDOWEND"].into_iter().filter(|_| side.source.is_windowed()).map(String::from);
        if self.mode.repartitioned {
            // ksqlDB keeps the pseudo-columns of joined sources here.
            let kept = ["ROWTIME", "ROWPARTITION", "ROWOFFSET"].into_iter().filter(|_| self.scope.is_join()).map(String::from);
            let bounds = bounds.filter(|_| self.scope.is_join());
            return values.chain(kept).chain(bounds).chain(keys).collect();
        }
        let bounds = bounds.filter(|_| !self.mode.persistent || self.scope.is_join());
        keys.chain(bounds).chain(values).collect()
    }
}

/// The alias that a qualified column belongs to.
fn side_of(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Column(ColumnRef { source: Some(alias), .. }) => Some(&alias.name),
        _ => None,
    }
}

/// Checks what only sinks refuse: pseudo-columns under their own names.
pub(crate) fn check_reserved(items: &[Item], problems: &mut Problems) {
    for item in items {
        let is_own = matches!(&item.expr.kind, ExprKind::Column(ColumnRef { name, .. }) if is_pseudo_column(&name.name));
        if is_own && is_pseudo_column(&item.name) && !item.from_star {
            let message = format!("Reserved column name in select: `{}`. Please remove or alias the column.", item.name);
            problems.add(Problem::new(message).at(item.span));
        }
    }
}

/// Whether an item is a bound of a window.
pub(crate) fn is_bound(item: &Item) -> bool {
    matches!(&item.expr.kind, ExprKind::Column(ColumnRef { name, .. }) if is_window_bound(&name.name))
}
