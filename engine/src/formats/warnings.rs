//! What decoders have to say about values that they read all the same. A decoder's result has no room for that, so
//! warnings wait here, per thread, until the source that read the record takes them.

use std::cell::{Cell, RefCell};

thread_local! {
    static ANY: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes the warnings of this thread since the last call. Costs next to nothing where there are none.
#[inline]
pub fn take_warnings() -> Vec<String> {
    if ANY.replace(false) { WAITING.take() } else { Vec::new() }
}

#[cold]
pub(super) fn warn(message: String) {
    ANY.set(true);
    WAITING.with_borrow_mut(|waiting| waiting.push(message));
}
