//! What a field is written as that has no column: its default in the schema, or null.

use apache_avro::Schema;
use apache_avro::schema::{RecordField, UuidSchema};
use serde_json::Value as Json;

use super::cursor::{write_bytes, write_long};
use super::names::{MAX_DEPTH, Names, namespace_of};
use super::types::is_long;

/// The bytes of a field's default.
///
/// # Errors
/// It has none and does not take null, or the default is not of the field's type.
pub(super) fn default_bytes(names: &Names<'_>, field: &RecordField, namespace: Option<&str>) -> Result<Box<[u8]>, String> {
    let mut out = Vec::new();
    let written = Defaults { names }.write(field.default.as_ref().unwrap_or(&Json::Null), &field.schema, namespace, MAX_DEPTH, &mut out);
    written.map(|()| out.into()).ok_or_else(|| {
        let name = &field.name;
        format!("Missing default value for required Avro field: [{name}]. This field appears in Avro schema in Schema Registry")
    })
}

struct Defaults<'n, 's> {
    names: &'n Names<'s>,
}

impl<'s> Defaults<'_, 's> {
    fn write(&self, json: &Json, schema: &'s Schema, namespace: Option<&str>, depth: usize, out: &mut Vec<u8>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match (schema, json) {
            (Schema::Ref { name }, _) => {
                self.write(json, self.names.find(name, namespace)?, namespace_of(name, namespace).as_deref(), depth, out)?
            }
            (Schema::Null, Json::Null) => {}
            (Schema::Union(union), _) => {
                for (index, branch) in (0i64..).zip(union.variants()) {
                    let mut inner = Vec::new();
                    if self.write(json, branch, namespace, depth, &mut inner).is_some() {
                        write_long(index, out);
                        out.extend_from_slice(&inner);
                        return Some(());
                    }
                }
                return None;
            }
            (Schema::Boolean, Json::Bool(value)) => out.push(u8::from(*value)),
            (Schema::Int | Schema::Date | Schema::TimeMillis, Json::Number(_)) => {
                write_long(i64::from(i32::try_from(json.as_i64()?).ok()?), out)
            }
            (Schema::Float, Json::Number(_)) => out.extend_from_slice(&(json.as_f64()? as f32).to_le_bytes()),
            (Schema::Double, Json::Number(_)) => out.extend_from_slice(&json.as_f64()?.to_le_bytes()),
            (Schema::String | Schema::Uuid(UuidSchema::String), Json::String(text)) => write_bytes(text.as_bytes(), out),
            (Schema::Bytes | Schema::Decimal(_), Json::String(text)) => {
                // A character stands for the byte of its code.
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                write_bytes(&bytes?, out);
            }
            (Schema::Fixed(of), Json::String(text)) => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                out.extend(bytes.filter(|bytes| bytes.len() == of.size)?);
            }
            (Schema::Enum(of), Json::String(symbol)) => write_long(of.symbols.iter().position(|known| known == symbol)? as i64, out),
            (Schema::Array(array), Json::Array(items)) => {
                if !items.is_empty() {
                    write_long(items.len() as i64, out);
                    for item in items {
                        self.write(item, &array.items, namespace, depth, out)?;
                    }
                }
                write_long(0, out);
            }
            (Schema::Map(map), Json::Object(entries)) => {
                if !entries.is_empty() {
                    write_long(entries.len() as i64, out);
                    for (key, value) in entries {
                        write_bytes(key.as_bytes(), out);
                        self.write(value, &map.types, namespace, depth, out)?;
                    }
                }
                write_long(0, out);
            }
            (Schema::Record(record), Json::Object(fields)) => {
                let inner = namespace_of(&record.name, namespace);
                for field in &record.fields {
                    let value = fields.get(&field.name).or(field.default.as_ref())?;
                    self.write(value, &field.schema, inner.as_deref(), depth, out)?;
                }
            }
            (schema, Json::Number(_)) if is_long(schema) => write_long(json.as_i64()?, out),
            _ => return None,
        }
        Some(())
    }
}
