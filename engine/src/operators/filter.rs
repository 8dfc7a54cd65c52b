//! WHERE and HAVING.
//!
//! Stream: a row goes on if the predicate is true; one with a null value never does. Table: a row that stops matching
//! becomes a tombstone; one that neither matches nor did before is left out (straight behind a foreign-key join it is a
//! tombstone, too, as in Kafka Streams, which does not know there). Without state; the old row comes with the change. A predicate that fails is false, and reported.

use super::exprs::Origin;
use super::{FatalError, Operator, Output, Port};
use crate::expr::{Env, Eval};
use crate::row::{Row, RowMeta};
use crate::task::TaskContext;
use crate::types::Value;

pub(super) struct Filter {
    pub predicate: Eval<bool>,
    pub text: String,
    pub is_table: bool,
    /// Whether a table's change says what it replaces. Where not, each row that does not match is a tombstone.
    pub knows_old: bool,
    pub origin: Origin,
}

impl Filter {
    fn matches(&self, values: &[Value], meta: &RowMeta, cx: &mut TaskContext) -> bool {
        let result = (self.predicate)(&Env::new(values, meta));
        self.origin.report_swallowed(cx, values, meta, &self.text);
        match result {
            Ok(result) => result == Some(true),
            Err(error) => {
                self.origin.report_row(cx, values, meta, format!("Error evaluating predicate {}", self.text), &error.0);
                false
            }
        }
    }
}

impl Operator for Filter {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let matches = row.meta.has_value && self.matches(&row.values, &row.meta, out.cx);
        if !self.is_table {
            if matches {
                return out.emit(row);
            }
            out.cx.recycle(row);
            return Ok(());
        }
        let matched = match &row.old {
            Some(old) => self.matches(old, &row.meta, out.cx),
            None => false,
        };
        if !matched && let Some(old) = row.old.take() {
            out.cx.buffers.give(old);
        }
        if !matches {
            if !matched && self.knows_old {
                out.cx.recycle(row);
                return Ok(());
            }
            row.meta.has_value = false;
        }
        out.emit(row)
    }
}
