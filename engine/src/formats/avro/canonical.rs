//! Values that may go from one payload into another as they stand: those whose encoding is the one that ksqlDB's own schema
//! gives their type. (The outermost union with null is no part of it: an encoder writes its own index.)

use apache_avro::Schema;
use apache_avro::schema::UuidSchema;

use super::skip::Skip;
use super::types::{is_column, is_map_entry};
use crate::types::SqlType;

/// How to pass over such a value while it is checked; `None`: it is encoded differently, and has to be read.
pub(super) fn check(schema: &Schema, sql_type: &SqlType) -> Option<Skip> {
    match (schema, sql_type) {
        (Schema::Boolean, SqlType::Boolean) => Some(Skip::Boolean),
        (Schema::Int, SqlType::Int) | (Schema::Date, SqlType::Date) => Some(Skip::Int),
        (Schema::Long, SqlType::BigInt) | (Schema::TimestampMillis, SqlType::Timestamp) => Some(Skip::Number),
        (Schema::Double, SqlType::Double) => Some(Skip::Bytes(8)),
        (Schema::String | Schema::Uuid(UuidSchema::String), SqlType::String) => Some(Skip::Text),
        (Schema::Bytes, SqlType::Bytes) => Some(Skip::Sized),
        (Schema::Array(array), SqlType::Array(item)) => {
            let is_entry = matches!(&*array.items, Schema::Record(record) if is_map_entry(record, None));
            if is_entry { None } else { Some(Skip::Items(Box::new(within(&array.items, item)?))) }
        }
        (Schema::Record(record), SqlType::Struct(fields)) if record.fields.len() == fields.len() => {
            let mut checks = Vec::new();
            for (written, field) in record.fields.iter().zip(fields.iter()) {
                if !is_column(&written.name, &field.name) {
                    return None;
                }
                checks.push(within(&written.schema, &field.sql_type)?);
            }
            Some(Skip::record(checks))
        }
        _ => None,
    }
}

/// As [`check`], of an item or a field.
fn within(schema: &Schema, sql_type: &SqlType) -> Option<Skip> {
    let Schema::Union(union) = schema else { return None };
    let [Schema::Null, value] = union.variants() else { return None };
    Some(Skip::Nullable { some: 2, value: Box::new(check(value, sql_type)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::avro::{parse::parse, schema};
    use crate::types::Column;

    #[test]
    fn what_ksqldb_would_write_is_carried() {
        let text = SqlType::String;
        let point = SqlType::structure([("X".to_owned(), SqlType::Int), ("L".to_owned(), SqlType::array(SqlType::Date))]);
        let of = |sql_type: &SqlType| {
            let schema = schema::of_columns(&[Column::new("C", sql_type.clone())], true, schema::DEFAULT_NAME).unwrap();
            check(&parse(&crate::registry::Schema::new(crate::registry::SchemaKind::Avro, schema.to_string())).unwrap().0, sql_type)
        };
        let scalars = [SqlType::Boolean, SqlType::Int, SqlType::BigInt, SqlType::Double, SqlType::Date, SqlType::Timestamp];
        for carried in scalars.into_iter().chain([text.clone(), SqlType::Bytes, point.clone(), SqlType::array(point)]) {
            assert!(of(&carried).is_some(), "{carried}");
        }
        let decimals = SqlType::array(SqlType::Decimal { precision: 4, scale: 2 });
        for read in [SqlType::Time, decimals, SqlType::map(text.clone(), text)] {
            assert_eq!(of(&read), None, "{read}");
        }
    }
}
