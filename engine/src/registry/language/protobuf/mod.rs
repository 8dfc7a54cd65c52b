//! PROTOBUF schemas: the text of a `.proto` file, or a file's descriptor in base64, as some clients send it. protox compiles
//! them; the model is the descriptor, in which each type is called by its full name.

mod print;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor};
use protox::file::{File, FileResolver, GoogleFileResolver};

use super::{Model, ParsedSchema, all_references};
use crate::formats::protobuf::{known, parse};
use crate::registry::Schema;

/// A file, with the types of all that it imports.
#[derive(Debug)]
pub struct ProtobufModel {
    pub file: FileDescriptorProto,
    /// By full name, without a dot before it.
    pub types: HashMap<String, TypeInfo>,
}

/// A message or an enum, and where it is declared.
#[derive(Debug)]
pub struct TypeInfo {
    pub package: String,
    pub declared: Declared,
    pub origin: Origin,
}

#[derive(Debug)]
pub enum Declared {
    Message(DescriptorProto),
    Enum(EnumDescriptorProto),
}

/// Which file declares a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The schema's own.
    Own,
    /// One that the schema refers to: subject and version.
    Reference(String, i32),
    /// One that every compiler knows.
    Known,
}

/// # Errors
/// It is no schema, or imports what is nowhere: a sentence for the user.
pub(super) fn parse(schema: &Schema) -> Result<ParsedSchema, String> {
    let compiled = compile(schema)?;
    let own = compiled.descriptor();
    let canonical = if descriptor(&schema.text).is_some() { print::print(&own) } else { schema.text.trim().to_owned() };
    // A descriptor that was mended does not say all that the text does.
    let identity = if compiled.is_mended { canonical.clone() } else { identity(&own, &compiled.file.encode_to_vec()) };
    let references = all_references(schema)?;
    let mut types = HashMap::new();
    for file in compiled.file.parent_pool().files() {
        let origin = match references.iter().find(|reference| reference.name == file.name()) {
            _ if file == compiled.file => Origin::Own,
            Some(reference) => Origin::Reference(reference.subject.clone(), reference.version),
            None => Origin::Known,
        };
        let file = file.file_descriptor_proto();
        let package = file.package().to_owned();
        gather(&file.message_type, &file.enum_type, &package, &package, &origin, &mut types);
    }
    Ok(ParsedSchema { canonical, identity, model: Model::Protobuf(Box::new(ProtobufModel { file: own, types })) })
}

/// A schema's descriptor in base64.
///
/// # Errors
/// As for [`parse`].
pub fn serialized(schema: &Schema) -> Result<String, String> {
    Ok(BASE64.encode(compile(schema)?.descriptor().encode_to_vec()))
}

struct Compiled {
    file: FileDescriptor,
    /// `protoc` would refuse it as it is; Confluent's parser does not.
    is_mended: bool,
}

impl Compiled {
    /// The file's descriptor, with the names that its author gave.
    fn descriptor(&self) -> FileDescriptorProto {
        fn rename(message: &mut DescriptorProto) {
            for field in &mut message.field {
                if field.name().starts_with(parse::RENAMED) {
                    field.name = field.json_name.take();
                }
            }
            message.nested_type.iter_mut().for_each(rename);
        }
        let mut own = self.file.file_descriptor_proto().clone();
        own.source_code_info = None;
        if self.is_mended {
            own.message_type.iter_mut().for_each(rename);
        }
        own
    }
}

/// Compiles a schema as it is, or else as the format reads it.
fn compile(schema: &Schema) -> Result<Compiled, String> {
    strictly(schema).map(|file| Compiled { file, is_mended: false }).or_else(|why| {
        let parsed = parse::parse(schema).map_err(|_| why)?;
        Ok(Compiled { file: parsed.file, is_mended: true })
    })
}

fn strictly(schema: &Schema) -> Result<FileDescriptor, String> {
    let references = all_references(schema)?;
    let is_taken = |name: &str| references.iter().any(|reference| reference.name == name);
    let mut name = "schema.proto".to_owned();
    while is_taken(&name) {
        name.insert(0, '_');
    }
    let mut files = HashMap::with_capacity(references.len() + 1);
    for reference in references {
        files.insert(reference.name.clone(), reference.schema.text.clone());
    }
    files.insert(name.clone(), schema.text.clone());
    let mut compiler = protox::Compiler::with_file_resolver(Files { files, google: GoogleFileResolver::new() });
    compiler.open_file(&name).map_err(|error| said(&error))?;
    compiler.descriptor_pool().get_file_by_name(&name).ok_or_else(|| "the schema was compiled to nothing".to_owned())
}

/// What protox says, with the place.
fn said(error: &protox::Error) -> String {
    format!("{error:?}").lines().next().unwrap_or_default().to_owned()
}

/// A descriptor in base64, where the text is one. No `.proto` file is: there is no semicolon in it.
fn descriptor(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let is_base64 = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    is_base64.then(|| BASE64.decode(text).ok()).flatten()
}

struct Files {
    files: HashMap<String, String>,
    google: GoogleFileResolver,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let Some(text) = self.files.get(name).cloned().or_else(|| known::text_of(name)) else {
            return self.google.open_file(name);
        };
        let Some(bytes) = descriptor(&text) else { return File::from_source(name, &text) };
        File::decode_file_descriptor_proto(renamed(&bytes, name).as_slice()).map_err(protox::Error::new)
    }
}

/// A descriptor under another name: of a field that comes twice, the last counts.
fn renamed(descriptor: &[u8], name: &str) -> Vec<u8> {
    let named = FileDescriptorProto { name: Some(name.to_owned()), ..FileDescriptorProto::default() };
    [descriptor, &named.encode_to_vec()].concat()
}

/// What tells schemas apart, however they were sent: the descriptor without its name and without what goes without saying.
fn identity(file: &FileDescriptorProto, encoded: &[u8]) -> String {
    let mut plain = file.clone();
    plain.name = None;
    plain.syntax = plain.syntax.filter(|syntax| syntax != "proto2");
    plain.message_type.iter_mut().for_each(plain_message);
    plain.extension.iter_mut().for_each(plain_field);
    let mut identity = hex::encode(plain.encode_to_vec());
    // Options of others' making are in the encoded form alone.
    let known = FileDescriptorProto::decode(encoded).map(|file| file.encoded_len());
    if known.ok() != Some(encoded.len()) {
        identity.push('+');
        identity.push_str(&hex::encode(md5_of(&without_places(encoded))));
    }
    identity
}

/// A descriptor without its name and without where in a text what stands; options are kept whosever they are.
fn without_places(encoded: &[u8]) -> Vec<u8> {
    let descriptor = DescriptorPool::global().get_message_by_name("google.protobuf.FileDescriptorProto");
    let Some(Ok(mut message)) = descriptor.map(|descriptor| DynamicMessage::decode(descriptor, encoded)) else { return encoded.to_vec() };
    message.clear_field_by_name("name");
    message.clear_field_by_name("source_code_info");
    message.encode_to_vec()
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(bytes).into()
}

fn plain_message(message: &mut DescriptorProto) {
    message.field.iter_mut().for_each(plain_field);
    message.extension.iter_mut().for_each(plain_field);
    message.nested_type.iter_mut().for_each(plain_message);
}

fn plain_field(field: &mut prost_reflect::prost_types::FieldDescriptorProto) {
    if field.json_name.as_deref() == Some(json_name(field.name()).as_str()) {
        field.json_name = None;
    }
}

/// The name of a field in JSON, where none is set.
fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut capital = false;
    for c in name.chars() {
        match c {
            '_' => capital = true,
            c if capital => {
                out.extend(c.to_uppercase());
                capital = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn gather(
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
    package: &str,
    within: &str,
    origin: &Origin,
    types: &mut HashMap<String, TypeInfo>,
) {
    let full = |name: &str| if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
    let info = |declared| TypeInfo { package: package.to_owned(), declared, origin: origin.clone() };
    for declared in enums {
        types.insert(full(declared.name()), info(Declared::Enum(declared.clone())));
    }
    for message in messages {
        let name = full(message.name());
        gather(&message.nested_type, &message.enum_type, package, &name, origin, types);
        types.insert(name, info(Declared::Message(message.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Reference, SchemaKind};
    use std::sync::Arc;

    const TEXT: &str = r#"
syntax = "proto3";
package a.b;
import "google/protobuf/timestamp.proto";
import "google/type/date.proto";
import "confluent/meta.proto";
option java_package = "x.y";

// A comment.
message Outer {
  int32 id = 1;
  optional string some_name = 2;
  repeated Inner inners = 3;
  map<string, Kind> kinds = 4;
  oneof either {
    bytes raw = 5 [deprecated = true];
    google.protobuf.Timestamp at = 6;
  }
  google.type.Date day = 7;
  reserved 20 to 25, 30;
  reserved "gone";
  message Inner {
    sint64 n = 1;
  }
  enum Kind {
    option allow_alias = true;
    NONE = 0;
    NIL = 0;
    ONE = 1;
  }
}
"#;

    fn parsed(text: &str) -> ParsedSchema {
        parse(&Schema::new(SchemaKind::Protobuf, text)).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn texts_and_descriptors_are_one_schema() {
        let from_text = parsed(TEXT);
        assert_eq!(from_text.canonical, TEXT.trim());
        let descriptor = serialized(&Schema::new(SchemaKind::Protobuf, TEXT)).expect("compiles");
        let from_descriptor = parsed(&descriptor);
        assert_eq!(from_text.identity, from_descriptor.identity);
        // Printed, it is the same schema again.
        assert_eq!(parsed(&from_descriptor.canonical).identity, from_text.identity, "{}", from_descriptor.canonical);
        assert_ne!(parsed(&TEXT.replace("int32 id", "int64 id")).identity, from_text.identity);
        let tagged = TEXT.replace("int32 id = 1;", r#"int32 id = 1 [(confluent.field_meta).doc = "d"];"#);
        assert_ne!(parsed(&tagged).identity, from_text.identity);
        assert_eq!(parsed(&tagged.replace("A comment", "Another")).identity, parsed(&tagged).identity);
    }

    #[test]
    fn what_confluents_parser_takes_is_taken() {
        let text = "syntax = \"proto3\"; import \"google/protobuf/any.proto\"; import \"google/protobuf/any.proto\"; \
                    message R { int32 A_B = 1; int32 AB = 2; }";
        let lenient = parsed(text);
        assert_eq!(lenient.canonical, text);
        assert_ne!(lenient.identity, parsed(&text.replace("int32 AB", "int64 AB")).identity);
        let sent = serialized(&Schema::new(SchemaKind::Protobuf, text)).expect("compiles");
        let file = FileDescriptorProto::decode(BASE64.decode(sent).expect("base64").as_slice()).expect("a descriptor");
        assert_eq!(file.message_type[0].field.iter().map(|field| field.name()).collect::<Vec<_>>(), ["A_B", "AB"]);
    }

    #[test]
    fn old_syntax_is_printed_as_well() {
        let text = r#"syntax = "proto2";
            message R { required int32 a = 1 [default = -5]; optional string s = 2 [default = "x\"y"]; repeated float f = 3 [packed = true];
                optional E e = 4 [default = B]; extensions 100 to 199; optional group G = 5 { optional bool b = 1; } }
            enum E { A = 0; B = -1; }
            extend R { optional double more = 100; }
            service S { rpc call (R) returns (stream R); }"#;
        let descriptor = serialized(&Schema::new(SchemaKind::Protobuf, text)).expect("compiles");
        let printed = parsed(&descriptor);
        assert_eq!(parsed(&printed.canonical).identity, parsed(text).identity, "{}", printed.canonical);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for (text, part) in [
            ("message", "identifier"),
            (r#"syntax = "proto3"; message A { B b = 1; }"#, "B"),
            (r#"syntax = "proto3"; import "nowhere.proto";"#, "nowhere.proto"),
            (r#"syntax = "proto3"; message A { int32 a = 1; int32 b = 1; }"#, "1"),
            ("AAAA", ""),
        ] {
            let why = parse(&Schema::new(SchemaKind::Protobuf, text)).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn references_are_imported_by_their_names() {
        let inner = Arc::new(Schema::new(SchemaKind::Protobuf, r#"syntax = "proto3"; package x; message Inner { int32 a = 1; }"#));
        let reference = Reference { name: "schema.proto".into(), subject: "inner".into(), version: 3, schema: inner };
        let text = r#"syntax = "proto3"; import "schema.proto"; message Outer { x.Inner i = 1; }"#;
        let outer = Schema { references: vec![reference], ..Schema::new(SchemaKind::Protobuf, text) };
        let Model::Protobuf(model) = parse(&outer).expect("compiles").model else { panic!("a model") };
        assert_eq!(model.types["x.Inner"].origin, Origin::Reference("inner".into(), 3));
        assert_eq!(model.types["Outer"].origin, Origin::Own);
    }
}
