//! Schemas of columns, columns of schemas, rows through encoder and decoder, and payloads that are not what they say.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::formats::schemas::frame::HEADER_BYTES;
use crate::formats::{Carried, Field, LayoutSchemas};
use crate::plan::{SchemaSpec, WriteSchema};
use crate::registry::{MemoryRegistry, Reference, SchemaId, SchemaRegistry};
use crate::types::{MapValue, SqlType, Value};

fn columns(columns: &[(&str, SqlType)]) -> Vec<Column> {
    columns.iter().map(|(name, sql_type)| Column::new(*name, sql_type.clone())).collect()
}

fn infer(schema: serde_json::Value) -> Result<Inferred, String> {
    JSON_SR.columns_of(&Schema::new(SchemaKind::Json, schema.to_string()), &SchemaShape::default())
}

/// The type of a property `f`.
fn type_of(property: serde_json::Value) -> Result<SqlType, String> {
    match infer(json!({ "type": "object", "properties": { "f": property } }))? {
        Inferred::Columns(columns) => Ok(columns[0].sql_type.clone()),
        Inferred::Value(other) => Ok(other),
    }
}

struct World {
    registry: Arc<MemoryRegistry>,
}

impl World {
    fn new() -> Self {
        World { registry: Arc::default() }
    }

    fn layout(&self, fields: &[(&str, SqlType)], unwrapped: bool) -> Layout {
        let columns = columns(fields);
        let schema = JSON_SR.schema_of(&columns, &SchemaShape { unwrapped, ..SchemaShape::default() }).unwrap();
        let id = self.registry.register("t-value", &schema).unwrap();
        self.shaped(columns, unwrapped, SchemaSpec { writes: Some(WriteSchema { id, schema }), ..SchemaSpec::default() })
    }

    /// Writes with a schema of somebody else's.
    fn chosen(&self, fields: &[(&str, SqlType)], id: i32, schema: serde_json::Value) -> Layout {
        let schema = Schema::new(SchemaKind::Json, schema.to_string());
        let id = SchemaId(id);
        self.registry.register_as("t-value", schema.clone(), id).unwrap();
        let spec = SchemaSpec { chosen: Some(id), writes: Some(WriteSchema { id, schema }), ..SchemaSpec::default() };
        self.shaped(columns(fields), false, spec)
    }

    fn shaped(&self, columns: Vec<Column>, unwrapped: bool, spec: SchemaSpec) -> Layout {
        let fields = columns.into_iter().enumerate().map(|(slot, column)| Field::new(column, Some(slot))).collect();
        let schemas = Some(LayoutSchemas { registry: self.registry.clone(), spec });
        Layout { fields, unwrapped, is_key: false, delimiter: None, schemas }
    }

    fn payload(&self, schema: serde_json::Value, json: &str) -> Vec<u8> {
        let id = self.registry.register("t-value", &Schema::new(SchemaKind::Json, schema.to_string())).unwrap();
        framed(id.0, json)
    }
}

fn framed(id: i32, json: &str) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), json.as_bytes()].concat()
}

fn encode(layout: &Layout, row: &[Value]) -> Result<String, String> {
    let mut out = Vec::new();
    match JSON_SR.encoder(layout)?.encode(row, &mut out).map_err(|error| error.to_string())? {
        true => Ok(String::from_utf8(out[HEADER_BYTES..].to_vec()).unwrap()),
        false => Ok("nothing".to_owned()),
    }
}

fn decode(layout: &Layout, payload: &[u8]) -> Result<Vec<Value>, String> {
    let mut row = vec![Value::Null; layout.fields.len()];
    JSON_SR.decoder(layout)?.decode(payload, &mut row).map_err(|error| error.to_string())?;
    Ok(row)
}

fn money() -> SqlType {
    SqlType::Decimal { precision: 4, scale: 2 }
}

fn decimal(text: &str) -> Value {
    Value::decimal(text.parse().unwrap())
}

fn map(entries: &[(&str, Value)]) -> Value {
    let entries: MapValue = entries.iter().map(|(key, value)| (Value::string(*key), value.clone())).collect();
    Value::Map(Arc::new(entries))
}

fn every_type() -> Vec<(&'static str, SqlType, Value)> {
    let point = SqlType::structure([("X".to_owned(), SqlType::Int), ("L".to_owned(), SqlType::array(SqlType::String))]);
    vec![
        ("BO", SqlType::Boolean, Value::Boolean(true)),
        ("I", SqlType::Int, Value::Int(i32::MIN)),
        ("L", SqlType::BigInt, Value::BigInt(i64::MAX)),
        ("D", SqlType::Double, Value::Double(-0.5)),
        ("DE", money(), decimal("-12.50")),
        ("S", SqlType::String, Value::string("grün 😀 \"\\\n")),
        ("BY", SqlType::Bytes, Value::bytes([0u8, 255])),
        ("T", SqlType::Time, Value::Time(86_399_999)),
        ("DA", SqlType::Date, Value::Date(-1)),
        ("TS", SqlType::Timestamp, Value::Timestamp(i64::MIN)),
        ("A", SqlType::array(SqlType::Int), Value::array(vec![Value::Int(1), Value::Null])),
        ("M", SqlType::map(SqlType::String, SqlType::Double), map(&[("a", Value::Double(1.0)), ("b", Value::Null)])),
        ("ST", point.clone(), Value::structure(vec![Value::Int(7), Value::array(vec![Value::string("x")])])),
        ("AM", SqlType::array(SqlType::map(SqlType::String, point)), Value::array(vec![map(&[("k", Value::Null)]), Value::Null])),
    ]
}

/// Schemas as a Java program printed them with Confluent's library, nulls first.
#[test]
fn schemas_are_those_that_ksqldb_registers() {
    let text = |fields: &[(&str, SqlType)], unwrapped| schema::of_columns(&columns(fields), unwrapped);
    assert_eq!(text(&[("K", SqlType::BigInt)], true), r#"{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int64"}]}"#);
    assert_eq!(
        text(&[("FOO", SqlType::Int)], false),
        r#"{"type":"object","properties":{"FOO":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]}}}"#
    );
    let inner = SqlType::structure([("F0".to_owned(), SqlType::Int)]);
    let fields = [
        ("INTC", SqlType::Boolean),
        ("DECC", money()),
        ("DATEC", SqlType::Date),
        ("DBL", SqlType::Double),
        ("STR", SqlType::String),
        ("BYT", SqlType::Bytes),
        ("ARR", SqlType::array(SqlType::BigInt)),
        ("MAPC", SqlType::map(SqlType::String, SqlType::Int)),
        ("ST", inner),
        ("TS", SqlType::Timestamp),
        ("TI", SqlType::Time),
    ];
    let expected = [
        r#""ARR":{"connect.index":6,"oneOf":[{"type":"null"},{"type":"array","items":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int64"}]}}]}"#,
        r#""DATEC":{"connect.index":2,"oneOf":[{"type":"null"},{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.version":1,"connect.type":"int32"}]}"#,
        r#""DBL":{"connect.index":3,"oneOf":[{"type":"null"},{"type":"number","connect.type":"float64"}]}"#,
        r#""STR":{"connect.index":4,"oneOf":[{"type":"null"},{"type":"string"}]}"#,
        r#""BYT":{"connect.index":5,"oneOf":[{"type":"null"},{"type":"string","connect.type":"bytes"}]}"#,
        r#""MAPC":{"connect.index":7,"oneOf":[{"type":"null"},{"type":"array","connect.type":"map","items":{"type":"object","properties":{"value":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]},"key":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"string"}]}}}}]}"#,
        r#""ST":{"connect.index":8,"oneOf":[{"type":"null"},{"type":"object","properties":{"F0":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]}}}]}"#,
        r#""TS":{"connect.index":9,"oneOf":[{"type":"null"},{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.version":1,"connect.type":"int64"}]}"#,
        r#""TI":{"connect.index":10,"oneOf":[{"type":"null"},{"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.version":1,"connect.type":"int32"}]}"#,
        r#""INTC":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"boolean"}]}"#,
        r#""DECC":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"4"}}]}"#,
    ];
    let text = text(&fields, false);
    for property in expected {
        assert!(text.contains(property), "{property} in {text}");
    }
    assert_eq!(
        text.len(),
        expected.iter().map(|property| property.len() + 1).sum::<usize>() + r#"{"type":"object","properties":{}}"#.len() - 1
    );
}

#[test]
fn columns_are_found_again() {
    let types = every_type();
    let fields: Vec<(&str, SqlType)> = types.iter().map(|(name, sql_type, _)| (*name, sql_type.clone())).collect();
    let text = schema::of_columns(&columns(&fields), false);
    assert_eq!(infer(text.parse().unwrap()), Ok(Inferred::Columns(columns(&fields))));
    for (name, sql_type, _) in types {
        let expected = match &sql_type {
            SqlType::Struct(fields) => Inferred::Columns(fields.iter().map(|f| Column::new(&*f.name, f.sql_type.clone())).collect()),
            other => Inferred::Value(other.clone()),
        };
        assert_eq!(infer(schema::of_columns(&columns(&[(name, sql_type)]), true).parse().unwrap()), Ok(expected));
    }
}

#[test]
fn types_of_foreign_schemas() {
    let int = || json!({ "type": "integer" });
    for (property, expected) in [
        (json!({ "type": "string", "format": "date-time" }), SqlType::String),
        (int(), SqlType::BigInt),
        (json!({ "type": "number" }), SqlType::Double),
        (json!({ "type": "boolean", "default": true }), SqlType::Boolean),
        (json!({ "type": ["null", "integer"] }), SqlType::BigInt),
        (json!({ "type": ["string", "null"], "connect.type": "bytes" }), SqlType::String),
        (json!({ "anyOf": [{ "type": "null" }, int()] }), SqlType::BigInt),
        (json!({ "type": "integer", "format": "int32" }), SqlType::BigInt),
        (json!({ "type": "number", "connect.type": "float32" }), SqlType::Double),
        (json!({ "type": "integer", "connect.type": "int8" }), SqlType::Int),
        (json!({ "type": "integer", "connect.type": "int16" }), SqlType::Int),
        (json!({ "type": "string", "connect.type": "bytes" }), SqlType::Bytes),
        (json!({ "type": "string", "enum": ["A", "B"] }), SqlType::String),
        (json!({ "enum": ["A", "B"] }), SqlType::String),
        (json!({ "type": "integer", "enum": [1, 2] }), SqlType::BigInt),
        (json!({ "type": "string", "const": "A" }), SqlType::String),
        (json!({ "minimum": 3 }), SqlType::Double),
        (json!({ "maxLength": 3 }), SqlType::String),
        (json!({ "type": "array", "items": int() }), SqlType::array(SqlType::BigInt)),
        (json!({ "items": int() }), SqlType::array(SqlType::BigInt)),
        (json!({ "type": "object", "connect.type": "map", "additionalProperties": int() }), SqlType::map(SqlType::String, SqlType::BigInt)),
        (json!({ "type": "object", "additionalProperties": int() }), SqlType::map(SqlType::String, SqlType::BigInt)),
        (
            json!({ "type": "array", "connect.type": "map", "items": { "type": "object", "properties": { "key": int(), "value": { "type": "string" } } } }),
            SqlType::map(SqlType::String, SqlType::String),
        ),
        (json!({ "title": "org.apache.kafka.connect.data.Timestamp", "type": "integer" }), SqlType::Timestamp),
        (json!({ "title": "org.apache.kafka.connect.data.Date", "type": "integer", "connect.type": "int32" }), SqlType::Date),
        (
            json!({ "type": "number", "title": "org.apache.kafka.connect.data.Decimal", "connect.type": "bytes", "connect.parameters": { "scale": "3" } }),
            SqlType::Decimal { precision: 64, scale: 3 },
        ),
        (json!({ "properties": { "a": int() } }), SqlType::structure([("A".to_owned(), SqlType::BigInt)])),
        (
            json!({ "allOf": [{ "type": "object", "properties": { "b": int() } }, { "properties": { "a": { "type": "string" } } }] }),
            SqlType::structure([("B".to_owned(), SqlType::BigInt), ("A".to_owned(), SqlType::String)]),
        ),
        (
            json!({ "oneOf": [{ "type": "string" }, int()] }),
            SqlType::structure([
                ("IO.CONFLUENT.CONNECT.JSON.ONEOF.FIELD.0".to_owned(), SqlType::String),
                ("IO.CONFLUENT.CONNECT.JSON.ONEOF.FIELD.1".to_owned(), SqlType::BigInt),
            ]),
        ),
    ] {
        assert_eq!(type_of(property.clone()), Ok(expected), "{property}");
    }
}

#[test]
fn what_has_no_type_is_told() {
    for (property, reason) in [
        (json!({ "type": "array" }), "Array schema did not specify the items type (at f)"),
        (json!({ "type": "array", "items": [{ "type": "string" }] }), "did not specify the items type"),
        (json!({}), "Unsupported schema type: a schema that says nothing of its type (at f)"),
        (json!(true), "Unsupported schema type"),
        (json!({ "type": "null" }), "Unsupported schema type: null"),
        (json!({ "const": 5 }), "Unsupported schema type: const"),
        (json!({ "type": "any" }), "unknown type: [any]"),
        (json!({ "type": "integer", "connect.type": "int128" }), "Unsupported type int128"),
        (json!({ "$ref": "#/definitions/gone" }), "`#/definitions/gone`, which is neither in it"),
        (json!({ "$ref": "#" }), "recursive"),
        (json!({ "type": "object", "properties": { "g": { "type": "array" } } }), "(at f.g)"),
        (
            json!({ "type": "number", "title": "org.apache.kafka.connect.data.Decimal", "connect.type": "bytes" }),
            "scale parameter not found",
        ),
    ] {
        let error = type_of(property.clone()).unwrap_err();
        assert!(error.contains(reason), "{error} for {property}");
    }
    assert!(infer(json!({ "type": "object" })).unwrap_err().contains("does not include any columns"));
    let nameless = infer(json!({ "type": "object", "properties": { "": { "type": "string" }, "a": { "type": "string" } } }));
    assert!(nameless.unwrap_err().starts_with("A property of the schema has an empty name"));
    let twice = infer(json!({ "type": "object", "properties": { "a": { "type": "string" }, "A": { "type": "string" } } }));
    assert!(twice.unwrap_err().contains("name duplication A"));
    assert!(JSON_SR.columns_of(&Schema::new(SchemaKind::Json, "{"), &SchemaShape::default()).unwrap_err().contains("no JSON"));
    // A map with keys that have no text: that field alone is left out.
    let odd = json!({ "type": "array", "connect.type": "map", "items": { "type": "object", "properties": {
        "key": { "type": "number" }, "value": { "type": "string" } } } });
    let found = infer(json!({ "type": "object", "properties": { "odd": odd, "n": { "type": "number" } } }));
    assert_eq!(found, Ok(Inferred::Columns(columns(&[("N", SqlType::Double)]))));
}

#[test]
fn schemas_are_the_same_in_any_order() {
    let schema = |json: serde_json::Value| Schema::new(SchemaKind::Json, json.to_string());
    let ours = JSON_SR.schema_of(&columns(&[("K", SqlType::String)]), &SchemaShape { unwrapped: true, ..SchemaShape::default() }).unwrap();
    assert!(JSON_SR.is_same(&ours, &schema(json!({ "oneOf": [{ "type": "string" }, { "type": "null" }] }))));
    assert!(!JSON_SR.is_same(&ours, &schema(json!({ "type": "string" }))));
    assert!(!JSON_SR.is_same(&ours, &schema(json!({ "oneOf": [{ "type": "integer" }, { "type": "null" }] }))));
}

#[test]
fn columns_have_an_order_and_names() {
    let text = || json!({ "type": "string" });
    let names = |properties: serde_json::Value, keeps_case| {
        let schema = Schema::new(SchemaKind::Json, json!({ "type": "object", "properties": properties }).to_string());
        match JSON_SR.columns_of(&schema, &SchemaShape { keeps_case, ..SchemaShape::default() }) {
            Ok(Inferred::Columns(columns)) => columns.into_iter().map(|column| column.name).collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        }
    };
    let unordered = json!({ "c": text(), "b": text(), "a": text(), "FOO": text(), "ID": text(), "order_total": text() });
    assert_eq!(names(unordered.clone(), false), "A B C FOO ORDER_TOTAL ID");
    assert_eq!(names(unordered, true), "a b c FOO order_total ID");
    let at = |index: i64| json!({ "type": "string", "connect.index": index });
    assert_eq!(names(json!({ "a": at(2), "b": at(0), "c": at(1) }), false), "B C A");
}

#[test]
fn references_lead_within_and_outside() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": { "$ref": "#/definitions/money", "title": "not looked at" },
            "b": { "oneOf": [{ "type": "null" }, { "$ref": "#/$defs/money" }] },
            "c": { "type": "array", "items": { "$ref": "point.json#/definitions/point" } },
            "d": { "$ref": "point.json" },
            "e": { "$ref": "#here" },
        },
        "definitions": { "money": { "type": "number" }, "x": { "$id": "#here", "type": "boolean" } },
    });
    let point = json!({ "type": "string", "definitions": { "point": { "properties": { "x": { "$ref": "#/definitions/number" } } }, "number": { "type": "integer" } } });
    let reference = Reference {
        name: "point.json".to_owned(),
        subject: "point".to_owned(),
        version: 1,
        schema: Arc::new(Schema::new(SchemaKind::Json, point.to_string())),
    };
    let schema = Schema { references: vec![reference], ..Schema::new(SchemaKind::Json, schema.to_string()) };
    let point = SqlType::structure([("X".to_owned(), SqlType::BigInt)]);
    let expected =
        [("A", SqlType::Double), ("B", SqlType::Double), ("C", SqlType::array(point)), ("D", SqlType::String), ("E", SqlType::Boolean)];
    assert_eq!(JSON_SR.columns_of(&schema, &SchemaShape::default()), Ok(Inferred::Columns(columns(&expected))));
}

#[test]
fn later_drafts_look_beside_references() {
    let schema = |draft: &str| {
        json!({
            "$schema": draft,
            "type": "object",
            "properties": { "a": { "$ref": "#/$defs/x", "properties": { "q": { "type": "string" } } } },
            "$defs": { "x": { "type": "object", "properties": { "p": { "type": "integer" } } } },
        })
    };
    let fields = |draft| match infer(schema(draft)) {
        Ok(Inferred::Columns(columns)) => columns[0].sql_type.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fields("http://json-schema.org/draft-07/schema#"), "STRUCT<`P` BIGINT>");
    assert_eq!(fields("https://json-schema.org/draft/2020-12/schema"), "STRUCT<`P` BIGINT, `Q` STRING>");
}

#[test]
fn recursion_and_bombs_are_refused() {
    let list = json!({ "type": "object", "properties": { "next": { "$ref": "#/definitions/node" } }, "definitions": { "node": {
        "type": "object", "properties": { "next": { "$ref": "#/definitions/node" } } } } });
    assert!(infer(list).unwrap_err().contains("recursive"));
    let within = json!({ "allOf": [{ "$ref": "#/definitions/a" }], "definitions": { "a": { "allOf": [{ "$ref": "#/definitions/a" }] } } });
    assert!(infer(within).unwrap_err().contains("recursive"));
    // Each object holds the next one twice: two to the power of 40 fields.
    let mut definitions = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({ "$ref": format!("#/definitions/r{}", level + 1) });
        definitions.insert(format!("r{level}"), json!({ "type": "object", "properties": { "a": next.clone(), "b": next } }));
    }
    definitions.insert("r40".to_owned(), json!({ "type": "string" }));
    let bomb = json!({ "type": "object", "properties": { "x": { "$ref": "#/definitions/r0" } }, "definitions": definitions });
    assert!(infer(bomb).unwrap_err().contains("parts"));
}

#[test]
fn rows_go_there_and_back() {
    let world = World::new();
    let types = every_type();
    let fields: Vec<(&str, SqlType)> = types.iter().map(|(name, sql_type, _)| (*name, sql_type.clone())).collect();
    let row: Vec<Value> = types.iter().map(|(.., value)| value.clone()).collect();
    let layout = world.layout(&fields, false);
    let mut payload = Vec::new();
    JSON_SR.encoder(&layout).unwrap().encode(&row, &mut payload).unwrap();
    assert_eq!(payload[..HEADER_BYTES], [0, 0, 0, 0, 1]);
    assert_eq!(decode(&layout, &payload).unwrap(), row);
    let nulls = vec![Value::Null; row.len()];
    payload.clear();
    JSON_SR.encoder(&layout).unwrap().encode(&nulls, &mut payload).unwrap();
    assert_eq!(decode(&layout, &payload).unwrap(), nulls);
    for (name, sql_type, value) in types {
        let single = world.layout(&[(name, sql_type)], true);
        payload.clear();
        JSON_SR.encoder(&single).unwrap().encode(std::slice::from_ref(&value), &mut payload).unwrap();
        assert_eq!(decode(&single, &payload).unwrap(), [value]);
        assert_eq!(encode(&single, &[Value::Null]), Ok("nothing".to_owned()));
    }
}

#[test]
fn maps_are_arrays_of_entries_and_read_either_way() {
    let world = World::new();
    let layout = world.layout(&[("M", SqlType::map(SqlType::String, SqlType::Int))], false);
    let row = [map(&[("k", Value::Int(1))])];
    assert_eq!(encode(&layout, &row), Ok(r#"{"M":[{"key":"k","value":1}]}"#.to_owned()));
    for json in [r#"{"M":{"k":1}}"#, r#"{"m":[{"value":1,"more":[],"key":"k"}]}"#] {
        assert_eq!(decode(&layout, &framed(1, json)), Ok(row.to_vec()), "{json}");
    }
    assert_eq!(decode(&layout, &framed(1, r#"{"M":[{"key":7,"value":"1"}]}"#)), Ok(vec![map(&[("7", Value::Int(1))])]));
    assert!(decode(&layout, &framed(1, r#"{"M":[1]}"#)).is_err());
    assert!(decode(&layout, &framed(1, r#"{"M":[{"key":"k","value":"x"}]}"#)).unwrap_err().ends_with("path: $.M[0].value"));
}

#[test]
fn decimals_are_numbers_or_base64_as_the_schema_says() {
    let world = World::new();
    let layout = world.layout(&[("D", money()), ("L", SqlType::array(money()))], false);
    // 1250 is 0x04e2.
    let json = r#"{"D":"BOI=","L":["BOI=",1.5]}"#;
    assert_eq!(decode(&layout, &framed(1, json)), Ok(vec![decimal("12.50"), Value::array(vec![decimal("12.50"), decimal("1.50")])]));
    assert_eq!(decode(&layout, &framed(1, r#"{"D":"/w==","L":null}"#)), Ok(vec![decimal("-0.01"), Value::Null]));
    // Without Connect's annotations, or without a schema, a text is a number in digits.
    let plain = world.payload(json!({ "type": "object", "properties": { "D": { "type": "string" } } }), r#"{"D":"1234.5"}"#);
    assert_eq!(decode(&layout, &plain), Ok(vec![decimal("1234.50"), Value::Null]));
    assert_eq!(decode(&layout, &framed(77, r#"{"D":"1234.5"}"#)), Ok(vec![decimal("1234.50"), Value::Null]));
    let mut decoder = JSON_SR.decoder(&layout).unwrap();
    let mut row = vec![Value::Null; 2];
    for payload in [&framed(1, json), &plain, &framed(1, json), &plain] {
        decoder.decode(payload, &mut row).unwrap();
    }
    assert_eq!(row[0], decimal("1234.50"));
    // Another scale would move the point.
    let schema = schema::of_columns(&columns(&[("D", SqlType::Decimal { precision: 6, scale: 4 })]), false);
    let other = world.payload(schema.parse().unwrap(), r#"{"D":"BOI="}"#);
    assert!(decode(&layout, &other).unwrap_err().contains("another scale"));
}

#[test]
fn payloads_are_read_as_json_is() {
    let world = World::new();
    let layout = world.layout(&[("A", SqlType::Int), ("b", SqlType::String)], false);
    let int = |value| vec![Value::Int(value), Value::Null];
    // Another schema, an unknown one: it does not matter.
    assert_eq!(decode(&layout, &framed(99, r#"{"a":"7","more":{}}"#)), Ok(int(7)));
    assert_eq!(decode(&layout, &framed(1, r#"{"A":1,"a":2,"B":"no"}"#)), Ok(int(1)));
    let mut row = vec![Value::Null; 2];
    assert_eq!(JSON_SR.decoder(&layout).unwrap().decode(&framed(1, "null"), &mut row), Ok(false));
    for (payload, reason) in [
        (&b"{\"A\":1}"[..], "did not start with the magic byte"),
        (b"", "did not start with the magic byte"),
        (&[0, 0, 0], "shorter than the id"),
        (&framed(1, ""), "end-of-input"),
        (&framed(1, "{\"A\":true}"), "Can't convert type. sourceType: BooleanNode, requiredType: INTEGER, path: $.A"),
        (&framed(1, "{\"A\":1"), "end-of-input"),
    ] {
        let error = decode(&layout, payload).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn carried_values_are_copied() {
    let world = World::new();
    let mut layout = world.layout(&[("A", SqlType::Int), ("B", SqlType::String)], false);
    for (number, field) in layout.fields.iter_mut().enumerate() {
        field.carried = Some(number);
    }
    let payload = framed(9, r#"{"b":"x","A":17}"#);
    let (mut row, mut carried, mut out) = (vec![Value::Null; 2], Carried::default(), Vec::new());
    let spans = carried.begin(2);
    JSON_SR.decoder(&layout).unwrap().decode_carrying(&payload, &mut row, spans).unwrap();
    carried.keep(&payload);
    assert_eq!(row, vec![Value::Null; 2]);
    JSON_SR.encoder(&layout).unwrap().encode_carrying(&row, &carried, &mut out).unwrap();
    assert_eq!(out, framed(1, r#"{"A":17,"B":"x"}"#));
}

#[test]
fn a_schema_named_by_its_id_is_written() {
    let world = World::new();
    let schema = json!({ "type": "object", "properties": {
        "id": { "type": "integer", "connect.index": 0 },
        "more": { "type": "string", "connect.index": 1 },
        "note": { "type": ["null", "string"], "connect.index": 2 },
        "tag": { "type": "string", "default": "none", "connect.index": 3 },
        "m": { "type": "object", "connect.type": "map", "additionalProperties": { "type": "integer" }, "connect.index": 4 },
    } });
    let map_type = SqlType::map(SqlType::String, SqlType::BigInt);
    let layout = world.chosen(&[("m", map_type), ("id", SqlType::BigInt)], 42, schema.clone());
    let row = [map(&[("k", Value::BigInt(1))]), Value::BigInt(3)];
    assert_eq!(encode(&layout, &row), Ok(r#"{"id":3,"note":null,"tag":"none","m":{"k":1}}"#.to_owned()));
    let refused = encode(&layout, &[row[0].clone(), Value::Null]).unwrap_err();
    assert_eq!(refused, "Invalid value: null used for required field, schema type: INT64 (field \"id\")");
    let missing = world.chosen(&[("nobody", SqlType::Int)], 42, schema.clone());
    assert_eq!(encode(&missing, &[Value::Null]).unwrap_err(), "Schema from Schema Registry misses field with name: nobody");
    let wrong = world.chosen(&[("id", SqlType::array(SqlType::Int))], 42, schema);
    assert!(encode(&wrong, &[Value::Null]).unwrap_err().contains("can't be written as the schema's INT64"));
}
