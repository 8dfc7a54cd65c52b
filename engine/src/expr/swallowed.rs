//! Errors of parts of an expression whose rest went on without them.
//!
//! ksqlDB puts null for a CAST, an item of a constructor or an argument that fails, and writes the failure to the
//! processing log. The expression's own result has no room for that, so such errors wait here, per thread, until the
//! operator that ran the expression takes them.

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
        keep(error);
        Value::Null
    })
}

/// As [`or_null`] for a value of a Rust type.
pub(super) fn or_none<T>(result: Result<Option<T>, EvalError>) -> Option<T> {
    result.unwrap_or_else(|error| {
        keep(error);
        None
    })
}

#[cold]
fn keep(error: EvalError) {
    if error.is_null_operand() {
        return;
    }
    ANY.set(true);
    WAITING.with_borrow_mut(|waiting| {
        if waiting.len() < MAX_WAITING {
            waiting.push(error);
        }
    });
}

/// Runs an expression beside a row, and gives back what it went on from as well; errors that waited before wait on.
pub(super) fn watched<T>(run: impl FnOnce() -> T) -> (T, Vec<EvalError>) {
    let before = take_swallowed();
    let result = run();
    let errors = take_swallowed();
    before.into_iter().for_each(keep);
    (result, errors)
}
