//! Schemas of the three languages as somebody else may have registered them, changed here and there.

use arbitrary::{Result, Unstructured};
use tidemill_engine::formats::{self, SchemaShape, SchemaSupport};
use tidemill_engine::registry::{Schema, SchemaKind};

use super::mutate::mutate;

const AVRO: &[&str] = &[
    r#"{"type":"record","name":"R","namespace":"n.s","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}]}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["X","Y"],"default":"X"}},
       {"name":"f","type":{"type":"fixed","name":"F","size":4}},{"name":"m","type":{"type":"map","values":{"type":"array","items":"long"}}}]}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"],"default":null},
       {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"aliases":["x"]}]}"#,
    r#"["null","int",{"type":"array","items":"string"}]"#,
    "\"string\"",
];
const JSON: &[&str] = &[
    r#"{"type":"object","title":"R","properties":{"a":{"type":"integer","connect.type":"int32"},"b":{"oneOf":[{"type":"null"},{"type":"string"}]}}}"#,
    r##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"n":{"$ref":"#/definitions/N"}},"definitions":{"N":
       {"type":"array","items":{"$ref":"#/definitions/N"},"minItems":1}},"required":["n"],"additionalProperties":false}"##,
    r##"{"$ref":"#"}"##,
    r#"{"enum":["a",1,null],"not":{"type":"string","pattern":"^a+$"},"allOf":[{"minimum":1},{"multipleOf":2}]}"#,
    "true",
];
const PROTOBUF: &[&str] = &[
    "syntax = \"proto3\"; package p; message M { int32 a = 1; optional string b = 2; repeated N n = 3; map<string, double> m = 4; message N { bytes x = 1; } }",
    "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message M { google.protobuf.Timestamp t = 1; oneof o { int64 i = 2; E e = 3; } } enum E { Z = 0; Y = 1; }",
    "syntax = \"proto2\"; message M { required int32 a = 1 [default = 5]; optional group G = 2 { optional M m = 1; } extensions 100 to 200; reserved 5, 7 to 9; }",
    "syntax = \"proto3\"; message A { B b = 1; } message B { A a = 1; }",
];

/// A schema, mostly one that is not well formed.
pub fn any(u: &mut Unstructured<'_>) -> Result<Schema> {
    let (kind, texts) = *u.choose(&[(SchemaKind::Avro, AVRO), (SchemaKind::Json, JSON), (SchemaKind::Protobuf, PROTOBUF)])?;
    let mut text = u.choose(texts)?.as_bytes().to_vec();
    if u.ratio(2, 3)? {
        mutate(&mut text, u)?;
    }
    Ok(Schema::new(kind, String::from_utf8_lossy(&text)))
}

/// The format of a language, with what it can do with schemas.
pub fn format_of(kind: SchemaKind) -> Option<(&'static dyn formats::Format, &'static dyn SchemaSupport)> {
    formats::ALL.iter().find_map(|format| Some((*format, format.schemas().filter(|support| support.kind() == Some(kind))?)))
}

/// What any registry may hand out becomes columns, or an error.
pub fn become_columns(schema: &Schema) {
    let Some((_, support)) = format_of(schema.kind) else { return };
    for unwrapped in [false, true] {
        let shape = SchemaShape { unwrapped, ..Default::default() };
        let _ = (support.columns_of(schema, &shape), support.name_of(schema), support.choices(schema), support.printer(schema).is_ok());
    }
}
