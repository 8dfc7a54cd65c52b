//! Rows through the encoder and the decoder, foreign schemas, and payloads that are not what they say.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::formats::{Field, LayoutSchemas};
use crate::plan::{SchemaSpec, WriteSchema};
use crate::registry::{MemoryRegistry, Schema, SchemaId, SchemaKind, SchemaRegistry};
use crate::types::{MapValue, SqlType, Value};

fn columns_of(schema: &Schema) -> Result<Inferred, String> {
    AVRO.columns_of(schema, &SchemaShape::default())
}

fn schemas(registry: &Arc<MemoryRegistry>, writes: Option<WriteSchema>) -> Option<LayoutSchemas> {
    Some(LayoutSchemas { registry: registry.clone(), spec: SchemaSpec { writes, ..SchemaSpec::default() } })
}

/// Reads and writes columns, with the schema that is registered for them.
pub(super) fn layout(columns: &[(&str, SqlType)], registry: &Arc<MemoryRegistry>) -> Layout {
    shaped(columns, registry, false)
}

fn shaped(columns: &[(&str, SqlType)], registry: &Arc<MemoryRegistry>, unwrapped: bool) -> Layout {
    let columns: Vec<Column> = columns.iter().map(|(name, sql_type)| Column::new(*name, sql_type.clone())).collect();
    let schema = AVRO.schema_of(&columns, &SchemaShape { unwrapped, ..SchemaShape::default() }).unwrap();
    let id = registry.register("t-value", &schema).unwrap();
    let fields = columns.into_iter().enumerate().map(|(slot, column)| Field::new(column, Some(slot))).collect();
    Layout { fields, unwrapped, is_key: false, delimiter: None, schemas: schemas(registry, Some(WriteSchema { id, schema })) }
}

pub(super) fn encode(layout: &Layout, row: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(AVRO.encoder(layout).unwrap().encode(row, &mut out), Ok(true));
    out
}

pub(super) fn decode(layout: &Layout, payload: &[u8]) -> Result<Vec<Value>, String> {
    let mut row = vec![Value::Null; layout.fields.len()];
    AVRO.decoder(layout).unwrap().decode(payload, &mut row).map_err(|error| error.to_string())?;
    Ok(row)
}

/// A payload of a schema that another writer registered, made by the library.
pub(super) fn foreign(registry: &Arc<MemoryRegistry>, schema: serde_json::Value, value: apache_avro::types::Value) -> Vec<u8> {
    let id = registry.register("t-value", &Schema::new(SchemaKind::Avro, schema.to_string())).unwrap();
    parse::allow_names();
    let parsed = apache_avro::Schema::parse(&schema).unwrap();
    let mut payload = vec![0];
    payload.extend_from_slice(&id.0.to_be_bytes());
    payload.extend(apache_avro::writer::datum::GenericDatumWriter::builder(&parsed).build().unwrap().write_value_to_vec(value).unwrap());
    payload
}

fn every_type() -> Vec<(&'static str, SqlType, Value)> {
    let entries = |pairs: &[(&str, Value)]| {
        let map: MapValue = pairs.iter().map(|(key, value)| (Value::string(*key), value.clone())).collect();
        Value::Map(Arc::new(map))
    };
    let point = SqlType::structure([("X".to_owned(), SqlType::Int), ("L".to_owned(), SqlType::array(SqlType::String))]);
    let decimal = |text: &str| Value::decimal(text.parse().unwrap());
    vec![
        ("BO", SqlType::Boolean, Value::Boolean(true)),
        ("I", SqlType::Int, Value::Int(i32::MIN)),
        ("L", SqlType::BigInt, Value::BigInt(i64::MAX)),
        ("D", SqlType::Double, Value::Double(-0.5)),
        ("DE", SqlType::Decimal { precision: 6, scale: 2 }, decimal("-1234.50")),
        ("S", SqlType::String, Value::string("grün 😀")),
        ("BY", SqlType::Bytes, Value::bytes([0u8, 255])),
        ("T", SqlType::Time, Value::Time(86_399_999)),
        ("DA", SqlType::Date, Value::Date(-1)),
        ("TS", SqlType::Timestamp, Value::Timestamp(i64::MIN)),
        ("A", SqlType::array(SqlType::Int), Value::array(vec![Value::Int(1), Value::Null])),
        ("M", SqlType::map(SqlType::String, SqlType::Double), entries(&[("a", Value::Double(1.0)), ("b", Value::Null)])),
        ("ST", point.clone(), Value::structure(vec![Value::Int(7), Value::array(vec![Value::string("x")])])),
        ("AS", SqlType::array(point.clone()), Value::array(vec![Value::structure(vec![Value::Null, Value::Null]), Value::Null])),
        ("MS", SqlType::map(SqlType::String, point), entries(&[("k", Value::structure(vec![Value::Int(1), Value::array(vec![])]))])),
    ]
}

#[test]
fn rows_go_there_and_back() {
    let registry = Arc::new(MemoryRegistry::default());
    let types = every_type();
    let columns: Vec<(&str, SqlType)> = types.iter().map(|(name, sql_type, _)| (*name, sql_type.clone())).collect();
    let layout = layout(&columns, &registry);
    let row: Vec<Value> = types.iter().map(|(.., value)| value.clone()).collect();
    let payload = encode(&layout, &row);
    assert_eq!(decode(&layout, &payload).unwrap(), row);
    let nulls = vec![Value::Null; row.len()];
    assert_eq!(decode(&layout, &encode(&layout, &nulls)).unwrap(), nulls);
    // The library reads what was written, and the columns are found again.
    let id = SchemaId(i32::from_be_bytes(payload[1..5].try_into().unwrap()));
    let registered = registry.by_id(id).unwrap();
    let schema = apache_avro::Schema::parse_str(&registered.text).unwrap();
    apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &payload[5..]).unwrap();
    let found: Vec<Column> = columns.iter().map(|(name, sql_type)| Column::new(*name, sql_type.clone())).collect();
    assert_eq!(columns_of(&registered), Ok(Inferred::Columns(found)));
}

#[test]
fn only_what_is_read_is_decoded() {
    let registry = Arc::new(MemoryRegistry::default());
    let types = every_type();
    let columns: Vec<(&str, SqlType)> = types.iter().map(|(name, sql_type, _)| (*name, sql_type.clone())).collect();
    let row: Vec<Value> = types.iter().map(|(.., value)| value.clone()).collect();
    let mut layout = layout(&columns, &registry);
    let payload = encode(&layout, &row);
    for kept in 0..row.len() {
        for (index, field) in layout.fields.iter_mut().enumerate() {
            field.slot = (index == kept).then_some(index);
        }
        let mut expected = vec![Value::Null; row.len()];
        expected[kept] = row[kept].clone();
        assert_eq!(decode(&layout, &payload).unwrap(), expected, "{}", types[kept].0);
    }
}

#[test]
fn single_values_stand_alone() {
    let registry = Arc::new(MemoryRegistry::default());
    for (name, sql_type, value) in every_type() {
        let layout = shaped(&[(name, sql_type)], &registry, true);
        assert_eq!(decode(&layout, &encode(&layout, std::slice::from_ref(&value))).unwrap(), [value]);
        assert_eq!(AVRO.encoder(&layout).unwrap().encode(&[Value::Null], &mut Vec::new()), Ok(false));
    }
}

#[test]
fn writers_evolve_within_a_topic() {
    use apache_avro::types::Value as Avro;
    let registry = Arc::new(MemoryRegistry::default());
    let record = |fields: serde_json::Value| json!({ "type": "record", "name": "r", "fields": fields });
    let old = foreign(
        &registry,
        record(json!([{ "name": "gone", "type": { "type": "array", "items": "string" } }, { "name": "id", "type": "int" }])),
        Avro::Record(vec![("gone".into(), Avro::Array(vec![Avro::String("x".into())])), ("id".into(), Avro::Int(1))]),
    );
    let new = foreign(
        &registry,
        record(
            json!([{ "name": "Id", "type": ["null", "long"] }, { "name": "kind", "type": { "type": "enum", "name": "k", "symbols": ["A", "B"] } }]),
        ),
        Avro::Record(vec![("Id".into(), Avro::Union(1, Box::new(Avro::Long(2)))), ("kind".into(), Avro::Enum(1, "B".into()))]),
    );
    let layout = layout(&[("ID", SqlType::BigInt), ("KIND", SqlType::String)], &registry);
    let mut decoder = AVRO.decoder(&layout).unwrap();
    for (payload, expected) in [(&old, [Value::BigInt(1), Value::Null]), (&new, [Value::BigInt(2), Value::string("B")])] {
        let mut row = vec![Value::Null; 2];
        assert_eq!(decoder.decode(payload, &mut row), Ok(true));
        assert_eq!(row, expected);
    }
}

#[test]
fn a_union_of_several_types_is_a_struct() {
    use apache_avro::types::Value as Avro;
    let registry = Arc::new(MemoryRegistry::default());
    let schema = json!({ "type": "record", "name": "r", "fields": [{ "name": "u", "type": ["null", "int", "string"] }] });
    let payload = |index, value| foreign(&registry, schema.clone(), Avro::Record(vec![("u".into(), Avro::Union(index, Box::new(value)))]));
    let union = SqlType::structure([("INT".to_owned(), SqlType::Int), ("STRING".to_owned(), SqlType::String)]);
    let layout = layout(&[("U", union.clone())], &registry);
    let of = |int, string| vec![Value::structure(vec![int, string])];
    assert_eq!(decode(&layout, &payload(1, Avro::Int(5))).unwrap(), of(Value::Int(5), Value::Null));
    assert_eq!(decode(&layout, &payload(2, Avro::String("s".into()))).unwrap(), of(Value::Null, Value::string("s")));
    let found = columns_of(&Schema::new(SchemaKind::Avro, schema.to_string()));
    assert_eq!(found, Ok(Inferred::Columns(vec![Column::new("U", union)])));
}

#[test]
fn what_does_not_fit_is_said() {
    use apache_avro::types::Value as Avro;
    let registry = Arc::new(MemoryRegistry::default());
    let schema = json!({ "type": "record", "name": "r", "fields": [{ "name": "a", "type": "string" }] });
    let payload = foreign(&registry, schema, Avro::Record(vec![("a".into(), Avro::String("x".into()))]));
    let error = |sql_type: SqlType| decode(&layout(&[("A", sql_type)], &registry), &payload).unwrap_err();
    assert_eq!(error(SqlType::Int), "Cannot deserialize type string as type int32 for path: ->A");
    let good = layout(&[("A", SqlType::String)], &registry);
    let fails = |payload: &[u8]| decode(&good, payload).unwrap_err();
    assert_eq!(fails(b"{}"), "Unknown magic byte!");
    assert_eq!(fails(&[0, 0, 0]), "the payload is shorter than the id of a schema");
    assert!(fails(&[0, 0, 0, 0, 99, 1]).contains("Schema 99 not found"));
    let mut long = payload.clone();
    long.push(0);
    assert_eq!(fails(&long), "1 bytes are left behind the value");
    for end in 5..payload.len() {
        decode(&good, &payload[..end]).unwrap_err();
    }
}

#[test]
fn recursion_and_bombs_are_refused() {
    let registry = Arc::new(MemoryRegistry::default());
    let list = json!({ "type": "record", "name": "node", "fields": [{ "name": "next", "type": ["null", "node"] }] });
    let error = columns_of(&Schema::new(SchemaKind::Avro, list.to_string())).unwrap_err();
    assert!(error.contains("node contains itself"), "{error}");
    // Each record holds the next one twice: two to the power of 30 fields.
    let mut bomb = json!("int");
    for level in 0..30 {
        bomb = json!({ "type": "record", "name": format!("r{level}"), "fields": [
            { "name": "a", "type": bomb }, { "name": "b", "type": if level == 0 { "int".to_owned() } else { format!("r{}", level - 1) } },
        ] });
    }
    let bomb = Schema::new(SchemaKind::Avro, bomb.to_string());
    assert!(columns_of(&bomb).unwrap_err().contains("parts"));
    let id = registry.register("t-value", &bomb).unwrap();
    let mut payload = vec![0];
    payload.extend_from_slice(&id.0.to_be_bytes());
    assert!(decode(&layout(&[("X", SqlType::Int)], &registry), &payload).unwrap_err().contains("parts"));
}

#[test]
fn a_schema_named_by_its_id_is_written() {
    let registry = Arc::new(MemoryRegistry::default());
    let schema = json!({ "type": "record", "name": "r", "fields": [
        { "name": "more", "type": "string", "default": "none" },
        { "name": "id", "type": "long" },
        { "name": "maybe", "type": ["null", "int"] },
    ] });
    let id = SchemaId(42);
    let schema = Schema::new(SchemaKind::Avro, schema.to_string());
    registry.register_as("t-value", schema.clone(), id).unwrap();
    let layout = Layout { schemas: schemas(&registry, Some(WriteSchema { id, schema })), ..layout(&[("id", SqlType::BigInt)], &registry) };
    let payload = encode(&layout, &[Value::BigInt(3)]);
    assert_eq!(payload, [&[0, 0, 0, 0, 42, 8][..], b"none", &[6, 0]].concat());
    let mut encoder = AVRO.encoder(&layout).unwrap();
    assert!(encoder.encode(&[Value::Null], &mut Vec::new()).unwrap_err().to_string().contains("does not allow null"));
    let required =
        json!({ "type": "record", "name": "q", "fields": [{ "name": "id", "type": "long" }, { "name": "must", "type": "int" }] });
    let required = WriteSchema { id: SchemaId(43), schema: Schema::new(SchemaKind::Avro, required.to_string()) };
    let refused = AVRO.encoder(&Layout { schemas: schemas(&registry, Some(required)), ..layout }).err().unwrap();
    assert!(refused.starts_with("Missing default value for required Avro field: [must]"), "{refused}");
}

#[test]
fn a_field_is_the_column_of_its_name_or_of_its_name_in_upper_case() {
    use apache_avro::types::Value as Avro;
    let registry = Arc::new(MemoryRegistry::default());
    let schema = json!({ "type": "record", "name": "r", "fields": [
        { "name": "aB", "type": "int" }, { "name": "ab", "type": "int" }, { "name": "c_d", "type": "int" }, { "name": "straße", "type": "int" },
    ] });
    let int = |name: &str, value| (name.to_owned(), Avro::Int(value));
    let payload = foreign(&registry, schema, Avro::Record(vec![int("aB", 1), int("ab", 2), int("c_d", 3), int("straße", 4)]));
    let of = |name: &str| decode(&layout(&[(name, SqlType::Int)], &registry), &payload).unwrap().remove(0);
    assert_eq!(of("AB"), Value::Int(2), "the last one");
    assert_eq!(of("aB"), Value::Int(1));
    assert_eq!(of("ab"), Value::Int(2));
    assert_eq!(of("Ab"), Value::Null);
    assert_eq!(of("c.d"), Value::Int(3));
    assert_eq!(of("STRASSE"), Value::Int(4));
}

#[test]
fn a_record_that_contains_itself_is_passed_over_but_not_read() {
    use apache_avro::types::Value as Avro;
    let registry = Arc::new(MemoryRegistry::default());
    let schema = json!({ "type": "record", "name": "node", "fields": [
        { "name": "id", "type": "int" },
        { "name": "next", "type": ["null", "node"] },
        { "name": "more", "type": { "type": "array", "items": "node" } },
        { "name": "last", "type": "string" },
    ] });
    let node = |id, next: Avro, more| {
        Avro::Record(vec![
            ("id".into(), Avro::Int(id)),
            ("next".into(), next),
            ("more".into(), Avro::Array(more)),
            ("last".into(), "x".into()),
        ])
    };
    let none = || Avro::Union(0, Box::new(Avro::Null));
    let leaf = |id| node(id, none(), vec![]);
    let value = node(1, Avro::Union(1, Box::new(node(2, none(), vec![leaf(3), leaf(4)]))), vec![leaf(5)]);
    let payload = foreign(&registry, schema.clone(), value);
    let wanted = [("ID", SqlType::Int), ("LAST", SqlType::String)];
    assert_eq!(decode(&layout(&wanted, &registry), &payload).unwrap(), [Value::Int(1), Value::string("x")]);
    let next = SqlType::structure([("NEXT".to_owned(), SqlType::structure([("ID".to_owned(), SqlType::Int)]))]);
    let error = decode(&layout(&[("NEXT", next)], &registry), &payload).unwrap_err();
    assert!(error.contains("node contains itself"), "{error}");
    // Endless nesting, and a record that is nothing but itself twice.
    let mut deep = payload[..5].to_vec();
    deep.extend([2, 2].repeat(5_000));
    assert!(decode(&layout(&wanted, &registry), &deep).unwrap_err().contains("too deep"));
    let endless = json!({ "type": "record", "name": "e", "fields": [{ "name": "a", "type": "e" }, { "name": "b", "type": "e" }] });
    let id = registry.register("t-value", &Schema::new(SchemaKind::Avro, endless.to_string())).unwrap();
    let payload = [&[0][..], &id.0.to_be_bytes(), &[0; 64]].concat();
    assert!(decode(&layout(&wanted, &registry), &payload).unwrap_err().contains("too deep"));
}

#[test]
fn a_union_at_the_root_is_a_column_for_each_branch() {
    use apache_avro::types::Value as Avro;
    let registry = Arc::new(MemoryRegistry::default());
    let record = |name: &str| json!({ "type": "record", "name": name, "fields": [{ "name": "x", "type": "int" }] });
    let schema = json!(["null", record("First"), record("Second")]);
    let inner = SqlType::structure([("X".to_owned(), SqlType::Int)]);
    let found = columns_of(&Schema::new(SchemaKind::Avro, schema.to_string()));
    assert_eq!(found, Ok(Inferred::Columns(vec![Column::new("FIRST", inner.clone()), Column::new("SECOND", inner.clone())])));
    let layout = layout(&[("FIRST", inner.clone()), ("SECOND", inner)], &registry);
    let x = Value::structure(vec![Value::Int(7)]);
    let value = |branch| Avro::Union(branch, Box::new(Avro::Record(vec![("x".into(), Avro::Int(7))])));
    assert_eq!(decode(&layout, &foreign(&registry, schema.clone(), value(1))).unwrap(), [x.clone(), Value::Null]);
    assert_eq!(decode(&layout, &foreign(&registry, schema.clone(), value(2))).unwrap(), [Value::Null, x]);
    let null = foreign(&registry, schema, Avro::Union(0, Box::new(Avro::Null)));
    assert_eq!(AVRO.decoder(&layout).unwrap().decode(&null, &mut [Value::Null, Value::Null]), Ok(false), "null is a tombstone");
}

#[test]
fn columns_as_ksqldb_infers_them() {
    let of = |schema: serde_json::Value| columns_of(&Schema::new(SchemaKind::Avro, schema.to_string()));
    let field = |name: &str, schema: serde_json::Value| json!({ "name": name, "type": schema });
    let entry = |key: &str| {
        json!({ "type": "array", "items": { "type": "record", "name": "MapEntry", "namespace": "io.confluent.connect.avro", "fields": [
            field("key", json!(key)), field("value", json!("int")),
        ] } })
    };
    let schema = json!({ "type": "record", "name": "r", "fields": [
        field("micros", json!({ "type": "long", "logicalType": "timestamp-micros" })),
        field("millis", json!({ "type": "long", "logicalType": "timestamp-millis" })),
        field("uuid", json!({ "type": "string", "logicalType": "uuid" })),
        field("one", json!(["string"])),
        field("by_long", entry("long")),
    ] });
    let map = || SqlType::map(SqlType::String, SqlType::Int);
    let expected = [
        ("MICROS", SqlType::BigInt),
        ("MILLIS", SqlType::Timestamp),
        ("UUID", SqlType::String),
        ("ONE", SqlType::String),
        ("BY_LONG", map()),
    ];
    let expected = expected.into_iter().map(|(name, sql_type)| Column::new(name, sql_type)).collect();
    assert_eq!(of(schema), Ok(Inferred::Columns(expected)));
    // A map by doubles is left out; what is left decides.
    let doubles = json!({ "type": "record", "name": "r", "fields": [field("d", entry("double")), field("i", json!("int"))] });
    assert_eq!(of(doubles), Ok(Inferred::Columns(vec![Column::new("I", SqlType::Int)])));
    let nothing = json!({ "type": "record", "name": "r", "fields": [field("d", entry("double"))] });
    assert_eq!(of(nothing).unwrap_err(), "Schema does not include any columns with types that ksqlDB supports.");
    let null = json!({ "type": "record", "name": "r", "fields": [field("n", json!("null"))] });
    assert_eq!(of(null).unwrap_err(), "Standalone null schemas are not supported by this converter");
    assert_eq!(of(json!("int")), Ok(Inferred::Value(SqlType::Int)));
}

#[test]
fn a_column_that_is_carried_arrives_as_it_was_written() {
    use apache_avro::types::Value as Avro;

    use crate::formats::{Carried, Span};
    let registry = Arc::new(MemoryRegistry::default());
    let point = SqlType::structure([("X".to_owned(), SqlType::Int)]);
    let columns = [("S", SqlType::String), ("P", SqlType::array(point.clone())), ("N", SqlType::Int)];
    let own = {
        let mut layout = layout(&columns, &registry);
        for (index, field) in layout.fields.iter_mut().enumerate() {
            field.carried = Some(index);
        }
        layout
    };
    // Through the decoder and the encoder of `to`; which of the columns were carried.
    let pass = |payload: &[u8], to: &Layout| {
        let mut row = vec![Value::Null; 3];
        let mut carried = Carried::default();
        let spans = carried.begin(3);
        assert_eq!(AVRO.decoder(&own).unwrap().decode_carrying(payload, &mut row, spans), Ok(true));
        let which: Vec<bool> = spans.iter().map(|span| *span != Span::default()).collect();
        carried.keep(payload);
        let mut out = Vec::new();
        AVRO.encoder(to).unwrap().encode_carrying(&row, &carried, &mut out).unwrap();
        (decode(&own, &out).unwrap(), which)
    };
    let points = Value::array(vec![Value::structure(vec![Value::Int(1)]), Value::Null]);
    let row = vec![Value::string("a longer text than fits"), points, Value::Int(3)];
    assert_eq!(pass(&encode(&own, &row), &own), (row.clone(), vec![true; 3]));
    let nulls = vec![Value::Null; 3];
    assert_eq!(pass(&encode(&own, &nulls), &own), (nulls, vec![false; 3]));
    // Another writer: no unions, other items; and a sink with a schema of its own.
    let schema = json!({ "type": "record", "name": "r", "fields": [
        { "name": "p", "type": { "type": "array", "items": { "type": "record", "name": "p", "fields": [{ "name": "x", "type": "int" }] } } },
        { "name": "s", "type": "string" },
    ] });
    let item = Avro::Record(vec![("x".into(), Avro::Int(1))]);
    let payload = foreign(&registry, schema, Avro::Record(vec![("p".into(), Avro::Array(vec![item])), ("s".into(), "B".into())]));
    let expected = vec![Value::string("B"), Value::array(vec![Value::structure(vec![Value::Int(1)])]), Value::Null];
    assert_eq!(pass(&payload, &own), (expected.clone(), vec![true, false, false]));
    let chosen = json!({ "type": "record", "name": "c", "fields": [
        { "name": "s", "type": { "type": "enum", "name": "e", "symbols": ["A", "B"] } },
        { "name": "p", "type": { "type": "array", "items": { "type": "record", "name": "p", "fields": [{ "name": "x", "type": "long" }] } } },
        { "name": "n", "type": ["int", "null"] },
    ] });
    let chosen = Schema::new(SchemaKind::Avro, chosen.to_string());
    let id = registry.register("u-value", &chosen).unwrap();
    let to = Layout { schemas: schemas(&registry, Some(WriteSchema { id, schema: chosen })), ..own.clone() };
    let mut row = vec![Value::Null; 3];
    let mut carried = Carried::default();
    let mut out = Vec::new();
    AVRO.decoder(&own).unwrap().decode_carrying(&payload, &mut row, carried.begin(3)).unwrap();
    carried.keep(&payload);
    AVRO.encoder(&to).unwrap().encode_carrying(&row, &carried, &mut out).unwrap();
    assert_eq!(out[5..], [2, 2, 2, 0, 2], "the second symbol; one item of 1; null");
}
