//! The end of a push query: rows go to the client. A table's tombstone goes too, as a row without a value. After the
//! limit, or once the client is gone, rows are dropped.

use std::sync::Arc;

use super::{Collector, FatalError, Operator, Output, Port};
use crate::row::Row;

pub(super) struct Collect {
    pub collector: Option<Arc<dyn Collector>>,
    pub is_table: bool,
}

impl Operator for Collect {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if (row.meta.has_value || self.is_table)
            && let Some(collector) = &self.collector
        {
            out.cx.counts.rows_out += 1;
            if !collector.collect(&row) {
                self.collector = None;
            }
        }
        out.cx.recycle(row);
        Ok(())
    }
}
