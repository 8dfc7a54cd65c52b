//! Names in a query: which source a column belongs to, and what it is called inside the plan.
//!
//! Names pass through three forms. As written: `A` or `S.A`. *Qualified*: every column carries its source (`S.A`); this
//! is what statements are printed back as. *Internal*: plain names over a step's schema: `A` where one source is read,
//! `S_A` behind a join, whose columns come from several.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind, Ident, Relation, Span};

use super::error::{PREPARING, Problem, Problems, QUALIFYING};
use crate::catalog::{Catalog, Source};
use crate::types::is_pseudo_column;

/// The part of a query that a name stands in, as messages call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clause {
    Select,
    Where,
    GroupBy,
    PartitionBy,
    Having,
    JoinOn,
}

impl Clause {
    pub fn name(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::Where => "WHERE",
            Clause::GroupBy => "GROUP BY",
            Clause::PartitionBy => "PARTITION BY",
            Clause::Having => "HAVING",
            Clause::JoinOn => "JOIN ON",
        }
    }
}

/// A source that the query reads, under the name that the query gives it.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub alias: String,
    pub source: Arc<Source>,
}

impl Side {
    /// Whether the source has the column, pseudo-columns included.
    pub fn has(&self, name: &str) -> bool {
        self.source.schema.columns().any(|c| c.name == name) || self.has_pseudo(name)
    }

    fn has_pseudo(&self, name: &str) -> bool {
        is_pseudo_column(name) && (self.source.is_windowed() || !is_window_bound(name))
    }
}

/// WINDOWSTART or WINDOWEND.
pub(crate) fn is_window_bound(name: &str) -> bool {
    matches!(name, "WINDOWSTART" | "WINDOWEND")
}

/// Everything that the query reads, and what its names mean.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Left to right.
    pub sides: Vec<Side>,
    /// Names that stand for themselves: a synthetic join key; the bounds of the query's own windows.
    pub free: BTreeSet<String>,
    pub catalog: Catalog,
}

impl Scope {
    /// The sources of a FROM clause. Those that are not there go to `problems`.
    pub fn of(relation: &Relation, catalog: &Catalog, problems: &mut Problems) -> Self {
        let mut scope = Scope { sides: Vec::new(), free: BTreeSet::new(), catalog: catalog.clone() };
        scope.add(relation, problems);
        scope
    }

    fn add(&mut self, relation: &Relation, problems: &mut Problems) {
        match relation {
            Relation::Join(join) => {
                self.add(&join.left, problems);
                self.add(&join.right, problems);
            }
            Relation::Source { name, alias } => match self.catalog.source(&name.name) {
                Some(source) => {
                    let alias = alias.as_ref().unwrap_or(name).name.clone();
                    self.sides.push(Side { alias, source: source.clone() });
                }
                None => problems.add(unknown_source(&self.catalog, name)),
            },
        }
    }

    pub fn is_join(&self) -> bool {
        self.sides.len() > 1
    }

    /// The source of that name in the query.
    pub fn side(&self, alias: &str) -> Option<&Side> {
        self.sides.iter().find(|s| s.alias == alias)
    }

    /// What a source's column is called inside the plan.
    pub fn internal_name(&self, alias: &str, column: &str) -> String {
        if self.is_join() { format!("{alias}_{column}") } else { column.to_string() }
    }

    /// Whether several sources have the column.
    pub fn is_shared(&self, column: &str) -> bool {
        self.sides.iter().filter(|s| s.has(column)).count() > 1
    }

    /// The alias of the source that a column as written belongs to; `None` for a free name.
    pub fn resolve(&self, column: &ColumnRef, span: Span, clause: Clause) -> Result<Option<&str>, Problem> {
        let name = &column.name.name;
        match &column.source {
            Some(alias) => {
                let side = self.side(&alias.name).ok_or_else(|| self.unknown_alias(alias))?;
                match side.has(name) {
                    true => Ok(Some(&side.alias)),
                    // Bounds of the query's own windows belong to no source, but may be written so.
                    false if is_window_bound(name) && self.free.contains(name) => Ok(None),
                    false => Err(self.unknown_column(column, span, clause)),
                }
            }
            None if self.free.contains(name) => Ok(None),
            None => {
                let having: Vec<&Side> = self.sides.iter().filter(|s| s.has(name)).collect();
                match having.as_slice() {
                    [side] => Ok(Some(&side.alias)),
                    [] => Err(self.unknown_column(column, span, clause)),
                    several => {
                        let mut could_be: Vec<String> = several.iter().map(|s| format!("{}.{name}", s.alias)).collect();
                        could_be.sort();
                        let message = format!("Column '{name}' is ambiguous. Could be {}.", could_be.join(" or "));
                        Err(Problem::new(message).at(span).while_(QUALIFYING))
                    }
                }
            }
        }
    }

    /// What is said of a qualifier that is no source of the query.
    pub fn unknown_alias(&self, alias: &Ident) -> Problem {
        let near = tidemill_parser::did_you_mean(&alias.name, self.sides.iter().map(|s| s.alias.as_str()));
        let near = near.map(|n| format!(" Did you mean '{n}'?")).unwrap_or_default();
        let place = match alias.span.start.line {
            0 => String::new(),
            line => format!(" (Line: {line}, Col: {})", alias.span.start.column),
        };
        Problem::new(format!("'{}' is not a valid stream/table name or alias.{near}{place}", alias.name)).while_(PREPARING)
    }

    fn unknown_column(&self, column: &ColumnRef, span: Span, clause: Clause) -> Problem {
        let name = &column.name.name;
        let shown = column.source.as_ref().map(|s| format!("{}.", s.name)).unwrap_or_default();
        let clause_name = clause.name();
        let mut message = format!("{clause_name} column '{shown}{name}' cannot be resolved.");
        if matches!(clause, Clause::PartitionBy | Clause::GroupBy) {
            message
                .push_str(&format!(" '{shown}{name}' must be a column in the source schema since {clause_name} is applied on the input."));
        }
        let sides = self.sides.iter().filter(|s| column.source.as_ref().is_none_or(|a| a.name == s.alias));
        let names = sides.flat_map(|s| s.source.schema.columns().map(|c| c.name.as_str()));
        if let Some(near) = tidemill_parser::did_you_mean(name, names) {
            message.push_str(&format!(" Did you mean '{near}'?"));
        }
        Problem::new(message).at(span)
    }

    /// A qualified expression with internal names.
    pub fn internal(&self, expr: &Expr) -> Expr {
        expr.clone().transform(&mut |e| match e.kind {
            ExprKind::Column(ColumnRef { source: Some(alias), name }) => {
                let internal = self.internal_name(&alias.name, &name.name);
                Expr { kind: ExprKind::Column(ColumnRef { source: None, name: Ident { name: internal, span: name.span } }), span: e.span }
            }
            kind => Expr { kind, span: e.span },
        })
    }

    /// Names of all columns of all sources, as ksqlDB avoids them for generated names.
    pub fn all_column_names(&self) -> BTreeSet<String> {
        self.sides.iter().flat_map(|s| s.source.schema.columns().map(|c| c.name.clone())).collect()
    }
}

/// What is said of a source that is not there.
pub(crate) fn unknown_source(catalog: &Catalog, name: &Ident) -> Problem {
    let near = match catalog.source(&name.name.to_uppercase()) {
        Some(upper) => format!("\nDid you mean {}? Hint: try removing double quotes from the source name.", upper.name),
        None => catalog.near_source(&name.name).map(|n| format!(" Did you mean {n}?")).unwrap_or_default(),
    };
    Problem::new(format!("{} does not exist.{near}", name.name)).at(name.span).while_(QUALIFYING)
}

/// A qualified column.
pub(crate) fn qualified(alias: &str, column: &str) -> Expr {
    Expr::new(ExprKind::Column(ColumnRef { source: Some(Ident::new(alias)), name: Ident::new(column) }))
}
