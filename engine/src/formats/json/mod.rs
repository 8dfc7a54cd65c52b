//! JSON: an object with a member for each column, or one bare value where it stands unwrapped.
//!
//! Built for the continuous path: one pass over the borrowed payload, only the columns that somebody reads become values,
//! the rest is checked for its syntax and passed over. Member names match a column exactly or in upper case. What JSON
//! types become which SQL types follows ksqlDB's deserializer (see [`value`]); how values are written, its serializer
//! (see [`encode`]).

mod decode;
mod dialect;
mod encode;
#[cfg(test)]
mod fuzz;
mod number;
mod plain_run;
mod scan;
mod text;
mod value;

use super::{Decoder, Encoder, Format, Layout};
use crate::types::{Column, SqlType};

pub(super) use decode::JsonDecoder;
pub(super) use dialect::{DecimalTexts, Dialect};
pub use encode::{write_json, write_json_string};

pub(super) static JSON: JsonFormat = JsonFormat;

/// How many arrays and objects may stand inside one another.
pub(super) const MAX_DEPTH: usize = 512;

pub(super) struct JsonFormat;

impl Format for JsonFormat {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn carries(&self) -> bool {
        true
    }

    fn check_column(&self, column: &Column, _is_key: bool) -> Result<(), String> {
        check_type(&column.sql_type)
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        layout.fields.iter().try_for_each(|field| check_type(&field.column.sql_type))?;
        Ok(Box::new(JsonDecoder::new(layout, Dialect::default())))
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        layout.fields.iter().try_for_each(|field| check_type(&field.column.sql_type))?;
        Ok(Box::new(encode::JsonEncoder::new(layout)?))
    }
}

/// Every type can be written but maps whose keys are no strings.
pub(super) fn check_type(sql_type: &SqlType) -> Result<(), String> {
    match sql_type {
        SqlType::Map(key, _) if **key != SqlType::String => Err("JSON only supports MAP types with STRING keys".into()),
        SqlType::Map(_, item) | SqlType::Array(item) => check_type(item),
        SqlType::Struct(fields) => fields.iter().try_for_each(|field| check_type(&field.sql_type)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_need_string_keys_at_any_depth() {
        let good = SqlType::map(SqlType::String, SqlType::Int);
        let bad = SqlType::map(SqlType::Int, SqlType::Int);
        for (sql_type, fits) in [
            (good.clone(), true),
            (SqlType::array(good), true),
            (bad.clone(), false),
            (SqlType::array(bad.clone()), false),
            (SqlType::structure([("F".to_string(), bad)]), false),
        ] {
            assert_eq!(JSON.check_column(&Column::new("C", sql_type), false).is_ok(), fits);
        }
    }
}
