//! Expressions: typed and compiled once into closures, then run on every row.

use std::sync::Arc;

use bigdecimal::BigDecimal;

use crate::functions::EvalError;
use crate::row::RowMeta;
use crate::types::{SqlType, Text, Value};

/// What an expression sees of a row.
#[derive(Clone, Copy)]
pub struct Env<'r> {
    pub values: &'r [Value],
    pub meta: &'r RowMeta,
    /// Arguments of the lambdas around the expression, outermost first.
    pub lambda_args: &'r [Value],
}

/// A closure of one type. `None` is SQL's null.
pub type Eval<T> = Box<dyn Fn(&Env<'_>) -> Result<Option<T>, EvalError> + Send + Sync>;

/// A compiled expression, by the Rust type that it yields.
pub enum Evaluator {
    Boolean(Eval<bool>),
    Int(Eval<i32>),
    BigInt(Eval<i64>),
    Double(Eval<f64>),
    Decimal(Eval<Arc<BigDecimal>>),
    String(Eval<Text>),
    /// Everything else, and what is rare enough.
    Value(Box<dyn Fn(&Env<'_>) -> Result<Value, EvalError> + Send + Sync>),
}

/// An expression with its type. `sql_type` is `None` for a bare null literal.
pub struct Compiled {
    pub sql_type: Option<SqlType>,
    pub evaluator: Evaluator,
}
