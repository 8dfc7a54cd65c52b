//! Table functions: any number of rows from one.

use super::{Category, EvalError, Example, Param, Returns};
use crate::types::Value;

/// Every table function. Adding one is its file and one line here.
pub static ALL: &[&TableFunction] = &[];

/// A table function: its documentation and its variants (overloads).
#[derive(Debug)]
pub struct TableFunction {
    /// Upper case.
    pub name: &'static str,
    /// The name as ksqlDB's messages write it: `ucase`, but `SUM`. Clients look for these texts.
    pub spelling: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub examples: &'static [Example],
    pub variants: &'static [TableVariant],
}

/// One signature of a table function.
#[derive(Debug)]
pub struct TableVariant {
    pub description: &'static str,
    pub params: &'static [Param],
    pub returns: Returns,
    /// The values of the column, one a row.
    pub eval: fn(&[Value]) -> Result<Vec<Value>, EvalError>,
}
