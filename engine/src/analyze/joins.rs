//! Joins: which sources are joined on what, and whether that can be. Building steps from it is in [`super::join_steps`].

use std::collections::BTreeSet;

use tidemill_parser::ast::{BinaryOp, ColumnRef, Expr, ExprKind, Join, JoinKind, Relation, Span};

use super::error::{Problem, Problems};
use super::formats;
use super::rewrite;
use super::scope::{Clause, Scope, Side, qualified};
use super::typing;
use super::windows;
use crate::catalog::{SourceKind, WindowType};
use crate::types::Column;

/// What is read: one source, or a tree of joins.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    /// Index of the source in the scope.
    Leaf(usize),
    Join(Box<Node>),
}

/// A join of a tree with one more source.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub left: Tree,
    /// Index of the right source in the scope.
    pub right: usize,
    pub kind: JoinKind,
    /// Set where both sides are streams.
    pub within: Option<Within>,
    /// What the result's key column is called inside the plan.
    pub key_name: String,
    /// The key column is none of the sources'.
    pub is_synthetic: bool,
    /// Tables joined on something other than the left one's key, which stays the result's key.
    pub is_foreign_key: bool,
    /// Qualified.
    pub left_expr: Expr,
    pub right_expr: Expr,
    /// Qualified expressions that all stand for the result's key, left to right.
    pub keys: Vec<Expr>,
    /// All that the joins so far hold to be equal to the key, [`Self::keys`] included.
    pub equals: Vec<Expr>,
    /// What stands before the join's name in the names of its topics: `L_` for the left child, `L_L_` for its own.
    pub prefix: String,
}

/// How far the rows of two streams may be apart, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    pub before_ms: i64,
    pub after_ms: i64,
    pub grace_ms: Option<i64>,
}

/// A name for a key that no column of the sources carries.
const SYNTHETIC_KEY: &str = "ROWKEY";

/// Reads the joins of a FROM clause. `None`: something is wrong with them.
pub(crate) fn read(relation: &Relation, scope: &Scope, problems: &mut Problems) -> Option<Tree> {
    let before = problems.count();
    check_repeated_sources(scope, problems);
    check_kafka_values(scope, problems);
    let mut reader = Reader { scope, problems, next_leaf: 0 };
    let tree = reader.tree(relation, "");
    if problems.count() == before { tree } else { None }
}

fn check_repeated_sources(scope: &Scope, problems: &mut Problems) {
    for (i, side) in scope.sides.iter().enumerate() {
        let name = &side.source.name;
        let earlier = || scope.sides.iter().take(i);
        if earlier().any(|s| s.source.name == *name) {
            let message = match scope.sides.len() {
                2 => format!("Can not join '{name}' to '{name}': self joins are not yet supported."),
                _ => format!("N-way joins do not support multiple occurrences of the same source. Source: '{name}'"),
            };
            problems.add(Problem::new(message));
        } else if earlier().any(|s| s.alias == side.alias) {
            problems.add(Problem::new(format!("'{}' is used as the name of two sources of the query.", side.alias)));
        }
    }
}

fn check_kafka_values(scope: &Scope, problems: &mut Problems) {
    let kafka = scope.sides.iter().filter(|s| s.source.format.value.name == "KAFKA");
    let mut names: Vec<&str> = kafka.map(|s| s.alias.as_str()).collect();
    names.sort_unstable();
    if !names.is_empty() {
        let message = format!("Source(s) {} are using the 'KAFKA' value format. This format does not yet support JOIN.", names.join(", "));
        problems.add(Problem::new(message));
    }
}

struct Reader<'a, 'p> {
    scope: &'a Scope,
    problems: &'p mut Problems,
    next_leaf: usize,
}

impl Reader<'_, '_> {
    fn leaf(&mut self) -> usize {
        self.next_leaf += 1;
        self.next_leaf - 1
    }

    fn tree(&mut self, relation: &Relation, prefix: &str) -> Option<Tree> {
        match relation {
            Relation::Source { .. } => Some(Tree::Leaf(self.leaf())),
            Relation::Join(join) => {
                let left = self.tree(&join.left, &format!("{prefix}L_"));
                let right = self.leaf();
                let node = self.join(join, left?, right, prefix)?;
                Some(Tree::Join(Box::new(node)))
            }
        }
    }

    fn join(&mut self, join: &Join, left: Tree, right: usize, prefix: &str) -> Option<Node> {
        let scope = self.scope;
        let right_side = scope.sides.get(right)?;
        let before = self.problems.count();
        let on = scope.qualify(&join.on, Clause::JoinOn, self.problems);
        if self.problems.count() > before {
            return None;
        }
        let criteria = self.criteria(&on, &left, right_side)?;
        let left_type = self.expr_type(&criteria.left)?;
        let right_type = self.expr_type(&criteria.right)?;
        if left_type != right_type {
            let (first, second) = if criteria.flipped { (right_type, left_type) } else { (left_type, right_type) };
            let (l, r) = (&criteria.first, &criteria.second);
            let message = format!("Invalid join condition: types don't match. Got {l}{{{first}}} = {r}{{{second}}}.");
            return self.refuse(message, join.on.span);
        }
        let is_foreign_key = self.check_kinds(join, &criteria, &left, right_side)?;
        self.check_windows(&left, right_side, join.span)?;
        let within = self.within(join)?;
        let column_name = column_key_name(scope, &criteria.left, &criteria.right);
        let is_synthetic = !is_foreign_key && (join.kind == JoinKind::Full || column_name.is_none());
        let key_name = column_name.filter(|_| !is_synthetic).unwrap_or_else(|| synthetic_key(scope));
        let left_keys = left_key_columns(scope, &left);
        let keys = match &left {
            _ if is_foreign_key => left_keys,
            _ if is_synthetic => vec![Expr::column(key_name.clone())],
            Tree::Join(node) if node.keys.contains(&criteria.left) => [node.keys.clone(), vec![criteria.right.clone()]].concat(),
            _ => vec![criteria.left.clone(), criteria.right.clone()],
        };
        let equals = match &left {
            // Either side may be null where the key is not.
            _ if is_foreign_key || join.kind == JoinKind::Full => keys.clone(),
            Tree::Join(node) if node.equals.contains(&criteria.left) => [node.equals.clone(), vec![criteria.right.clone()]].concat(),
            _ => vec![criteria.left.clone(), criteria.right.clone()],
        };
        let key = Column::new(key_name.clone(), left_type);
        if let Err(problem) = formats::check_no_maps(std::slice::from_ref(&key)) {
            self.problems.add(problem);
            return None;
        }
        Some(Node {
            left,
            right,
            kind: join.kind,
            within,
            key_name,
            is_synthetic,
            is_foreign_key,
            left_expr: criteria.left,
            right_expr: criteria.right,
            keys,
            equals,
            prefix: prefix.to_string(),
        })
    }

    fn refuse<T>(&mut self, message: impl Into<String>, span: Span) -> Option<T> {
        self.problems.add(Problem::new(message).at(span));
        None
    }

    fn expr_type(&mut self, expr: &Expr) -> Option<crate::types::SqlType> {
        match typing::type_in_scope(self.scope, expr) {
            Ok(Some(sql_type)) => Some(sql_type),
            Ok(None) => self.refuse(format!("The join expression {expr} has no type."), expr.span),
            Err(problem) => {
                self.problems.add(problem);
                None
            }
        }
    }

    /// The WITHIN clause in milliseconds; `Some(None)`: there is none.
    fn within(&mut self, join: &Join) -> Option<Option<Within>> {
        let Some(within) = &join.within else { return Some(None) };
        let mut length = |interval| self.problems.take(windows::millis(interval).map_err(|p| p.at(join.span)));
        let (before_ms, after_ms) = (length(within.before)?, length(within.after)?);
        let grace_ms = match within.grace {
            Some(grace) => Some(length(grace)?),
            None => None,
        };
        Some(Some(Within { before_ms, after_ms, grace_ms }))
    }

    /// Parts the ON expression into the side that is already there and the new source.
    fn criteria(&mut self, on: &Expr, left: &Tree, right: &Side) -> Option<Criteria> {
        let ExprKind::Binary { op: BinaryOp::Equal, left: first, right: second } = &on.kind else {
            return self.refuse("Only equality join criteria is supported.", on.span);
        };
        let mut aliases = Vec::new();
        for expr in [first, second] {
            let sources = sources_of(expr);
            match sources.iter().next() {
                Some(only) if sources.len() == 1 => aliases.push((*only).to_string()),
                _ => {
                    let message = format!(
                        "Invalid comparison expression '{expr}' in join '{on}'. Each side of the join comparision must contain references \
                         from exactly one source."
                    );
                    return self.refuse(message, expr.span);
                }
            }
        }
        let [first_alias, second_alias] = aliases.as_slice() else { return None };
        let in_left = |alias: &String| left.sides().iter().any(|i| self.scope.sides.get(*i).is_some_and(|s| s.alias == *alias));
        let flipped = match (*first_alias == right.alias, *second_alias == right.alias) {
            (false, true) if in_left(first_alias) => false,
            (true, false) if in_left(second_alias) => true,
            _ => {
                let message = format!(
                    "A join criteria is expected to reference the source (`{}`) in the FROM clause, instead the right source references \
                     `{second_alias}` and the left source references `{first_alias}`",
                    right.alias
                );
                return self.refuse(message, on.span);
            }
        };
        let (l, r) = if flipped { (second, first) } else { (first, second) };
        Some(Criteria { left: (**l).clone(), right: (**r).clone(), first: (**first).clone(), second: (**second).clone(), flipped })
    }

    /// Whether these sources can be joined so; `Some(true)`: they are tables joined on a foreign key.
    fn check_kinds(&mut self, join: &Join, criteria: &Criteria, left: &Tree, right: &Side) -> Option<bool> {
        let left_side = self.scope.sides.get(left.first())?;
        let is_right_key = is_only_key(&criteria.right, right);
        let got = format!("{} = {}", criteria.first, criteria.second);
        let words = match join.kind {
            JoinKind::Inner => "[INNER] JOIN",
            JoinKind::Left => "LEFT [OUTER] JOIN",
            JoinKind::Right => "RIGHT [OUTER] JOIN",
            JoinKind::Full => "[FULL] OUTER JOIN",
        };
        let named = format!("{} {words} {}", left_side.source.name, right.source.name);
        let drop_within = "These joins are not windowed. Please drop the window definition (ie. the WITHIN clause) and try to execute your \
                           join again.";
        match (left.kind(self.scope), right.source.kind) {
            (SourceKind::Stream, SourceKind::Table) => {
                if join.within.is_some() {
                    return self.refuse(format!("A window definition was provided for a Stream-Table join. {drop_within}"), join.span);
                }
                if !is_right_key {
                    let message =
                        format!("Invalid join condition: stream-table joins require to join on the table's primary key. Got {got}.");
                    return self.refuse(message, join.on.span);
                }
                match join.kind {
                    JoinKind::Inner | JoinKind::Left => Some(false),
                    JoinKind::Right => self.refuse(format!("Invalid join type encountered: {words}"), join.span),
                    JoinKind::Full => self
                        .refuse(format!("Invalid join type: full-outer join not supported for stream-table join. Got {named}."), join.span),
                }
            }
            (SourceKind::Table, SourceKind::Stream) => {
                let message = format!("Invalid join order: table-stream joins are not supported; only stream-table joins. Got {named}.");
                self.refuse(message, join.span)
            }
            (SourceKind::Stream, SourceKind::Stream) => match &join.within {
                None => self.refuse("Stream-Stream joins must have a WITHIN clause specified. None was provided.", join.span),
                Some(_) => Some(false),
            },
            (SourceKind::Table, SourceKind::Table) => {
                if join.within.is_some() {
                    return self.refuse(format!("A window definition was provided for a Table-Table join. {drop_within}"), join.span);
                }
                if !is_right_key {
                    let message = format!(
                        "Invalid join condition: table-table joins require to join on the primary key of the right input table. Got {got}."
                    );
                    return self.refuse(message, join.on.span);
                }
                let on_left_key = match left {
                    Tree::Leaf(i) => self.scope.sides.get(*i).is_some_and(|s| is_only_key(&criteria.left, s)),
                    Tree::Join(node) => node.keys.contains(&criteria.left),
                };
                match (on_left_key, join.kind) {
                    (true, _) => Some(false),
                    (false, _) if matches!(left, Tree::Join(_)) => {
                        let message = format!(
                            "Invalid join condition: foreign-key table-table joins are not supported as part of n-way joins. Got {got}."
                        );
                        self.refuse(message, join.on.span)
                    }
                    (false, JoinKind::Right) => self.refuse("RIGHT OUTER JOIN on a foreign key is not supported", join.span),
                    (false, JoinKind::Full) => {
                        let message =
                            format!("Invalid join type: full-outer join not supported for foreign-key table-table join. Got {named}.");
                        self.refuse(message, join.span)
                    }
                    (false, _) if left_side.source.is_windowed() => {
                        self.refuse("Foreign-key joins of windowed tables are not supported.", join.span)
                    }
                    (false, _) => Some(true),
                }
            }
        }
    }

    fn check_windows(&mut self, left: &Tree, right: &Side, span: Span) -> Option<()> {
        let left = self.scope.sides.get(left.first())?;
        let said = |side: &Side| match side.source.window {
            Some(window) => format!("`{}` is {} windowed", side.alias, window.name()),
            None => format!("`{}` is not windowed", side.alias),
        };
        match (left.source.window, right.source.window) {
            (None, None) => Some(()),
            (Some(l), Some(r)) if (l == WindowType::Session) == (r == WindowType::Session) => Some(()),
            (Some(l), Some(r)) => {
                let message = format!(
                    "Incompatible windowed sources.\nLeft source: {}\nRight source: {}\nSession windowed sources can only be joined to other \
                     session windowed sources, and may still not result in expected behaviour as session bounds must be an exact match for \
                     the join to work\nHopping and tumbling windowed sources can only be joined to other hopping and tumbling windowed \
                     sources",
                    l.name(),
                    r.name()
                );
                self.refuse(message, span)
            }
            _ => {
                let message = format!("Can not join windowed source to non-windowed source.\n{}\n{}", said(left), said(right));
                self.refuse(message, span)
            }
        }
    }
}

/// The two sides of an ON expression.
struct Criteria {
    left: Expr,
    right: Expr,
    /// As written.
    first: Expr,
    second: Expr,
    flipped: bool,
}

/// Aliases that a qualified expression names.
fn sources_of(expr: &Expr) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    rewrite::visit(expr, &mut |e| {
        if let ExprKind::Column(ColumnRef { source: Some(alias), .. }) = &e.kind {
            found.insert(alias.name.as_str());
        }
        true
    });
    found
}

/// The key columns of the left-most source, qualified.
fn left_key_columns(scope: &Scope, left: &Tree) -> Vec<Expr> {
    let side = scope.sides.get(left.first());
    side.into_iter().flat_map(|s| s.source.schema.key.iter().map(|c| qualified(&s.alias, &c.name))).collect()
}

/// Whether the expression is the source's one key column.
pub(crate) fn is_only_key(expr: &Expr, side: &Side) -> bool {
    match (&expr.kind, side.source.schema.key.as_slice()) {
        (ExprKind::Column(ColumnRef { source: Some(alias), name }), [key]) => alias.name == side.alias && name.name == key.name,
        _ => false,
    }
}

/// What a join's key column is called: as the column on either side; `None` where neither side is a column.
fn column_key_name(scope: &Scope, left: &Expr, right: &Expr) -> Option<String> {
    [left, right].into_iter().find_map(|e| match &e.kind {
        ExprKind::Column(ColumnRef { source: Some(alias), name }) => Some(scope.internal_name(&alias.name, &name.name)),
        _ => None,
    })
}

/// ROWKEY, with a number behind it where a source has such a column.
fn synthetic_key(scope: &Scope) -> String {
    let taken = scope.all_column_names();
    let numbered = (1usize..).map(|n| format!("{SYNTHETIC_KEY}_{n}"));
    std::iter::once(SYNTHETIC_KEY.to_string()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or_default()
}

impl Tree {
    /// Index of the left-most source.
    pub fn first(&self) -> usize {
        match self {
            Tree::Leaf(i) => *i,
            Tree::Join(node) => node.left.first(),
        }
    }

    /// Indexes of all sources.
    pub fn sides(&self) -> Vec<usize> {
        match self {
            Tree::Leaf(i) => vec![*i],
            Tree::Join(node) => {
                let mut sides = node.left.sides();
                sides.push(node.right);
                sides
            }
        }
    }

    /// Whether the result is a stream or a table: a stream as soon as one is in it.
    pub fn kind(&self, scope: &Scope) -> SourceKind {
        let is_stream = |i: &usize| scope.sides.get(*i).is_some_and(|s| s.source.kind == SourceKind::Stream);
        if self.sides().iter().any(is_stream) { SourceKind::Stream } else { SourceKind::Table }
    }
}
