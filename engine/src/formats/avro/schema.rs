//! The schema that columns are written with, where none is given: the one that ksqlDB registers for them, so that topics
//! stay compatible when a query moves. Every column is a union of null and its type, null by default; a single unwrapped
//! column stands without the union. Records inside records are named after their path (`KsqlDataSourceSchema_A_B`), maps
//! are arrays of entries (as Kafka Connect writes maps whose keys may be null), and times and decimals bear Connect's names.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};

use super::parse::fault_of_name;
use crate::types::{Column, SqlType, StructField};

/// The name of a record that nobody named.
pub(super) const DEFAULT_NAME: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The schema of these columns; `unwrapped`: of the only one, without a record around it.
///
/// # Errors
/// A name that AVRO does not allow, or a map whose keys are no strings: a sentence for the user.
pub(super) fn of_columns(columns: &[Column], unwrapped: bool, full_name: &str) -> Result<Json, String> {
    let mut maker = Maker { named: HashMap::new(), outer: String::new() };
    match columns {
        [only] if unwrapped => maker.of_type(&only.sql_type, full_name),
        _ => maker.record(columns.iter().map(|column| (&*column.name, &column.sql_type)), full_name),
    }
}

/// Makes the schema of one topic's keys or values.
struct Maker {
    /// Records by their full names: one is written once, and by its name from then on.
    named: HashMap<String, Json>,
    /// The namespace around what is made, which records within don't repeat.
    outer: String,
}

impl Maker {
    fn record<'c>(&mut self, fields: impl Iterator<Item = (&'c str, &'c SqlType)>, full_name: &str) -> Result<Json, String> {
        self.named("record", full_name, |maker, record| {
            let (mut listed, mut names): (Vec<Json>, HashSet<String>) = Default::default();
            for (name, sql_type) in fields {
                let field_type = maker.of_type(sql_type, &format!("{full_name}_{name}"))?;
                // Avro allows no dots in names.
                let name = name.replace('.', "_");
                check_name(&name)?;
                if !names.insert(name.clone()) {
                    return Err(format!("Schema is not compatible with Avro: Duplicate field {name} in record {full_name}"));
                }
                listed.push(json!({ "name": name, "type": ["null", field_type], "default": null }));
            }
            record.insert("fields".into(), listed.into());
            record.insert("connect.name".into(), full_name.into());
            Ok(())
        })
    }

    /// `{"type": kind, "name": …, "namespace": …, …}`.
    fn named(
        &mut self,
        kind: &str,
        full_name: &str,
        fill: impl FnOnce(&mut Self, &mut Map<String, Json>) -> Result<(), String>,
    ) -> Result<Json, String> {
        let (namespace, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
        check_name(name)?;
        let mut schema = Map::new();
        schema.insert("type".into(), kind.into());
        schema.insert("name".into(), name.into());
        if namespace != self.outer {
            schema.insert("namespace".into(), namespace.into());
        }
        let outer = std::mem::replace(&mut self.outer, namespace.to_owned());
        fill(self, &mut schema)?;
        self.outer = outer;
        let schema = Json::from(schema);
        match self.named.get(full_name) {
            None => {
                self.named.insert(full_name.to_owned(), schema.clone());
                Ok(schema)
            }
            Some(same) if *same == schema => Ok(if namespace == self.outer { name.into() } else { full_name.into() }),
            Some(_) => Err(format!("Schema is not compatible with Avro: Can't redefine: {full_name}")),
        }
    }

    fn of_type(&mut self, sql_type: &SqlType, path: &str) -> Result<Json, String> {
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
            SqlType::Array(item) => json!({ "type": "array", "items": ["null", self.of_type(item, path)?] }),
            SqlType::Map(key, value) => {
                if **key != SqlType::String {
                    return Err("Avro only supports MAPs with STRING keys".into());
                }
                let entry = self.named("record", path, |maker, entry| {
                    let value = maker.of_type(value, &format!("{path}_MapValue"))?;
                    let fields = json!([
                        { "name": "key", "type": ["null", "string"], "default": null },
                        { "name": "value", "type": ["null", value], "default": null },
                    ]);
                    entry.insert("fields".into(), fields);
                    entry.insert("connect.internal.type".into(), super::types::MAP_ENTRY.into());
                    Ok(())
                })?;
                json!({ "type": "array", "items": entry, "connect.name": path })
            }
            SqlType::Struct(fields) => self.record(fields.iter().map(|StructField { name, sql_type }| (&**name, sql_type)), path)?,
        })
    }
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
    match fault_of_name(name) {
        None => Ok(()),
        Some(fault) => Err(format!("Schema is not compatible with Avro: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_ksqldb() {
        let point = SqlType::structure([("X".to_owned(), SqlType::Int)]);
        let columns = [
            Column::new("I", SqlType::Int),
            Column::new("D", SqlType::Decimal { precision: 4, scale: 2 }),
            Column::new("T", SqlType::Timestamp),
            Column::new("S", SqlType::structure([("P".to_owned(), point.clone())])),
            Column::new("A", SqlType::array(SqlType::String)),
            Column::new("M", SqlType::map(SqlType::String, point)),
        ];
        let text = of_columns(&columns, false, "a.b.Row").unwrap().to_string();
        let expected = concat!(
            r#"{"type":"record","name":"Row","namespace":"a.b","fields":["#,
            r#"{"name":"I","type":["null","int"],"default":null},"#,
            r#"{"name":"D","type":["null",{"type":"bytes","scale":2,"precision":4,"connect.version":1,"#,
            r#""connect.parameters":{"scale":"2","connect.decimal.precision":"4"},"#,
            r#""connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},"#,
            r#"{"name":"T","type":["null",{"type":"long","connect.version":1,"#,
            r#""connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}],"default":null},"#,
            r#"{"name":"S","type":["null",{"type":"record","name":"Row_S","fields":[{"name":"P","type":["null","#,
            r#"{"type":"record","name":"Row_S_P","fields":[{"name":"X","type":["null","int"],"default":null}],"#,
            r#""connect.name":"a.b.Row_S_P"}],"default":null}],"connect.name":"a.b.Row_S"}],"default":null},"#,
            r#"{"name":"A","type":["null",{"type":"array","items":["null","string"]}],"default":null},"#,
            r#"{"name":"M","type":["null",{"type":"array","items":{"type":"record","name":"Row_M","fields":["#,
            r#"{"name":"key","type":["null","string"],"default":null},{"name":"value","type":["null","#,
            r#"{"type":"record","name":"Row_M_MapValue","fields":[{"name":"X","type":["null","int"],"default":null}],"#,
            r#""connect.name":"a.b.Row_M_MapValue"}],"default":null}],"connect.internal.type":"MapEntry"},"#,
            r#""connect.name":"a.b.Row_M"}],"default":null}],"connect.name":"a.b.Row"}"#,
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_dot_in_a_name_is_an_underscore_and_names_may_clash() {
        let made = |columns: &[Column]| of_columns(columns, false, "R").map(|schema| schema["fields"][0]["name"].clone());
        assert_eq!(made(&[Column::new("A.B", SqlType::Int)]), Ok("A_B".into()));
        let b = SqlType::structure([("B".to_owned(), SqlType::structure([("X".to_owned(), SqlType::Int)]))]);
        let other = SqlType::structure([("Y".to_owned(), SqlType::Int)]);
        let clash = made(&[Column::new("A", b), Column::new("A_B", other)]).unwrap_err();
        assert_eq!(clash, "Schema is not compatible with Avro: Can't redefine: R_A_B");
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
        crate::formats::avro::parse::allow_names();
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
