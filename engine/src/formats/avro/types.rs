//! Types of Avro as Kafka Connect and ksqlDB see them.

use apache_avro::Schema;
use apache_avro::schema::{RecordSchema, UnionSchema, UuidSchema};

use super::names::namespace_of;
use crate::types::SqlType;

/// How Connect names the record of a map's key and value, and the attribute's value that says so.
pub(super) const MAP_ENTRY: &str = "MapEntry";
const CONNECT_NAMESPACE: &str = "io.confluent.connect.avro";

/// Whether a record is the entry of a map: an array of such is how Connect writes maps whose keys are no strings, or may be
/// null.
pub(super) fn is_map_entry(record: &RecordSchema, around: Option<&str>) -> bool {
    let by_name = || record.name.name() == MAP_ENTRY && namespace_of(&record.name, around).as_deref() == Some(CONNECT_NAMESPACE);
    let says_so = || record.attributes.get("connect.internal.type").is_some_and(|kind| kind == MAP_ENTRY);
    says_so() || by_name()
}

/// The branch of null and the other one, where a union is of null and one type. A union of one type is that type, behind its
/// index.
pub(super) fn nullable(union: &UnionSchema) -> Option<(usize, &Schema)> {
    match union.variants() {
        [Schema::Null, other] => Some((0, other)),
        [other, Schema::Null] | [other] => Some((1, other)),
        _ => None,
    }
}

/// How an index of two branches is written where null is at `null`: the byte of the other branch.
pub(super) fn some_byte(null: usize) -> u8 {
    if null == 0 { 2 } else { 0 }
}

/// Whether it is a number of 64 bits, whatever it means.
pub(super) fn is_long(schema: &Schema) -> bool {
    matches!(schema, Schema::Long) || long_units(schema).is_some()
}

/// How many of a long's units make a millisecond; `None`: it is no time of 64 bits.
pub(super) fn long_units(schema: &Schema) -> Option<i64> {
    match schema {
        Schema::TimestampMillis | Schema::LocalTimestampMillis => Some(1),
        Schema::TimestampMicros | Schema::LocalTimestampMicros | Schema::TimeMicros => Some(1_000),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Some(1_000_000),
        _ => None,
    }
}

/// The field of the STRUCT that a union becomes: named after its branch.
pub(super) fn branch_name(branch: &Schema) -> String {
    match branch {
        Schema::Record(of) => of.name.name().to_owned(),
        Schema::Enum(of) => of.name.name().to_owned(),
        Schema::Fixed(of) => of.name.name().to_owned(),
        Schema::Ref { name } => name.name().to_owned(),
        Schema::Boolean => "boolean".to_owned(),
        Schema::Int | Schema::Date | Schema::TimeMillis => "int".to_owned(),
        Schema::Float => "float".to_owned(),
        Schema::Double => "double".to_owned(),
        Schema::Array(_) => "array".to_owned(),
        Schema::Map(_) => "map".to_owned(),
        Schema::String | Schema::Uuid(UuidSchema::String) => "string".to_owned(),
        schema if is_long(schema) => "long".to_owned(),
        _ => "bytes".to_owned(),
    }
}

/// Whether a field of a writer (or a branch of its union) is the column's: by its name, or by its name in upper case. A dot,
/// which Avro does not allow in names, is an underscore there.
pub(super) fn is_column(field: &str, column: &str) -> bool {
    field == column || field.to_uppercase() == column || (column.contains('.') && is_column(field, &column.replace('.', "_")))
}

/// The type as Connect's messages name it.
pub(super) fn connect_type(schema: &Schema, around: Option<&str>) -> &'static str {
    match schema {
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int32",
        Schema::Float => "float32",
        Schema::Double => "float64",
        Schema::String | Schema::Enum(_) | Schema::Uuid(UuidSchema::String) => "string",
        Schema::Array(array) => match &*array.items {
            Schema::Record(record) if is_map_entry(record, around) => "map",
            _ => "array",
        },
        Schema::Map(_) => "map",
        Schema::Record(_) | Schema::Union(_) => "struct",
        Schema::Null => "null",
        schema if is_long(schema) => "int64",
        _ => "bytes",
    }
}

/// The type of a column as Connect's messages name it.
pub(super) fn connect_name(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Boolean => "boolean",
        SqlType::Int | SqlType::Date | SqlType::Time => "int32",
        SqlType::BigInt | SqlType::Timestamp => "int64",
        SqlType::Double => "float64",
        SqlType::Decimal { .. } | SqlType::Bytes => "bytes",
        SqlType::String => "string",
        SqlType::Array(_) => "array",
        SqlType::Map(..) => "map",
        SqlType::Struct(_) => "struct",
    }
}
