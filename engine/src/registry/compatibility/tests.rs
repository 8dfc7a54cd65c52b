//! What may follow what: for each language pairs of schemas, and the reasons why the new one can't read the old one's records
//! (backward) and the other way round (forward), by their names.

use super::*;
use crate::registry::language::parse;
use crate::registry::{Reference, Schema, SchemaKind};
use std::sync::Arc;

fn parsed(kind: SchemaKind, text: &str) -> ParsedSchema {
    parse(&Schema::new(kind, text), false).unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// The names of what is found, with their paths.
fn reasons(level: Level, kind: SchemaKind, old: &str, new: &str) -> Vec<String> {
    let previous = [Previous { version: 1, schema: parsed(kind, old) }];
    let messages = check(level, &parsed(kind, new), &previous);
    messages.iter().filter_map(|message| name_and_path(message)).collect()
}

fn name_and_path(message: &str) -> Option<String> {
    let rest = message.strip_prefix("{errorType:")?;
    let name: String = rest.chars().skip(1).take_while(|c| c.is_ascii_uppercase() || *c == '_' || c.is_ascii_digit()).collect();
    let path = ["path '", "path: '", "(path '", "package at '"].iter().find_map(|mark| rest.split_once(mark)).map(|(_, rest)| rest);
    let path: String = path.unwrap_or_default().chars().take_while(|c| *c != '\'').collect();
    Some(format!("{name} {path}"))
}

fn table(kind: SchemaKind, rows: &[(&str, &str, &[&str], &[&str])]) {
    for (old, new, backward, forward) in rows {
        assert_eq!(reasons(Level::Backward, kind, old, new), *backward, "backward: {old} -> {new}");
        assert_eq!(reasons(Level::Forward, kind, old, new), *forward, "forward: {old} -> {new}");
        let both: Vec<&str> = forward.iter().chain(*backward).copied().collect();
        assert_eq!(reasons(Level::Full, kind, old, new), both, "full: {old} -> {new}");
        assert!(reasons(Level::None, kind, old, new).is_empty());
    }
}

#[test]
fn avro() {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let a = record(r#"{"name":"a","type":"int"}"#);
    let a_b = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#);
    let a_b_default = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string","default":""}"#);
    let a_renamed = record(r#"{"name":"z","type":"int","aliases":["a"]}"#);
    let a_long = record(r#"{"name":"a","type":"long"}"#);
    let other = r#"{"type":"record","name":"S","aliases":["R"],"fields":[{"name":"a","type":"int"}]}"#;
    let moved = r#"{"type":"record","name":"R","namespace":"x","fields":[{"name":"a","type":"int"}]}"#;
    let symbols = |list: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{list}]}}"#);
    let with_default = r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#;
    let fixed = |size: u32| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
    let list =
        |of: &str| format!(r#"{{"type":"record","name":"L","fields":[{{"name":"v","type":"{of}"}},{{"name":"n","type":["null","L"]}}]}}"#);
    let missing = "READER_FIELD_MISSING_DEFAULT_VALUE /fields/1";
    table(
        SchemaKind::Avro,
        &[
            (&a, &a, &[], &[]),
            (&a, &a_b, &[missing], &[]),
            (&a, &a_b_default, &[], &[]),
            (&a_b, &a, &[], &[missing]),
            (&a, &a_long, &[], &["TYPE_MISMATCH /fields/0/type"]),
            (&a, &a_renamed, &[], &["READER_FIELD_MISSING_DEFAULT_VALUE /fields/0"]),
            (&a, other, &[], &["NAME_MISMATCH /name"]),
            (&a, moved, &[], &[]),
            (r#""int""#, r#""double""#, &[], &["TYPE_MISMATCH /"]),
            (r#""string""#, r#""bytes""#, &[], &[]),
            (r#""int""#, r#"["null","int"]"#, &[], &["TYPE_MISMATCH /"]),
            (r#""string""#, r#"["null","int"]"#, &["MISSING_UNION_BRANCH /"], &["TYPE_MISMATCH /", "TYPE_MISMATCH /"]),
            (r#"["null","int"]"#, r#"["null","int","string"]"#, &[], &["MISSING_UNION_BRANCH /2"]),
            (r#"["null","int"]"#, r#"["long","null"]"#, &[], &["MISSING_UNION_BRANCH /0"]),
            (r#"{"type":"array","items":"int"}"#, r#"{"type":"array","items":"long"}"#, &[], &["TYPE_MISMATCH /items"]),
            (
                r#"{"type":"map","values":"int"}"#,
                r#"{"type":"map","values":"boolean"}"#,
                &["TYPE_MISMATCH /values"],
                &["TYPE_MISMATCH /values"],
            ),
            (r#"{"type":"map","values":"int"}"#, r#"{"type":"array","items":"int"}"#, &["TYPE_MISMATCH /"], &["TYPE_MISMATCH /"]),
            (&symbols(r#""A""#), &symbols(r#""A","B""#), &[], &["MISSING_ENUM_SYMBOLS /symbols"]),
            (&symbols(r#""A","B""#), with_default, &[], &[]),
            (&fixed(2), &fixed(3), &["FIXED_SIZE_MISMATCH /size"], &["FIXED_SIZE_MISMATCH /size"]),
            (&list("int"), &list("long"), &[], &["TYPE_MISMATCH /fields/0/type"]),
        ],
    );
}

#[test]
fn avro_texts() {
    let previous = [Previous { version: 3, schema: parsed(SchemaKind::Avro, r#"{"type":"record","name":"R","fields":[]}"#) }];
    let new = parsed(SchemaKind::Avro, r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#);
    assert_eq!(
        check(Level::BackwardTransitive, &new, &previous),
        [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path '/fields/0' in the new schema has no default \
             value and is missing in the old schema', additionalInfo:'a'}",
            "{oldSchemaVersion: 3}",
            r#"{oldSchema: '{"type":"record","name":"R","fields":[]}'}"#,
            "{validateFields: 'false', compatibility: 'BACKWARD_TRANSITIVE'}",
        ]
    );
}

#[test]
fn json() {
    let closed = |rest: &str| format!(r#"{{"type":"object","additionalProperties":false{rest}}}"#);
    let property = |name: &str, of: &str| format!(r#""{name}":{of}"#);
    let with = |properties: &str| format!(r#"{{"type":"object","properties":{{{properties}}}}}"#);
    let a = with(&property("a", r#"{"type":"string"}"#));
    let a_b = with(&[property("a", r#"{"type":"string"}"#), property("b", r#"{"type":"integer"}"#)].join(","));
    let closed_a = closed(r#","properties":{"a":{"type":"string"}}"#);
    let closed_a_b = closed(r#","properties":{"a":{"type":"string"},"b":{"type":"integer"}}"#);
    let closed_a_required = closed(r#","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["b"]"#);
    let partly = r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"integer"}}"#;
    let node = |of: &str| {
        format!(
            r##"{{"$defs":{{"n":{{"type":"object","properties":{{"v":{{"type":"{of}"}},"next":{{"$ref":"#/$defs/n"}}}}}}}},"$ref":"#/$defs/n"}}"##
        )
    };
    table(
        SchemaKind::Json,
        &[
            (&a, &a, &[], &[]),
            (&a, &a_b, &["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/b"], &[]),
            (&closed_a, &closed_a_b, &[], &["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"]),
            (
                &closed_a,
                &closed_a_required,
                &["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/b"],
                &["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b"],
            ),
            (&closed_a_b, &closed_a_required, &["REQUIRED_ATTRIBUTE_ADDED #/required/b"], &[]),
            (partly, &closed_a_b, &["ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"], &[]),
            (&closed_a, &a, &[], &["ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"]),
            (r#"{"type":"integer"}"#, r#"{"type":"number"}"#, &[], &["TYPE_NARROWED #/"]),
            (r#"{"type":"string"}"#, r#"{"type":"number"}"#, &["TYPE_CHANGED #/"], &["TYPE_CHANGED #/"]),
            (r#"{"type":"string"}"#, "true", &[], &["TYPE_CHANGED #/"]),
            (r#"{"type":"string"}"#, r#"{"type":["string","null"]}"#, &[], &["TYPE_CHANGED #/"]),
            (r#"{"type":"string"}"#, r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#, &[], &["TYPE_CHANGED #/"]),
            (r#"{"type":"string","maxLength":5}"#, r#"{"type":"string","maxLength":7}"#, &[], &["MAX_LENGTH_DECREASED #/maxLength"]),
            (r#"{"type":"string"}"#, r#"{"type":"string","pattern":"a"}"#, &["PATTERN_ADDED #/pattern"], &[]),
            (r#"{"type":"number","minimum":1}"#, r#"{"type":"number","minimum":2}"#, &["MINIMUM_INCREASED #/minimum"], &[]),
            (r#"{"type":"number","multipleOf":2}"#, r#"{"type":"number","multipleOf":6}"#, &["MULTIPLE_OF_EXPANDED #/multipleOf"], &[]),
            (r#"{"enum":["a","b"]}"#, r#"{"enum":["b","a","c"]}"#, &[], &["ENUM_ARRAY_NARROWED #/"]),
            (r#"{"enum":["a"]}"#, r#"{"enum":["b"]}"#, &["ENUM_ARRAY_CHANGED #/"], &["ENUM_ARRAY_CHANGED #/"]),
            (
                r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#,
                r#"{"oneOf":[{"type":"string"},{"type":"null"},{"type":"boolean"}]}"#,
                &[],
                &["SUM_TYPE_NARROWED #/"],
            ),
            (
                r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#,
                r#"{"oneOf":[{"type":"null"},{"type":"boolean"}]}"#,
                &["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
                &["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
            ),
            (
                r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#,
                r#"{"allOf":[{"type":"null"},{"type":"string"}]}"#,
                &["COMBINED_TYPE_CHANGED #/"],
                &["COMBINED_TYPE_CHANGED #/"],
            ),
            (
                r#"{"type":"array","items":{"type":"integer"}}"#,
                r#"{"type":"array","items":{"type":"number"}}"#,
                &[],
                &["TYPE_NARROWED #/items"],
            ),
            (
                r#"{"type":"array","maxItems":3}"#,
                r#"{"type":"array","uniqueItems":true}"#,
                &["UNIQUE_ITEMS_ADDED #/uniqueItems"],
                &["MAX_ITEMS_ADDED #/maxItems"],
            ),
            (
                r#"{"type":"array","items":[{"type":"null"}]}"#,
                r#"{"type":"array","items":[{"type":"null"},{"type":"string"}]}"#,
                &["ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1"],
                &[],
            ),
            (r#"{"not":{"type":"integer"}}"#, r#"{"not":{"type":"number"}}"#, &["NOT_TYPE_EXTENDED #/not"], &[]),
            (&node("integer"), &node("number"), &[], &["TYPE_NARROWED #/properties/v"]),
            (r#"{"title":"A","type":"string"}"#, r#"{"title":"B","description":"x","default":"","type":"string"}"#, &[], &[]),
        ],
    );
}

#[test]
fn json_texts() {
    let previous = [Previous { version: 1, schema: parsed(SchemaKind::Json, r#"{"type":"object"}"#) }];
    let new = parsed(SchemaKind::Json, r#"{"type":"object","properties":{"f":{"type":"null"}}}"#);
    assert_eq!(
        check(Level::Backward, &new, &previous),
        [
            r##"{errorType:"PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", description:"The new schema has an open content model and has a property or item at path '#/properties/f' which is missing in the old schema"}"##,
            "{oldSchemaVersion: 1}",
            r#"{oldSchema: '{"type":"object"}'}"#,
            "{validateFields: 'false', compatibility: 'BACKWARD'}",
        ]
    );
}

#[test]
fn protobuf() {
    let file = |body: &str| format!("syntax = \"proto3\"; package p; {body}");
    let m = |body: &str| file(&format!("message M {{ {body} }}"));
    let old = |body: &str| format!("syntax = \"proto2\"; package p; message M {{ {body} }}");
    table(
        SchemaKind::Protobuf,
        &[
            (&m("int32 a = 1;"), &m("int32 a = 1;"), &[], &[]),
            (&m("int32 a = 1;"), &m("int32 a = 1; string b = 2;"), &[], &[]),
            (&m("int32 a = 1;"), &m("uint64 b = 1;"), &[], &[]),
            (&m("int32 a = 1;"), &m("repeated int32 a = 1;"), &[], &[]),
            (&m("string a = 1;"), &m("bytes a = 1;"), &[], &[]),
            (&m("int32 a = 1;"), &m("sint32 a = 1;"), &["FIELD_SCALAR_KIND_CHANGED #/M/1"], &["FIELD_SCALAR_KIND_CHANGED #/M/1"]),
            (&m("int32 a = 1;"), &m("map<string, int32> a = 1;"), &["FIELD_KIND_CHANGED #/M/1"], &["FIELD_KIND_CHANGED #/M/1"]),
            (
                &m("map<string, int32> a = 1;"),
                &m("map<string, string> a = 1;"),
                &["FIELD_SCALAR_KIND_CHANGED #/M/1"],
                &["FIELD_SCALAR_KIND_CHANGED #/M/1"],
            ),
            (&m("int32 a = 1;"), &file("message N { int32 a = 1; }"), &["MESSAGE_REMOVED #/M"], &["MESSAGE_REMOVED #/N"]),
            (&m("int32 a = 1;"), &m("int32 a = 1; message I { }"), &[], &["MESSAGE_REMOVED #/M/I"]),
            (
                &m("I a = 1; message I { } message J { }"),
                &m("J a = 1; message I { } message J { }"),
                &["FIELD_NAMED_TYPE_CHANGED #/M/1"],
                &["FIELD_NAMED_TYPE_CHANGED #/M/1"],
            ),
            (&m("E a = 1; enum E { A = 0; }"), &m("int32 a = 1;"), &[], &[]),
            (&m("oneof o { int32 a = 1; string b = 2; }"), &m("oneof o { int32 a = 1; }"), &["ONEOF_FIELD_REMOVED #/M/o/2"], &[]),
            (
                &m("int32 a = 1; string b = 2;"),
                &m("oneof o { int32 a = 1; string b = 2; }"),
                &["MULTIPLE_FIELDS_MOVED_TO_ONEOF #/M/o"],
                &[],
            ),
            (&m("int32 a = 1;"), &m("oneof o { int32 a = 1; }"), &[], &[]),
            (
                &m("int32 a = 1; oneof o { string b = 2; }"),
                &m("oneof o { int32 a = 1; string b = 2; }"),
                &["FIELD_MOVED_TO_EXISTING_ONEOF #/M/o"],
                &[],
            ),
            (&m("optional int32 a = 1;"), &m("int32 a = 1;"), &[], &[]),
            (
                &old("optional int32 a = 1;"),
                &old("optional int32 a = 1; required int32 b = 2;"),
                &["REQUIRED_FIELD_ADDED #/M/2"],
                &["REQUIRED_FIELD_REMOVED #/M/2"],
            ),
            (&m("int32 a = 1;"), &m("int32 a = 1;").replace("package p", "package q"), &[], &[]),
            (
                &m("M next = 1; int32 v = 2;"),
                &m("M next = 1; float v = 2;"),
                &["FIELD_SCALAR_KIND_CHANGED #/M/2"],
                &["FIELD_SCALAR_KIND_CHANGED #/M/2"],
            ),
        ],
    );
}

#[test]
fn protobuf_references_are_compared_through() {
    let schema = |version: i32, of: &str| {
        let inner = Schema::new(SchemaKind::Protobuf, format!("syntax = \"proto3\"; package x; message I {{ {of} a = 1; }}"));
        let reference = Reference { name: "i.proto".into(), subject: "i".into(), version, schema: Arc::new(inner) };
        let text = "syntax = \"proto3\"; import \"i.proto\"; message M { x.I i = 1; }";
        let schema = Schema { references: vec![reference], ..Schema::new(SchemaKind::Protobuf, text) };
        parse(&schema, false).expect("compiles")
    };
    let found = |new: ParsedSchema| {
        let previous = [Previous { version: 1, schema: schema(1, "int32") }];
        check(Level::Backward, &new, &previous).iter().filter_map(|message| name_and_path(message)).collect::<Vec<_>>()
    };
    assert!(found(schema(2, "int64")).is_empty());
    assert_eq!(found(schema(2, "float")), ["FIELD_SCALAR_KIND_CHANGED #/I/1", "FIELD_NAMED_TYPE_CHANGED #/M/1"]);
}

#[test]
fn transitive_levels_look_at_all_versions() {
    let versions: Vec<Previous> = [r#""string""#, r#""int""#]
        .iter()
        .zip(1..)
        .map(|(text, version)| Previous { version, schema: parsed(SchemaKind::Avro, text) })
        .collect();
    let new = parsed(SchemaKind::Avro, r#""long""#);
    assert!(check(Level::Backward, &new, &versions).is_empty());
    let messages = check(Level::BackwardTransitive, &new, &versions);
    assert!(messages.contains(&"{oldSchemaVersion: 1}".to_owned()), "{messages:?}");
    assert_eq!(check(Level::Full, &new, &[]), Vec::<String>::new());
    let other = parsed(SchemaKind::Json, "true");
    assert_eq!(check(Level::Forward, &other, &versions)[0], "Incompatible because of different schema type");
}

#[test]
fn schemas_that_are_too_large_are_told_so() {
    // Each record holds the one before: as deep as the names are many.
    let chain = |of: &str| {
        let mut records = vec![format!(r#"{{"type":"record","name":"R0","fields":[{{"name":"f","type":"{of}"}}]}}"#)];
        records.extend((1..2000).map(|n| format!(r#"{{"type":"record","name":"R{n}","fields":[{{"name":"f","type":"R{}"}}]}}"#, n - 1)));
        format!("[{}]", records.join(","))
    };
    let previous = [Previous { version: 1, schema: parsed(SchemaKind::Avro, &chain("int")) }];
    let messages = check(Level::Backward, &parsed(SchemaKind::Avro, &chain("long")), &previous);
    assert!(messages.is_empty() || messages[0].contains("too large"), "{messages:?}");
    // Definitions that refer to each other, each from another.
    let chain = |of: &str| {
        let defs: Vec<String> = (0..2000)
            .map(|n| match n {
                0 => format!(r#""d0":{{"type":"{of}"}}"#),
                n => format!(r##""d{n}":{{"type":"object","properties":{{"p":{{"$ref":"#/$defs/d{}"}}}}}}"##, n - 1),
            })
            .collect();
        format!(r##"{{"$defs":{{{}}},"$ref":"#/$defs/d1999"}}"##, defs.join(","))
    };
    let previous = [Previous { version: 1, schema: parsed(SchemaKind::Json, &chain("integer")) }];
    assert!(check(Level::Backward, &parsed(SchemaKind::Json, &chain("number")), &previous)[0].contains("too large"));
}
