//! A payload as text, for people: in one line of Protocol Buffers' text format, as Java's library prints it.
//!
//! Fields stand in the order of their numbers, repeated ones and entries of maps one by one; what is not set is left out. What the
//! schema does not know stands behind them under its number.

use std::fmt::Write;
use std::sync::Arc;

use prost_reflect::{DynamicMessage, Kind, Value};

use super::cursor::{Cursor, Read, Wire};
use super::frame;
use super::parse::{Parsed, name_of, parse};
use crate::formats::Printer;
use crate::types::text::{write_double, write_float};

/// Longer texts are cut off: a payload may say a thousand times that nothing is in it.
const MAX_SHOWN_BYTES: usize = 1 << 20;
/// How deep unknown fields are looked for within one another; below, they are bytes.
const MAX_UNKNOWN_DEPTH: usize = 100;

/// Shows what stands behind a schema's id: the message's place in it and the message.
///
/// # Errors
/// The schema is not well formed, or imports what is not there.
pub(super) fn printer(schema: &crate::registry::Schema) -> Result<Printer, String> {
    let parsed = parse(schema)?;
    Ok(Arc::new(move |payload| show(payload, &parsed)))
}

fn show(payload: &[u8], parsed: &Parsed) -> Result<String, String> {
    let indexes_bytes = frame::indexes_bytes(payload).map_err(|error| error.to_string())?;
    let (indexes, body) = payload.split_at_checked(indexes_bytes).ok_or("the payload ends in its message indexes")?;
    let descriptor = frame::message(parsed, indexes)?;
    let message = DynamicMessage::decode(descriptor, body).map_err(|error| error.to_string())?;
    let mut show = Show { out: String::new() };
    show.message(&message)?;
    Ok(show.out)
}

struct Show {
    out: String,
}

impl Show {
    fn message(&mut self, message: &DynamicMessage) -> Result<(), String> {
        for (field, value) in message.fields() {
            let kind = field.kind();
            let name = match &kind {
                Kind::Message(group) if field.is_group() => group.name(),
                _ => name_of(&field),
            };
            self.field(name, &kind, value)?;
        }
        for (extension, value) in message.extensions() {
            self.field(&format!("[{}]", extension.full_name()), &extension.kind(), value)?;
        }
        let mut unknown = Vec::new();
        message.unknown_fields().for_each(|field| field.encode(&mut unknown));
        match list_unknown(&unknown, false) {
            Ok(unknown) => self.unknown(&unknown, MAX_UNKNOWN_DEPTH),
            Err(error) => Err(error.to_string()),
        }
    }

    fn field(&mut self, name: &str, kind: &Kind, value: &Value) -> Result<(), String> {
        match value {
            Value::List(values) => values.iter().try_for_each(|value| self.single(name, kind, value)),
            Value::Map(entries) => {
                let Kind::Message(entry) = kind else { return Err(format!("{name} is no map")) };
                let (key_field, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    self.begin(name)?;
                    self.out.push_str(" {");
                    let key = Value::from(key.clone());
                    for (field, value) in [(&key_field, &key), (&value_field, value)] {
                        if field.supports_presence() || !value.is_default_for_field(field) {
                            self.single(field.name(), &field.kind(), value)?;
                        }
                    }
                    self.out.push_str(" }");
                }
                Ok(())
            }
            _ => self.single(name, kind, value),
        }
    }

    /// Appends a field, or one element of it.
    fn single(&mut self, name: &str, kind: &Kind, value: &Value) -> Result<(), String> {
        self.begin(name)?;
        if let Value::Message(message) = value {
            self.out.push_str(" {");
            self.message(message)?;
            self.out.push_str(" }");
            return Ok(());
        }
        self.out.push_str(": ");
        match (value, kind) {
            (Value::Bool(value), _) => self.display(value),
            (Value::I32(value), _) => self.display(value),
            (Value::I64(value), _) => self.display(value),
            (Value::U32(value), _) => self.display(value),
            (Value::U64(value), _) => self.display(value),
            (Value::F32(value), _) => write_float(*value, &mut self.out),
            (Value::F64(value), _) => write_double(*value, &mut self.out),
            (Value::String(text), _) => self.bytes(text.as_bytes()),
            (Value::Bytes(bytes), _) => self.bytes(bytes),
            (Value::EnumNumber(number), Kind::Enum(of)) => match of.get_value(*number) {
                Some(found) => self.out.push_str(found.name()),
                None => self.display(number),
            },
            _ => return Err(format!("{name} is not of its type")),
        }
        Ok(())
    }

    fn unknown(&mut self, fields: &[Unknown<'_>], depth: usize) -> Result<(), String> {
        for Unknown { number, wire, content } in fields {
            self.begin(&number.to_string())?;
            let mut cursor = Cursor::new(content);
            let bad = |error: Box<crate::formats::DecodeError>| error.to_string();
            match wire {
                Wire::Varint => self.display(format_args!(": {}", cursor.varint().map_err(bad)?)),
                Wire::Fixed32 => self.display(format_args!(": 0x{:08x}", u32::from_le_bytes(cursor.fixed32().map_err(bad)?))),
                Wire::Fixed64 => self.display(format_args!(": 0x{:016x}", u64::from_le_bytes(cursor.fixed64().map_err(bad)?))),
                Wire::Sized => {
                    self.out.push_str(": ");
                    let bytes = cursor.sized().map_err(bad)?;
                    // What can be a message most likely is one.
                    match (depth.checked_sub(1), list_unknown(bytes, false)) {
                        (Some(depth), Ok(inner)) => {
                            self.out.push('{');
                            self.unknown(&inner, depth)?;
                            self.out.push_str(" }");
                        }
                        _ => self.bytes(bytes),
                    }
                }
                Wire::StartGroup | Wire::EndGroup => {
                    let depth = depth.checked_sub(1).ok_or("groups are nested too deep")?;
                    self.out.push_str(" {");
                    self.unknown(&list_unknown(content, true).map_err(bad)?, depth)?;
                    self.out.push_str(" }");
                }
            }
        }
        Ok(())
    }

    /// Begins a field with its name.
    fn begin(&mut self, name: &str) -> Result<(), String> {
        if self.out.len() > MAX_SHOWN_BYTES {
            return Err("the message is too long to be shown".to_owned());
        }
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(name);
        Ok(())
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// Printable ASCII as it is, all else escaped, in quotes.
    fn bytes(&mut self, bytes: &[u8]) {
        self.out.push('"');
        for byte in bytes {
            match byte {
                0x07 => self.out.push_str("\\a"),
                0x08 => self.out.push_str("\\b"),
                b'\t' => self.out.push_str("\\t"),
                b'\n' => self.out.push_str("\\n"),
                0x0b => self.out.push_str("\\v"),
                0x0c => self.out.push_str("\\f"),
                b'\r' => self.out.push_str("\\r"),
                b'\\' | b'\'' | b'"' => self.display(format_args!("\\{}", char::from(*byte))),
                b' '..=b'~' => self.out.push(char::from(*byte)),
                _ => self.display(format_args!("\\{byte:03o}")),
            }
        }
        self.out.push('"');
    }
}

/// A field without a descriptor.
struct Unknown<'a> {
    number: u32,
    wire: Wire,
    /// What stands behind its tag; a group's end is in it.
    content: &'a [u8],
}

/// The fields of a message or group by their numbers, and those of one number by how they are laid out.
fn list_unknown(bytes: &[u8], is_group: bool) -> Read<Vec<Unknown<'_>>> {
    let mut cursor = Cursor::new(bytes);
    let mut fields = Vec::new();
    while !cursor.is_at_end() {
        let (number, wire) = cursor.tag()?;
        if is_group && wire == Wire::EndGroup {
            break;
        }
        let behind = cursor.rest();
        cursor.skip(number, wire)?;
        let content = behind.get(..behind.len() - cursor.rest().len()).unwrap_or_default();
        fields.push(Unknown { number, wire, content });
    }
    let rank = |wire| match wire {
        Wire::Varint => 0,
        Wire::Fixed32 => 1,
        Wire::Fixed64 => 2,
        Wire::Sized => 3,
        Wire::StartGroup | Wire::EndGroup => 4,
    };
    fields.sort_by_key(|field| (field.number, rank(field.wire)));
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Schema, SchemaKind};

    const TEXT: &str = "syntax = \"proto3\"; message M { int32 I = 1; string S = 2; message In { int64 X = 1; } In N = 3; \
        repeated int32 R = 4; enum Kind { A = 0; B = 1; } repeated Kind E = 5; map<string, int32> P = 6; bytes Y = 7; double D = 8; \
        float F = 9; optional bool O = 10; repeated In L = 11; uint64 U = 12; oneof one { sint32 Z = 13; fixed32 W = 14; } }";

    fn shown(text: &str, body: &[u8]) -> Result<String, String> {
        printer(&Schema::new(SchemaKind::Protobuf, text))?(&[&[0], body].concat())
    }

    #[test]
    fn values_are_shown_in_text_format() {
        let cases: &[(&[u8], &str)] = &[
            (&[], ""),
            (&[0x08, 2, 0x12, 1, b'x', 0x1a, 2, 0x08, 1], "I: 2 S: \"x\" N { X: 1 }"),
            // Whatever their order was; the zero of a field that is no optional one is not there.
            (&[0x50, 0, 0x1a, 0, 0x12, 0, 0x08, 1, 0x08, 0], "N { } O: false"),
            (&[0x22, 2, 1, 2, 0x20, 3, 0x2a, 3, 0, 1, 9], "R: 1 R: 2 R: 3 E: A E: B E: 9"),
            (
                &[0x32, 5, 0x0a, 1, b'b', 0x10, 2, 0x32, 5, 0x0a, 1, b'a', 0x10, 1, 0x32, 0],
                "P { } P { key: \"a\" value: 1 } P { key: \"b\" value: 2 }",
            ),
            (&[0x3a, 4, 0, 0xff, b'"', b'~'], "Y: \"\\000\\377\\\"~\""),
            (&[0x12, 6, 0xc3, 0xa9, b'\n', b'\'', b'\\', 7], "S: \"\\303\\251\\n\\'\\\\\\a\""),
            (&[0x5a, 2, 0x08, 1, 0x5a, 0], "L { X: 1 } L { }"),
            (&[0x60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x68, 3], "U: 18446744073709551615 Z: -2"),
            (&[0x68, 3, 0x75, 1, 0, 0, 0], "W: 1"),
        ];
        for (body, expected) in cases {
            assert_eq!(shown(TEXT, body).as_deref(), Ok(*expected));
        }
        let floats = [&[0x41][..], &1e7f64.to_le_bytes(), &[0x4d], &1.1f32.to_le_bytes()].concat();
        assert_eq!(shown(TEXT, &floats).as_deref(), Ok("D: 1.0E7 F: 1.1"));
        let infinite = [&[0x41][..], &f64::NAN.to_le_bytes(), &[0x4d], &f32::NEG_INFINITY.to_le_bytes()].concat();
        assert_eq!(shown(TEXT, &infinite).as_deref(), Ok("D: NaN F: -Infinity"));
        let group = "syntax = \"proto2\"; message M { optional group Inner = 1 { optional int32 a = 1; } }";
        assert_eq!(shown(group, &[0x0b, 0x08, 0, 0x0c]).as_deref(), Ok("Inner { a: 0 }"));
        let alike = "syntax = \"proto3\"; message M { int32 A_B = 1; int32 AB = 2; }";
        assert_eq!(shown(alike, &[0x08, 1, 0x10, 2]).as_deref(), Ok("A_B: 1 AB: 2"), "as their author named them");
    }

    #[test]
    fn messages_are_those_that_the_payload_names() {
        let show = printer(&Schema::new(SchemaKind::Protobuf, TEXT)).unwrap();
        assert_eq!(show(&[4, 0, 0, 0x08, 7]).as_deref(), Ok("X: 7"));
        assert!(show(&[2, 4, 0x08, 7]).is_err(), "there is no third message");
        assert!(show(&[]).is_err());
    }

    #[test]
    fn unknown_fields_stand_under_their_numbers() {
        let text = "syntax = \"proto3\"; message M { int32 I = 1; }";
        for (body, expected) in [
            (&[0x1d, 1, 0, 0, 0, 0x10, 5, 0x08, 2][..], "I: 2 2: 5 3: 0x00000001"),
            (&[0x11, 1, 0, 0, 0, 0, 0, 0, 0x80, 0x10, 5], "2: 5 2: 0x8000000000000001"),
            (&[0x12, 2, 0x08, 1, 0x12, 1, b'x', 0x12, 0], "2: { 1: 1 } 2: \"x\" 2: { }"),
            (&[0x13, 0x10, 1, 0x1b, 0x1c, 0x14], "2 { 2: 1 3 { } }"),
        ] {
            assert_eq!(shown(text, body).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_message_is_not_shown() {
        for body in [&[0x08][..], &[0x12, 2, b'x'], &[0x12, 1, 0xff], &[0x08, 1, 0x07], &[0x1a, 1, 0x08], &[0x0c]] {
            assert!(shown(TEXT, body).is_err(), "{body:?}");
        }
        // A message within a message within …
        let nested = "syntax = \"proto3\"; message M { M m = 1; repeated M many = 2; }";
        let within = |number: u8, depth: usize| {
            (0..depth).fold(Vec::new(), |inner, _| {
                let mut out = vec![number << 3 | 2];
                crate::formats::protobuf::cursor::write_sized(&inner, &mut out);
                out
            })
        };
        assert!(shown(nested, &within(1, 50)).is_ok());
        assert!(shown(nested, &within(1, 1000)).is_err());
        // Where nothing knows them, they end as bytes.
        assert!(shown(nested, &within(3, 1000)).unwrap().ends_with(" } }"));
        assert!(shown(nested, &[0x12, 0].repeat(1 << 18)).is_err(), "too long");
    }

    #[test]
    fn schemas_that_are_none_show_nothing() {
        assert!(shown("message", &[]).is_err());
    }
}
