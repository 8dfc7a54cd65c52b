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
        let is_ours = |name: &String| table.schema.value.iter().any(|column| column.name == *name);
        if columns.is_empty() || !columns.iter().all(is_ours) || !calls_nothing(&predicate) {
            return Ok(None);
        }
        let read_at = |place: usize| {
            let index = source.iter().position(|at| *at == place)?;
            table.schema.value.get(index).filter(|column| columns.contains(&column.name))
        };
        let width = source.iter().max().map_or(0, |last| last + 1);
        let wanted = (0..width).map(|place| read_at(place).is_some()).collect();
        // The schema of the rows as they are decoded: columns that are not read have no names.
        let unread = |place: usize| Column::new(format!(" {place}"), SqlType::Boolean);
        let value = (0..width).map(|place| read_at(place).cloned().unwrap_or_else(|| unread(place))).collect();
        let schema = Schema { key: table.schema.key.clone(), value };
        let compiled = expr::compile_predicate(&predicate, &Scope::new(&schema, false)).map_err(|e| FatalError(e.to_string()))?;
        Ok(Some(EarlyTest { predicate: compiled, wanted }))
    }

    /// Whether a row, of which the wanted columns are decoded, falls out for sure.
    pub fn refuses(&self, values: &[Value], meta: &RowMeta) -> bool {
        let result = (self.predicate)(&Env::new(values, meta));
        // What failed and went on is the filter's to report.
        expr::take_swallowed().is_empty() && matches!(result, Ok(result) if result != Some(true))
    }
}

/// No function, so none that answers differently each time.
pub(super) fn calls_nothing(predicate: &Expr) -> bool {
    !matches!(predicate.kind, ExprKind::Call { .. }) && predicate.children().into_iter().all(calls_nothing)
}
