//! Rows through the encoders and the decoders, foreign schemas, and payloads that are not what they say.

use std::sync::Arc;

use super::cursor::{write_sized, write_varint};
use super::infer::columns_of;
use super::*;
use crate::formats::{Carried, Field, LayoutSchemas};
use crate::plan::{NullRepresentation, SchemaSpec, WriteSchema};
use crate::registry::{MemoryRegistry, SchemaId, SchemaRegistry};
use crate::types::{MapValue, SqlType, Value};

type Columns<'c> = &'c [(&'c str, SqlType)];

fn shaped(format: &ProtobufFormat, columns: Columns<'_>, registry: &Arc<MemoryRegistry>, nulls: Option<NullRepresentation>) -> Layout {
    let columns: Vec<Column> = columns.iter().map(|(name, sql_type)| Column::new(*name, sql_type.clone())).collect();
    let mut spec = SchemaSpec { nulls, ..SchemaSpec::default() };
    let schema = format.schema_of(&columns, &SchemaShape { spec: Some(&spec), ..SchemaShape::default() }).unwrap();
    let id = registry.register("t-value", &schema).unwrap();
    spec.writes = Some(WriteSchema { id, schema });
    let fields = columns.into_iter().enumerate().map(|(slot, column)| Field::new(column, Some(slot))).collect();
    let schemas = Some(LayoutSchemas { registry: registry.clone(), spec });
    Layout { fields, unwrapped: false, is_key: false, delimiter: None, schemas }
}

fn encode(format: &ProtobufFormat, layout: &Layout, row: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(format.encoder(layout).unwrap().encode(row, &mut out), Ok(true));
    out
}

fn decode(format: &ProtobufFormat, layout: &Layout, payload: &[u8]) -> Result<Vec<Value>, String> {
    let mut row = vec![Value::Null; layout.fields.len()];
    format.decoder(layout).unwrap().decode(payload, &mut row).map_err(|error| error.to_string())?;
    Ok(row)
}

fn entries(pairs: &[(&str, Value)]) -> Value {
    let map: MapValue = pairs.iter().map(|(key, value)| (Value::string(*key), value.clone())).collect();
    Value::Map(Arc::new(map))
}

fn every_type() -> Vec<(&'static str, SqlType, Value)> {
    let point = SqlType::structure([("X".to_owned(), SqlType::Int), ("L".to_owned(), SqlType::array(SqlType::String))]);
    let decimal = |text: &str| Value::decimal(text.parse().unwrap());
    vec![
        ("BO", SqlType::Boolean, Value::Boolean(true)),
        ("I", SqlType::Int, Value::Int(i32::MIN)),
        ("L", SqlType::BigInt, Value::BigInt(i64::MAX)),
        ("D", SqlType::Double, Value::Double(-0.0)),
        ("DE", SqlType::Decimal { precision: 6, scale: 2 }, decimal("-1234.50")),
        ("S", SqlType::String, Value::string("grün 😀")),
        ("BY", SqlType::Bytes, Value::bytes([0u8, 255])),
        ("T", SqlType::Time, Value::Time(86_399_999)),
        ("DA", SqlType::Date, Value::Date(-1)),
        ("TS", SqlType::Timestamp, Value::Timestamp(-1)),
        ("A", SqlType::array(SqlType::Int), Value::array(vec![Value::Int(1), Value::Int(0), Value::Int(-1)])),
        ("M", SqlType::map(SqlType::String, SqlType::Double), entries(&[("a", Value::Double(1.0)), ("", Value::Double(0.0))])),
        ("ST", point.clone(), Value::structure(vec![Value::Int(7), Value::array(vec![Value::string(""), Value::string("x")])])),
        ("AS", SqlType::array(point.clone()), Value::array(vec![Value::structure(vec![Value::Int(0), Value::array(vec![])])])),
        ("MS", SqlType::map(SqlType::String, point), entries(&[("k", Value::structure(vec![Value::Int(1), Value::array(vec![])]))])),
        ("MA", SqlType::map(SqlType::String, SqlType::array(SqlType::Date)), entries(&[("k", Value::array(vec![Value::Date(3)]))])),
    ]
}

#[test]
fn rows_go_there_and_back() {
    let registry = Arc::new(MemoryRegistry::default());
    let types = every_type();
    let columns: Vec<(&str, SqlType)> = types.iter().map(|(name, sql_type, _)| (*name, sql_type.clone())).collect();
    let row: Vec<Value> = types.iter().map(|(.., value)| value.clone()).collect();
    for format in [&PROTOBUF, &PROTOBUF_NOSR] {
        for nulls in [None, Some(NullRepresentation::Optional), Some(NullRepresentation::Wrapper)] {
            let mut layout = shaped(format, &columns, &registry, nulls);
            let payload = encode(format, &layout, &row);
            assert_eq!(decode(format, &layout, &payload).unwrap(), row, "{nulls:?}");
            // Only what is read is decoded.
            for kept in 0..row.len() {
                for (index, field) in layout.fields.iter_mut().enumerate() {
                    field.slot = (index == kept).then_some(index);
                }
                let mut expected = vec![Value::Null; row.len()];
                expected[kept] = row[kept].clone();
                assert_eq!(decode(format, &layout, &payload).unwrap(), expected, "{}", types[kept].0);
            }
        }
    }
}

#[test]
fn the_columns_of_a_written_schema_are_found_again() {
    let types = every_type();
    // A map of arrays is written so that nobody but a declared column can tell it from an array.
    let columns: Vec<Column> =
        types.iter().filter(|(name, ..)| *name != "MA").map(|(name, sql_type, _)| Column::new(*name, sql_type.clone())).collect();
    for nulls in [None, Some(NullRepresentation::Optional), Some(NullRepresentation::Wrapper)] {
        let spec = SchemaSpec { nulls, full_name: Some("a.b.Row".into()), ..SchemaSpec::default() };
        let shape = SchemaShape { spec: Some(&spec), ..SchemaShape::default() };
        let schema = PROTOBUF.schema_of(&columns, &shape).unwrap();
        assert_eq!(columns_of(&schema, &shape), Ok(Inferred::Columns(columns.clone())));
    }
}

#[test]
fn absent_values_are_zeros_unless_they_can_be_told() {
    let registry = Arc::new(MemoryRegistry::default());
    let types = every_type();
    let columns: Vec<(&str, SqlType)> = types.iter().map(|(name, sql_type, _)| (*name, sql_type.clone())).collect();
    let nulls = vec![Value::Null; columns.len()];
    let empty = |sql_type: &SqlType| match sql_type {
        SqlType::Array(_) => Value::array(Vec::new()),
        SqlType::Map(..) => entries(&[]),
        _ => Value::Null,
    };
    for chosen in [Some(NullRepresentation::Optional), Some(NullRepresentation::Wrapper)] {
        let layout = shaped(&PROTOBUF, &columns, &registry, chosen);
        let expected: Vec<Value> = columns.iter().map(|(_, sql_type)| empty(sql_type)).collect();
        assert_eq!(decode(&PROTOBUF, &layout, &encode(&PROTOBUF, &layout, &nulls)).unwrap(), expected, "{chosen:?}");
        // What is there is there, zero or not.
        let zeros = [Value::Boolean(false), Value::Int(0), Value::BigInt(0), Value::Double(0.0)];
        let layout = shaped(&PROTOBUF, &columns[..4], &registry, chosen);
        assert_eq!(decode(&PROTOBUF, &layout, &encode(&PROTOBUF, &layout, &zeros)).unwrap(), zeros, "{chosen:?}");
    }
    let layout = shaped(&PROTOBUF, &columns, &registry, None);
    let payload = encode(&PROTOBUF, &layout, &nulls);
    assert_eq!(payload.len(), 6, "nothing but the frame");
    let zero = |sql_type: &SqlType| match sql_type {
        SqlType::Boolean => Value::Boolean(false),
        SqlType::Int => Value::Int(0),
        SqlType::BigInt => Value::BigInt(0),
        SqlType::Double => Value::Double(0.0),
        SqlType::String => Value::string(""),
        SqlType::Bytes => Value::bytes([]),
        other => empty(other),
    };
    let expected: Vec<Value> = columns.iter().map(|(_, sql_type)| zero(sql_type)).collect();
    assert_eq!(decode(&PROTOBUF, &layout, &payload).unwrap(), expected);
}

#[test]
fn single_values_of_bare_messages_stand_alone() {
    let registry = Arc::new(MemoryRegistry::default());
    for (name, sql_type, value) in every_type() {
        let mut layout = shaped(&PROTOBUF_NOSR, &[(name, sql_type.clone())], &registry, None);
        layout.unwrapped = true;
        if matches!(sql_type, SqlType::Array(_) | SqlType::Map(..)) {
            let refused = PROTOBUF_NOSR.decoder(&layout).err().unwrap();
            assert_eq!(refused, format!("Unsupported root schema of type {}", sql_type.base_name()));
            continue;
        }
        let payload = encode(&PROTOBUF_NOSR, &layout, std::slice::from_ref(&value));
        assert_eq!(decode(&PROTOBUF_NOSR, &layout, &payload).unwrap(), [value]);
        assert_eq!(PROTOBUF_NOSR.encoder(&layout).unwrap().encode(&[Value::Null], &mut Vec::new()), Ok(false));
    }
    // A wrapper of Google's.
    let mut layout = shaped(&PROTOBUF_NOSR, &[("K", SqlType::Int)], &registry, None);
    layout.unwrapped = true;
    assert_eq!(encode(&PROTOBUF_NOSR, &layout, &[Value::Int(300)]), [8, 0xac, 2]);
    assert!(encode(&PROTOBUF_NOSR, &layout, &[Value::Int(0)]).is_empty());
    assert_eq!(decode(&PROTOBUF_NOSR, &layout, &[]).unwrap(), [Value::Int(0)]);
}

/// A layout that reads columns from the messages of a foreign schema, and its id.
fn foreign(text: &str, columns: Columns<'_>) -> (Layout, SchemaId) {
    let registry = Arc::new(MemoryRegistry::default());
    let id = registry.register("t-value", &Schema::new(SchemaKind::Protobuf, text)).unwrap();
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(slot, (name, sql_type))| Field::new(Column::new(*name, sql_type.clone()), Some(slot))).collect();
    let schemas = Some(LayoutSchemas { registry, spec: SchemaSpec::default() });
    (Layout { fields, unwrapped: false, is_key: false, delimiter: None, schemas }, id)
}

/// Reads a body of the schema's first message.
fn read(text: &str, columns: Columns<'_>, body: &[u8]) -> Result<Vec<Value>, String> {
    let (layout, id) = foreign(text, columns);
    let mut payload = vec![0];
    payload.extend_from_slice(&id.0.to_be_bytes());
    payload.push(0);
    payload.extend_from_slice(body);
    decode(&PROTOBUF, &layout, &payload)
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(u64::from(number << 3), &mut out);
    write_varint(value, &mut out);
    out
}

fn sized(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(u64::from(number << 3 | 2), &mut out);
    write_sized(content, &mut out);
    out
}

#[test]
fn the_last_one_counts_and_messages_add_up() {
    let text = "syntax = \"proto3\"; message M { int32 a = 1; N n = 2; repeated int32 l = 3; repeated N ns = 4; map<string, N> m = 5; } \
                message N { int32 x = 1; int32 y = 2; repeated int32 z = 3; N inner = 4; }";
    let n = SqlType::structure([
        ("X".to_owned(), SqlType::Int),
        ("Y".to_owned(), SqlType::Int),
        ("Z".to_owned(), SqlType::array(SqlType::Int)),
    ]);
    let of =
        |x, y, z: &[i32]| Value::structure(vec![Value::Int(x), Value::Int(y), Value::array(z.iter().map(|z| Value::Int(*z)).collect())]);
    let columns = [
        ("A", SqlType::Int),
        ("N", n.clone()),
        ("L", SqlType::array(SqlType::Int)),
        ("NS", SqlType::array(n.clone())),
        ("M", SqlType::map(SqlType::String, n)),
    ];
    let body = [
        varint(1, 1),
        sized(2, &[varint(1, 1), varint(3, 1)].concat()),
        sized(3, &[1, 2]),
        varint(1, 2),
        varint(3, 3),
        sized(2, &[varint(2, 2), sized(3, &[2, 3])].concat()),
        sized(3, &[]),
        sized(2, &varint(1, 5)),
        sized(4, &varint(1, 1)),
        sized(4, &[]),
        // A key that comes twice, and a value that is said in two parts.
        sized(5, &[sized(1, b"k"), sized(2, &varint(1, 1))].concat()),
        sized(5, &[sized(1, b"k"), sized(2, &varint(1, 3)), sized(2, &varint(2, 4))].concat()),
        sized(5, &[]),
        // Unknown, and of another type.
        varint(9, 9),
        sized(1, b"text"),
        vec![0x0b, 0x0c],
    ]
    .concat();
    let expected = vec![
        Value::Int(2),
        of(5, 2, &[1, 2, 3]),
        Value::array([1, 2, 3].map(Value::Int).to_vec()),
        Value::array(vec![of(1, 0, &[]), of(0, 0, &[])]),
        entries(&[("k", of(3, 4, &[])), ("", of(0, 0, &[]))]),
    ];
    assert_eq!(read(text, &columns, &body).unwrap(), expected);
}

#[test]
fn a_oneof_is_a_struct_of_its_choices() {
    let text = "syntax = \"proto3\"; message M { oneof pick { int32 a = 1; string b = 2; N n = 3; bool unread = 4; } int32 c = 5; oneof other { \
                int32 d = 6; } optional int32 e = 7; } message N { int32 x = 1; int32 y = 2; }";
    let n = SqlType::structure([("X".to_owned(), SqlType::Int), ("Y".to_owned(), SqlType::Int)]);
    let pick = SqlType::structure([("A".to_owned(), SqlType::Int), ("B".to_owned(), SqlType::String), ("N".to_owned(), n)]);
    let of = |a, b, n| Value::structure(vec![a, b, n]);
    let none = || Value::Null;
    let x_y = |x, y| Value::structure(vec![Value::Int(x), Value::Int(y)]);
    let columns = [("PICK_0", pick), ("C", SqlType::Int), ("E", SqlType::Int)];
    for (body, expected) in [
        (vec![], Value::Null),
        (varint(1, 0), of(Value::Int(0), none(), none())),
        ([varint(1, 4), sized(2, b"b")].concat(), of(none(), Value::string("b"), none())),
        ([sized(3, &varint(1, 1)), sized(3, &varint(2, 2))].concat(), of(none(), none(), x_y(1, 2))),
        ([sized(3, &varint(1, 1)), varint(1, 4), sized(3, &varint(2, 2))].concat(), of(none(), none(), x_y(0, 2))),
        ([sized(3, &varint(1, 1)), sized(3, &varint(2, 2)), varint(1, 4)].concat(), of(Value::Int(4), none(), none())),
        (
            [sized(3, &varint(1, 1)), sized(3, &varint(1, 2)), varint(1, 4), sized(3, &varint(2, 3)), sized(3, &varint(1, 4))].concat(),
            of(none(), none(), x_y(4, 3)),
        ),
        ([sized(3, &varint(1, 1)), varint(4, 1)].concat(), of(none(), none(), none())),
    ] {
        assert_eq!(read(text, &columns, &body).unwrap(), [expected, Value::Int(0), Value::Null], "{body:?}");
    }
    let schema = Schema::new(SchemaKind::Protobuf, text);
    let Ok(Inferred::Columns(found)) = columns_of(&schema, &SchemaShape::default()) else { panic!("no columns") };
    let names: Vec<&str> = found.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["PICK_0", "OTHER_1", "C", "E"]);
    // A oneof is written as the first choice that is there.
    let (mut layout, id) = foreign(text, &columns);
    layout.schemas.as_mut().unwrap().spec.writes = Some(WriteSchema { id, schema });
    let row = [of(none(), Value::string(""), none()), Value::Int(1), Value::Int(0)];
    let payload = encode(&PROTOBUF, &layout, &row);
    assert_eq!(payload[6..], [sized(2, b""), varint(5, 1), varint(7, 0)].concat());
    assert_eq!(decode(&PROTOBUF, &layout, &payload).unwrap(), row);
}

#[test]
fn every_scalar_is_read_as_ksqldb_reads_it() {
    let kinds: &[(&str, &[u8], SqlType, Value)] = &[
        ("uint32", &[8, 0xff, 0xff, 0xff, 0xff, 0x0f], SqlType::BigInt, Value::BigInt(u32::MAX.into())),
        ("uint64", &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], SqlType::BigInt, Value::BigInt(-1)),
        ("sint32", &[8, 3], SqlType::Int, Value::Int(-2)),
        ("sint64", &[8, 3], SqlType::BigInt, Value::BigInt(-2)),
        ("fixed32", &[13, 255, 255, 255, 255], SqlType::BigInt, Value::BigInt(u32::MAX.into())),
        ("sfixed32", &[13, 255, 255, 255, 255], SqlType::Int, Value::Int(-1)),
        ("fixed64", &[9, 1, 0, 0, 0, 0, 0, 0, 0], SqlType::BigInt, Value::BigInt(1)),
        ("sfixed64", &[9, 255, 255, 255, 255, 255, 255, 255, 255], SqlType::BigInt, Value::BigInt(-1)),
        ("float", &[13, 0xcd, 0xcc, 0x8c, 0x3f], SqlType::Double, Value::Double(f64::from(1.1f32))),
        ("float", &[13, 0xcd, 0xcc, 0x8c, 0x3f], SqlType::String, Value::string("1.1")),
        ("double", &[9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], SqlType::String, Value::string("1.0")),
        ("bool", &[8, 2], SqlType::Boolean, Value::Boolean(true)),
        ("bool", &[8, 1], SqlType::String, Value::string("true")),
        ("int32", &[8, 5], SqlType::BigInt, Value::BigInt(5)),
        ("int32", &[8, 5], SqlType::Date, Value::Date(5)),
        ("int64", &[8, 5], SqlType::Timestamp, Value::Timestamp(5)),
        ("uint32", &[8, 5], SqlType::String, Value::string("5")),
        ("E", &[8, 1], SqlType::String, Value::string("B")),
        ("E", &[], SqlType::String, Value::string("A")),
        ("E", &[8, 7], SqlType::String, Value::string("UNKNOWN_ENUM_VALUE_E_7")),
        ("google.protobuf.UInt32Value", &[10, 2, 8, 5], SqlType::BigInt, Value::BigInt(5)),
        ("google.protobuf.StringValue", &[10, 0], SqlType::String, Value::string("")),
        ("google.protobuf.StringValue", &[], SqlType::String, Value::Null),
        ("google.protobuf.Timestamp", &[10, 2, 8, 5], SqlType::BigInt, Value::BigInt(5_000)),
        ("google.type.Date", &[10, 7, 8, 0xe4, 0x0f, 16, 2, 24, 29], SqlType::Date, Value::Date(18_321)),
    ];
    for (kind, body, sql_type, expected) in kinds {
        let text = format!(
            "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/timestamp.proto\"; \
             import \"google/type/date.proto\"; message M {{ enum E {{ A = 0; B = 1; }} {kind} v = 1; }}"
        );
        assert_eq!(read(&text, &[("V", sql_type.clone())], body), Ok(vec![expected.clone()]), "{kind} as {sql_type}");
    }
}

#[test]
fn proto2_has_nulls_and_closed_enums() {
    let text = "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 5]; required string b = 2; repeated int32 c = 3; \
                optional E e = 4; repeated E es = 5; optional group G = 6 { optional int32 x = 1; } enum E { ONE = 1; TWO = 2; } }";
    let columns = [
        ("A", SqlType::Int),
        ("B", SqlType::String),
        ("C", SqlType::array(SqlType::Int)),
        ("E", SqlType::String),
        ("ES", SqlType::array(SqlType::String)),
    ];
    let empty = || Value::array(Vec::new());
    let body = [varint(3, 1), varint(4, 9), varint(5, 1), varint(5, 9), vec![0x33], varint(1, 4), vec![0x34]].concat();
    let expected =
        [Value::Null, Value::string(""), Value::array(vec![Value::Int(1)]), Value::Null, Value::array(vec![Value::string("ONE")])];
    assert_eq!(read(text, &columns, &body).unwrap(), expected);
    assert_eq!(read(text, &columns, &[]).unwrap(), [Value::Null, Value::string(""), empty(), Value::Null, empty()]);
    let error = columns_of(&Schema::new(SchemaKind::Protobuf, text), &SchemaShape::default()).unwrap_err();
    assert!(error.contains("is a group"), "{error}");
}

#[test]
fn columns_are_inferred_as_ksqldb_infers_them() {
    let text = "syntax = \"proto3\"; package p; import \"google/protobuf/wrappers.proto\"; import \"confluent/type/decimal.proto\"; \
                import \"confluent/meta.proto\"; import \"google/type/timeofday.proto\"; \
                message First { uint32 u = 1; map<int32, bool> m = 2; google.protobuf.BytesValue b = 3; confluent.type.Decimal d = 4 \
                [(confluent.field_meta) = { params: [{ key: \"precision\", value: \"9\" }, { key: \"scale\", value: \"2\" }] }]; \
                confluent.type.Decimal e = 5; message Inner { repeated float F = 1; } Inner i = 6; repeated google.type.TimeOfDay t = 7; } \
                message Second { string s = 1; }";
    let schema = Schema::new(SchemaKind::Protobuf, text);
    let columns_as = |spec: SchemaSpec, keeps_case: bool| {
        let shape = SchemaShape { spec: Some(&spec), keeps_case, ..SchemaShape::default() };
        match columns_of(&schema, &shape) {
            Ok(Inferred::Columns(columns)) => crate::formats::describe_columns(&columns, false),
            other => format!("{other:?}"),
        }
    };
    let columns = |spec: SchemaSpec| columns_as(spec, false);
    assert_eq!(
        columns(SchemaSpec::default()),
        "[`U` BIGINT, `M` MAP<STRING, BOOLEAN>, `B` BYTES, `D` DECIMAL(9, 2), `E` DECIMAL(64, 0), `I` STRUCT<`F` ARRAY<DOUBLE>>, `T` ARRAY<TIME>]"
    );
    let named = |name: &str| SchemaSpec { full_name: Some(name.into()), ..SchemaSpec::default() };
    assert_eq!(columns(named("p.Second")), "[`S` STRING]");
    assert_eq!(columns(named("p.First.Inner")), "[`F` ARRAY<DOUBLE>]");
    assert_eq!(columns(named("p.Third")), "Err(\"The schema has no message p.Third\")");
    // The names of a schema that was chosen by its id stay as they are.
    assert_eq!(columns_as(named("p.Second"), true), "[`s` STRING]");
    assert_eq!(PROTOBUF.choices(&schema), ["p.First", "p.Second"]);
    assert_eq!(PROTOBUF.name_of(&schema), None);
    let one = |text: &str| Schema::new(SchemaKind::Protobuf, text);
    assert_eq!(PROTOBUF.name_of(&one("syntax = \"proto3\"; package p; message M { }")).as_deref(), Some("p.M"));
    let (tight, wide) = (one("syntax = \"proto3\";message M{int32 a=1;}"), one("syntax = 'proto3';\nmessage M {\n  int32 a = 1;\n}\n"));
    assert!(PROTOBUF.is_same(&tight, &wide) && !PROTOBUF.is_same(&tight, &schema));
}

#[test]
fn what_does_not_fit_is_said() {
    let text = "syntax = \"proto3\"; message M { string a = 1; repeated N n = 2; int64 l = 3; uint32 u = 4; map<string, int32> m = 5; } message N { int64 x = 1; }";
    let error = |name: &str, sql_type: SqlType| read(text, &[(name, sql_type)], &[]).unwrap_err();
    assert_eq!(error("A", SqlType::Int), "Cannot deserialize type string as type int32 for path: ->A");
    assert_eq!(error("N", SqlType::Int), "Cannot deserialize type array as type int32 for path: ->N");
    assert_eq!(error("M", SqlType::array(SqlType::Int)), "Cannot deserialize type map as type array for path: ->M");
    assert_eq!(error("L", SqlType::Int), "Cannot deserialize type int64 as type int32 for path: ->L");
    assert_eq!(error("U", SqlType::Int), "Cannot deserialize type int64 as type int32 for path: ->U");
    let x = SqlType::structure([("X".to_owned(), SqlType::Boolean)]);
    assert_eq!(error("N", SqlType::array(x)), "Cannot deserialize type int64 as type boolean for path: ->N->ARRAY->X");
    let (layout, SchemaId(id)) = foreign(text, &[("A", SqlType::String)]);
    assert_eq!(
        decode(&PROTOBUF, &layout, &[0, 0, 0, 0, 99, 0]).unwrap_err(),
        "Error retrieving Protobuf schema for id 99: Schema 99 not found"
    );
    assert_eq!(decode(&PROTOBUF, &layout, &[0, 0, 0, 0, id as u8, 2, 8]).unwrap_err(), "Invalid message indexes: [4]");
    for (body, why) in [
        (&[10, 3, b'a'][..], "the message ends in the middle of a field"),
        (&[10, 1, 0xff], "a string is not UTF-8"),
        (&[0], "a tag has the invalid field number 0"),
        (&[0x0c], "a group ends that did not begin"),
    ] {
        assert_eq!(read(text, &[("A", SqlType::String)], body).unwrap_err(), why);
    }
}

#[test]
fn small_payloads_do_not_unfold_without_end() {
    let fields: String = (1..=1000).map(|number| format!("int32 f{number} = {number};")).collect();
    let text = format!("syntax = \"proto3\"; message M {{ repeated N n = 1; }} message N {{ {fields} }}");
    let wide = SqlType::structure((1..=1000).map(|number| (format!("F{number}"), SqlType::Int)));
    let body = [10, 0].repeat(10_000);
    let error = read(&text, &[("N", SqlType::array(wide))], &body).unwrap_err();
    assert_eq!(error, "the payload unfolds to more than 4194304 values");
    // Parts of a message that come again and again are gathered once.
    let nested = "syntax = \"proto3\"; message M { N a = 1; N b = 2; } message N { int32 x = 1; N n = 2; }";
    let n = SqlType::structure([("X".to_owned(), SqlType::Int)]);
    let body = [10, 2, 8, 1, 18, 2, 8, 2].repeat(200_000);
    let one = |x| Value::structure(vec![Value::Int(x)]);
    assert_eq!(read(nested, &[("A", n.clone()), ("B", n)], &body).unwrap(), [one(1), one(2)]);
}

#[test]
fn recursion_is_refused_where_a_type_is_wanted() {
    let text = "syntax = \"proto3\"; import \"google/protobuf/struct.proto\"; message M { Node n = 1; google.protobuf.Struct s = 2; } \
                message Node { int32 x = 1; Node next = 2; }";
    let error = columns_of(&Schema::new(SchemaKind::Protobuf, text), &SchemaShape::default()).unwrap_err();
    assert!(error.contains("Node contains itself"), "{error}");
    // A declared column reads as deep as it says.
    let n = SqlType::structure([("X".to_owned(), SqlType::Int)]);
    let n = SqlType::structure([("X".to_owned(), SqlType::Int), ("NEXT".to_owned(), n)]);
    let body = sized(1, &[varint(1, 1), sized(2, &[varint(1, 2), sized(2, &varint(1, 3))].concat())].concat());
    let expected = Value::structure(vec![Value::Int(1), Value::structure(vec![Value::Int(2)])]);
    assert_eq!(read(text, &[("N", n)], &body).unwrap(), [expected]);
}

#[test]
fn a_schema_named_by_its_id_is_written() {
    let registry = Arc::new(MemoryRegistry::default());
    let text = "syntax = \"proto3\"; message Other { int32 x = 1; } message M { message N { sint32 a = 5; E e = 3; float f = 4; \
                repeated sint32 unpacked = 6 [packed = false]; fixed32 u = 7; string more = 1; enum E { Z = 0; ONE = 1; } } }";
    let schema = Schema::new(SchemaKind::Protobuf, text);
    registry.register_as("t-value", schema.clone(), SchemaId(42)).unwrap();
    let columns = [
        ("a", SqlType::Int),
        ("E", SqlType::String),
        ("F", SqlType::Double),
        ("UNPACKED", SqlType::array(SqlType::Int)),
        ("U", SqlType::BigInt),
    ];
    let mut layout = shaped(&PROTOBUF, &columns, &registry, None);
    let spec = &mut layout.schemas.as_mut().unwrap().spec;
    spec.writes = Some(WriteSchema { id: SchemaId(42), schema });
    spec.full_name = Some("M.N".into());
    let list = Value::array(vec![Value::Int(0), Value::Int(-1)]);
    let row = [Value::Int(-1), Value::string("ONE"), Value::Double(1.5), list, Value::BigInt(7)];
    let payload = encode(&PROTOBUF, &layout, &row);
    let body = [varint(3, 1), vec![0x25, 0, 0, 0xc0, 0x3f], varint(5, 1), varint(6, 0), varint(6, 1), vec![0x3d, 7, 0, 0, 0]].concat();
    assert_eq!(payload, [&[0, 0, 0, 0, 42, 4, 2, 0][..], &body].concat());
    assert_eq!(decode(&PROTOBUF, &layout, &payload).unwrap(), row);
    let mut encoder = PROTOBUF.encoder(&layout).unwrap();
    let mut fails = |index: usize, value: Value| {
        let mut row = row.clone();
        row[index] = value;
        encoder.encode(&row, &mut Vec::new()).unwrap_err().to_string()
    };
    assert_eq!(fails(1, Value::string("TWO")), "a text is no symbol of the schema's enum");
    assert_eq!(fails(4, Value::BigInt(-1)), "-1 is out of the range of fixed32");
    assert_eq!(fails(3, Value::array(vec![Value::Null])), "PROTOBUF can't hold a null within an array");
    layout.fields.push(Field::new(Column::new("EXTRA", SqlType::Int), Some(0)));
    assert_eq!(PROTOBUF.encoder(&layout).err().unwrap(), "Schema from Schema Registry misses column with name: EXTRA");
    layout.fields.pop();
    layout.fields[0].column.sql_type = SqlType::Boolean;
    assert_eq!(PROTOBUF.encoder(&layout).err().unwrap(), "Cannot write type BOOLEAN to the field a of type int32");
}

#[test]
fn values_that_only_pass_are_carried() {
    let registry = Arc::new(MemoryRegistry::default());
    let columns = [("S", SqlType::String), ("B", SqlType::Bytes), ("I", SqlType::Int), ("E", SqlType::String)];
    let carrying = |layout: &Layout| {
        let mut layout = layout.clone();
        layout.fields.iter_mut().enumerate().for_each(|(index, field)| field.carried = Some(index));
        layout
    };
    let through = |format: &ProtobufFormat, from: &Layout, to: &Layout, row: &[Value]| {
        let payload = encode(format, from, row);
        let (mut slots, mut carried) = (vec![Value::Null; row.len()], Carried::default());
        let spans = carried.begin(row.len());
        assert_eq!(format.decoder(&carrying(from)).unwrap().decode_carrying(&payload, &mut slots, spans), Ok(true));
        let count = spans.iter().filter(|span| span.end > span.start).count();
        carried.keep(&payload);
        let mut out = Vec::new();
        assert_eq!(format.encoder(&carrying(to)).unwrap().encode_carrying(&slots, &carried, &mut out), Ok(true));
        (decode(format, to, &out).unwrap(), count)
    };
    let full = [Value::string("grün"), Value::bytes([7u8; 300]), Value::Int(3), Value::string("ONE")];
    let empty = [Value::string(""), Value::bytes([]), Value::Int(0), Value::string("Z")];
    for format in [&PROTOBUF, &PROTOBUF_NOSR] {
        for nulls in [None, Some(NullRepresentation::Optional), Some(NullRepresentation::Wrapper)] {
            let layout = shaped(format, &columns, &registry, nulls);
            let carries = if nulls == Some(NullRepresentation::Wrapper) { 0 } else { 4 };
            assert_eq!(through(format, &layout, &layout, &full), (full.to_vec(), carries));
            assert_eq!(through(format, &layout, &layout, &empty).0, empty);
            if nulls.is_some() {
                let absent = [const { Value::Null }; 4];
                assert_eq!(through(format, &layout, &layout, &absent).0, absent);
            }
        }
    }
    // Into a schema that has a wrapper and an enum there.
    let text = "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; enum En { Z = 0; ONE = 1; } message M { \
                google.protobuf.StringValue S = 4; google.protobuf.BytesValue B = 3; int32 I = 2; En E = 1; }";
    let from = shaped(&PROTOBUF, &columns, &registry, None);
    let mut to = from.clone();
    let schema = Schema::new(SchemaKind::Protobuf, text);
    let id = registry.register("u-value", &schema).unwrap();
    to.schemas.as_mut().unwrap().spec.writes = Some(WriteSchema { id, schema });
    assert_eq!(through(&PROTOBUF, &from, &to, &full), (full.to_vec(), 4));
    // The last one of several counts, an empty one too; what is no text is told. A text is carried with its length.
    let (layout, id) = foreign("syntax = \"proto3\"; message M { string s = 1; }", &[("S", SqlType::String)]);
    let mut decoder = PROTOBUF.decoder(&carrying(&layout)).unwrap();
    let mut read = |body: &[u8]| {
        let payload = [&[0][..], &id.0.to_be_bytes(), &[0], body].concat();
        let (mut slots, mut carried) = (vec![Value::Null], Carried::default());
        decoder.decode_carrying(&payload, &mut slots, carried.begin(1)).map_err(|error| error.to_string())?;
        carried.keep(&payload);
        Ok::<_, String>((carried.get(0).map(<[u8]>::to_vec), slots.remove(0)))
    };
    assert_eq!(read(&[sized(1, b"a"), sized(1, b"bc")].concat()).unwrap().0.as_deref(), Some(&b"\x02bc"[..]));
    assert_eq!(read(&[sized(1, b"a"), sized(1, b"")].concat()).unwrap(), (None, Value::string("")));
    assert_eq!(read(&[sized(1, b"a"), vec![0x0a, 0x81, 0, b'b']].concat()).unwrap(), (None, Value::string("b")), "a long length");
    assert_eq!(read(&sized(1, &[0xff])).unwrap_err(), "a string is not UTF-8");
}

#[test]
fn nulls_come_back_as_zeros_unless_they_are_told_apart() {
    let plain = FormatSpec { name: "PROTOBUF".into(), unwrapped: false, delimiter: None, schema: None };
    let nulls = |nulls| SchemaSpec { nulls: Some(nulls), ..SchemaSpec::default() };
    for (sql_type, zero, is_told_apart) in [
        (SqlType::Int, Some(Value::Int(0)), true),
        (SqlType::String, Some(Value::string("")), true),
        (SqlType::array(SqlType::Int), Some(Value::array(Vec::new())), false),
        (SqlType::Timestamp, None, true),
    ] {
        assert_eq!(PROTOBUF.in_place_of_null(&plain, &sql_type), zero, "{sql_type}");
        for representation in [NullRepresentation::Optional, NullRepresentation::Wrapper] {
            let spec = FormatSpec { schema: Some(Box::new(nulls(representation))), ..plain.clone() };
            let expected = zero.clone().filter(|_| !is_told_apart);
            assert_eq!(PROTOBUF.in_place_of_null(&spec, &sql_type), expected, "{sql_type} {representation:?}");
        }
    }
}
