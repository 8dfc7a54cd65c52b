//! The clauses of a query, read one by one: names are resolved, structure is checked, types are not yet known.

use std::collections::BTreeSet;

use tidemill_parser::ast::{ColumnRef, Emit, Expr, ExprKind, Query, Span};

use super::aggregation::{self, Aggregation};
use super::aliases::Aliases;
use super::context::{AnalysisContext, property};
use super::error::{AnalysisError, Problem, Problems};
use super::joins::{self, Tree};
use super::keys::{self, KeyColumn, KeyOrigin};
use super::projection::{self, Item, Projection, StarMode};
use super::rewrite;
use super::scope::{Clause, Scope, is_window_bound, qualified};
use super::typing;
use super::windows::{self, Window};
use crate::catalog::SourceKind;

/// Where the rows of a query go, as far as its clauses are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// To a client, until it has enough.
    Push,
    /// To a source made for them.
    Create { sink: &'a str, kind: SourceKind },
    /// To a source that is there.
    Insert { sink: &'a str },
}

impl<'a> Purpose<'a> {
    pub fn sink(self) -> Option<&'a str> {
        match self {
            Purpose::Push => None,
            Purpose::Create { sink, .. } | Purpose::Insert { sink } => Some(sink),
        }
    }

    /// What messages call the statement.
    pub fn statement(self) -> &'static str {
        match self {
            Purpose::Push => "SELECT statement",
            Purpose::Create { kind: SourceKind::Stream, .. } => "CREATE STREAM AS SELECT statement",
            Purpose::Create { kind: SourceKind::Table, .. } => "CREATE TABLE AS SELECT statement",
            Purpose::Insert { .. } => "INSERT INTO statement",
        }
    }
}

/// A query with its names resolved. Expressions are qualified.
#[derive(Debug, Clone)]
pub(crate) struct Clauses {
    pub scope: Scope,
    pub tree: Tree,
    pub selection: Option<Expr>,
    /// The new key; empty for PARTITION BY NULL.
    pub partition_by: Option<Vec<Expr>>,
    pub aggregation: Option<Aggregation>,
    pub having: Option<Expr>,
    pub window: Option<Window>,
    pub emit_final: bool,
    pub projection: Projection,
    /// The key before the projection.
    pub keys: Vec<KeyColumn>,
    /// For each key column its name behind the projection and the item that carries it. Sinks only.
    pub key_items: Vec<(String, Option<usize>)>,
    pub limit: Option<u64>,
    /// What comes out.
    pub kind: SourceKind,
    /// The query in qualified names, as it is printed back.
    pub printed: Query,
}

/// Reads the clauses. Problems that don't stand in the way of types go to `problems`.
///
/// # Errors
/// Names that mean nothing, joins that can't be: nothing more can be said of the query then.
pub(crate) fn read(
    query: &Query,
    purpose: Purpose<'_>,
    ctx: &AnalysisContext<'_>,
    problems: &mut Problems,
) -> Result<Clauses, AnalysisError> {
    let before = problems.count();
    let mut scope = Scope::of(&query.from, ctx.catalog, problems);
    if problems.count() > before {
        return Err(problems.error());
    }
    let aggregated = query.group_by.is_some() || calls_aggregate(query);
    if aggregated && query.window.is_some() && !scope.sides.iter().any(|s| s.source.is_windowed()) {
        scope.free.extend(["WINDOWSTART", "WINDOWEND"].map(String::from));
    }
    let tree = if scope.is_join() { joins::read(&query.from, &scope, problems) } else { Some(Tree::Leaf(0)) };
    if let Some(Tree::Join(node)) = &tree
        && node.is_synthetic
    {
        scope.free.insert(node.key_name.clone());
    }
    let window = query.window.as_ref().and_then(|w| windows::read(w, query.emit == Some(Emit::Final), problems));
    let selection = query.selection.as_ref().map(|e| qualify_selection(&scope, e, problems));
    let partition_by = partition_keys(query, &scope, problems);
    let group_by: Option<Vec<Expr>> =
        query.group_by.as_ref().map(|g| g.exprs.iter().map(|e| scope.qualify(e, Clause::GroupBy, problems)).collect());
    // Where nothing is made that needs a key, all rows are one group.
    let all_rows = group_by.is_none()
        && aggregated
        && query.window.is_none()
        && purpose.sink().is_none()
        && query.emit == Some(Emit::Changes)
        && reads_stream(&scope);
    let having = query.having.as_ref().map(|e| scope.qualify(e, Clause::Having, problems));
    let mode = StarMode { persistent: purpose.sink().is_some(), repartitioned: partition_by.as_ref().is_some_and(|p| !p.is_empty()) };
    let projection = projection::read(query, &scope, mode, partition_by.as_deref().unwrap_or_default(), problems);
    if purpose.sink().is_some() {
        projection::check_reserved(&projection.items, problems);
    }
    let qualified = Qualified { selection: &selection, partition_by: &partition_by, group_by: &group_by, having: &having };
    let printed = print_back(query, &scope, &projection, &qualified);
    problems.printed = Some(printed.clone());
    let Some(tree) = tree else { return Err(problems.error()) };
    problems.check()?;
    let one_group = [Expr::new(ExprKind::String(String::new()))];
    let aggregation = aggregated.then(|| {
        let clauses = aggregation::Clauses {
            group_by: if all_rows { Some(&one_group) } else { group_by.as_deref() },
            all_rows,
            items: &projection.items,
            having: having.as_ref(),
            windowed: query.window.is_some(),
            statement: purpose.statement(),
        };
        aggregation::read(&clauses, &scope, problems)
    });
    let free_key = ctx.flag(property::NEW_PLANNER, false) && purpose.sink().is_some() && !aggregated && partition_by.is_none();
    let projected_key = if free_key { projected_key(&scope, &tree, &projection.items) } else { None };
    check_combination(query, &scope, &tree, partition_by.as_deref(), aggregation.is_some(), problems);
    let kind = if aggregation.is_some() { SourceKind::Table } else { tree.kind(&scope) };
    check_purpose(query, purpose, &scope, kind, problems);
    let partition_by = partition_by.or(projected_key);
    let (keys, origin) = key_columns(&scope, &tree, partition_by.as_deref(), aggregation.as_ref(), &projection.items);
    let key_items = match purpose.sink() {
        Some(sink) => keys::matched(&keys, &projection.items, origin, &scope, sink, problems),
        None => vec![],
    };
    Ok(Clauses {
        scope,
        tree,
        selection,
        partition_by,
        aggregation,
        having,
        window,
        emit_final: query.emit == Some(Emit::Final),
        projection,
        keys,
        key_items,
        limit: query.limit,
        kind,
        printed,
    })
}

/// Whether the query reads one stream.
fn reads_stream(scope: &Scope) -> bool {
    matches!(scope.sides.as_slice(), [side] if side.source.kind == SourceKind::Stream)
}

fn calls_aggregate(query: &Query) -> bool {
    use tidemill_parser::ast::SelectItemKind::Expr as ExprItem;
    let items = query.items.iter().filter_map(|i| match &i.kind {
        ExprItem { expr, .. } => Some(expr),
        _ => None,
    });
    items.chain(&query.having).any(aggregation::has_aggregate)
}

/// WHERE stands before any window of the query's own: its bounds are unknown there.
fn qualify_selection(scope: &Scope, expr: &Expr, problems: &mut Problems) -> Expr {
    let mut outside = scope.clone();
    outside.free.retain(|name| !is_window_bound(name));
    let mut own = None;
    rewrite::visit(expr, &mut |e| {
        if let ExprKind::Column(c) = &e.kind
            && c.source.is_none()
            && is_window_bound(&c.name.name)
            && scope.free.contains(&c.name.name)
        {
            own.get_or_insert((c.name.name.clone(), e.span));
        }
        true
    });
    match own {
        Some((name, span)) => {
            problems.add(Problem::new(format!("Error in WHERE expression: Unknown column {name}.")).at(span).of_types());
            expr.clone()
        }
        None => outside.qualify(expr, Clause::Where, problems),
    }
}

/// The PARTITION BY expressions; none at all for NULL.
fn partition_keys(query: &Query, scope: &Scope, problems: &mut Problems) -> Option<Vec<Expr>> {
    let exprs = &query.partition_by.as_ref()?.exprs;
    if exprs.is_empty() {
        problems.add(Problem::new("PARTITION BY requires at least one expression").at(query.span));
    }
    if let [only] = exprs.as_slice()
        && typing::is_null_literal(only)
    {
        return Some(vec![]);
    }
    if let Some(null) = exprs.iter().find(|e| typing::is_null_literal(e)) {
        problems.add(Problem::new("PARTITION BY can not have NULL beside other expressions").at(null.span));
    }
    Some(exprs.iter().map(|e| scope.qualify(e, Clause::PartitionBy, problems)).collect())
}

/// The key of a stream's projection where it differs from the stream's own and nothing sets it: in the order of the
/// projection, or none if that leaves the key out. Only with the property that ksqlDB's new planner is switched on by.
fn projected_key(scope: &Scope, tree: &Tree, items: &[Item]) -> Option<Vec<Expr>> {
    let side = match tree {
        Tree::Leaf(side) => scope.sides.get(*side).filter(|s| s.source.kind == SourceKind::Stream)?,
        Tree::Join(_) => return None,
    };
    let keys: Vec<Expr> = side.source.schema.key.iter().map(|c| qualified(&side.alias, &c.name)).collect();
    let projected: Vec<Expr> = items.iter().map(|i| &i.expr).filter(|e| keys.contains(e)).cloned().collect();
    let is_whole = projected.is_empty() || keys.iter().all(|k| projected.iter().filter(|p| *p == k).count() == 1);
    (is_whole && projected != keys).then_some(projected)
}

/// Clauses that don't go together.
fn check_combination(query: &Query, scope: &Scope, tree: &Tree, partition_by: Option<&[Expr]>, aggregated: bool, problems: &mut Problems) {
    let windowed_aggregation = query.window.is_some() && query.group_by.is_some();
    if query.window.is_some() && !aggregated {
        problems.add(Problem::new("WINDOW clause requires a GROUP BY clause.").at(span_of_window(query)));
    }
    if query.emit == Some(Emit::Final) && !windowed_aggregation {
        problems.add(Problem::new("EMIT FINAL is only supported for windowed aggregations."));
    }
    if query.having.is_some() && !aggregated {
        problems.add(Problem::new("HAVING requires a GROUP BY clause."));
    }
    let from_table = tree.kind(scope) == SourceKind::Table;
    if windowed_aggregation && from_table {
        problems.add(Problem::new("WINDOW clause is only supported for aggregations of streams, not of tables.").at(span_of_window(query)));
    }
    let Some(new_keys) = partition_by else { return };
    if aggregated {
        problems.add(Problem::new("PARTITION BY can not be used together with GROUP BY or aggregate functions: GROUP BY sets the key."));
    }
    if from_table {
        let old: Vec<&str> = scope.sides.iter().flat_map(|s| s.source.schema.key.iter().map(|c| c.name.as_str())).collect();
        let new: Vec<String> = new_keys.iter().map(|e| rewrite::unqualified(e).to_string()).collect();
        problems.add(Problem::new(format!(
            "Cannot repartition a TABLE source. If this is a join, make sure that the criteria uses the TABLE's key column {} instead of [{}]",
            old.join(", "),
            new.join(", ")
        )));
    } else if scope.sides.iter().any(|s| s.source.is_windowed()) {
        problems.add(windowed_repartition());
    }
}

/// What is said where a windowed source would have to get another key.
pub(crate) fn windowed_repartition() -> Problem {
    Problem::new("Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385.")
}

fn span_of_window(query: &Query) -> Span {
    query.window.as_ref().map(|w| w.span).unwrap_or_default()
}

fn check_purpose(query: &Query, purpose: Purpose<'_>, scope: &Scope, kind: SourceKind, problems: &mut Problems) {
    let reads_windowed_table = scope.sides.iter().any(|s| s.source.kind == SourceKind::Table && s.source.is_windowed());
    if purpose.sink().is_some() && reads_windowed_table {
        problems.add(Problem::new("KSQL does not support persistent queries on windowed tables."));
    }
    if query.limit.is_some() && purpose != Purpose::Push {
        problems.add(Problem::new(format!("{}s don't support LIMIT clause.", purpose.statement())).while_(super::error::PREPARING));
    }
    match purpose {
        Purpose::Create { kind: wanted, .. } if wanted != kind => {
            let kind = kind.upper();
            problems.add(Problem::new(format!(
                "Invalid result type. Your SELECT query produces a {kind}. Please use CREATE {kind} AS SELECT statement instead."
            )));
        }
        Purpose::Insert { sink } if kind == SourceKind::Table => {
            problems.add(Problem::new(format!("Incompatible data sink type: {sink} is a STREAM, but the SELECT query produces a TABLE.")));
        }
        _ => {}
    }
}

/// The key before the projection, and where it comes from.
fn key_columns(
    scope: &Scope,
    tree: &Tree,
    partition_by: Option<&[Expr]>,
    aggregation: Option<&Aggregation>,
    items: &[Item],
) -> (Vec<KeyColumn>, KeyOrigin) {
    if let Some(aggregation) = aggregation {
        let keys = aggregation.keys.iter().map(|k| KeyColumn::new(k.expr.clone(), k.name.clone())).collect();
        return (keys, KeyOrigin::GroupBy);
    }
    if let Some(exprs) = partition_by {
        return (partition_columns(scope, exprs, items), KeyOrigin::PartitionBy);
    }
    match tree {
        Tree::Join(node) if node.is_foreign_key => {
            let name_of = |e: &Expr| match &e.kind {
                ExprKind::Column(ColumnRef { source: Some(alias), name }) => scope.internal_name(&alias.name, &name.name),
                _ => node.key_name.clone(),
            };
            let keys = node.keys.iter().map(|e| KeyColumn::new(e.clone(), name_of(e)));
            (keys.collect(), KeyOrigin::ForeignKey)
        }
        Tree::Join(node) => {
            let columns: Vec<Expr> = node.keys.iter().filter(|e| matches!(e.kind, ExprKind::Column(_))).cloned().collect();
            let internal = node.key_name.clone();
            let key = match columns.is_empty() {
                true => KeyColumn::new(Expr::column(internal.clone()), internal),
                false => KeyColumn { exprs: columns, equals: node.equals.clone(), internal },
            };
            (vec![key], KeyOrigin::Join)
        }
        Tree::Leaf(side) => {
            let columns = scope.sides.get(*side).map(|s| (s, s.source.schema.key.as_slice()));
            let keys =
                columns.into_iter().flat_map(|(s, key)| key.iter().map(|c| KeyColumn::new(qualified(&s.alias, &c.name), c.name.clone())));
            (keys.collect(), KeyOrigin::Source)
        }
    }
}

/// Names the columns of a new key: a column keeps its name, an expression takes that of the select item that shows it, unless that
/// is also the name of a column that another item reads, which it must not hide.
fn partition_columns(scope: &Scope, exprs: &[Expr], items: &[Item]) -> Vec<KeyColumn> {
    let mut aliases = Aliases::new(scope);
    let others = items.iter().filter(|item| !exprs.contains(&item.expr)).map(|item| scope.internal(&item.expr));
    let read: BTreeSet<String> =
        others.flat_map(|expr| rewrite::columns(&expr).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect();
    let is_read = |name: &String| read.contains(name);
    let name_of = |expr: &Expr, aliases: &mut Aliases| match &expr.kind {
        ExprKind::Column(c) => match &c.source {
            Some(alias) => scope.internal_name(&alias.name, &c.name.name),
            None => c.name.name.clone(),
        },
        _ => match items.iter().find(|i| i.expr == *expr && !is_read(&i.name)) {
            Some(item) => item.name.clone(),
            None => aliases.for_key(scope, expr, &is_read),
        },
    };
    exprs.iter().map(|e| KeyColumn::new(e.clone(), name_of(e, &mut aliases))).collect()
}

struct Qualified<'a> {
    selection: &'a Option<Expr>,
    partition_by: &'a Option<Vec<Expr>>,
    group_by: &'a Option<Vec<Expr>>,
    having: &'a Option<Expr>,
}

/// The query as ksqlDB prints it back: every column with its source, every item and source with its name.
fn print_back(query: &Query, scope: &Scope, projection: &Projection, clauses: &Qualified<'_>) -> Query {
    let mut printed = query.clone();
    printed.items = projection.printed.clone();
    name_sources(&mut printed.from, scope);
    printed.selection = clauses.selection.clone();
    printed.having = clauses.having.clone();
    if let (Some(group_by), Some(exprs)) = (&mut printed.group_by, clauses.group_by) {
        group_by.exprs.clone_from(exprs);
    }
    if let (Some(partition_by), Some(exprs)) = (&mut printed.partition_by, clauses.partition_by)
        && !exprs.is_empty()
    {
        partition_by.exprs.clone_from(exprs);
    }
    printed.emit = printed.emit.or(Some(Emit::Changes));
    printed
}

fn name_sources(relation: &mut tidemill_parser::ast::Relation, scope: &Scope) {
    use tidemill_parser::ast::Relation;
    match relation {
        Relation::Source { name, alias } => {
            if alias.is_none() {
                *alias = Some(name.clone());
            }
        }
        Relation::Join(join) => {
            name_sources(&mut join.left, scope);
            name_sources(&mut join.right, scope);
            let mut ignored = Problems::default();
            join.on = scope.qualify(&join.on, Clause::JoinOn, &mut ignored);
        }
    }
}
