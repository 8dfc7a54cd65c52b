//! The schema that columns are written with, where none is given: the one that ksqlDB registers for them, so that topics
//! stay compatible when a query moves. Every column is a union of null and its type, null by default; a single unwrapped
//! column stands without the union. Records inside records are named after their path (`KsqlDataSourceSchema_A_B`), maps
//! are arrays of entries (as Kafka Connect writes maps whose keys may be null), and times and decimals bear Connect's names.

use serde_json::{Map, Value as Json, json};

use crate::types::{Column, SqlType, StructField};

/// The name of a record that nobody named.
pub(super) const DEFAULT_NAME: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The schema of these columns; `unwrapped`: of the only one, without a record around it.
///
/// # Errors
/// A name that AVRO does not allow, or a map whose keys are no strings: a sentence for the user.
pub(super) fn of_columns(columns: &[Column], unwrapped: bool, full_name: &str) -> Result<Json, String> {
    match columns {
        [only] if unwrapped => of_type(&only.sql_type, full_name),
        _ => record(columns.iter().map(|column| (&*column.name, &column.sql_type)), full_name),
    }
}

fn record<'c>(fields: impl Iterator<Item = (&'c str, &'c SqlType)>, full_name: &str) -> Result<Json, String> {
    let mut listed = Vec::new();
    for (name, sql_type) in fields {
        check_name(name)?;
        let field_type = of_type(sql_type, &format!("{full_name}_{name}"))?;
        listed.push(json!({ "name": name, "type": ["null", field_type], "default": null }));
    }
    let mut record = named("record", full_name);
    record.insert("fields".into(), listed.into());
    record.insert("connect.name".into(), full_name.into());
    Ok(record.into())
}

/// `{"type": kind, "name": …, "namespace": …}`.
fn named(kind: &str, full_name: &str) -> Map<String, Json> {
    let mut schema = Map::new();
    schema.insert("type".into(), kind.into());
    match full_name.rsplit_once('.') {
        Some((namespace, name)) => {
            schema.insert("name".into(), name.into());
            schema.insert("namespace".into(), namespace.into());
        }
        None => {
            schema.insert("name".into(), full_name.into());
        }
    }
    schema
}

fn of_type(sql_type: &SqlType, path: &str) -> Result<Json, String> {
    Ok(match sql_type {
        SqlType::Boolean => "boolean".into(),
        SqlType::Int => "int".into(),
        SqlType::BigInt => "long".into(),
        SqlType::Double => "double".into(),
        SqlType::String => "string".into(),
        SqlType::Bytes => "bytes".into(),
        SqlType::Decimal { precision, scale } => json!({
            "type": "bytes",
            "scale": scale,
            "precision": precision,
            "connect.version": 1,
            "connect.parameters": { "scale": scale.to_string(), "connect.decimal.precision": precision.to_string() },
            "connect.name": "org.apache.kafka.connect.data.Decimal",
            "logicalType": "decimal",
        }),
        SqlType::Time => logical("int", "Time", "time-millis"),
        SqlType::Date => logical("int", "Date", "date"),
        SqlType::Timestamp => logical("long", "Timestamp", "timestamp-millis"),
        SqlType::Array(item) => json!({ "type": "array", "items": ["null", of_type(item, path)?] }),
        SqlType::Map(key, value) => {
            if **key != SqlType::String {
                return Err("Avro only supports MAPs with STRING keys".into());
            }
            let value = of_type(value, &format!("{path}_MapValue"))?;
            let mut entry = named("record", path);
            let fields = json!([
                { "name": "key", "type": ["null", "string"], "default": null },
                { "name": "value", "type": ["null", value], "default": null },
            ]);
            entry.insert("fields".into(), fields);
            entry.insert("connect.internal.type".into(), super::MAP_ENTRY.into());
            json!({ "type": "array", "items": entry, "connect.name": path })
        }
        SqlType::Struct(fields) => record(fields.iter().map(|StructField { name, sql_type }| (&**name, sql_type)), path)?,
    })
}

fn logical(base: &str, connect: &str, logical: &str) -> Json {
    json!({
        "type": base,
        "connect.version": 1,
        "connect.name": format!("org.apache.kafka.connect.data.{connect}"),
        "logicalType": logical,
    })
}

/// Whether AVRO allows the name: letters, digits and `_`, not beginning with a digit.
fn check_name(name: &str) -> Result<(), String> {
    let fault = |what: &str| Err(format!("Schema is not compatible with Avro: {what}: {name}"));
    match name.chars().next() {
        None => Err("Schema is not compatible with Avro: Empty name".into()),
        Some(first) if !(first.is_alphabetic() || first == '_') => fault("Illegal initial character"),
        Some(_) if !name.chars().all(|c| c.is_alphanumeric() || c == '_') => fault("Illegal character in"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_nullable_fields() {
        let columns = [
            Column::new("A", SqlType::Int),
            Column::new("S", SqlType::structure([("B".to_owned(), SqlType::structure([("C".to_owned(), SqlType::Boolean)]))])),
        ];
        assert_eq!(
            of_columns(&columns, false, "a.b.Row").unwrap(),
            json!({
                "type": "record", "name": "Row", "namespace": "a.b", "connect.name": "a.b.Row",
                "fields": [
                    { "name": "A", "type": ["null", "int"], "default": null },
                    { "name": "S", "default": null, "type": ["null", {
                        "type": "record", "name": "Row_S", "namespace": "a.b", "connect.name": "a.b.Row_S",
                        "fields": [{ "name": "B", "default": null, "type": ["null", {
                            "type": "record", "name": "Row_S_B", "namespace": "a.b", "connect.name": "a.b.Row_S_B",
                            "fields": [{ "name": "C", "type": ["null", "boolean"], "default": null }],
                        }] }],
                    }] },
                ],
            })
        );
    }

    #[test]
    fn every_schema_is_one_that_avro_takes() {
        let types = [
            SqlType::Decimal { precision: 6, scale: 2 },
            SqlType::Time,
            SqlType::Date,
            SqlType::Timestamp,
            SqlType::array(SqlType::map(SqlType::String, SqlType::structure([("F".to_owned(), SqlType::Bytes)]))),
            SqlType::map(SqlType::String, SqlType::map(SqlType::String, SqlType::Double)),
        ];
        let columns: Vec<Column> = types.iter().zip('A'..).map(|(t, name)| Column::new(name.to_string(), t.clone())).collect();
        let schema = of_columns(&columns, false, DEFAULT_NAME).unwrap();
        apache_avro::Schema::parse(&schema).unwrap();
        for column in &columns {
            let schema = of_columns(std::slice::from_ref(column), true, DEFAULT_NAME).unwrap();
            apache_avro::Schema::parse(&schema).unwrap_or_else(|why| panic!("{}: {why}", column.sql_type));
        }
    }

    #[test]
    fn names_that_avro_does_not_allow_are_refused() {
        for (name, why) in [("1a", "Illegal initial character: 1a"), ("a b", "Illegal character in: a b"), ("", "Empty name")] {
            let error = of_columns(&[Column::new(name, SqlType::Int)], false, DEFAULT_NAME).unwrap_err();
            assert_eq!(error, format!("Schema is not compatible with Avro: {why}"));
        }
        let map = Column::new("M", SqlType::map(SqlType::Int, SqlType::Int));
        assert_eq!(of_columns(&[map], false, DEFAULT_NAME).unwrap_err(), "Avro only supports MAPs with STRING keys");
    }
}
