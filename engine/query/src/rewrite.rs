//! What the dialect writes otherwise than DataFusion: fields, casts, units, lambdas, times of rows, names of columns.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, TimezoneInfo, Value, ValueWithSpan, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::ast::{Spanned, Visit, helpers::attached_token::AttachedToken};
use tidemill_engine::catalog::Catalog;
use tidemill_engine::functions::{ParamType, registry};
use tidemill_engine::types::is_pseudo_column;
use tidemill_engine::types::text::parse_timestamp;
use tidemill_parser::did_you_mean;

use crate::dialect::{Parsed, call, span_of, text};
use crate::error::QueryError;
use crate::functions;
use crate::special;
use crate::table::visible_columns;

/// A query in DataFusion's words.
pub(crate) struct Rewritten {
    pub query: Box<Query>,
    /// Functions that only this query has.
    pub functions: Vec<Arc<ScalarUDF>>,
}

/// # Errors
/// A source that is not there, or what can't be said in DataFusion's words.
pub(crate) fn rewrite(parsed: Parsed, catalog: &Catalog) -> Result<Rewritten, QueryError> {
    let mut query = parsed.query;
    let mut names = SourceNames::default();
    let _ = query.visit(&mut names);
    for name in &names.relations {
        check_source(name, &names.ctes, catalog)?;
    }
    let mut rewriter = Rewriter { catalog, functions: Vec::new(), names_pseudo_columns: parsed.names_pseudo_columns };
    match VisitMut::visit(&mut *query, &mut rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(Rewritten { query, functions: rewriter.functions }),
    }
}

/// What a query reads, and the names that it gives itself.
#[derive(Default)]
struct SourceNames {
    relations: Vec<ObjectName>,
    ctes: HashSet<String>,
}

impl Visitor for SourceNames {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(tables.map(|cte| cte.alias.name.value.clone()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor {
            self.relations.push(name.clone());
        }
        ControlFlow::Continue(())
    }
}

fn check_source(name: &ObjectName, ctes: &HashSet<String>, catalog: &Catalog) -> Result<(), QueryError> {
    let span = span_of(name.span());
    let [part] = name.0.as_slice() else {
        return Err(QueryError::user(format!("{name} names no stream or table: their names have one part")).at(span));
    };
    let Some(ident) = part.as_ident() else { return Ok(()) };
    if ctes.contains(&ident.value) || catalog.source(&ident.value).is_some() {
        return Ok(());
    }
    let known = catalog.sources().map(|source| source.name.as_str()).chain(ctes.iter().map(String::as_str));
    let hint = did_you_mean(&ident.value, known).map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default();
    Err(QueryError::user(format!("{} does not exist.{hint}", ident.value)).at(span))
}

struct Rewriter<'a> {
    catalog: &'a Catalog,
    functions: Vec<Arc<ScalarUDF>>,
    names_pseudo_columns: bool,
}

impl VisitorMut for Rewriter<'_> {
    type Break = QueryError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        // Functions that make tables are known by names in lower case.
        if let TableFactor::Table { name, args: Some(_), .. } = factor {
            for part in &mut name.0 {
                if let ast::ObjectNamePart::Identifier(ident) = part
                    && ident.quote_style.is_none()
                {
                    ident.value.make_ascii_lowercase();
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        let Expr::Function(function) = &*expr else { return ControlFlow::Continue(()) };
        match self.template(function) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        match self.rewritten(expr) {
            Ok(Some(new)) => {
                *expr = new;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
        if self.names_pseudo_columns {
            self.expand_wildcards(select);
        }
        name_columns(select);
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    fn rewritten(&mut self, expr: &mut Expr) -> Result<Option<Expr>, QueryError> {
        if let Some(mut call) = special::call_of(expr) {
            if let Expr::Function(function) = &mut call {
                short_numbers(function);
            }
            return Ok(Some(call));
        }
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::Arrow, right } => match &mut **right {
                Expr::Identifier(field) => Ok(Some(call("get_field", vec![take(left), text(field.value.clone())]))),
                // `s->f[1]`
                Expr::CompoundFieldAccess { root, access_chain } if matches!(&**root, Expr::Identifier(_)) => {
                    let Expr::Identifier(field) = &**root else { return Ok(None) };
                    let root = Box::new(call("get_field", vec![take(left), text(field.value.clone())]));
                    Ok(Some(Expr::CompoundFieldAccess { root, access_chain: std::mem::take(access_chain) }))
                }
                other => Err(QueryError::user("'->' is followed by the name of a field").at(span_of(other.span()))),
            },
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                times_as_numbers(left, &mut [right]);
                times_as_numbers(right, &mut [left]);
                Ok(None)
            }
            Expr::Between { expr, low, high, .. } => {
                times_as_numbers(expr, &mut [low, high]);
                Ok(None)
            }
            Expr::InList { expr, list, .. } => {
                times_as_numbers(expr, &mut list.iter_mut().collect::<Vec<_>>());
                Ok(None)
            }
            Expr::Cast { kind, data_type, .. } => {
                // A cast that fails is null, as in the dialect.
                *kind = CastKind::TryCast;
                known_type(data_type);
                Ok(None)
            }
            Expr::Array(array) => {
                array.elem.iter_mut().filter(|item| is_short_number(item)).for_each(|item| *item = cast(take(item), DataType::Int(None)));
                Ok(None)
            }
            Expr::TypedString(typed) => {
                known_type(&mut typed.data_type);
                Ok(None)
            }
            // A number with an exponent is a DOUBLE.
            Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if digits.contains(['e', 'E']) => {
                let number = expr.clone();
                Ok(Some(cast(number, DataType::Double(ast::ExactNumberInfo::None))))
            }
            Expr::Function(function) => {
                short_numbers(function);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// A call with a lambda or a unit of time, as a call of a function that is made for it: before anything within is
    /// rewritten, since the dialect itself reads its text again.
    fn template(&mut self, function: &Function) -> Result<Option<Expr>, QueryError> {
        let [part] = function.name.0.as_slice() else { return Ok(None) };
        let Some(name) = part.as_ident().map(|ident| ident.value.clone()) else { return Ok(None) };
        let Some(known) = registry::scalar(&name) else { return Ok(None) };
        let FunctionArguments::List(list) = &function.args else { return Ok(None) };
        let takes_unit = |index: usize| {
            known.variants.iter().any(|variant| variant.params.get(index).is_some_and(|param| matches!(param.param_type, ParamType::Unit)))
        };
        let mut args: Vec<Expr> = Vec::new();
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(arg.clone()),
                _ => return Ok(None),
            }
        }
        if !args.iter().enumerate().any(|(index, arg)| matches!(arg, Expr::Lambda(_)) || takes_unit(index) && is_name(arg)) {
            return Ok(None);
        }
        let mut given = Vec::new();
        let mut written = Vec::new();
        for (index, arg) in args.into_iter().enumerate() {
            match arg {
                Expr::Lambda(mut lambda) => {
                    let params: Vec<String> = lambda.params.iter().map(|param| param.name.to_string()).collect();
                    let bound = lambda.params.iter().map(|param| param.name.value.clone()).collect();
                    let mut free = FreeColumns { bound, given: &mut given };
                    if let ControlFlow::Break(error) = VisitMut::visit(&mut lambda.body, &mut free) {
                        return Err(error);
                    }
                    written.push(format!("({}) => {}", params.join(", "), lambda.body));
                }
                Expr::Identifier(unit) if takes_unit(index) => written.push(unit.value),
                other => {
                    written.push(functions::argument(given.len()));
                    given.push(if is_short_number(&other) { cast(other, DataType::Int(None)) } else { other });
                }
            }
        }
        let own = format!("__call_{}", self.functions.len());
        self.functions.push(functions::template(own.clone(), format!("{name}({})", written.join(", "))));
        Ok(Some(call(&own, given)))
    }

    /// Writes out `*`, so that the columns that every row has don't come with it.
    fn expand_wildcards(&self, select: &mut Select) {
        let factors: Vec<&TableFactor> = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
            .collect();
        let of = |factor: &TableFactor| -> Option<Vec<SelectItem>> {
            match factor {
                TableFactor::Table { name, alias, args: None, .. } => {
                    let name = name.0.first()?.as_ident()?;
                    let alias = alias.as_ref().map_or(name, |alias| &alias.name);
                    match self.catalog.source(&name.value) {
                        Some(source) => {
                            let column = |column: String| {
                                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![alias.clone(), Ident::with_quote('`', column)]))
                            };
                            Some(visible_columns(source).into_iter().map(column).collect())
                        }
                        None => Some(vec![all_of(alias)]),
                    }
                }
                TableFactor::Derived { alias: Some(alias), .. } => Some(vec![all_of(&alias.name)]),
                _ => None,
            }
        };
        let mut items = Vec::new();
        for item in &select.projection {
            let expanded: Option<Vec<SelectItem>> = match item {
                SelectItem::Wildcard(_) => {
                    factors.iter().map(|factor| of(factor)).collect::<Option<Vec<_>>>().map(|all| all.into_iter().flatten().collect())
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let wanted = name.0.first().and_then(|part| part.as_ident()).map(|ident| &ident.value);
                    factors.iter().find(|factor| name_of(factor) == wanted).and_then(|factor| of(factor))
                }
                _ => None,
            };
            match expanded {
                Some(expanded) => items.extend(expanded),
                None => items.push(item.clone()),
            }
        }
        select.projection = items;
    }
}

/// A whole number that a function of the dialect is called with is an INTEGER where it fits one, as in the dialect.
fn short_numbers(function: &mut Function) {
    let [part] = function.name.0.as_slice() else { return };
    let Some(name) = part.as_ident() else { return };
    if registry::scalar(&name.value).is_none() && !matches!(name.value.as_str(), "make_array" | "named_struct") {
        return;
    }
    for arg in special::args_of(function).into_iter().flatten() {
        if is_short_number(arg) {
            *arg = cast(take(arg), DataType::Int(None));
        }
    }
}

fn all_of(name: &Ident) -> SelectItem {
    SelectItem::QualifiedWildcard(
        SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![name.clone()])),
        ast::WildcardAdditionalOptions { wildcard_token: AttachedToken::empty(), ..Default::default() },
    )
}

fn name_of(factor: &TableFactor) -> Option<&String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => Some(&alias.name.value),
        TableFactor::Table { name, .. } => name.0.first().and_then(|part| part.as_ident()).map(|ident| &ident.value),
        _ => None,
    }
}

/// Stands before the name of a field while the expression around it is looked through: it is no column.
const FIELD: char = '\0';

/// `f` of `s->f` and of `s->f[1]`.
fn field_behind_arrow(expr: &mut Expr) -> Option<&mut Ident> {
    let Expr::BinaryOp { op: BinaryOperator::Arrow, right, .. } = expr else { return None };
    match &mut **right {
        Expr::Identifier(field) => Some(field),
        Expr::CompoundFieldAccess { root, .. } => match &mut **root {
            Expr::Identifier(field) => Some(field),
            _ => None,
        },
        _ => None,
    }
}

/// Makes columns in a lambda's body that are not its own parameters arguments of the call.
struct FreeColumns<'a> {
    bound: Vec<String>,
    given: &'a mut Vec<Expr>,
}

impl VisitorMut for FreeColumns<'_> {
    type Break = QueryError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if let Some(field) = field_behind_arrow(expr) {
            field.value.insert(0, FIELD);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if let Some(field) = field_behind_arrow(expr) {
            field.value = field.value.trim_start_matches(FIELD).to_owned();
        }
        match expr {
            Expr::Identifier(name) if name.value.starts_with(FIELD) => {}
            Expr::Identifier(name) if self.bound.contains(&name.value) || name.quote_style.is_none() && is_unit(&name.value) => {}
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let argument = Ident::new(functions::argument(self.given.len()));
                self.given.push(std::mem::replace(expr, Expr::Identifier(argument)));
            }
            Expr::Lambda(_) | Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                let message = "Lambdas hold neither queries nor other lambdas here";
                return ControlFlow::Break(QueryError::user(message).at(span_of(expr.span())));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Gives columns without a name the names that the dialect gives them.
fn name_columns(select: &mut Select) {
    let mut count = 0;
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let alias = match &*expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => continue,
            other => match field_of(other) {
                Some(field) => field,
                None => {
                    count += 1;
                    format!("KSQL_COL_{}", count - 1)
                }
            },
        };
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('`', alias) };
    }
}

/// The field that an expression takes out of a STRUCT.
fn field_of(expr: &Expr) -> Option<String> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else { return None };
    let is_field = name.0.first()?.as_ident()?.value == "get_field";
    match list.args.get(1)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(field), .. })))
            if is_field =>
        {
            Some(field.clone())
        }
        _ => None,
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// A time that is compared with a pseudo-column may be written as a text.
fn times_as_numbers(column: &Expr, others: &mut [&mut Expr]) {
    let name = match column {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(name) => name,
            None => return,
        },
        _ => return,
    };
    if !is_pseudo_column(&name.value) {
        return;
    }
    for other in others {
        if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(time), .. }) = &**other
            && let Some(ms) = parse_timestamp(time)
        {
            **other = Expr::Value(Value::Number(ms.to_string(), false).into());
        }
    }
}

/// Types by names that DataFusion knows.
fn known_type(data_type: &mut DataType) {
    match data_type {
        DataType::Bytes(_) => *data_type = DataType::Bytea,
        DataType::Timestamp(None, TimezoneInfo::None) => *data_type = DataType::Timestamp(Some(3), TimezoneInfo::None),
        _ => {}
    }
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none())
}

fn is_unit(name: &str) -> bool {
    matches!(name.trim_end_matches('S'), "MILLISECOND" | "SECOND" | "MINUTE" | "HOUR" | "DAY" | "WEEK" | "MONTH" | "YEAR")
}

fn is_short_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.parse::<i32>().is_ok(),
        Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => is_short_number(expr),
        _ => false,
    }
}
