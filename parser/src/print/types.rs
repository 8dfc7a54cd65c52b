//! Types as text.

use std::fmt;

use crate::ast::{CastTarget, DataType, Ident};
use crate::dialect::built_in;

use super::{BackQuoted, Joined};

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Boolean => f.write_str("BOOLEAN"),
            DataType::Int => f.write_str("INTEGER"),
            DataType::BigInt => f.write_str("BIGINT"),
            DataType::Double => f.write_str("DOUBLE"),
            DataType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            DataType::String => f.write_str("STRING"),
            DataType::Bytes => f.write_str("BYTES"),
            DataType::Time => f.write_str("TIME"),
            DataType::Date => f.write_str("DATE"),
            DataType::Timestamp => f.write_str("TIMESTAMP"),
            DataType::Array(element) => write!(f, "ARRAY<{element}>"),
            DataType::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            DataType::Struct(fields) => {
                let fields: Vec<Field<'_>> = fields.iter().map(|(name, t)| Field(name, t)).collect();
                write!(f, "STRUCT<{}>", Joined(&fields, ", "))
            }
            // A user's type may have the name of a built-in one.
            DataType::Custom(name) if built_in(&name.name).is_some() => BackQuoted(&name.name).fmt(f),
            DataType::Custom(name) => name.fmt(f),
        }
    }
}

struct Field<'a>(&'a Ident, &'a DataType);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

impl fmt::Display for CastTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data_type.fmt(f)
    }
}
