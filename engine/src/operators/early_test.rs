//! Testing a table's row before the rest of it is decoded.
//!
//! Where the WHERE behind a stream–table join asks only for columns of the table, most rows may fall out there. So the
//! lookup decodes these columns first and tests them, and what does not match is no match. The filter behind the join stays:
//! it decides, and reports what fails.

use super::FatalError;
use super::exprs::parse;
use crate::expr::{self, Env, Eval, Scope};
use crate::plan::Step;
use crate::row::RowMeta;
use crate::types::{Column, Schema, SqlType, Value};
use tidemill_parser::ast::{Expr, ExprKind};

/// A predicate over some of a table's columns.
pub(super) struct EarlyTest {
    predicate: Eval<bool>,
    /// The value columns that it reads.
    pub wanted: Vec<bool>,
}

impl EarlyTest {
    /// For the rows of `table`, of which the value columns lie where `source` says (an index into the decoded values, without
    /// the key). `None` where the predicate reads anything else, or might say something else when it is asked again.
    pub fn new(predicate: &str, table: &Step, source: &[usize]) -> Result<Option<Self>, FatalError> {
        let predicate = parse(predicate)?;
        let columns = expr::columns_used(&predicate);
        let positions: Option<Vec<usize>> =
            columns.iter().map(|name| table.schema.value.iter().position(|column| column.name == *name)).collect();
        let Some(positions) = positions.filter(|positions| !positions.is_empty() && calls_nothing(&predicate)) else { return Ok(None) };
        let Some(places) = positions.iter().map(|position| source.get(*position).copied()).collect::<Option<Vec<usize>>>() else {
            return Ok(None);
        };
        let width = source.iter().max().map_or(0, |last| last + 1);
        let mut wanted = vec![false; width];
        // The schema of the rows as they are decoded: columns that are not read have no names.
        let mut schema = Schema { key: table.schema.key.clone(), value: Vec::with_capacity(width) };
        for (place, wanted) in wanted.iter_mut().enumerate() {
            let position = places.iter().position(|read| *read == place).and_then(|index| positions.get(index));
            let column = position.and_then(|position| table.schema.value.get(*position));
            *wanted = column.is_some();
            schema.value.push(column.cloned().unwrap_or_else(|| Column::new(format!(" {place}"), SqlType::Boolean)));
        }
        let compiled = expr::compile_predicate(&predicate, &Scope::new(&schema, false)).map_err(|e| FatalError(e.to_string()))?;
        Ok(Some(EarlyTest { predicate: compiled, wanted }))
    }

    /// Whether a row, of which the wanted columns are decoded, falls out for sure.
    pub fn refuses(&self, values: &[Value], meta: &RowMeta) -> bool {
        matches!((self.predicate)(&Env::new(values, meta)), Ok(result) if result != Some(true))
    }
}

/// No function, so none that answers differently each time.
fn calls_nothing(predicate: &Expr) -> bool {
    !matches!(predicate.kind, ExprKind::Call { .. }) && predicate.children().into_iter().all(calls_nothing)
}
