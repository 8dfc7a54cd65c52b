//! Schemas to descriptors: parsed in memory, with what they import from their references and from the types that everybody
//! knows ([`super::known`]).
//!
//! Registries hold schemas that `protoc` would refuse and Confluent's parser takes: names that differ in case and underscores
//! only (ksqlDB's columns `A_B` and `AB`), options that no import declares, an import that stands twice. They are mended here
//! before they are resolved.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost_reflect::prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, UninterpretedOption};
use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor};
use protox::file::{File, FileResolver, GoogleFileResolver};

use super::known;
use crate::registry::{Schema, SchemaKind};

/// The name of the schema's own file, which nothing imports.
const ROOT: &str = "tidemill.registered.schema.proto";
/// How a field is named in the descriptor whose own name would be refused beside another's.
pub(crate) const RENAMED: &str = "tidemill_renamed_";
/// How many schemas one may refer to, and how deep.
const MAX_REFERENCES: usize = 200;

/// A schema's descriptors.
#[derive(Clone)]
pub(crate) struct Parsed {
    pub file: FileDescriptor,
    /// Confluent's parameters of a field, where the schema uses them.
    pub field_meta: Option<ExtensionDescriptor>,
}

/// Parses a schema and those that it refers to.
///
/// # Errors
/// It is not well formed, or imports what is not there.
pub(crate) fn parse(schema: &Schema) -> Result<Parsed, String> {
    if schema.kind != SchemaKind::Protobuf {
        return Err("The schema is no Protobuf schema".to_owned());
    }
    let mut sources = HashMap::new();
    collect_references(schema, &mut sources, 0)?;
    sources.insert(ROOT.to_owned(), schema.text.clone());
    let mut compiler = protox::Compiler::with_file_resolver(Resolver { sources, google: GoogleFileResolver::new() });
    compiler.open_file(ROOT).map_err(|error| format!("The schema is no Protobuf schema: {error}"))?;
    let pool: DescriptorPool = compiler.descriptor_pool();
    let file = pool.get_file_by_name(ROOT).ok_or("The schema is no Protobuf schema: it has no file")?;
    let field_meta = pool.get_extension_by_name(known::FIELD_META);
    Ok(Parsed { file, field_meta })
}

fn collect_references(schema: &Schema, sources: &mut HashMap<String, String>, depth: usize) -> Result<(), String> {
    for reference in &schema.references {
        if depth >= MAX_REFERENCES || sources.len() >= MAX_REFERENCES {
            return Err(format!("The schema refers to more than {MAX_REFERENCES} others"));
        }
        collect_references(&reference.schema, sources, depth + 1)?;
        sources.entry(reference.name.clone()).or_insert_with(|| reference.schema.text.clone());
    }
    Ok(())
}

/// The message of a full name; `None`: the first one of the file.
pub(super) fn message(parsed: &Parsed, full_name: Option<&str>) -> Option<MessageDescriptor> {
    match full_name {
        Some(name) => parsed.file.parent_pool().get_message_by_name(name).filter(|found| found.parent_file() == parsed.file),
        None => parsed.file.messages().next(),
    }
}

/// A field's name as its author wrote it.
pub(super) fn name_of(field: &FieldDescriptor) -> &str {
    if field.name().starts_with(RENAMED) { field.json_name() } else { field.name() }
}

struct Resolver {
    /// Texts by the path that imports them.
    sources: HashMap<String, String>,
    google: GoogleFileResolver,
}

impl FileResolver for Resolver {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if let Some(text) = self.sources.get(name) {
            return open(name, text);
        }
        match known::text_of(name) {
            Some(text) => File::from_source(name, &text),
            None => self.google.open_file(name),
        }
    }
}

/// A schema's text, or (as the registry gives it on demand) the descriptor in base64.
fn open(name: &str, text: &str) -> Result<File, protox::Error> {
    match File::from_source(name, text) {
        Ok(file) => {
            let mut descriptor = file.file_descriptor_proto().clone();
            mend_file(&mut descriptor);
            Ok(File::from_file_descriptor_proto(descriptor))
        }
        Err(error) => match BASE64.decode(text.trim()) {
            Ok(mut bytes) if !bytes.is_empty() => {
                // Of a field that stands twice the last one counts: this gives the file the name by which it is imported.
                bytes.push(0x0a);
                super::cursor::write_sized(name.as_bytes(), &mut bytes);
                File::decode_file_descriptor_proto(bytes.as_slice()).map_err(protox::Error::new)
            }
            _ => Err(error),
        },
    }
}

fn mend_file(file: &mut FileDescriptorProto) {
    let mut uses_meta = false;
    if let Some(options) = &mut file.options {
        uses_meta |= mend_options(&mut options.uninterpreted_option);
    }
    let is_proto2 = file.syntax.as_deref().is_none_or(|syntax| syntax == "proto2");
    file.message_type.iter_mut().for_each(|message| uses_meta |= mend_message(message, is_proto2));
    file.enum_type.iter_mut().for_each(|of| uses_meta |= mend_enum(of));
    file.extension.iter_mut().for_each(|field| uses_meta |= mend_field(field));
    for service in &mut file.service {
        service.options = None;
        service.method.iter_mut().for_each(|method| method.options = None);
    }
    mend_imports(file, uses_meta);
}

fn mend_imports(file: &mut FileDescriptorProto, uses_meta: bool) {
    let public: HashSet<String> =
        file.public_dependency.iter().filter_map(|index| file.dependency.get(usize::try_from(*index).ok()?).cloned()).collect();
    let mut known = HashSet::new();
    file.dependency.retain(|import| known.insert(import.clone()));
    if uses_meta && !known.contains(known::META) {
        file.dependency.push(known::META.to_owned());
    }
    file.public_dependency =
        (0i32..).zip(&file.dependency).filter(|(_, import)| public.contains(*import)).map(|(index, _)| index).collect();
    file.weak_dependency.clear();
    file.source_code_info = None;
}

/// Whether it uses Confluent's options.
fn mend_message(message: &mut DescriptorProto, is_proto2: bool) -> bool {
    let mut uses_meta = message.options.as_mut().is_some_and(|options| mend_options(&mut options.uninterpreted_option));
    message.field.iter_mut().chain(&mut message.extension).for_each(|field| uses_meta |= mend_field(field));
    message.nested_type.iter_mut().for_each(|nested| uses_meta |= mend_message(nested, is_proto2));
    message.enum_type.iter_mut().for_each(|of| uses_meta |= mend_enum(of));
    message.oneof_decl.iter_mut().for_each(|oneof| oneof.options = None);
    message.extension_range.iter_mut().for_each(|range| range.options = None);
    part_names(message, is_proto2);
    uses_meta
}

fn mend_field(field: &mut FieldDescriptorProto) -> bool {
    field.options.as_mut().is_some_and(|options| mend_options(&mut options.uninterpreted_option))
}

fn mend_enum(of: &mut EnumDescriptorProto) -> bool {
    let mut uses_meta = of.options.as_mut().is_some_and(|options| mend_options(&mut options.uninterpreted_option));
    for value in &mut of.value {
        uses_meta |= value.options.as_mut().is_some_and(|options| mend_options(&mut options.uninterpreted_option));
    }
    uses_meta
}

/// Leaves out options that somebody else declared; whether some of Confluent's are left.
fn mend_options(options: &mut Vec<UninterpretedOption>) -> bool {
    let is_confluent = |option: &UninterpretedOption| {
        option.name.first().is_some_and(|part| part.is_extension && part.name_part.trim_start_matches('.').starts_with("confluent."))
    };
    options.retain(|option| is_confluent(option) || option.name.iter().all(|part| !part.is_extension && part.name_part != "features"));
    options.iter().any(is_confluent)
}

/// Gives fields other names where the library would take two for the same.
fn part_names(message: &mut DescriptorProto, is_proto2: bool) {
    let mut seen = HashSet::new();
    let mut spellings = HashSet::new();
    let same = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let conflict = message.field.iter().any(|field| {
        let taken = !spellings.insert(field.json_name().to_owned());
        !seen.insert(same(field.name())) && !is_proto2 || taken
    });
    if !conflict {
        return;
    }
    seen.clear();
    for field in &mut message.field {
        let name = field.name().to_owned();
        if !seen.insert(same(&name)) {
            field.name = Some(format!("{RENAMED}{}", field.number()));
        }
        field.json_name = Some(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::Reference;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let parsed = parse(&Schema::new(SchemaKind::Protobuf, text))?;
        Ok(message(&parsed, None).unwrap().fields().map(|field| name_of(&field).to_owned()).collect())
    }

    #[test]
    fn what_confluents_parser_takes_is_taken() {
        for (text, expected) in [
            ("message M { int32 A_B = 1; int32 AB = 2; int32 a_b = 3; }", vec!["A_B", "AB", "a_b"]),
            ("import \"google/type/date.proto\"; import \"google/type/date.proto\"; message M { google.type.Date d = 1; }", vec!["d"]),
            ("message M { option (mine) = 1; int32 a = 1 [(yours.x) = { b: 1 }, deprecated = true]; }", vec!["a"]),
            ("message M { int32 a = 1 [(confluent.field_meta) = { params: [{ key: \"k\", value: \"v\" }] }]; }", vec!["a"]),
        ] {
            assert_eq!(names(&format!("syntax = \"proto3\"; {text}")), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn faults_are_said() {
        for (text, why) in [
            ("message", "expected"),
            ("syntax = \"proto3\"; import \"other.proto\"; message M { }", "other.proto"),
            ("syntax = \"proto3\"; message M { Other a = 1; }", "Other"),
            ("AAAA", "The schema is no Protobuf schema"),
        ] {
            let error = names(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn imports_come_from_references() {
        let inner = Schema::new(SchemaKind::Protobuf, "syntax = \"proto3\"; package in; message Inner { int32 a = 1; }");
        let between = Schema {
            references: vec![Reference { name: "in.proto".into(), subject: "in".into(), version: 1, schema: Arc::new(inner) }],
            ..Schema::new(SchemaKind::Protobuf, "syntax = \"proto3\"; import public \"in.proto\"; message Between { in.Inner i = 1; }")
        };
        let outer = Schema {
            references: vec![Reference { name: "between.proto".into(), subject: "b".into(), version: 1, schema: Arc::new(between) }],
            ..Schema::new(
                SchemaKind::Protobuf,
                "syntax = \"proto3\"; import \"between.proto\"; message M { Between b = 1; in.Inner i = 2; }",
            )
        };
        let parsed = parse(&outer).unwrap();
        assert_eq!(message(&parsed, Some("M")).unwrap().fields().count(), 2);
        assert!(message(&parsed, Some("Between")).is_none(), "of another file");
        assert!(message(&parsed, Some("N")).is_none());
    }

    #[test]
    fn descriptors_come_in_base64() {
        let text = "syntax = \"proto3\"; import \"confluent/meta.proto\"; import \"confluent/type/decimal.proto\"; \
                    message M { confluent.type.Decimal d = 1 [(confluent.field_meta) = { params: { key: \"scale\", value: \"3\" } }]; }";
        let parsed = parse(&Schema::new(SchemaKind::Protobuf, text)).unwrap();
        let encoded = BASE64.encode(parsed.file.encode_to_vec());
        let again = parse(&Schema::new(SchemaKind::Protobuf, encoded)).unwrap();
        let field = message(&again, None).unwrap().get_field_by_name("d").unwrap();
        assert!(field.options().has_extension(&again.field_meta.unwrap()));
    }
}
