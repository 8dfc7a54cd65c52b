//! Writing values: what a schema and a column's type are compiled to, and its run over a row.
//!
//! The schema may be the one that Tidemill makes for the columns, or one that a statement names by its id. Fields are matched
//! by name; a field that has no column takes its default, or null.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, RecordSchema, UuidSchema};
use num_bigint::BigInt;
use serde_json::Value as Json;

use super::MAP_ENTRY;
use super::cursor::{write_bytes, write_long};
use super::names::{MAX_DEPTH, Names, namespace_of};
use crate::formats::EncodeError;
use crate::types::{Column, SqlType, Value};

/// How a value is written.
#[derive(Debug, Clone)]
pub(super) enum Writer {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Box<[Box<str>]>),
    /// An unscaled number, in bytes or (`size`) so many of them.
    Decimal {
        scale: i64,
        size: Option<usize>,
    },
    /// A time, finer than milliseconds.
    Times {
        per_ms: i64,
    },
    Array(Box<Writer>),
    Map(Box<Writer>),
    /// A map as an array of records.
    Entries(Box<[EntryField]>),
    Record(Box<[FieldWriter]>),
    /// A union: the branch of null, and that of the value.
    Optional {
        null: i64,
        some: i64,
        value: Box<Writer>,
    },
    /// One branch of a union without null.
    Branch {
        index: i64,
        value: Box<Writer>,
    },
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) enum FieldWriter {
    /// From this slot of the row or of the struct.
    Slot { slot: usize, name: Box<str>, writer: Writer },
    /// The same bytes in every record: the default of a field that has no column.
    Fixed(Box<[u8]>),
}

#[derive(Debug, Clone)]
pub(super) enum EntryField {
    Key(Writer),
    Value(Writer),
}

/// Compiles a schema for a record of columns, each in its slot.
///
/// # Errors
/// A field without a column and a default, or one whose type its column can't be written as.
pub(super) fn compile_row(schema: &Schema, others: &[Schema], columns: &[(&Column, usize)]) -> Result<Box<[FieldWriter]>, String> {
    let compiler = Compiler { names: Names::of(others.iter().chain([schema])) };
    let Schema::Record(record) = schema else {
        return Err("The schema is not that of a record".to_owned());
    };
    let fields: Vec<(&str, &SqlType, usize)> = columns.iter().map(|(column, slot)| (&*column.name, &column.sql_type, *slot)).collect();
    compiler.record(record, None, &fields, 0)
}

/// Compiles a schema for one value.
///
/// # Errors
/// The value can't be written by the schema.
pub(super) fn compile_value(schema: &Schema, others: &[Schema], sql_type: &SqlType) -> Result<Writer, String> {
    let compiler = Compiler { names: Names::of(others.iter().chain([schema])) };
    compiler.writer(schema, None, sql_type, 0)
}

struct Compiler<'s> {
    names: Names<'s>,
}

impl<'s> Compiler<'s> {
    fn record(
        &self,
        record: &'s RecordSchema,
        around: Option<&str>,
        fields: &[(&str, &SqlType, usize)],
        depth: usize,
    ) -> Result<Box<[FieldWriter]>, String> {
        let namespace = namespace_of(&record.name, around);
        let missing = fields.iter().find(|(name, ..)| record.fields.iter().all(|field| !same(&field.name, name)));
        if let Some((name, ..)) = missing {
            return Err(format!("The column {name} has no field in the schema {}", record.name.fullname(around)));
        }
        let of_field = |field: &'s apache_avro::schema::RecordField| {
            let exact = fields.iter().find(|(name, ..)| *name == field.name);
            let found = exact.or_else(|| fields.iter().find(|(name, ..)| same(name, &field.name)));
            match found {
                Some((name, sql_type, slot)) => {
                    let writer = self.writer(&field.schema, namespace.as_deref(), sql_type, depth)?;
                    Ok(FieldWriter::Slot { slot: *slot, name: (*name).into(), writer })
                }
                None => self.default(field, namespace.as_deref()).map(FieldWriter::Fixed),
            }
        };
        record.fields.iter().map(of_field).collect()
    }

    /// What a field without a column is written as.
    fn default(&self, field: &'s apache_avro::schema::RecordField, namespace: Option<&str>) -> Result<Box<[u8]>, String> {
        let missing = || {
            let name = &field.name;
            format!("Missing default value for required Avro field: [{name}]. This field appears in Avro schema in Schema Registry")
        };
        let mut out = Vec::new();
        match &field.default {
            Some(default) => self.write_json(default, &field.schema, namespace, &mut out).ok_or_else(missing)?,
            None => self.write_json(&Json::Null, &field.schema, namespace, &mut out).ok_or_else(missing)?,
        }
        Ok(out.into())
    }

    fn write_json(&self, json: &Json, schema: &'s Schema, namespace: Option<&str>, out: &mut Vec<u8>) -> Option<()> {
        match (schema, json) {
            (Schema::Ref { name }, _) => self.write_json(json, self.names.find(name, namespace)?, namespace, out)?,
            (Schema::Null, Json::Null) => {}
            (Schema::Union(union), _) => {
                for (index, branch) in (0i64..).zip(union.variants()) {
                    let mut inner = Vec::new();
                    if self.write_json(json, branch, namespace, &mut inner).is_some() {
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
            (Schema::Enum(of), Json::String(symbol)) => write_long(of.symbols.iter().position(|known| known == symbol)? as i64, out),
            (Schema::Array(array), Json::Array(items)) => {
                if !items.is_empty() {
                    write_long(items.len() as i64, out);
                    for item in items {
                        self.write_json(item, &array.items, namespace, out)?;
                    }
                }
                write_long(0, out);
            }
            (Schema::Map(map), Json::Object(entries)) => {
                if !entries.is_empty() {
                    write_long(entries.len() as i64, out);
                    for (key, value) in entries {
                        write_bytes(key.as_bytes(), out);
                        self.write_json(value, &map.types, namespace, out)?;
                    }
                }
                write_long(0, out);
            }
            (Schema::Record(record), Json::Object(fields)) => {
                let inner = namespace_of(&record.name, namespace);
                for field in &record.fields {
                    let value = fields.get(&field.name).or(field.default.as_ref())?;
                    self.write_json(value, &field.schema, inner.as_deref(), out)?;
                }
            }
            (schema, Json::Number(_)) if long_units(schema).is_some() => write_long(json.as_i64()?, out),
            _ => return None,
        }
        Some(())
    }

    fn writer(&self, schema: &'s Schema, namespace: Option<&str>, sql_type: &SqlType, depth: usize) -> Result<Writer, String> {
        if depth > MAX_DEPTH {
            return Err("The schema is nested too deep".to_owned());
        }
        let inside = |schema: &'s Schema, sql_type: &SqlType| self.writer(schema, namespace, sql_type, depth + 1);
        let mismatch = || Err(format!("A value of type {sql_type} can't be written as Avro's {}", super::compile::branch_name(schema)));
        Ok(match (schema, sql_type) {
            (Schema::Ref { name }, _) => {
                let found = self
                    .names
                    .find(name, namespace)
                    .ok_or_else(|| format!("The schema refers to {}, which is not there", name.fullname(namespace)))?;
                self.writer(found, namespace_of(name, namespace).as_deref(), sql_type, depth + 1)?
            }
            (Schema::Union(union), _) => {
                let branches: Vec<&Schema> = union.variants().iter().collect();
                let null = branches.iter().position(|branch| matches!(branch, Schema::Null));
                let fitting = (0i64..).zip(&branches).find_map(|(index, branch)| Some((index, inside(branch, sql_type).ok()?)));
                match (null, fitting) {
                    (Some(null), Some((some, value))) => Writer::Optional { null: null as i64, some, value: Box::new(value) },
                    (None, Some((index, value))) => Writer::Branch { index, value: Box::new(value) },
                    (_, None) => {
                        // The reason is that of the only other branch.
                        if let [Schema::Null, only] | [only, Schema::Null] = branches.as_slice() {
                            inside(only, sql_type)?;
                        }
                        return mismatch();
                    }
                }
            }
            (Schema::Boolean, SqlType::Boolean) => Writer::Boolean,
            (Schema::Int, SqlType::Int)
            | (Schema::Int | Schema::Date, SqlType::Date)
            | (Schema::Int | Schema::TimeMillis, SqlType::Time) => Writer::Int,
            (Schema::Long, SqlType::Int | SqlType::BigInt | SqlType::Timestamp) => Writer::Long,
            (schema, SqlType::Timestamp) if long_units(schema).is_some() => match long_units(schema) {
                Some(per_ms) if per_ms > 1 => Writer::Times { per_ms },
                _ => Writer::Long,
            },
            (Schema::TimeMicros, SqlType::Time) => Writer::Times { per_ms: 1_000 },
            (Schema::Float, SqlType::Double) => Writer::Float,
            (Schema::Double, SqlType::Double) => Writer::Double,
            (Schema::String | Schema::Uuid(UuidSchema::String), SqlType::String) => Writer::String,
            (Schema::Enum(of), SqlType::String) => Writer::Enum(of.symbols.iter().map(|symbol| symbol.as_str().into()).collect()),
            (Schema::Bytes, SqlType::Bytes) => Writer::Bytes,
            (Schema::Fixed(of), SqlType::Bytes) => Writer::Fixed(of.size),
            (Schema::Decimal(of), SqlType::Decimal { precision, scale }) => {
                let digits = |precision: usize, scale: usize| precision.saturating_sub(scale);
                if of.scale < *scale as usize || digits(of.precision, of.scale) < digits(*precision as usize, *scale as usize) {
                    return Err(format!(
                        "A {sql_type} does not fit into Avro's decimal of precision {} and scale {}",
                        of.precision, of.scale
                    ));
                }
                let size = match &of.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                };
                Writer::Decimal { scale: i64::try_from(of.scale).unwrap_or(i64::MAX), size }
            }
            (Schema::Array(array), SqlType::Array(item)) => Writer::Array(Box::new(inside(&array.items, item)?)),
            (Schema::Map(map), SqlType::Map(key, value)) if **key == SqlType::String => Writer::Map(Box::new(inside(&map.types, value)?)),
            (Schema::Array(array), SqlType::Map(key, value)) => match &*array.items {
                Schema::Record(record) if record.name.name() == MAP_ENTRY || record.attributes.contains_key("connect.internal.type") => {
                    let inner = namespace_of(&record.name, namespace);
                    let field = |field: &'s apache_avro::schema::RecordField| match field.name.as_str() {
                        "key" => self.writer(&field.schema, inner.as_deref(), key, depth + 1).map(EntryField::Key),
                        _ => self.writer(&field.schema, inner.as_deref(), value, depth + 1).map(EntryField::Value),
                    };
                    Writer::Entries(record.fields.iter().map(field).collect::<Result<_, _>>()?)
                }
                _ => return mismatch(),
            },
            (Schema::Record(record), SqlType::Struct(fields)) => {
                let fields: Vec<(&str, &SqlType, usize)> =
                    fields.iter().zip(0..).map(|(field, slot)| (&*field.name, &field.sql_type, slot)).collect();
                Writer::Record(self.record(record, namespace, &fields, depth + 1)?)
            }
            _ => return mismatch(),
        })
    }
}

fn same(a: &str, b: &str) -> bool {
    a == b || a.to_uppercase() == b.to_uppercase()
}

/// How many of a long's units make a millisecond; `None`: it is no time and no number of 64 bits.
fn long_units(schema: &Schema) -> Option<i64> {
    match schema {
        Schema::Long | Schema::TimestampMillis | Schema::LocalTimestampMillis => Some(1),
        Schema::TimestampMicros | Schema::LocalTimestampMicros | Schema::TimeMicros => Some(1_000),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Some(1_000_000),
        _ => None,
    }
}

/// Appends the fields of a record.
pub(super) fn write_fields(fields: &[FieldWriter], slots: &[Value], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for field in fields {
        match field {
            FieldWriter::Slot { slot, name, writer } => {
                let value = slots.get(*slot).unwrap_or(&Value::Null);
                writer.write(value, out).map_err(|error| EncodeError::new(format!("Error serializing field {name}: {error}")))?;
            }
            FieldWriter::Fixed(bytes) => out.extend_from_slice(bytes),
        }
    }
    Ok(())
}

impl Writer {
    /// Appends a value.
    ///
    /// # Errors
    /// A null where the schema has none, or a value that does not fit.
    pub fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match (self, value) {
            (Writer::Optional { null, .. }, Value::Null) => write_long(*null, out),
            (Writer::Optional { some, value: inner, .. }, _) => {
                write_long(*some, out);
                inner.write(value, out)?;
            }
            (_, Value::Null) => return Err(EncodeError::new("the schema does not allow null here")),
            (Writer::Branch { index, value: inner }, _) => {
                write_long(*index, out);
                inner.write(value, out)?;
            }
            (Writer::Boolean, Value::Boolean(v)) => out.push(u8::from(*v)),
            (Writer::Int, Value::Int(v) | Value::Date(v) | Value::Time(v)) => write_long(i64::from(*v), out),
            (Writer::Long, Value::BigInt(v) | Value::Timestamp(v)) => write_long(*v, out),
            (Writer::Long, Value::Int(v)) => write_long(i64::from(*v), out),
            (Writer::Float, Value::Double(v)) => out.extend_from_slice(&(*v as f32).to_le_bytes()),
            (Writer::Double, Value::Double(v)) => out.extend_from_slice(&v.to_le_bytes()),
            (Writer::String, Value::String(v)) => write_bytes(v.as_bytes(), out),
            (Writer::Bytes, Value::Bytes(v)) => write_bytes(v, out),
            (Writer::Fixed(size), Value::Bytes(v)) if v.len() == *size => out.extend_from_slice(v),
            (Writer::Fixed(size), Value::Bytes(v)) => {
                return Err(EncodeError::new(format!("{} bytes can't be written as exactly {size}", v.len())));
            }
            (Writer::Enum(symbols), Value::String(v)) => match symbols.iter().position(|symbol| **symbol == **v) {
                Some(index) => write_long(index as i64, out),
                None => return Err(EncodeError::new(format!("'{v}' is none of the enum's symbols: {}", symbols.join(", ")))),
            },
            (Writer::Decimal { scale, size }, Value::Decimal(v)) => write_decimal(v, *scale, *size, out)?,
            (Writer::Times { per_ms }, Value::Timestamp(v)) => write_long(scaled(*v, *per_ms)?, out),
            (Writer::Times { per_ms }, Value::Time(v)) => write_long(scaled(i64::from(*v), *per_ms)?, out),
            (Writer::Array(item), Value::Array(items)) => {
                begin_block(items.len(), out);
                items.iter().try_for_each(|value| item.write(value, out))?;
                end_blocks(out);
            }
            (Writer::Map(of), Value::Map(entries)) => {
                begin_block(entries.len(), out);
                for (key, value) in entries.iter() {
                    let Value::String(key) = key else { return Err(EncodeError::new("a map's key is null")) };
                    write_bytes(key.as_bytes(), out);
                    of.write(value, out)?;
                }
                end_blocks(out);
            }
            (Writer::Entries(fields), Value::Map(entries)) => {
                begin_block(entries.len(), out);
                for (key, value) in entries.iter() {
                    fields.iter().try_for_each(|field| match field {
                        EntryField::Key(writer) => writer.write(key, out),
                        EntryField::Value(writer) => writer.write(value, out),
                    })?;
                }
                end_blocks(out);
            }
            (Writer::Record(fields), Value::Struct(values)) => write_fields(fields, values, out)?,
            _ => return Err(EncodeError::new("a value is not of its column's type")),
        }
        Ok(())
    }
}

fn begin_block(count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        write_long(count as i64, out);
    }
}

fn end_blocks(out: &mut Vec<u8>) {
    write_long(0, out);
}

fn scaled(ms: i64, per_ms: i64) -> Result<i64, EncodeError> {
    ms.checked_mul(per_ms).ok_or_else(|| EncodeError::new("a time is out of the schema's range"))
}

fn write_decimal(value: &bigdecimal::BigDecimal, scale: i64, size: Option<usize>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (unscaled, _): (BigInt, i64) = value.with_scale(scale).into_bigint_and_exponent();
    let bytes = unscaled.to_signed_bytes_be();
    match size {
        None => write_bytes(&bytes, out),
        Some(size) if bytes.len() <= size => {
            let sign = if unscaled.sign() == num_bigint::Sign::Minus { 0xff } else { 0 };
            out.extend(std::iter::repeat_n(sign, size - bytes.len()));
            out.extend_from_slice(&bytes);
        }
        Some(size) => return Err(EncodeError::new(format!("a decimal does not fit into {size} bytes"))),
    }
    Ok(())
}
