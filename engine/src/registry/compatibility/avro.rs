//! AVRO: whether a reader's schema resolves against a writer's, by the rules of Avro's specification as Java's library checks
//! them ahead of any record: names without their namespaces or by an alias, promotions of numbers, defaults of fields that
//! the writer lacks, symbols of enums, branches of unions.

use std::collections::{HashMap, HashSet};

use super::{Incompatibility, READER, WRITER};
use crate::registry::language::avro::{AvroField, AvroModel, AvroType, NamedBody, NamedType};

/// Pairs of types that are looked at and reasons that are passed on, before it is said that schemas are too large to be compared.
const MAX_STEPS: usize = 300_000;

/// How deep types may be nested, through their names too.
const MAX_DEPTH: usize = 400;

/// What keeps `reader` from reading records of `writer`.
pub(super) fn check(reader: &AvroModel, writer: &AvroModel) -> Vec<Incompatibility> {
    let mut check = Check { reader, writer, known: HashMap::new(), steps: 0, depth: 0, is_too_large: false };
    let found = check.types(&reader.root, &writer.root, &mut Vec::new());
    if check.is_too_large {
        return vec![Incompatibility {
            text: "Unexpected exception during compatibility check: the schemas are too large to be compared".to_owned(),
        }];
    }
    found
}

struct Check<'s> {
    reader: &'s AvroModel,
    writer: &'s AvroModel,
    /// Pairs of named types with what was found; nothing while they are being compared, so that recursion ends.
    known: HashMap<(usize, usize), Vec<Incompatibility>>,
    steps: usize,
    depth: usize,
    is_too_large: bool,
}

type Path = Vec<String>;

impl<'s> Check<'s> {
    fn types(&mut self, reader: &'s AvroType, writer: &'s AvroType, path: &mut Path) -> Vec<Incompatibility> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.depth >= MAX_DEPTH {
            self.is_too_large = true;
            return Vec::new();
        }
        self.depth += 1;
        let found = self.any(reader, writer, path);
        self.depth = self.depth.saturating_sub(1);
        found
    }

    fn any(&mut self, reader: &'s AvroType, writer: &'s AvroType, path: &mut Path) -> Vec<Incompatibility> {
        use AvroType as T;
        match (reader, writer) {
            (T::Union(_), T::Union(branches)) => {
                let mut found = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    if !self.types(reader, branch, &mut Vec::new()).is_empty() {
                        path.push(index.to_string());
                        found.push(self.lacking(branch, path));
                        path.pop();
                    }
                }
                found
            }
            // Every branch may come; where it stands in the schema is not told.
            (_, T::Union(branches)) => branches.iter().flat_map(|branch| self.types(reader, branch, &mut Vec::new())).collect(),
            (T::Union(branches), _) => {
                let fits = branches.iter().any(|branch| self.types(branch, writer, &mut Vec::new()).is_empty());
                if fits { Vec::new() } else { vec![self.lacking(writer, path)] }
            }
            (T::Array(reader), T::Array(writer)) => self.within("items", reader, writer, path),
            (T::Map(reader), T::Map(writer)) => self.within("values", reader, writer, path),
            (T::Named(one), T::Named(other)) => self.named((*one, *other), path),
            (T::Long, T::Int)
            | (T::Float, T::Int | T::Long)
            | (T::Double, T::Int | T::Long | T::Float)
            | (T::Bytes, T::String)
            | (T::String, T::Bytes) => Vec::new(),
            (one, other) if one == other => Vec::new(),
            _ => vec![self.mismatch(reader, writer, path)],
        }
    }

    fn within(&mut self, step: &str, reader: &'s AvroType, writer: &'s AvroType, path: &mut Path) -> Vec<Incompatibility> {
        path.push(step.to_owned());
        let found = self.types(reader, writer, path);
        path.pop();
        found
    }

    fn named(&mut self, pair: (usize, usize), path: &mut Path) -> Vec<Incompatibility> {
        if let Some(found) = self.known.get(&pair) {
            self.steps = self.steps.saturating_add(found.len());
            return found.clone();
        }
        let (Some(reader), Some(writer)) = (self.reader.named.get(pair.0), self.writer.named.get(pair.1)) else { return Vec::new() };
        self.known.insert(pair, Vec::new());
        let mut found = Vec::new();
        match (&reader.body, &writer.body) {
            (NamedBody::Fixed { size }, NamedBody::Fixed { size: written }) => {
                found.extend(names(reader, writer, path));
                if size != written {
                    let at = pointer(path, &["size"]);
                    let description = format!(
                        "The size of FIXED type field at path '{at}' in the {READER} schema does not match with the {WRITER} schema"
                    );
                    found.push(incompatibility("FIXED_SIZE_MISMATCH", &description, &format!("expected: {written}, found: {size}")));
                }
            }
            (NamedBody::Enum { symbols, default }, NamedBody::Enum { symbols: written, .. }) => {
                found.extend(names(reader, writer, path));
                let symbols: HashSet<&String> = symbols.iter().collect();
                let mut missing: Vec<&str> = written.iter().filter(|symbol| !symbols.contains(symbol)).map(String::as_str).collect();
                missing.sort_unstable();
                if !missing.is_empty() && default.is_none() {
                    let (at, missing) = (pointer(path, &["symbols"]), format!("[{}]", missing.join(", ")));
                    let description =
                        format!("The {READER} schema is missing enum symbols '{missing}' at path '{at}' in the {WRITER} schema");
                    found.push(incompatibility("MISSING_ENUM_SYMBOLS", &description, &missing));
                }
            }
            (NamedBody::Record(fields), NamedBody::Record(written)) => {
                found.extend(names(reader, writer, path));
                found.extend(self.fields(fields, written, path));
            }
            _ => found.push(self.mismatch(&AvroType::Named(pair.0), &AvroType::Named(pair.1), path)),
        }
        self.steps = self.steps.saturating_add(found.len());
        self.known.insert(pair, found.clone());
        found
    }

    fn fields(&mut self, fields: &'s [AvroField], written: &'s [AvroField], path: &mut Path) -> Vec<Incompatibility> {
        let by_name: HashMap<&str, &AvroField> = written.iter().map(|field| (field.name.as_str(), field)).collect();
        let mut found = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            path.extend(["fields".to_owned(), index.to_string()]);
            let known = std::iter::once(&field.name).chain(&field.aliases).find_map(|name| by_name.get(name.as_str()));
            match known {
                Some(written) => found.extend(self.within("type", &field.field_type, &written.field_type, path)),
                None if field.has_default => {}
                None => {
                    let (at, name) = (pointer(path, &[]), &field.name);
                    let description = format!(
                        "The field '{name}' at path '{at}' in the {READER} schema has no default value and is missing in the {WRITER} schema"
                    );
                    found.push(incompatibility("READER_FIELD_MISSING_DEFAULT_VALUE", &description, name));
                }
            }
            path.truncate(path.len().saturating_sub(2));
        }
        found
    }

    fn lacking(&self, writer: &AvroType, path: &Path) -> Incompatibility {
        let at = pointer(path, &[]);
        let description = format!("The {READER} schema is missing a type inside a union field at path '{at}' in the {WRITER} schema");
        let kind = kind(writer, self.writer);
        incompatibility("MISSING_UNION_BRANCH", &description, &format!("reader union lacking writer type: {kind}"))
    }

    fn mismatch(&self, reader: &AvroType, writer: &AvroType, path: &Path) -> Incompatibility {
        let at = pointer(path, &[]);
        let description = format!("The type (path '{at}') of a field in the {READER} schema does not match with the {WRITER} schema");
        let (reader, writer) = (kind(reader, self.reader), kind(writer, self.writer));
        incompatibility("TYPE_MISMATCH", &description, &format!("reader type: {reader} not compatible with writer type: {writer}"))
    }
}

fn names(reader: &NamedType, writer: &NamedType, path: &Path) -> Option<Incompatibility> {
    let is_known = reader.name() == writer.name() || reader.aliases.contains(&writer.full_name);
    (!is_known).then(|| {
        let description = format!("The name of the schema has changed (path '{}')", pointer(path, &["name"]));
        incompatibility("NAME_MISMATCH", &description, &format!("expected: {}", writer.full_name))
    })
}

fn incompatibility(error_type: &str, description: &str, additional: &str) -> Incompatibility {
    Incompatibility::new(error_type, description, '\'', Some(additional))
}

/// A JSON pointer.
fn pointer(path: &Path, last: &[&str]) -> String {
    let steps: Vec<&str> = path.iter().map(String::as_str).chain(last.iter().copied()).collect();
    format!("/{}", steps.join("/"))
}

fn kind(of: &AvroType, model: &AvroModel) -> &'static str {
    match of {
        AvroType::Null => "NULL",
        AvroType::Boolean => "BOOLEAN",
        AvroType::Int => "INT",
        AvroType::Long => "LONG",
        AvroType::Float => "FLOAT",
        AvroType::Double => "DOUBLE",
        AvroType::Bytes => "BYTES",
        AvroType::String => "STRING",
        AvroType::Array(_) => "ARRAY",
        AvroType::Map(_) => "MAP",
        AvroType::Union(_) => "UNION",
        AvroType::Named(index) => match model.named.get(*index).map(|named| &named.body) {
            Some(NamedBody::Enum { .. }) => "ENUM",
            Some(NamedBody::Fixed { .. }) => "FIXED",
            _ => "RECORD",
        },
    }
}
