//! Expressions: typed and compiled once into closures, then run on every row.
//!
//! The way of an expression: the syntax tree and a [`Scope`] go into [`compile`], which works out types, coerces
//! operands, folds what is constant and picks a closure for each operator by its operands' types. Columns are read in
//! place, by slot; numbers and booleans are calculated without allocation.
//!
//! Null and errors follow ksqlDB, which runs expressions as Java: a null operand of arithmetic, AND, OR, NOT or LIKE
//! fails the whole expression ([`EvalError::null_operand`]), while a comparison with null is false, and what is looked up
//! in a null is null. What fails becomes null in its column, false as a condition. A CAST, an item of a constructor, and
//! a call, a field or a converted value as an argument of a function become null right there, and the expression around
//! goes on ([`take_swallowed`]).

mod access;
mod aggregate;
mod arithmetic;
mod call;
mod case;
mod cast;
mod coerce;
mod column;
mod columns_used;
mod common_type;
mod compare;
mod compile;
mod compiled;
mod construct;
mod decimal;
mod error;
mod in_list;
mod insert;
mod lambda;
mod like;
mod literal;
mod logic;
mod operand;
mod scope;
mod swallowed;
pub mod text;
mod type_convert;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bigdecimal::BigDecimal;

use crate::functions::EvalError;
use crate::row::RowMeta;
use crate::types::{SqlType, Text, Value};

pub use aggregate::{CompiledAggregate, CompiledTableFunction, compile_aggregate, compile_table_function};
pub use coerce::coerce_to;
pub use columns_used::columns_used;
pub use compile::{compile, compile_predicate, type_of};
pub use decimal::fit;
pub use error::{ExprError, Phase};
pub use insert::{eval_const, insert_value};
pub use scope::Scope;
pub use swallowed::take_swallowed;
pub use type_convert::sql_type;

/// What an expression sees of a row.
#[derive(Clone, Copy)]
pub struct Env<'r> {
    pub values: &'r [Value],
    pub meta: &'r RowMeta,
    /// Arguments of the lambdas around the expression, outermost first.
    pub lambda_args: &'r [Value],
}

impl<'r> Env<'r> {
    /// A row outside of any lambda.
    pub fn new(values: &'r [Value], meta: &'r RowMeta) -> Self {
        Env { values, meta, lambda_args: &[] }
    }
}

/// A closure of one type. `None` is SQL's null.
pub type Eval<T> = Box<dyn Fn(&Env<'_>) -> Result<Option<T>, EvalError> + Send + Sync>;

/// A closure of a type that has no Rust type of its own; null is [`Value::Null`].
pub type EvalValue = Box<dyn Fn(&Env<'_>) -> Result<Value, EvalError> + Send + Sync>;

/// A compiled expression, by the Rust type that it yields.
pub enum Evaluator {
    Boolean(Eval<bool>),
    Int(Eval<i32>),
    BigInt(Eval<i64>),
    Double(Eval<f64>),
    Decimal(Eval<Arc<BigDecimal>>),
    String(Eval<Text>),
    /// Everything else, and what is rare enough.
    Value(EvalValue),
}

/// An expression with its type. `sql_type` is `None` for a bare null literal.
pub struct Compiled {
    pub sql_type: Option<SqlType>,
    pub evaluator: Evaluator,
    origin: compiled::Origin,
}
