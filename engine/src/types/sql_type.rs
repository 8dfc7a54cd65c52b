//! SQL types after user types are resolved.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_parser::ast::{DataType, Ident};

/// The type of a column or an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    Boolean,
    Int,
    BigInt,
    Double,
    /// `precision` digits in all, `scale` of them behind the point.
    Decimal {
        precision: u32,
        scale: u32,
    },
    String,
    Bytes,
    /// Milliseconds of the day.
    Time,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since 1970-01-01T00:00 UTC.
    Timestamp,
    Array(Arc<SqlType>),
    Map(Arc<SqlType>, Arc<SqlType>),
    Struct(Arc<[StructField]>),
}

/// A field of a STRUCT.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructField {
    pub name: Arc<str>,
    pub sql_type: SqlType,
}

impl SqlType {
    pub fn array(item: SqlType) -> Self {
        SqlType::Array(Arc::new(item))
    }

    pub fn map(key: SqlType, value: SqlType) -> Self {
        SqlType::Map(Arc::new(key), Arc::new(value))
    }

    pub fn structure(fields: impl IntoIterator<Item = (String, SqlType)>) -> Self {
        SqlType::Struct(fields.into_iter().map(|(name, sql_type)| StructField { name: name.into(), sql_type }).collect())
    }

    /// INT, BIGINT, DECIMAL or DOUBLE.
    pub fn is_numeric(&self) -> bool {
        matches!(self, SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Decimal { .. })
    }

    /// DATE, TIME or TIMESTAMP.
    pub fn is_temporal(&self) -> bool {
        matches!(self, SqlType::Time | SqlType::Date | SqlType::Timestamp)
    }

    /// The type without its parameters, as error texts name it (`ARRAY`, `DECIMAL`).
    pub fn base_name(&self) -> &'static str {
        match self {
            SqlType::Boolean => "BOOLEAN",
            SqlType::Int => "INTEGER",
            SqlType::BigInt => "BIGINT",
            SqlType::Double => "DOUBLE",
            SqlType::Decimal { .. } => "DECIMAL",
            SqlType::String => "STRING",
            SqlType::Bytes => "BYTES",
            SqlType::Time => "TIME",
            SqlType::Date => "DATE",
            SqlType::Timestamp => "TIMESTAMP",
            SqlType::Array(_) => "ARRAY",
            SqlType::Map(..) => "MAP",
            SqlType::Struct(_) => "STRUCT",
        }
    }

    /// The type as a syntax tree, for printing.
    pub fn to_ast(&self) -> DataType {
        match self {
            SqlType::Boolean => DataType::Boolean,
            SqlType::Int => DataType::Int,
            SqlType::BigInt => DataType::BigInt,
            SqlType::Double => DataType::Double,
            SqlType::Decimal { precision, scale } => DataType::Decimal { precision: *precision, scale: *scale },
            SqlType::String => DataType::String,
            SqlType::Bytes => DataType::Bytes,
            SqlType::Time => DataType::Time,
            SqlType::Date => DataType::Date,
            SqlType::Timestamp => DataType::Timestamp,
            SqlType::Array(item) => DataType::Array(Box::new(item.to_ast())),
            SqlType::Map(key, value) => DataType::Map(Box::new(key.to_ast()), Box::new(value.to_ast())),
            SqlType::Struct(fields) => DataType::Struct(fields.iter().map(|f| (Ident::new(&*f.name), f.sql_type.to_ast())).collect()),
        }
    }
}

impl fmt::Display for SqlType {
    /// ksqlDB's spelling: `DECIMAL(4, 2)`, `ARRAY<INTEGER>`, ``STRUCT<`F` INTEGER>``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            SqlType::Array(item) => write!(f, "ARRAY<{item}>"),
            SqlType::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            SqlType::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "`{}` {}", field.name, field.sql_type)?;
                }
                f.write_str(">")
            }
            simple => f.write_str(simple.base_name()),
        }
    }
}
