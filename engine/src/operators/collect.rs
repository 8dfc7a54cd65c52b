//! The end of a push query: rows go to the client. A table's tombstone goes too, as a row without a value. After the
//! limit, or once the client is gone, rows are dropped.

use std::sync::Arc;

use super::{Collector, FatalError, Operator, Output, Port};
use crate::row::Row;

pub(super) struct Collect {
    collector: Option<Arc<dyn Collector>>,
    is_table: bool,
    /// Rows were given since the last chunk's end.
    has_given: bool,
}

impl Collect {
    pub fn new(collector: Option<Arc<dyn Collector>>, is_table: bool) -> Self {
        Collect { collector, is_table, has_given: false }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.has_given)
            && let Some(collector) = &self.collector
        {
            collector.end_of_chunk();
        }
    }
}

impl Operator for Collect {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if (row.meta.has_value || self.is_table)
            && let Some(collector) = &self.collector
        {
            out.cx.counts.rows_out += 1;
            self.has_given = true;
            if !collector.collect(&row) {
                self.collector = None;
            }
        }
        out.cx.recycle(row);
        Ok(())
    }

    fn end_of_chunk(&mut self, _: &mut Output<'_>) -> Result<(), FatalError> {
        self.end();
        Ok(())
    }

    /// What was held back until a commit has come.
    fn before_commit(&mut self, _: &mut Output<'_>) -> Result<(), FatalError> {
        self.end();
        Ok(())
    }

    fn advance(&mut self, _: i64, _: &mut Output<'_>) -> Result<(), FatalError> {
        self.end();
        Ok(())
    }
}
