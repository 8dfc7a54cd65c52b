//! The function registry: scalar, aggregate and table functions.
//!
//! A function is one file and one line. Its file holds a `static` with its name, documentation, signatures and
//! implementation; its line stands in the list of its kind ([`scalar::all`], [`aggregate::ALL`], [`table::ALL`]). The
//! same data serves the continuous path, ad-hoc queries, DESCRIBE FUNCTION and the manual.

pub mod aggregate;
mod build;
pub mod java;
pub mod limits;
pub mod registry;
pub mod resolve;
pub mod scalar;
mod signature;
pub mod table;
pub mod time_format;

pub use aggregate::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, InState};
pub use build::{example, param};
pub use scalar::{Args, ConstArgs, Kernel, LambdaFn, ScalarFunction, ScalarImpl, ScalarVariant};
pub use signature::{Param, ParamType, Returns};
pub use table::{TableFunction, TableVariant};

/// An expression that failed on one record. The record goes on with null in that place (false for a predicate) and the
/// text goes to the processing log. An empty text means a null operand, so that the commonest failure costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", if .0.is_empty() { "an operand is null" } else { &**.0 })]
pub struct EvalError(pub Box<str>);

impl EvalError {
    pub fn new(message: impl Into<String>) -> Self {
        EvalError(message.into().into_boxed_str())
    }

    /// An operator met a null that it can't take.
    pub fn null_operand() -> Self {
        EvalError(Box::default())
    }

    /// Whether the failure is just that of a null operand, which is nothing to report.
    pub fn is_null_operand(&self) -> bool {
        self.0.is_empty()
    }
}

/// A line of documentation that is also a test: `sql` must evaluate to `result` (as the shell prints it).
#[derive(Debug, Clone, Copy)]
pub struct Example {
    pub sql: &'static str,
    pub result: &'static str,
}

/// The section of the manual that a function stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    Mathematical,
    String,
    Collections,
    Lambda,
    Json,
    Bytes,
    Conditional,
    DateTime,
    Url,
    Aggregate,
    Table,
    Other,
}
