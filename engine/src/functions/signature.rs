//! Signatures as data: parameter types with type variables, and how the result's type follows from them.

use crate::types::SqlType;

/// A parameter: its name and a sentence for DESCRIBE FUNCTION.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub param_type: ParamType,
    pub description: &'static str,
}

/// The type that a parameter takes. Matching prefers exact types over widened ones; see [`super::resolve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    Boolean,
    Int,
    BigInt,
    Double,
    /// A decimal of any precision and scale.
    Decimal,
    String,
    Bytes,
    Time,
    Date,
    Timestamp,
    /// A unit of time, written bare (`DAYS`).
    Unit,
    /// A type variable: the same letter means the same type throughout a signature.
    Var(char),
    Array(&'static ParamType),
    Map(&'static ParamType, &'static ParamType),
    /// Any STRUCT.
    Struct,
    /// Parameter types and body type of a lambda.
    Lambda(&'static [ParamType], &'static ParamType),
    /// Any type at all.
    Any,
}

/// How a call's type follows from its arguments' types.
#[derive(Debug, Clone, Copy)]
pub enum Returns {
    /// As declared; type variables take what the arguments gave them.
    Type(ParamType),
    /// Calculated from the argument types (decimals, structs). For a lambda argument the type is that of its body.
    By(fn(&[SqlType]) -> Result<SqlType, String>),
}
