//! Scalar functions: one value from the arguments of one row.

use super::{Category, EvalError, Example, Param, Returns};
use crate::types::Value;

/// Every scalar function. Adding one is its file and one line here.
pub static ALL: &[&ScalarFunction] = &[];

/// A scalar function: its documentation and its variants (overloads).
#[derive(Debug)]
pub struct ScalarFunction {
    /// Upper case.
    pub name: &'static str,
    /// The name as ksqlDB's messages write it: `ucase`, but `SUM`. Clients look for these texts.
    pub spelling: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub examples: &'static [Example],
    pub variants: &'static [ScalarVariant],
}

/// One signature of a function.
#[derive(Debug)]
pub struct ScalarVariant {
    pub description: &'static str,
    pub params: &'static [Param],
    /// The index of the parameter that may repeat (any number of times, also none).
    pub variadic: Option<usize>,
    pub returns: Returns,
    /// True: the implementation is called even where an argument is null. False: a null argument makes the result null.
    pub called_on_null: bool,
    pub implementation: ScalarImpl,
}

/// How a variant calculates.
#[derive(Debug, Clone, Copy)]
pub enum ScalarImpl {
    /// A plain function of the arguments.
    Plain(fn(&mut Args<'_>) -> Result<Value, EvalError>),
    /// Prepared once per expression, from what is known then (types and constant arguments: a compiled pattern, a time zone).
    Prepared(fn(&ConstArgs<'_>) -> Result<Kernel, EvalError>),
}

/// A prepared implementation.
pub type Kernel = Box<dyn Fn(&mut Args<'_>) -> Result<Value, EvalError> + Send + Sync>;

/// A lambda argument, closed over the row that it is used in.
pub type LambdaFn<'a> = dyn Fn(&[Value]) -> Result<Value, EvalError> + 'a;

/// The arguments of one call. A lambda's slot in `values` is null; the lambda stands in `lambdas`, in order. A unit's
/// slot holds its name as a string, upper case and plural (`DAYS`).
pub struct Args<'a> {
    pub values: &'a mut [Value],
    pub lambdas: &'a [&'a LambdaFn<'a>],
}

/// What is known of a call before any row.
pub struct ConstArgs<'a> {
    pub types: &'a [Option<crate::types::SqlType>],
    /// The value of each argument that is a literal.
    pub constants: &'a [Option<Value>],
    pub return_type: &'a crate::types::SqlType,
}
