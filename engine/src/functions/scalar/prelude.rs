//! What the file of a scalar function needs.

pub use super::args::{Days, Instant, TimeOfDay};
pub use super::memo::Memo;
pub use super::{Args, ConstArgs, Kernel, ScalarFunction, ScalarVariant};
pub use crate::functions::{Category, EvalError, Param, ParamType, Returns, example, param};
pub use crate::types::{SqlType, Text, Value};

/// The outcome of a call.
pub type Outcome = Result<Value, EvalError>;

pub const BOOLEAN: Returns = Returns::Type(ParamType::Boolean);
pub const INT: Returns = Returns::Type(ParamType::Int);
pub const BIGINT: Returns = Returns::Type(ParamType::BigInt);
pub const DOUBLE: Returns = Returns::Type(ParamType::Double);
pub const STRING: Returns = Returns::Type(ParamType::String);
pub const BYTES: Returns = Returns::Type(ParamType::Bytes);
pub const DATE: Returns = Returns::Type(ParamType::Date);
pub const TIME: Returns = Returns::Type(ParamType::Time);
pub const TIMESTAMP: Returns = Returns::Type(ParamType::Timestamp);
/// The type of the arguments.
pub const T: Returns = Returns::Type(ParamType::Var('T'));

/// The type of the first argument, with its precision and scale.
pub const FIRST: Returns = Returns::By(|types| types.first().cloned().ok_or_else(|| "the argument has no type".to_owned()));
