//! What stands for `$1` and so on: its type, in the words of sqlparser.

use datafusion::sql::sqlparser::ast::{DataType, ExactNumberInfo, TimezoneInfo};
use tidemill_engine::types::SqlType;

use crate::error::QueryError;

/// # Errors
/// No parameter can be of that type.
pub(crate) fn type_of(sql_type: &SqlType) -> Result<DataType, QueryError> {
    Ok(match sql_type {
        SqlType::Boolean => DataType::Boolean,
        SqlType::Int => DataType::Int(None),
        SqlType::BigInt => DataType::BigInt(None),
        SqlType::Double => DataType::Double(ExactNumberInfo::None),
        SqlType::Decimal { precision, scale } => {
            DataType::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
        }
        SqlType::String => DataType::String(None),
        SqlType::Bytes => DataType::Bytea,
        SqlType::Time => DataType::Time(None, TimezoneInfo::None),
        SqlType::Date => DataType::Date,
        SqlType::Timestamp => DataType::Timestamp(Some(3), TimezoneInfo::None),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
            return Err(QueryError::user(format!("A parameter can't be of type {sql_type}")));
        }
    })
}
