//! Which times windows and joins in time can work with. Times come from outside and may be anything; sizes, gaps and grace
//! periods come from statements and may be anything, too. Sums of both saturate, and mean "never" then.

use super::exprs::Origin;
use crate::row::Row;
use crate::task::TaskContext;

/// The latest time of a row that is put into a window, milliseconds since the epoch: the year 146,140,482. One row with a
/// later time would carry stream time to where every other row is late for good.
const LATEST_MS: i64 = i64::MAX / 2;

/// Whether a row's time is too late to be worked with.
pub(super) fn is_out_of_range(row: &Row) -> bool {
    row.meta.timestamp > LATEST_MS
}

/// Leaves such a row out and reports it. It moves no stream time.
#[cold]
pub(super) fn skip(row: Row, origin: &Origin, cx: &mut TaskContext) {
    let message = format!("Skipping record whose time {} is too far in the future: windows go up to {LATEST_MS}", row.meta.timestamp);
    origin.report(cx, &row.meta, message, "");
    cx.recycle(row);
}
