//! How many entries of any layer walks looked at on this thread: what tests of a record's cost go by.

use std::cell::Cell;

thread_local! {
    static VISITS: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn count() {
    VISITS.set(VISITS.get() + 1);
}

/// Entries looked at since the last call.
pub(crate) fn take() -> u64 {
    VISITS.take()
}
