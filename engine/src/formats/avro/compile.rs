//! Compiles a writer's schema and the columns that are wanted to a plan: read this field into that slot, pass over that one.
//!
//! Which types a column takes follows ksqlDB, which reads AVRO through Kafka Connect's data model: INT from int, BIGINT from
//! int and long, DOUBLE from float and double, STRING from string, enum, numbers and booleans, BYTES from bytes and fixed,
//! DECIMAL from its logical type, times from theirs and from plain numbers. A field is the column's whose name it has, else
//! the one's whose name is its own in upper case. A column that the writer does not have is null; a union of several types is
//! a STRUCT with a field for each.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordSchema, UnionSchema, UuidSchema};

use super::canonical;
use super::names::{Names, namespace_of};
use super::read::{Reader, Step, Target};
use super::skip::Skip;
use super::types::{branch_name, connect_name, connect_type, is_column, is_long, is_map_entry, long_units, nullable, some_byte};
use crate::formats::schemas::columns::Wanted;
use crate::types::{SqlType, Text};

/// Nodes that a compiled schema may have: a schema of few lines can name a record a thousand times over.
pub(super) const MAX_NODES: usize = 20_000;

/// What a payload is read by.
#[derive(Debug)]
pub(super) struct Plan {
    pub shape: Shape,
    /// Records that contain themselves, which nobody reads.
    pub named: Box<[Skip]>,
}

/// How the columns lie in a payload.
#[derive(Debug)]
pub(super) enum Shape {
    /// A record whose fields are columns; `some`: the byte before it, where it may be null.
    Row { some: Option<u8>, steps: Box<[Step]> },
    /// A union of several records (or other types), each of which is a column; `None`: null.
    Branches(Box<[Option<Step>]>),
    /// The only column.
    Single { slot: Option<usize>, reader: Reader },
}

/// Compiles a schema for columns that stand in a record, or (`unwrapped`) for the only one.
///
/// # Errors
/// What of the schema can't be read as which column.
pub(super) fn compile(schema: &Schema, others: &[Schema], wanted: &[Wanted<'_>], unwrapped: bool) -> Result<Plan, String> {
    let names = Names::of(others.iter().chain([schema]));
    let mut compiler = Compiler { names, open: Vec::new(), skipped: Vec::new(), named: Vec::new(), nodes: 0 };
    let shape = compiler.shape(Place { schema, namespace: None }, wanted, unwrapped)?;
    let named = compiler.named.into_iter().map(|(_, skip)| skip.unwrap_or(Skip::Bytes(0))).collect();
    Ok(Plan { shape, named })
}

/// A schema and the namespace around it.
#[derive(Clone)]
struct Place<'s> {
    schema: &'s Schema,
    namespace: Option<String>,
}

struct Compiler<'s> {
    names: Names<'s>,
    /// Full names of the records that are being compiled to be read, outermost first.
    open: Vec<String>,
    /// As `open`, of records that are passed over.
    skipped: Vec<String>,
    /// Records that contain themselves and are passed over.
    named: Vec<(String, Option<Skip>)>,
    nodes: usize,
}

impl<'s> Compiler<'s> {
    fn shape(&mut self, root: Place<'s>, wanted: &[Wanted<'_>], unwrapped: bool) -> Result<Shape, String> {
        if let ([only], true) = (wanted, unwrapped) {
            let reader = self.reader(root, only.sql_type, "")?;
            return Ok(Shape::Single { slot: only.slot, reader });
        }
        let mut root = self.follow(root)?;
        let mut some = None;
        if let Schema::Union(union) = root.schema {
            let inner = match nullable(union) {
                Some((null, other)) => {
                    some = Some(some_byte(null));
                    other
                }
                None => return self.branches(union, root.namespace.as_deref(), wanted, "").map(Shape::Branches),
            };
            root = self.follow(Place { schema: inner, ..root })?;
        }
        let Schema::Record(record) = root.schema else {
            let found = connect_type(root.schema, root.namespace.as_deref());
            return Err(format!("Cannot deserialize type {found} as type struct for path: "));
        };
        let steps = self.fields(record, root.namespace.as_deref(), wanted, "")?;
        Ok(Shape::Row { some, steps })
    }

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
            for field in &record.fields {
                let place = Place { schema: &field.schema, namespace: namespace.clone() };
                let step = match column_of(&field.name, wanted) {
                    Some(column) => {
                        // Of several fields that are a column's the last one counts, whichever of them could be carried.
                        let is_its = |field: &&apache_avro::schema::RecordField| {
                            column_of(&field.name, wanted).is_some_and(|its| its.name == column.name)
                        };
                        let is_alone = column.carried.is_none() || record.fields.iter().filter(is_its).count() == 1;
                        let column = Wanted { carried: column.carried.filter(|_| is_alone), ..*column };
                        compiler.step(place, &column, &format!("{path}->{}", column.name))?
                    }
                    None => Step::Skip(compiler.skip(place)?),
                };
                match step {
                    Step::Skip(skip) => skipped.push(skip),
                    step => {
                        if !skipped.is_empty() {
                            steps.push(Step::Skip(Skip::record(skipped.drain(..))));
                        }
                        steps.push(step);
                    }
                }
            }
            if !skipped.is_empty() {
                steps.push(Step::Skip(Skip::record(skipped)));
            }
            Ok(steps.into())
        })
    }

    /// What becomes of a field that is a column's.
    fn step(&mut self, place: Place<'s>, column: &Wanted<'_>, path: &str) -> Result<Step, String> {
        let (some, reader) = match self.reader(place.clone(), column.sql_type, path)? {
            Reader::Nullable { some, value } => (Some(some), *value),
            reader => (None, reader),
        };
        let Some(slot) = column.slot else { return Ok(Step::Skip(self.skip(place)?)) };
        let target = Target { slot, some, reader };
        let inner = match place.schema {
            Schema::Union(union) => nullable(union).map(|(_, inner)| inner),
            schema => Some(schema),
        };
        let check = inner.and_then(|inner| canonical::check(inner, column.sql_type));
        Ok(match (column.carried, check) {
            (Some(index), Some(check)) => Step::Carry { index, check, target },
            _ => Step::Read(target),
        })
    }

    /// A union as fields, one for each of its branches but null.
    fn branches(
        &mut self,
        union: &'s UnionSchema,
        around: Option<&str>,
        wanted: &[Wanted<'_>],
        path: &str,
    ) -> Result<Box<[Option<Step>]>, String> {
        let branch = |branch: &'s Schema| {
            if matches!(branch, Schema::Null) {
                return Ok(None);
            }
            let place = Place { schema: branch, namespace: around.map(str::to_owned) };
            match column_of(&branch_name(branch), wanted) {
                Some(column) => self.step(place, column, &format!("{path}->{}", column.name)).map(Some),
                None => self.skip(place).map(|skip| Some(Step::Skip(skip))),
            }
        };
        union.variants().iter().map(branch).collect()
    }

    fn reader(&mut self, place: Place<'s>, target: &SqlType, path: &str) -> Result<Reader, String> {
        self.count()?;
        let place = self.follow(place)?;
        let around = place.namespace.as_deref();
        let mismatch = || {
            let found = connect_type(place.schema, around);
            Err(format!("Cannot deserialize type {found} as type {} for path: {path}", connect_name(target)))
        };
        let inside = |schema: &'s Schema| Place { schema, namespace: place.namespace.clone() };
        Ok(match (place.schema, target) {
            (Schema::Null, _) => Reader::Null,
            (Schema::Union(union), _) if nullable(union).is_some() => {
                let Some((null, value)) = nullable(union) else { return mismatch() };
                Reader::Nullable { some: some_byte(null), value: Box::new(self.reader(inside(value), target, path)?) }
            }
            (Schema::Union(union), SqlType::Struct(fields)) => {
                Reader::Choice { branches: self.branches(union, around, &wanted_fields(fields), path)?, width: fields.len() }
            }
            (Schema::Boolean, SqlType::Boolean) => Reader::Boolean,
            (Schema::Int | Schema::Date | Schema::TimeMillis, SqlType::Int) => Reader::Int,
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
            (Schema::Long | Schema::Int, SqlType::Timestamp) => Reader::Timestamp { per_ms: 1 },
            (schema, SqlType::Timestamp) if !matches!(schema, Schema::TimeMicros) => match long_units(schema) {
                Some(per_ms) => Reader::Timestamp { per_ms },
                None => return mismatch(),
            },
            (Schema::Array(array), _) => {
                let items = self.follow(inside(&array.items))?;
                match (items.schema, target) {
                    (Schema::Record(record), SqlType::Map(key, value)) if is_map_entry(record, items.namespace.as_deref()) => {
                        let entry = [("key", "MAP_KEY", &**key, 0), ("value", "MAP_VAL", &**value, 1)];
                        Reader::Entries { entry: self.entry(record, items.namespace.as_deref(), entry, path)? }
                    }
                    (Schema::Record(record), _) if is_map_entry(record, items.namespace.as_deref()) => return mismatch(),
                    (_, SqlType::Array(item)) => Reader::Array(Box::new(self.reader(items, item, &format!("{path}->ARRAY"))?)),
                    _ => return mismatch(),
                }
            }
            (Schema::Map(map), SqlType::Map(key, value)) if **key == SqlType::String => {
                Reader::Map(Box::new(self.reader(inside(&map.types), value, &format!("{path}->MAP_VAL"))?))
            }
            (Schema::Record(record), SqlType::Struct(fields)) => {
                Reader::Struct { steps: self.fields(record, around, &wanted_fields(fields), path)?, width: fields.len() }
            }
            _ => return mismatch(),
        })
    }

    /// The key and the value of a map's entry: the field's name, how a path names it, its type and place.
    fn entry(
        &mut self,
        record: &'s RecordSchema,
        around: Option<&str>,
        parts: [(&str, &str, &SqlType, usize); 2],
        path: &str,
    ) -> Result<Box<[Step]>, String> {
        self.within(&record.name, around, |compiler, namespace| {
            let step = |field: &'s apache_avro::schema::RecordField| {
                let place = Place { schema: &field.schema, namespace: namespace.clone() };
                match parts.iter().find(|(name, ..)| *name == field.name) {
                    Some((name, step, sql_type, slot)) => {
                        let wanted = Wanted { name, sql_type, slot: Some(*slot), carried: None };
                        compiler.step(place, &wanted, &format!("{path}->{step}"))
                    }
                    None => compiler.skip(place).map(Step::Skip),
                }
            };
            record.fields.iter().map(step).collect()
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
            Schema::Union(union) => match nullable(union) {
                Some((null, value)) => Skip::Nullable { some: some_byte(null), value: Box::new(self.skip(inside(value))?) },
                None => {
                    let branches = union.variants().iter().map(|branch| self.skip(inside(branch)));
                    Skip::Union(branches.collect::<Result<_, _>>()?)
                }
            },
            Schema::Record(record) => self.skip_record(record, place.namespace.as_deref())?,
            _ => Skip::Number,
        })
    }

    fn skip_record(&mut self, record: &'s RecordSchema, around: Option<&str>) -> Result<Skip, String> {
        let full = record.name.fullname(around);
        let known = self.named.iter().position(|(name, _)| *name == full);
        if let (Some(index), true) = (known, self.skipped.contains(&full)) {
            return Ok(Skip::Again(index));
        }
        if self.skipped.contains(&full) {
            self.named.push((full, None));
            return Ok(Skip::Again(self.named.len() - 1));
        }
        let namespace = namespace_of(&record.name, around);
        self.skipped.push(full.clone());
        let fields = record.fields.iter().map(|field| self.skip(Place { schema: &field.schema, namespace: namespace.clone() }));
        let fields = fields.collect::<Result<Vec<_>, _>>();
        self.skipped.pop();
        let skip = Skip::record(fields?);
        if let Some((_, place)) = self.named.iter_mut().find(|(name, _)| *name == full) {
            place.get_or_insert_with(|| skip.clone());
        }
        Ok(skip)
    }
}

/// The column that a field of this name is.
fn column_of<'w, 'c>(field: &str, wanted: &'w [Wanted<'c>]) -> Option<&'w Wanted<'c>> {
    wanted.iter().find(|column| column.name == field).or_else(|| wanted.iter().find(|column| is_column(field, column.name)))
}

fn wanted_fields(fields: &[crate::types::StructField]) -> Vec<Wanted<'_>> {
    let wanted = fields.iter().zip(0..);
    wanted.map(|(field, slot)| Wanted { name: &field.name, sql_type: &field.sql_type, slot: Some(slot), carried: None }).collect()
}
