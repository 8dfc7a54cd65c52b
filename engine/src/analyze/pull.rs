//! Pull queries: what is looked up in a table's store, and what is calculated from the rows found there.

use tidemill_parser::ast::{BinaryOp, ColumnRef, Expr, ExprKind, Query};

use super::clauses::{self, Clauses, Purpose};
use super::context::{AnalysisContext, property};
use super::error::{AnalysisError, Problem, Problems};
use super::projection::Item;
use super::query::{OutputColumn, PlannedQuery, push_query};
use super::rewrite;
use super::scope::is_window_bound;
use super::typing::{self, Place};
use crate::catalog::{Source, SourceKind};
use crate::plan::NamedExpr;
use crate::row::Window;
use crate::types::{Column, Schema, SqlType, Value, text::parse_timestamp};

/// Alternatives of a WHERE clause that are followed; beyond, the table is scanned.
const MAX_ALTERNATIVES: usize = 1024;

/// A pull query ready to run.
#[derive(Debug, Clone)]
pub enum PullQuery {
    /// Reads a table's store.
    Table(Box<PullPlan>),
    /// Reads a stream from the beginning of its topic to where that ends now.
    Stream(Box<PlannedQuery>),
}

/// A look into a table's store.
#[derive(Debug, Clone)]
pub struct PullPlan {
    pub source: String,
    /// What rows of the table look like; expressions are over this.
    pub schema: Schema,
    pub windowed: bool,
    pub lookup: Lookup,
    /// SQL over [`Self::schema`]; true for rows wanted. `None` where `lookup` finds just those.
    pub predicate: Option<String>,
    /// The projection: SQL over [`Self::schema`].
    pub items: Vec<NamedExpr>,
    /// Its columns, in order.
    pub columns: Vec<OutputColumn>,
    pub limit: Option<u64>,
}

/// Which rows are read.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Those of some keys; none twice.
    Keys(Vec<KeyConstraint>),
    /// Those of a range of keys, in a table with one key column.
    Range { key: Range<Value>, windows: WindowBounds },
    /// All.
    Scan { windows: WindowBounds },
}

/// A key, and which of its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyConstraint {
    /// A value for each key column.
    pub key: Vec<Value>,
    pub windows: WindowBounds,
}

/// A range; `true` beside an end means that the end belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Range<T> {
    pub from: Option<(T, bool)>,
    pub to: Option<(T, bool)>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Range { from: None, to: None }
    }
}

/// Inclusive bounds on WINDOWSTART and WINDOWEND, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowBounds {
    pub start_from: i64,
    pub start_to: i64,
    pub end_from: i64,
    pub end_to: i64,
}

impl WindowBounds {
    /// Every window.
    pub const ALL: WindowBounds = WindowBounds { start_from: i64::MIN, start_to: i64::MAX, end_from: i64::MIN, end_to: i64::MAX };

    fn restrict(&mut self, bound: &str, op: BinaryOp, ms: i64) {
        let (from, to) = match bound {
            "WINDOWSTART" => (&mut self.start_from, &mut self.start_to),
            _ => (&mut self.end_from, &mut self.end_to),
        };
        let mut at_least = |ms: i64| *from = (*from).max(ms);
        let mut at_most = |ms: i64| *to = (*to).min(ms);
        match op {
            BinaryOp::Equal => {
                at_least(ms);
                at_most(ms);
            }
            BinaryOp::Greater => at_least(ms.saturating_add(1)),
            BinaryOp::GreaterOrEqual => at_least(ms),
            BinaryOp::Less => at_most(ms.saturating_sub(1)),
            BinaryOp::LessOrEqual => at_most(ms),
            _ => {}
        }
    }

    /// Whether a window lies within.
    pub fn admits(&self, window: Window) -> bool {
        (self.start_from..=self.start_to).contains(&window.start) && (self.end_from..=self.end_to).contains(&window.end)
    }

    /// The windows of both.
    fn union(self, other: WindowBounds) -> WindowBounds {
        WindowBounds {
            start_from: self.start_from.min(other.start_from),
            start_to: self.start_to.max(other.start_to),
            end_from: self.end_from.min(other.end_from),
            end_to: self.end_to.max(other.end_to),
        }
    }
}

/// Analyses a pull query. `statement` is its text, `query_id` is needed where a stream is read.
///
/// # Errors
/// Everything that is wrong with the query.
pub fn pull_query(query: &Query, statement: &str, ctx: &AnalysisContext<'_>, query_id: &str) -> Result<PullQuery, AnalysisError> {
    let mut problems = Problems::default();
    if !ctx.flag(property::PULL_ENABLED, true) {
        problems
            .add(Problem::new(format!("Pull queries are disabled. Please set {}=true to enable this feature.", property::PULL_ENABLED)));
    }
    check_clauses(query, &mut problems);
    problems.check()?;
    let clauses = clauses::read(query, Purpose::Push, ctx, &mut problems)?;
    if clauses.aggregation.is_some() {
        problems.add(unsupported("GROUP BY"));
    }
    check_columns(&clauses, &mut problems);
    problems.check()?;
    let Some(source) = clauses.scope.sides.first().map(|s| s.source.clone()) else { return Err(problems.error()) };
    if source.kind == SourceKind::Stream {
        if !ctx.flag(property::STREAM_PULL, true) {
            return Err(Problem::new(format!(
                "Pull queries on streams are disabled. To create a push query on the stream, add EMIT CHANGES to the end. To enable pull \
                 queries on streams, set the {} config to 'true'.",
                property::STREAM_PULL
            ))
            .into());
        }
        return Ok(PullQuery::Stream(Box::new(push_query(query, statement, ctx, query_id)?)));
    }
    check_distinct(&clauses, &source, &mut problems);
    problems.check()?;
    check_queryable(&source)?;
    let plan = Planner { clauses: &clauses, source: &source, ctx, problems: &mut problems }.plan();
    problems.check()?;
    plan.map(|p| PullQuery::Table(Box::new(p))).ok_or_else(|| Problem::new("The query could not be analysed.").into())
}

const ADVICE: &str = "See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.";

fn unsupported(clause: &str) -> Problem {
    Problem::new(format!("Pull queries don't support {clause} clauses. {ADVICE}"))
}

fn check_clauses(query: &Query, problems: &mut Problems) {
    use tidemill_parser::ast::Relation;
    for (clause, is_there) in [
        ("JOIN", matches!(query.from, Relation::Join(_))),
        ("WINDOW", query.window.is_some()),
        ("GROUP BY", query.group_by.is_some()),
        ("PARTITION BY", query.partition_by.is_some()),
        ("HAVING", query.having.is_some()),
    ] {
        if is_there {
            problems.add(unsupported(clause));
        }
    }
}

/// Stores don't know where a row came from.
fn check_columns(clauses: &Clauses, problems: &mut Problems) {
    let origin_columns = |exprs: Vec<&Expr>| {
        let mut found: Vec<String> = Vec::new();
        for name in exprs.into_iter().flat_map(|e| rewrite::columns(e)) {
            let text = format!("`{name}`");
            if matches!(name, "ROWPARTITION" | "ROWOFFSET") && !found.contains(&text) {
                found.push(text);
            }
        }
        found
    };
    let items = clauses.projection.items.iter().map(|i| &i.expr).collect();
    for (clause, found) in [("SELECT", origin_columns(items)), ("WHERE", origin_columns(clauses.selection.iter().collect()))] {
        if !found.is_empty() {
            let message = format!("Pull queries don't support the following columns in {clause} clauses: {}\n {ADVICE}", found.join(", "));
            problems.add(Problem::new(message));
        }
    }
}

/// A row has each value column once.
fn check_distinct(clauses: &Clauses, source: &Source, problems: &mut Problems) {
    let items = &clauses.projection.items;
    let is_key = |item: &Item| source.schema.is_key(&item.name) || (source.is_windowed() && is_window_bound(&item.name));
    let second = items.iter().enumerate().find(|(i, item)| !is_key(item) && items.iter().take(*i).any(|earlier| earlier.name == item.name));
    let Some((_, item)) = second else { return };
    let expr = clauses.scope.internal(&item.expr);
    if let Ok(Some(sql_type)) = typing::over_schema(&expr, &source.schema, source.is_windowed(), Place::Select) {
        let message = format!("Duplicate value columns found in schema: `{}` {sql_type}", item.name);
        problems.add(Problem::new(message).at(item.span));
    }
}

fn check_queryable(source: &Source) -> Result<(), Problem> {
    if source.created_by.is_some() || source.read_only {
        return Ok(());
    }
    let name = &source.name;
    Err(Problem::new(format!(
        "The `{name}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{name} AS SELECT * FROM \
         {name}'. {ADVICE}"
    )))
}

struct Planner<'a, 'p> {
    clauses: &'a Clauses,
    source: &'a Source,
    ctx: &'a AnalysisContext<'a>,
    problems: &'p mut Problems,
}

impl Planner<'_, '_> {
    fn plan(&mut self) -> Option<PullPlan> {
        let windowed = self.source.is_windowed();
        let schema = &self.source.schema;
        let predicate = self.clauses.selection.as_ref().map(|e| self.clauses.scope.internal(e));
        if let Some(predicate) = &predicate {
            self.check_predicate(predicate)?;
        }
        let lookup = self.lookup(predicate.as_ref())?;
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for item in &self.clauses.projection.items {
            let expr = self.clauses.scope.internal(&item.expr);
            if self.calls_table_function(&expr) {
                self.problems.add(Problem::new("Table source is not supported with table functions"));
                continue;
            }
            let found =
                typing::over_schema(&expr, schema, windowed, Place::Select).and_then(|t| t.ok_or_else(|| typing::untyped_null(&expr)));
            let Some(sql_type) = self.problems.take(found) else { continue };
            let is_key =
                matches!(&expr.kind, ExprKind::Column(c) if schema.is_key(&c.name.name) || (windowed && is_window_bound(&c.name.name)));
            columns.push(OutputColumn { column: Column::new(item.name.clone(), sql_type), is_key });
            items.push(NamedExpr { name: item.name.clone(), expr: expr.to_string() });
        }
        let only_keys = predicate.as_ref().is_some_and(|p| self.is_key_equality(p)) && matches!(lookup, Lookup::Keys(_));
        Some(PullPlan {
            source: self.source.name.clone(),
            schema: schema.clone(),
            windowed,
            lookup,
            predicate: predicate.filter(|_| !only_keys).map(|p| p.to_string()),
            items,
            columns,
            limit: self.clauses.limit,
        })
    }

    fn calls_table_function(&self, expr: &Expr) -> bool {
        let mut found = false;
        rewrite::visit(expr, &mut |e| {
            found |= matches!(&e.kind, ExprKind::Call { name, .. } if typing::is_table_function(&name.name));
            !found
        });
        found
    }

    fn check_predicate(&mut self, predicate: &Expr) -> Option<()> {
        let windowed = self.source.is_windowed();
        let type_of = |predicate: &Expr, place| typing::over_schema(predicate, &self.source.schema, windowed, place);
        let found = type_of(predicate, Place::Where).or_else(|problem| {
            let is_of_between = problem.is_of_types && type_of(&without_between(predicate), Place::Where).is_ok();
            if is_of_between { type_of(predicate, Place::Between) } else { Err(problem) }
        });
        match self.problems.take(found)? {
            Some(SqlType::Boolean) => Some(()),
            other => {
                let got = other.map_or("null".to_string(), |t| t.to_string());
                let message = format!("Type error in WHERE expression: Should evaluate to boolean but is {predicate} ({got}) instead.");
                self.problems.add(Problem::new(message).at(predicate.span));
                None
            }
        }
    }

    /// Whether the predicate is `key = literal` for the one key column: then every row found fits.
    fn is_key_equality(&self, predicate: &Expr) -> bool {
        match (&predicate.kind, self.source.schema.key.as_slice()) {
            (ExprKind::Binary { op: BinaryOp::Equal, left, right }, [key]) => {
                let is_key = |e: &Expr| matches!(&e.kind, ExprKind::Column(c) if c.name.name == key.name);
                // NaN is found, yet equals nothing.
                key.sql_type != SqlType::Double && (is_key(left) != is_key(right))
            }
            _ => false,
        }
    }

    fn lookup(&mut self, predicate: Option<&Expr>) -> Option<Lookup> {
        let Some(predicate) = predicate else {
            self.allow_scan("Missing WHERE clause. ")?;
            return Some(Lookup::Scan { windows: WindowBounds::ALL });
        };
        let predicate = simplified(predicate);
        let Some(alternatives) = alternatives(&predicate) else {
            self.allow_scan(&format!("WHERE clause has more than {MAX_ALTERNATIVES} alternatives. "))?;
            return Some(Lookup::Scan { windows: WindowBounds::ALL });
        };
        let mut found = Vec::new();
        for alternative in &alternatives {
            found.push(self.constraints(alternative)?);
        }
        if found.iter().all(|c| c.key().is_some()) {
            let mut keys: Vec<KeyConstraint> = Vec::new();
            for constraint in found.into_iter().filter(|c| !c.is_empty()) {
                let Some(key) = constraint.key() else { continue };
                match keys.iter_mut().find(|k| k.key == key) {
                    Some(existing) => existing.windows = existing.windows.union(constraint.windows),
                    None => keys.push(KeyConstraint { key, windows: constraint.windows }),
                }
            }
            return Some(Lookup::Keys(keys));
        }
        // Where whole tables may be read, a range of keys of any type is read instead.
        let scans = self.ctx.flag(property::TABLE_SCAN, true);
        if let ([only], [key]) = (found.as_slice(), self.source.schema.key.as_slice())
            && let Some(range) = only.range()
            && self.ctx.flag(property::RANGE_SCAN, true)
            && (scans || key.sql_type == SqlType::String)
        {
            return Some(Lookup::Range { key: range, windows: only.windows });
        }
        let lacking = alternatives.iter().zip(&found).find(|(_, c)| c.key().is_none());
        let reason = lacking.map(|(alternative, c)| self.lacking(alternative, c)).unwrap_or_default();
        self.allow_scan(&reason)?;
        let windows = found.iter().map(|c| c.windows).reduce(WindowBounds::union).unwrap_or(WindowBounds::ALL);
        Some(Lookup::Scan { windows })
    }

    /// What keeps an alternative from being looked up by key.
    fn lacking(&self, alternative: &[&Expr], constraints: &Constraints) -> String {
        let key = &self.source.schema.key;
        let specified: Vec<String> =
            key.iter().zip(&constraints.keys).filter(|(_, part)| part.is_set()).map(|(k, _)| format!("`{}`", k.name)).collect();
        if specified.len() == key.len() {
            return "Query requires table scan to be enabled. ".to_owned();
        }
        if !specified.is_empty() {
            let expected: Vec<String> = key.iter().map(|k| format!("`{}` {} KEY", k.name, k.sql_type)).collect();
            return format!(
                "Multi-column sources must specify every key in the WHERE clause. Specified: [{}] Expected: [{}]. ",
                specified.join(", "),
                expected.join(", ")
            );
        }
        let parts: Vec<String> = alternative.iter().map(|e| e.to_string()).collect();
        format!("WHERE clause missing key column for disjunct: {}. ", parts.join(" AND "))
    }

    fn allow_scan(&mut self, reason: &str) -> Option<()> {
        if self.ctx.flag(property::TABLE_SCAN, true) {
            return Some(());
        }
        let mut message = format!(
            "{reason} {ADVICE}\nPull queries require a WHERE clause that:\n - includes a key equality expression, e.g. `SELECT * FROM X WHERE \
             <key-column> = Y;`.\n - in the case of a multi-column key, is a conjunction of equality expressions that cover all key \
             columns.\n - to support range expressions, e.g.,  SELECT * FROM X WHERE <key-column> < Y;`, range scans need to be enabled by \
             setting {}=true\n",
            property::RANGE_SCAN
        );
        if self.source.is_windowed() {
            message.push_str(
                " - (optionally) limits the time bounds of the windowed table.\n\t Bounds on [`WINDOWSTART`, `WINDOWEND`] are supported\n\t \
                 Supported operators are [EQUAL, GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN, LESS_THAN_OR_EQUAL]\n",
            );
        }
        message.push_str(&format!(
            "If more flexible queries are needed, , table scans can be enabled by setting {}=true.",
            property::TABLE_SCAN
        ));
        self.problems.add(Problem::new(message));
        None
    }

    /// What a conjunction says about keys and windows. Whatever else it says is left to the predicate.
    fn constraints(&mut self, conjunction: &[&Expr]) -> Option<Constraints> {
        let key = &self.source.schema.key;
        let mut constraints = Constraints { keys: vec![KeyPart::default(); key.len()], windows: WindowBounds::ALL, contradiction: false };
        for condition in conjunction {
            let ExprKind::Binary { op, left, right } = &condition.kind else { continue };
            if let Some(reason) = self.unusable(*op, left, right) {
                self.allow_scan(&reason)?;
            }
            let Some((column, op, value)) = comparison(*op, left, right) else { continue };
            if self.source.is_windowed() && is_window_bound(column) && key.iter().all(|k| k.name != column) {
                if let Some(ms) = self.window_bound(value) {
                    constraints.windows.restrict(column, op, ms);
                }
                continue;
            }
            let Some(index) = key.iter().position(|k| k.name == column) else { continue };
            let (Some(key_column), Some(part)) = (key.get(index), constraints.keys.get_mut(index)) else { continue };
            let value = self.problems.take(key_value(value, key_column))?;
            if part.is_set() {
                self.allow_scan(
                    "A comparison condition on the key column cannot be combined with other comparisons such as an IN predicate. ",
                )?;
            }
            match op {
                BinaryOp::Equal if part.equal.as_ref().is_some_and(|v| *v != value) => constraints.contradiction = true,
                BinaryOp::Equal => part.equal = Some(value),
                BinaryOp::Greater => part.range.from = Some((value, false)),
                BinaryOp::GreaterOrEqual => part.range.from = Some((value, true)),
                BinaryOp::Less => part.range.to = Some((value, false)),
                BinaryOp::LessOrEqual => part.range.to = Some((value, true)),
                _ => {}
            }
        }
        Some(constraints)
    }

    /// Why a comparison says nothing that a key can be looked up by, where it should.
    fn unusable(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Option<String> {
        let key = &self.source.schema.key;
        let column = |e: &Expr| matches!(&e.kind, ExprKind::Column(ColumnRef { source: None, .. }));
        let is_key = |e: &Expr| matches!(&e.kind, ExprKind::Column(c) if key.iter().any(|k| k.name == c.name.name));
        let is_constant = |e: &Expr| rewrite::columns(e).is_empty();
        if op == BinaryOp::NotEqual && (is_key(left) && is_constant(right) || is_key(right) && is_constant(left)) {
            let columns: Vec<String> = key.iter().map(|k| format!("`{}` {} KEY", k.name, k.sql_type)).collect();
            return Some(format!("Bound on key columns '[{}]' must currently be '='. ", columns.join(", ")));
        }
        use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let is_comparison = matches!(op, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual);
        let suits = |side: &Expr, other: &Expr| !is_key(side) || is_constant(other);
        let is_resolvable = (column(left) || column(right)) && suits(left, right) && suits(right, left);
        (is_comparison && !is_resolvable).then(|| "A comparison must be between a key column and a resolvable expression. ".to_owned())
    }

    /// A bound of windows: a number of milliseconds or a timestamp's text. Others are left to the predicate.
    fn window_bound(&mut self, value: &Expr) -> Option<i64> {
        match &value.kind {
            ExprKind::Integer(ms) => Some(i64::from(*ms)),
            ExprKind::BigInt(ms) => Some(*ms),
            ExprKind::Negate(inner) => self.window_bound(inner)?.checked_neg(),
            ExprKind::String(text) => {
                let parsed = parse_timestamp(text);
                if parsed.is_none() {
                    self.problems.add(
                        Problem::new(format!(
                            "Failed to parse timestamp '{text}'.\nRequired format is: \"yyyy-MM-dd'T'HH:mm:ss.SSS\", with an optional numeric \
                             4-digit timezone, for example: '2020-05-26T23:59:58.000' or with tz: '2020-05-26T23:59:58.000+0200'. A trailing \
                             'Z' instead of tz indicates the zero UTC offset. Partials are also supported, for example \"2020-05-26\""
                        ))
                        .at(value.span),
                    );
                }
                parsed
            }
            _ => None,
        }
    }
}

/// What one alternative says.
struct Constraints {
    /// For each key column.
    keys: Vec<KeyPart>,
    windows: WindowBounds,
    /// No row can fit.
    contradiction: bool,
}

#[derive(Debug, Clone, Default)]
struct KeyPart {
    equal: Option<Value>,
    range: Range<Value>,
}

impl KeyPart {
    /// Whether anything was said of the column.
    fn is_set(&self) -> bool {
        self.equal.is_some() || self.range.from.is_some() || self.range.to.is_some()
    }
}

impl Constraints {
    /// The key, where every column has its value.
    fn key(&self) -> Option<Vec<Value>> {
        self.keys.iter().map(|k| k.equal.clone()).collect()
    }

    fn range(&self) -> Option<Range<Value>> {
        let part = self.keys.first()?;
        (part.range.from.is_some() || part.range.to.is_some()).then(|| part.range.clone())
    }

    fn is_empty(&self) -> bool {
        self.contradiction
    }
}

/// The value that a key column is compared with.
fn key_value(value: &Expr, key: &Column) -> Result<Value, Problem> {
    crate::expr::eval_const(value, &key.sql_type).map_err(|_| {
        let shown = match &value.kind {
            ExprKind::String(text) => text.clone(),
            _ => value.to_string(),
        };
        let message = format!("'{shown}' can not be converted to the type of the key column: {} {} KEY", key.name, key.sql_type);
        Problem::new(message).at(value.span)
    })
}

/// `column op value` or `value op column`, turned so that the column stands left.
fn comparison<'e>(op: BinaryOp, left: &'e Expr, right: &'e Expr) -> Option<(&'e str, BinaryOp, &'e Expr)> {
    let column = |e: &'e Expr| match &e.kind {
        ExprKind::Column(ColumnRef { source: None, name }) => Some(name.name.as_str()),
        _ => None,
    };
    let is_constant = |e: &Expr| rewrite::columns(e).is_empty();
    let turned = match op {
        BinaryOp::Equal => BinaryOp::Equal,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        _ => return None,
    };
    match (column(left), column(right)) {
        (Some(name), None) if is_constant(right) => Some((name, op, right)),
        (None, Some(name)) if is_constant(left) => Some((name, turned, left)),
        _ => None,
    }
}

/// The predicate as alternatives, each a list of conditions that must all hold. `None`: too many.
fn alternatives(expr: &Expr) -> Option<Vec<Vec<&Expr>>> {
    let found = match &expr.kind {
        ExprKind::Binary { op: BinaryOp::Or, left, right } => {
            let mut all = alternatives(left)?;
            all.extend(alternatives(right)?);
            all
        }
        ExprKind::Binary { op: BinaryOp::And, left, right } => {
            let (l, r) = (alternatives(left)?, alternatives(right)?);
            if l.len().checked_mul(r.len())? > MAX_ALTERNATIVES {
                return None;
            }
            l.iter().flat_map(|a| r.iter().map(|b| a.iter().chain(b).copied().collect())).collect()
        }
        _ => vec![vec![expr]],
    };
    (found.len() <= MAX_ALTERNATIVES).then_some(found)
}

/// The predicate with TRUE for each BETWEEN.
fn without_between(predicate: &Expr) -> Expr {
    predicate.clone().transform(&mut |e| match e.kind {
        ExprKind::Between { .. } => Expr { kind: ExprKind::Boolean(true), span: e.span },
        kind => Expr { kind, span: e.span },
    })
}

/// `a IN (x, y)` as `a = x OR a = y`, `a BETWEEN x AND y` as two comparisons, so that only comparisons are left to look at.
fn simplified(predicate: &Expr) -> Expr {
    let compare = |op, left: &Expr, right: Expr| Expr {
        span: left.span,
        kind: ExprKind::Binary { op, left: Box::new(left.clone()), right: Box::new(right) },
    };
    let join = |op, left: Expr, right: Expr| Expr::new(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) });
    predicate.clone().transform(&mut |e| match e.kind {
        ExprKind::In { expr, list, negated: false } if !list.is_empty() && list.len() <= MAX_ALTERNATIVES => {
            let equal = list.into_iter().map(|item| compare(BinaryOp::Equal, &expr, item));
            equal.reduce(|a, b| join(BinaryOp::Or, a, b)).unwrap_or(Expr::new(ExprKind::Boolean(false)))
        }
        ExprKind::Between { expr, low, high, negated: false } => {
            join(BinaryOp::And, compare(BinaryOp::GreaterOrEqual, &expr, *low), compare(BinaryOp::LessOrEqual, &expr, *high))
        }
        kind => Expr { kind, span: e.span },
    })
}
