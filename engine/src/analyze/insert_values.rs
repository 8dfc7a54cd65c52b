//! INSERT INTO … VALUES: one row, its values in the types of their columns.

use std::sync::Arc;

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind, Ident, InsertValues};

use super::context::{AnalysisContext, property};
use super::error::{AnalysisError, ErrorKind, PREPARING, Problem, Problems};
use super::rewrite;
use super::scope;
use crate::catalog::{Source, SourceKind};
use crate::expr;
use crate::types::{Column, SqlType, Value, is_pseudo_column};

/// A row to write.
#[derive(Debug, Clone)]
pub struct InsertRow {
    pub source: Arc<Source>,
    /// A value for each key column.
    pub key: Vec<Value>,
    /// A value for each value column that stands in the record (see [`Source::record_schema`]).
    pub value: Vec<Value>,
    /// ROWTIME where it was given; else the row gets the time of its writing.
    pub timestamp: Option<i64>,
}

/// Analyses INSERT INTO … VALUES.
///
/// # Errors
/// Everything that is wrong with the statement.
pub fn insert_values(insert: &InsertValues, ctx: &AnalysisContext<'_>) -> Result<InsertRow, AnalysisError> {
    let source = target(insert, ctx)?;
    let columns = columns(insert, &source)?;
    insert.values.iter().try_for_each(refuse_sources)?;
    let mut problems = Problems::default();
    let mut row = InsertRow {
        key: vec![Value::Null; source.schema.key.len()],
        value: vec![Value::Null; source.schema.value.len()],
        timestamp: None,
        source: source.clone(),
    };
    let mut given = Vec::new();
    for (name, value) in columns.iter().zip(&insert.values) {
        given.push(name.name.as_str());
        if let Err(problem) = fill(&mut row, name, value, ctx) {
            problems.add(failed(&source, problem));
        }
    }
    if source.kind == SourceKind::Table {
        let is_missing = |c: &&Column| !given.contains(&c.name.as_str());
        let missing: Vec<&str> = source.schema.key.iter().filter(is_missing).map(|c| c.name.as_str()).collect();
        let all_null = !source.schema.key.is_empty() && row.key.iter().all(Value::is_null);
        if !missing.is_empty() {
            let message = format!("Value for primary key column(s) {} is required for tables", missing.join(", "));
            problems.add(failed(&source, Problem::new(message)));
        } else if all_null && problems.is_empty() {
            let message = "The primary key of a table can not be null: its compacted topic cannot accept message without key.";
            problems.add(failed(&source, Problem::new(message).kind(ErrorKind::Request)));
        }
    }
    problems.check()?;
    // Header columns are no part of the record.
    let mut slots = source.schema.value.iter();
    row.value.retain(|_| slots.next().is_some_and(|c| !source.is_header(&c.name)));
    Ok(row)
}

/// The source, if rows may be inserted there.
fn target(insert: &InsertValues, ctx: &AnalysisContext<'_>) -> Result<Arc<Source>, Problem> {
    let name = &insert.target.name;
    let Some(source) = ctx.catalog.source(name) else {
        let near = scope::unknown_source(ctx.catalog, &insert.target).message;
        let hint = near.split_once("does not exist.").map(|(_, hint)| hint).unwrap_or_default();
        return Err(Problem::new(format!("Cannot insert values into an unknown stream/table: `{name}`{hint}")));
    };
    let request = |message: String| Err(Problem::new(message).kind(ErrorKind::Request));
    if !ctx.flag(property::INSERT_VALUES, true) {
        return request(format!("The server has disabled INSERT INTO ... VALUES functionality. It is set by {}.", property::INSERT_VALUES));
    }
    if source.read_only {
        return request(format!("Cannot insert values into read-only {}: {name}", source.kind.lower()));
    }
    if source.is_windowed() {
        return request(format!("Cannot insert values into windowed {}: {name}", source.kind.lower()));
    }
    Ok(source.clone())
}

/// The columns that the values are for, as many as there are values.
fn columns(insert: &InsertValues, source: &Source) -> Result<Vec<Ident>, Problem> {
    let (values, named) = (insert.values.len(), insert.columns.len());
    if named > 0 && named != values {
        let message = format!("Expected number columns and values to match: {named}, {values}");
        return Err(Problem::new(message).while_(PREPARING));
    }
    let columns = match named {
        // The key stands first, wherever it was declared.
        0 => {
            let (key, value): (Vec<&String>, Vec<&String>) = source.column_order.iter().partition(|name| source.schema.is_key(name));
            key.into_iter().chain(value).map(|name| Ident::new(name.clone())).collect()
        }
        _ => insert.columns.clone(),
    };
    let columns: Vec<Ident> = columns;
    let headers: Vec<&str> = columns.iter().map(|c| c.name.as_str()).filter(|n| source.is_header(n)).collect();
    // Without names the headers may be left out altogether.
    let without = columns.len() - headers.len();
    if !headers.is_empty() && (named != 0 || values != without) {
        return Err(Problem::new(format!("Cannot insert into HEADER columns: {}", headers.join(", "))).kind(ErrorKind::Request));
    }
    let columns: Vec<Ident> = columns.into_iter().filter(|c| !source.is_header(&c.name)).collect();
    if columns.len() != values {
        let expected: Vec<String> = columns.iter().map(|c| format!("`{}`", c.name)).collect();
        let got: Vec<String> = insert.values.iter().map(ToString::to_string).collect();
        let message = format!("Expected a value for each column. Expected Columns: [{}]. Got [{}]", expected.join(", "), got.join(", "));
        return Err(failed(source, Problem::new(message)));
    }
    Ok(columns)
}

/// A value has no source whose columns it could name.
fn refuse_sources(value: &Expr) -> Result<(), Problem> {
    let mut named = None;
    rewrite::visit(value, &mut |e| {
        if let ExprKind::Column(ColumnRef { source: Some(source), .. }) = &e.kind {
            named.get_or_insert_with(|| source.name.clone());
        }
        true
    });
    match named {
        Some(name) => Err(Problem::new(format!("'{name}' is not a valid stream/table name or alias.")).while_(PREPARING)),
        None => Ok(()),
    }
}

fn failed(source: &Source, mut problem: Problem) -> Problem {
    problem.message = format!("Failed to insert values into '{}'. {}", source.name, problem.message);
    problem
}

/// Puts one value into the row.
fn fill(row: &mut InsertRow, name: &Ident, value: &Expr, ctx: &AnalysisContext<'_>) -> Result<(), Problem> {
    let source = row.source.clone();
    let schema = &source.schema;
    if name.name == "ROWTIME" {
        let column = Column::new("ROWTIME", SqlType::BigInt);
        if let Value::BigInt(ms) = evaluate(value, &column, ctx)? {
            if ms < 0 {
                let message = format!("Invalid ROWTIME: {ms}. Give milliseconds since 1970-01-01T00:00:00Z, 0 or more, or leave it out.");
                return Err(Problem::new(message).at(value.span));
            }
            row.timestamp = Some(ms);
        }
        return Ok(());
    }
    if let Some(index) = schema.key.iter().position(|c| c.name == name.name)
        && let (Some(column), Some(slot)) = (schema.key.get(index), row.key.get_mut(index))
    {
        *slot = evaluate(value, column, ctx)?;
        return Ok(());
    }
    if let Some(index) = schema.value.iter().position(|c| c.name == name.name)
        && let (Some(column), Some(slot)) = (schema.value.get(index), row.value.get_mut(index))
    {
        *slot = evaluate(value, column, ctx)?;
        return Ok(());
    }
    if is_pseudo_column(&name.name) {
        return Err(Problem::new(format!("Inserting into column `{}` is not allowed.", name.name)).at(name.span));
    }
    let near = tidemill_parser::did_you_mean(&name.name, schema.columns().map(|c| c.name.as_str()));
    let near = near.map(|n| format!(" Did you mean `{n}`?")).unwrap_or_default();
    Err(Problem::new(format!("Column name `{}` does not exist.{near}", name.name)).at(name.span))
}

/// The value of an expression without columns as the value of a column, as INSERT INTO … VALUES takes it.
///
/// # Errors
/// It has no value, or one that does not become the column's type by itself.
pub fn constant(value: &Expr, column: &Column, ctx: &AnalysisContext<'_>) -> Result<Value, AnalysisError> {
    evaluate(value, column, ctx).map_err(AnalysisError::from)
}

/// The value of an expression without columns, in the type of the column that it is for.
fn evaluate(value: &Expr, column: &Column, ctx: &AnalysisContext<'_>) -> Result<Value, Problem> {
    let value = rewrite::resolve_types(value.clone(), ctx.catalog)?;
    expr::insert_value(&value, column).map_err(|error| Problem::new(error.message))
}
