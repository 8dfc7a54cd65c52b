//! A payload as text, for people: as Avro's Java library prints it, of its writer's schema alone.
//!
//! Records and maps are `{"a": 1}`, texts and symbols are quoted within them; logical types are what they are written as.

use std::fmt::Write;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, UuidSchema};
use serde_json::Value as Json;

use super::cursor::{Cursor, Read, bad};
use super::names::{MAX_DEPTH, Names, namespace_of};
use crate::formats::Printer;
use crate::types::text::{write_double, write_float};

/// Longer texts are cut: a payload may say a thousand times that nothing is in it.
const MAX_SHOWN_BYTES: usize = 1 << 20;

/// Shows a payload's value.
///
/// # Errors
/// The schema is not well formed, or refers to what is not there.
pub(super) fn printer(schema: &crate::registry::Schema) -> Result<Printer, String> {
    let (schema, others) = super::parse::parse(schema)?;
    Ok(Arc::new(move |payload| show(payload, &schema, &others)))
}

fn show(payload: &[u8], schema: &Schema, others: &[Schema]) -> Result<String, String> {
    let mut show = Show { names: Names::of(others.iter().chain([schema])), out: String::new() };
    let mut cursor = Cursor::new(payload);
    show.value(&mut cursor, schema, None, MAX_DEPTH, true).map_err(|error| error.to_string())?;
    if cursor.remaining() > 0 {
        return Err(format!("{} bytes are left behind the value", cursor.remaining()));
    }
    Ok(show.out)
}

struct Show<'s> {
    names: Names<'s>,
    out: String,
}

impl<'s> Show<'s> {
    /// Appends a value; a text is quoted unless it is the whole.
    fn value(&mut self, cursor: &mut Cursor<'_>, schema: &'s Schema, around: Option<&str>, depth: usize, is_root: bool) -> Read<()> {
        let Some(depth) = depth.checked_sub(1) else { return Err(bad("records within records are nested too deep")) };
        if self.out.len() > MAX_SHOWN_BYTES {
            return Err(bad("the value is too long to be shown"));
        }
        match schema {
            Schema::Null => self.out.push_str(if is_root { "<null>" } else { "null" }),
            Schema::Boolean => self.display(cursor.boolean()?),
            Schema::Int | Schema::Date | Schema::TimeMillis => self.display(cursor.int()?),
            Schema::Float => {
                let value = cursor.float()?;
                self.number(is_root || value.is_finite(), |out| write_float(value, out));
            }
            Schema::Double => {
                let value = cursor.double()?;
                self.number(is_root || value.is_finite(), |out| write_double(value, out));
            }
            Schema::String | Schema::Uuid(UuidSchema::String) => self.text(cursor.text()?, is_root),
            Schema::Enum(of) => {
                let index = cursor.index(of.symbols.len())?;
                self.text(of.symbols.get(index).map_or("", String::as_str), is_root);
            }
            Schema::Fixed(of) | Schema::Duration(of) | Schema::Uuid(UuidSchema::Fixed(of)) => {
                // As Java prints an array of signed bytes.
                let bytes = cursor.take(of.size)?.iter().map(|byte| byte.cast_signed().to_string());
                let listed = bytes.collect::<Vec<_>>().join(", ");
                let _ = write!(self.out, "[{listed}]");
            }
            Schema::Decimal(of) => match &of.inner {
                InnerDecimalSchema::Bytes => self.bytes(cursor.bytes()?),
                InnerDecimalSchema::Fixed(fixed) => self.bytes(cursor.take(fixed.size)?),
            },
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => self.bytes(cursor.bytes()?),
            Schema::Array(array) => {
                self.out.push('[');
                let begun = self.out.len();
                cursor.blocks(|cursor| {
                    self.separate(begun);
                    self.value(cursor, &array.items, around, depth, false)
                })?;
                self.out.push(']');
            }
            Schema::Map(map) => {
                self.out.push('{');
                let begun = self.out.len();
                cursor.blocks(|cursor| {
                    self.separate(begun);
                    self.text(cursor.text()?, false);
                    self.out.push_str(": ");
                    self.value(cursor, &map.types, around, depth, false)
                })?;
                self.out.push('}');
            }
            Schema::Record(record) => {
                let inner = namespace_of(&record.name, around);
                self.out.push('{');
                let begun = self.out.len();
                for field in &record.fields {
                    self.separate(begun);
                    self.text(&field.name, false);
                    self.out.push_str(": ");
                    self.value(cursor, &field.schema, inner.as_deref(), depth, false)?;
                }
                self.out.push('}');
            }
            Schema::Union(union) => {
                let index = cursor.index(union.variants().len())?;
                if let Some(branch) = union.variants().get(index) {
                    self.value(cursor, branch, around, depth, is_root)?;
                }
            }
            Schema::Ref { name } => match self.names.find(name, around) {
                Some(found) => self.value(cursor, found, namespace_of(name, around).as_deref(), depth, is_root)?,
                None => return Err(bad("the schema refers to what is not there")),
            },
            _ => self.display(cursor.long()?),
        }
        Ok(())
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// What JSON has no number for is quoted, unless it is the whole.
    fn number(&mut self, is_plain: bool, write: impl FnOnce(&mut String)) {
        let quote = if is_plain { "" } else { "\"" };
        self.out.push_str(quote);
        write(&mut self.out);
        self.out.push_str(quote);
    }

    fn text(&mut self, text: &str, is_root: bool) {
        if is_root { self.out.push_str(text) } else { self.display(Json::from(text)) }
    }

    /// Bytes as the characters of their numbers.
    fn bytes(&mut self, bytes: &[u8]) {
        let text: String = bytes.iter().copied().map(char::from).collect();
        self.display(Json::from(text));
    }

    fn separate(&mut self, begun: usize) {
        if self.out.len() > begun {
            self.out.push_str(", ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::SchemaKind;

    #[test]
    fn values_are_shown_as_java_does() {
        let record = r#"{"type":"record","name":"r","fields":[
            {"name":"I","type":["null","int"]},{"name":"S","type":["null","string"]},{"name":"D","type":"double"},
            {"name":"A","type":{"type":"array","items":"long"}},{"name":"M","type":{"type":"map","values":"boolean"}},
            {"name":"F","type":{"type":"fixed","name":"f","size":2}},{"name":"N","type":["null","r"]}]}"#;
        let shown = |text: &str, payload: &[u8]| printer(&crate::registry::Schema::new(SchemaKind::Avro, text))?(payload);
        let payload = [&[2, 4, 2, 4, b'a', b'"'][..], &1.5f64.to_le_bytes(), &[4, 2, 3, 0, 2, 2, b'k', 1, 0, 0xff, 1, 0]].concat();
        let expected = r#"{"I": 2, "S": "a\"", "D": 1.5, "A": [1, -2], "M": {"k": true}, "F": [-1, 1], "N": null}"#;
        assert_eq!(shown(record, &payload).unwrap(), expected);
        assert!(shown(record, &payload[1..]).is_err());
        assert_eq!(shown("\"string\"", &[4, b'h', b'i']).unwrap(), "hi");
        assert_eq!(shown("\"long\"", &[9]).unwrap(), "-5");
        assert_eq!(shown("\"float\"", &1.1f32.to_le_bytes()).unwrap(), "1.1");
        assert_eq!(shown("\"double\"", &f64::NEG_INFINITY.to_le_bytes()).unwrap(), "-Infinity");
        let doubles = r#"{"type":"array","items":"double"}"#;
        assert_eq!(shown(doubles, &[&[2][..], &f64::NAN.to_le_bytes(), &[0]].concat()).unwrap(), "[\"NaN\"]");
        assert!(shown("\"long\"", &[9, 9]).is_err(), "there is more");
        // A record within a record within …
        assert!(shown(r#"{"type":"record","name":"r","fields":[{"name":"n","type":["null","r"]}]}"#, &[2; 1000]).is_err());
    }
}
