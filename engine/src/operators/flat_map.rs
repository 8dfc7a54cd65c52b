//! Table functions: a row becomes as many as the longest function gives; shorter ones are padded with nulls. A row for
//! which none gives anything vanishes, and so does one with a null value. Without state.

use super::exprs::{Origin, Projector};
use super::{FatalError, Operator, Output, Port};
use crate::expr::{CompiledTableFunction, Env};
use crate::row::Row;

pub(super) struct FlatMap {
    pub width: usize,
    /// The columns that stay.
    pub kept: Projector,
    pub key_width: usize,
    pub functions: Vec<(CompiledTableFunction, String)>,
    pub origin: Origin,
}

impl Operator for FlatMap {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_value {
            return Ok(());
        }
        let mut results = Vec::with_capacity(self.functions.len());
        for (function, text) in &self.functions {
            let rows = function.rows(&Env::new(&row.values, &row.meta));
            self.origin.report_swallowed(out.cx, &row.values, &row.meta, text);
            results.push(match rows {
                Ok(values) => values,
                Err(error) => {
                    self.origin.report(out.cx, &row.meta, format!("Table function {text} failed"), &error.0);
                    Vec::new()
                }
            });
        }
        let count = results.iter().map(Vec::len).max().unwrap_or(0);
        for index in 0..count {
            let mut values = out.cx.buffers.take(self.width);
            values.extend(row.values.iter().take(self.key_width).cloned());
            self.kept.append(&row.values, &row.meta, out.cx, &mut values);
            values.extend(results.iter().map(|r| r.get(index).cloned().unwrap_or_default()));
            out.emit(Row { values, old: None, meta: row.meta.clone() })?;
            out.cx.arrival += 1;
        }
        out.cx.recycle(row);
        Ok(())
    }
}
