//! Compiles a writer's schema and the columns that are wanted to a plan: read this field into that slot, pass over that one.
//!
//! Which types a column takes follows ksqlDB, which reads AVRO through Kafka Connect's data model: INT from int, BIGINT from
//! int and long, DOUBLE from float and double, STRING from string, enum, numbers and booleans, BYTES from bytes and fixed,
//! DECIMAL from its logical type, times from theirs and from plain numbers. Names match whatever the case of their letters.
//! A column that the writer does not have is null; a union of several types is a STRUCT with a field for each.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordSchema, UnionSchema, UuidSchema};

use super::MAP_ENTRY;
use super::names::{Names, namespace_of};
use super::read::{Reader, Step};
use super::skip::Skip;
use crate::types::{SqlType, Text};

/// Nodes that a compiled schema may have: a schema of few lines can name a record a thousand times over.
pub(super) const MAX_NODES: usize = 20_000;

/// A column that is wanted, and its slot; `None`: nobody reads it, but its type is checked.
pub(super) struct Wanted<'c> {
    pub name: &'c str,
    pub sql_type: &'c SqlType,
    pub slot: Option<usize>,
}

/// What a payload is read by.
#[derive(Debug)]
pub(super) enum Plan {
    /// A record whose fields are columns. `null_branch`: the record is one branch of a union with null, and null the other.
    Row { null_branch: Option<usize>, steps: Box<[Step]> },
    /// The only column.
    Single { slot: Option<usize>, reader: Reader },
}

/// Compiles a schema for columns that stand in a record, or (`unwrapped`) for the only one.
///
/// # Errors
/// What of the schema can't be read as which column.
pub(super) fn compile(schema: &Schema, others: &[Schema], wanted: &[Wanted<'_>], unwrapped: bool) -> Result<Plan, String> {
    let mut compiler = Compiler { names: Names::of(others.iter().chain([schema])), open: Vec::new(), nodes: 0 };
    let root = Place { schema, namespace: None };
    if let ([only], true) = (wanted, unwrapped) {
        let reader = compiler.reader(root, only.sql_type, "")?;
        return Ok(Plan::Single { slot: only.slot, reader });
    }
    let (null_branch, root) = match schema {
        Schema::Union(union) => match nullable(union) {
            Some((null, other)) => (Some(null), Place { schema: other, ..root }),
            None => (None, root),
        },
        _ => (None, root),
    };
    let root = compiler.follow(root)?;
    let Schema::Record(record) = root.schema else {
        return Err(format!("Cannot deserialize type {} as type struct for path: ", connect_type(root.schema)));
    };
    let steps = compiler.fields(record, root.namespace.as_deref(), wanted, "")?;
    Ok(Plan::Row { null_branch, steps })
}

/// A schema and the namespace around it.
#[derive(Clone)]
struct Place<'s> {
    schema: &'s Schema,
    namespace: Option<String>,
}

struct Compiler<'s> {
    names: Names<'s>,
    /// Full names of the records that are being compiled, outermost first.
    open: Vec<String>,
    nodes: usize,
}

impl<'s> Compiler<'s> {
    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err(format!("The schema has more than {MAX_NODES} parts")) } else { Ok(()) }
    }

    fn follow(&self, place: Place<'s>) -> Result<Place<'s>, String> {
        match place.schema {
            Schema::Ref { name } => match self.names.find(name, place.namespace.as_deref()) {
                Some(schema) => Ok(Place { schema, namespace: namespace_of(name, place.namespace.as_deref()) }),
                None => Err(format!("The schema refers to {}, which is not there", name.fullname(place.namespace.as_deref()))),
            },
            _ => Ok(place),
        }
    }

    /// Does something within a record, unless it stands in itself.
    fn within<T>(
        &mut self,
        name: &Name,
        around: Option<&str>,
        inner: impl FnOnce(&mut Self, Option<String>) -> Result<T, String>,
    ) -> Result<T, String> {
        let full = name.fullname(around);
        if self.open.contains(&full) {
            return Err(format!("The schema is recursive: {full} contains itself. Such values have no SQL type"));
        }
        self.open.push(full);
        let done = inner(self, namespace_of(name, around));
        self.open.pop();
        done
    }

    /// The fields of a record, in its order; neighbours that nobody reads are passed over together.
    fn fields(&mut self, record: &'s RecordSchema, around: Option<&str>, wanted: &[Wanted<'_>], path: &str) -> Result<Box<[Step]>, String> {
        self.within(&record.name, around, |compiler, namespace| {
            let mut steps = Vec::new();
            let mut skipped = Vec::new();
            for (index, field) in record.fields.iter().enumerate() {
                let place = Place { schema: &field.schema, namespace: namespace.clone() };
                // Of several fields whose names differ in case only, the last one is the column's, as in ksqlDB.
                let is_last = || record.fields.iter().skip(index + 1).all(|later| !same_name(&later.name, &field.name));
                let columns = wanted.iter().filter(|column| same_name(column.name, &field.name) && is_last());
                let mut slot = None;
                for column in columns {
                    let reader = compiler.reader(place.clone(), column.sql_type, &format!("{path}->{}", column.name))?;
                    if let Some(to) = column.slot {
                        slot = Some((to, reader));
                    }
                }
                match slot {
                    Some((to, reader)) => {
                        if !skipped.is_empty() {
                            steps.push(Step::Skip(Skip::record(skipped.drain(..))));
                        }
                        steps.push(Step::Read(to, reader));
                    }
                    None => skipped.push(compiler.skip(place)?),
                }
            }
            if !skipped.is_empty() {
                steps.push(Step::Skip(Skip::record(skipped)));
            }
            Ok(steps.into())
        })
    }

    fn reader(&mut self, place: Place<'s>, target: &SqlType, path: &str) -> Result<Reader, String> {
        self.count()?;
        let place = self.follow(place)?;
        let mismatch =
            || Err(format!("Cannot deserialize type {} as type {} for path: {path}", connect_type(place.schema), connect_name(target)));
        let inside = |schema: &'s Schema| Place { schema, namespace: place.namespace.clone() };
        Ok(match (place.schema, target) {
            (Schema::Null, _) => Reader::Null,
            (Schema::Union(union), _) if nullable(union).is_some() => {
                let branches = union.variants().iter().map(|branch| self.reader(inside(branch), target, path));
                Reader::Union(branches.collect::<Result<_, _>>()?)
            }
            (Schema::Union(union), SqlType::Struct(fields)) => {
                let mut branches = Vec::new();
                for branch in union.variants() {
                    let name = branch_name(branch);
                    let field = fields.iter().position(|field| same_name(&field.name, &name));
                    branches.push(match field.and_then(|index| Some((index, fields.get(index)?))) {
                        Some((index, field)) => {
                            Step::Read(index, self.reader(inside(branch), &field.sql_type, &format!("{path}->{}", field.name))?)
                        }
                        None => Step::Skip(self.skip(inside(branch))?),
                    });
                }
                Reader::Choice { branches: branches.into(), width: fields.len() }
            }
            (Schema::Boolean, SqlType::Boolean) => Reader::Boolean,
            (Schema::Int, SqlType::Int) | (Schema::Date | Schema::TimeMillis, SqlType::Int) => Reader::Int,
            (Schema::Int | Schema::Date | Schema::TimeMillis, SqlType::BigInt) => Reader::IntAsBigInt,
            (schema, SqlType::BigInt) if is_long(schema) => Reader::Long,
            (Schema::Float, SqlType::Double) => Reader::FloatAsDouble,
            (Schema::Double, SqlType::Double) => Reader::Double,
            (Schema::String | Schema::Uuid(UuidSchema::String), SqlType::String) => Reader::String,
            (Schema::Enum(of), SqlType::String) => Reader::Enum(of.symbols.iter().map(|symbol| Text::from(symbol.as_str())).collect()),
            (Schema::Boolean, SqlType::String) => Reader::AsText(Box::new(Reader::Boolean)),
            (Schema::Int | Schema::Date | Schema::TimeMillis, SqlType::String) => Reader::AsText(Box::new(Reader::Int)),
            (schema, SqlType::String) if is_long(schema) => Reader::AsText(Box::new(Reader::Long)),
            (Schema::Float, SqlType::String) => Reader::AsText(Box::new(Reader::FloatAsDouble)),
            (Schema::Double, SqlType::String) => Reader::AsText(Box::new(Reader::Double)),
            (Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes), SqlType::Bytes) => Reader::Bytes,
            (Schema::Fixed(of) | Schema::Duration(of) | Schema::Uuid(UuidSchema::Fixed(of)), SqlType::Bytes) => Reader::Fixed(of.size),
            (Schema::Decimal(of), SqlType::Decimal { precision, scale }) => Reader::Decimal {
                size: match &of.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                },
                written_scale: i64::try_from(of.scale).unwrap_or(i64::MAX),
                precision: *precision,
                scale: *scale,
            },
            (Schema::Date | Schema::Int, SqlType::Date) => Reader::Date,
            (Schema::TimeMillis | Schema::Int, SqlType::Time) => Reader::Time { per_ms: 1 },
            (Schema::TimeMicros, SqlType::Time) => Reader::Time { per_ms: 1_000 },
            (Schema::TimestampMillis | Schema::LocalTimestampMillis | Schema::Long, SqlType::Timestamp) => Reader::Timestamp { per_ms: 1 },
            (Schema::TimestampMicros | Schema::LocalTimestampMicros, SqlType::Timestamp) => Reader::Timestamp { per_ms: 1_000 },
            (Schema::TimestampNanos | Schema::LocalTimestampNanos, SqlType::Timestamp) => Reader::Timestamp { per_ms: 1_000_000 },
            (Schema::Array(array), SqlType::Map(key, value)) => match self.follow(inside(&array.items))? {
                Place { schema: Schema::Record(record), namespace } if is_map_entry(record) => {
                    let wanted =
                        [Wanted { name: "key", sql_type: key, slot: Some(0) }, Wanted { name: "value", sql_type: value, slot: Some(1) }];
                    Reader::Entries { entry: self.fields(record, namespace.as_deref(), &wanted, path)? }
                }
                _ => return mismatch(),
            },
            (Schema::Array(array), SqlType::Array(item)) => {
                Reader::Array(Box::new(self.reader(inside(&array.items), item, &format!("{path}->ARRAY"))?))
            }
            (Schema::Map(map), SqlType::Map(key, value)) if **key == SqlType::String => {
                Reader::Map(Box::new(self.reader(inside(&map.types), value, &format!("{path}->MAP_VAL"))?))
            }
            (Schema::Record(record), SqlType::Struct(fields)) => {
                let wanted: Vec<Wanted<'_>> = (0..)
                    .zip(fields.iter())
                    .map(|(slot, field)| Wanted { name: &field.name, sql_type: &field.sql_type, slot: Some(slot) })
                    .collect();
                let steps = self.fields(record, place.namespace.as_deref(), &wanted, path)?;
                Reader::Struct { steps, width: fields.len() }
            }
            _ => return mismatch(),
        })
    }

    fn skip(&mut self, place: Place<'s>) -> Result<Skip, String> {
        self.count()?;
        let place = self.follow(place)?;
        let inside = |schema: &'s Schema| Place { schema, namespace: place.namespace.clone() };
        Ok(match place.schema {
            Schema::Null => Skip::Bytes(0),
            Schema::Boolean => Skip::Bytes(1),
            Schema::Float => Skip::Bytes(4),
            Schema::Double => Skip::Bytes(8),
            Schema::Fixed(of) | Schema::Duration(of) | Schema::Uuid(UuidSchema::Fixed(of)) => Skip::Bytes(of.size),
            Schema::Decimal(of) => match &of.inner {
                InnerDecimalSchema::Bytes => Skip::Sized,
                InnerDecimalSchema::Fixed(fixed) => Skip::Bytes(fixed.size),
            },
            Schema::Bytes | Schema::String | Schema::BigDecimal | Schema::Uuid(_) => Skip::Sized,
            Schema::Array(array) => Skip::Array(Box::new(self.skip(inside(&array.items))?)),
            Schema::Map(map) => Skip::Map(Box::new(self.skip(inside(&map.types))?)),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.skip(inside(branch)));
                Skip::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => self.within(&record.name, place.namespace.as_deref(), |compiler, namespace| {
                let fields = record.fields.iter().map(|field| compiler.skip(Place { schema: &field.schema, namespace: namespace.clone() }));
                Ok(Skip::record(fields.collect::<Result<Vec<_>, _>>()?))
            })?,
            _ => Skip::Number,
        })
    }
}

fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_uppercase() == b.to_uppercase()
}

/// The indexes of null and of the other branch, where a union is of null and one type.
fn nullable(union: &UnionSchema) -> Option<(usize, &Schema)> {
    match union.variants() {
        [Schema::Null, other] => Some((0, other)),
        [other, Schema::Null] => Some((1, other)),
        _ => None,
    }
}

fn is_map_entry(record: &RecordSchema) -> bool {
    record.name.name() == MAP_ENTRY || record.attributes.get("connect.internal.type").is_some_and(|kind| kind == MAP_ENTRY)
}

fn is_long(schema: &Schema) -> bool {
    matches!(
        schema,
        Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos
    )
}

/// The field of the STRUCT that a union becomes: named after its branch.
pub(super) fn branch_name(branch: &Schema) -> String {
    match branch {
        Schema::Record(of) => of.name.name().to_owned(),
        Schema::Enum(of) => of.name.name().to_owned(),
        Schema::Fixed(of) => of.name.name().to_owned(),
        Schema::Ref { name } => name.name().to_owned(),
        Schema::Boolean => "boolean".to_owned(),
        Schema::Int | Schema::Date | Schema::TimeMillis => "int".to_owned(),
        Schema::Float => "float".to_owned(),
        Schema::Double => "double".to_owned(),
        Schema::Array(_) => "array".to_owned(),
        Schema::Map(_) => "map".to_owned(),
        Schema::String | Schema::Uuid(_) => "string".to_owned(),
        schema if is_long(schema) => "long".to_owned(),
        _ => "bytes".to_owned(),
    }
}

/// The type as Connect's messages name it.
fn connect_type(schema: &Schema) -> &'static str {
    match schema {
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int32",
        Schema::Float => "float32",
        Schema::Double => "float64",
        Schema::String | Schema::Enum(_) | Schema::Uuid(_) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Record(_) | Schema::Union(_) => "struct",
        Schema::Null => "null",
        schema if is_long(schema) => "int64",
        _ => "bytes",
    }
}

fn connect_name(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Boolean => "boolean",
        SqlType::Int | SqlType::Date | SqlType::Time => "int32",
        SqlType::BigInt | SqlType::Timestamp => "int64",
        SqlType::Double => "float64",
        SqlType::Decimal { .. } | SqlType::Bytes => "bytes",
        SqlType::String => "string",
        SqlType::Array(_) => "array",
        SqlType::Map(..) => "map",
        SqlType::Struct(_) => "struct",
    }
}
