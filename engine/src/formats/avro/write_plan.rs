//! Compiles a schema and the columns that are written by it.
//!
//! The schema may be the one that Tidemill makes for the columns, or one that a statement names by its id. Fields are matched
//! by name; a field that has no column takes its default, or null.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, RecordField, RecordSchema, UuidSchema};

use super::canonical;
use super::compile::{Shape, compile};
use super::default::default_bytes;
use super::names::{MAX_DEPTH, Names, namespace_of};
use super::read::Reader;
use super::types::{branch_name, is_column, is_long, is_map_entry, long_units};
use super::write::{Carry, EntryField, FieldWriter, Writer};
use super::{parse, schema};
use crate::formats::schemas::columns::{Source, Wanted};
use crate::registry::SchemaKind;
use crate::types::{Column, SqlType, StructField};

/// Compiles a schema for a record of columns.
///
/// # Errors
/// A column without a field, a field without a column and a default, or one whose type its column can't be written as.
pub(super) fn compile_row(schema: &Schema, others: &[Schema], columns: &[Source<'_>]) -> Result<Box<[FieldWriter]>, String> {
    let compiler = Compiler { names: Names::of(others.iter().chain([schema])) };
    let Schema::Record(record) = schema else {
        return Err(format!("The schema is {} and not a record with a field for each column", branch_name(schema)));
    };
    compiler.record(record, None, columns, 0)
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
        sources: &[Source<'_>],
        depth: usize,
    ) -> Result<Box<[FieldWriter]>, String> {
        let namespace = namespace_of(&record.name, around);
        let missing = sources.iter().find(|source| record.fields.iter().all(|field| !is_column(&field.name, source.name)));
        if let Some(Source { name, .. }) = missing {
            return Err(format!("Schema from Schema Registry misses field with name: {name}"));
        }
        let of_field = |field: &'s RecordField| {
            let exact = sources.iter().find(|source| source.name == field.name);
            match exact.or_else(|| sources.iter().find(|source| is_column(&field.name, source.name))) {
                Some(source) => {
                    let writer = self.writer(&field.schema, namespace.as_deref(), source.sql_type, depth)?;
                    let carry = source.carried.map(|index| carry(index, &field.schema, &writer, source.sql_type)).transpose()?;
                    let takes_null = matches!(writer, Writer::Optional { .. });
                    let default = match &field.default {
                        Some(_) if !takes_null => Some(default_bytes(&self.names, field, namespace.as_deref())?),
                        _ => None,
                    };
                    Ok(FieldWriter::Slot { slot: source.slot, name: source.name.into(), writer, carry, default })
                }
                None => default_bytes(&self.names, field, namespace.as_deref()).map(FieldWriter::Fixed),
            }
        };
        record.fields.iter().map(of_field).collect()
    }

    fn writer<'c>(&self, schema: &'s Schema, namespace: Option<&str>, sql_type: &'c SqlType, depth: usize) -> Result<Writer, String> {
        if depth > MAX_DEPTH {
            return Err("The schema is nested too deep".to_owned());
        }
        let inside = |schema: &'s Schema, sql_type: &'c SqlType| self.writer(schema, namespace, sql_type, depth + 1);
        let mismatch = || Err(format!("A value of type {sql_type} can't be written as Avro's {}", branch_name(schema)));
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
            (Schema::TimeMicros, SqlType::Time) => Writer::Times { per_ms: 1_000 },
            (schema, SqlType::BigInt) if is_long(schema) => Writer::Long,
            (schema, SqlType::Timestamp) if is_long(schema) && !matches!(schema, Schema::TimeMicros) => match long_units(schema) {
                Some(per_ms) if per_ms > 1 => Writer::Times { per_ms },
                _ => Writer::Long,
            },
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
                Schema::Record(record) if is_map_entry(record, namespace) => {
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
                let source =
                    |(field, slot): (&'c StructField, usize)| Source { name: &field.name, sql_type: &field.sql_type, slot, carried: None };
                let fields: Vec<Source<'_>> = fields.iter().zip(0..).map(source).collect();
                Writer::Record(self.record(record, namespace, &fields, depth + 1)?)
            }
            _ => return mismatch(),
        })
    }
}

/// What is done with a field that may be carried.
fn carry(index: usize, field: &Schema, writer: &Writer, sql_type: &SqlType) -> Result<Carry, String> {
    let (branch, inner) = match (field, writer) {
        (Schema::Union(union), Writer::Optional { some: index, .. } | Writer::Branch { index, .. }) => {
            let inner = usize::try_from(*index).ok().and_then(|index| union.variants().get(index));
            // The index of a branch, zigzag, in one byte.
            (Some(u8::try_from(*index).ok().filter(|index| *index < 64).map(|index| index * 2)), inner)
        }
        _ => (None, Some(field)),
    };
    match (branch, inner.and_then(|inner| canonical::check(inner, sql_type))) {
        (None, Some(_)) => Ok(Carry::Copy { index, branch: None }),
        (Some(Some(branch)), Some(_)) => Ok(Carry::Copy { index, branch: Some(branch) }),
        _ => Ok(Carry::Again { index, reader: Box::new(own_reader(sql_type)?) }),
    }
}

/// Reads a value that was written by our own schema for its type.
fn own_reader(sql_type: &SqlType) -> Result<Reader, String> {
    let column = Column::new("C", sql_type.clone());
    let text = schema::of_columns(std::slice::from_ref(&column), true, schema::DEFAULT_NAME)?.to_string();
    let (parsed, others) = parse::parse(&crate::registry::Schema::new(SchemaKind::Avro, text))?;
    let wanted = Wanted { name: &column.name, sql_type, slot: Some(0), carried: None };
    match compile(&parsed, &others, &[wanted], true)?.shape {
        Shape::Single { reader, .. } => Ok(reader),
        _ => Err("a single value was compiled to something else".to_owned()),
    }
}
