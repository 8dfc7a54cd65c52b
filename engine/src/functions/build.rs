//! Constructors for the static data of functions, so that a function's file reads as a table.

use super::{Example, Param, ParamType};

/// A parameter with its description.
pub const fn param(name: &'static str, param_type: ParamType, description: &'static str) -> Param {
    Param { name, param_type, description }
}

/// An example: SQL and its result as the shell prints it.
pub const fn example(sql: &'static str, result: &'static str) -> Example {
    Example { sql, result }
}
