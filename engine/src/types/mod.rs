//! SQL types, values and schemas: what flows through every other module of the engine.

pub mod codec;
mod schema;
mod sql_type;
pub mod text;
mod value;

pub use schema::{Column, Schema, is_pseudo_column};
pub use sql_type::{SqlType, StructField};
pub use value::{MapValue, Text, Value};
