//! Errors of parts of an expression whose rest went on without them.
//!
//! ksqlDB puts null for an array element or an argument that fails, and writes the failure to the processing log. The
//! expression's own result has no room for that, so such errors wait here, per thread, until the operator that ran the
//! expression takes them.

use std::cell::{Cell, RefCell};

use crate::functions::EvalError;
use crate::types::Value;

/// How many errors of one thread wait at most; later ones are dropped.
const MAX_WAITING: usize = 64;

thread_local! {
    static ANY: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<Vec<EvalError>> = const { RefCell::new(Vec::new()) };
}

/// Takes the errors that expressions on this thread have gone on from since the last call. Costs next to nothing where
/// there are none.
pub fn take_swallowed() -> Vec<EvalError> {
    if ANY.replace(false) { WAITING.take() } else { Vec::new() }
}

/// The value, or null for an error.
pub(super) fn or_null(result: Result<Value, EvalError>) -> Value {
    result.unwrap_or_else(|error| {
        if !error.is_null_operand() {
            ANY.set(true);
            WAITING.with_borrow_mut(|waiting| {
                if waiting.len() < MAX_WAITING {
                    waiting.push(error);
                }
            });
        }
        Value::Null
    })
}
