//! PROTOBUF: what may differ between two files so that records of the original are read with the update: fields by their
//! numbers, types by their wire form, messages by their names. Fields come and go; what is written must not change its meaning.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto};

use super::{Incompatibility, READER, WRITER};
use crate::registry::language::protobuf::{Declared, ProtobufModel, TypeInfo};

/// Messages that are compared, and how deep, before it is said that schemas are too large to be compared.
const MAX_STEPS: usize = 200_000;
const MAX_DEPTH: usize = 150;

/// What keeps `update` from reading records of `original`.
pub(super) fn check(original: &ProtobufModel, update: &ProtobufModel) -> Vec<Incompatibility> {
    let mut check = Check {
        original,
        update,
        in_progress: HashSet::new(),
        known: HashMap::new(),
        found: Vec::new(),
        path: Vec::new(),
        steps: 0,
        is_too_large: false,
    };
    check.messages((&original.file.message_type, original.file.package()), (&update.file.message_type, update.file.package()));
    if check.is_too_large {
        let text = "Unexpected exception during compatibility check: the schemas are too large to be compared".to_owned();
        return vec![Incompatibility { text }];
    }
    check.found
}

/// Messages declared in one place, and the full name of the place.
type Scope<'s, 'n> = (&'s [DescriptorProto], &'n str);

struct Check<'s> {
    original: &'s ProtobufModel,
    update: &'s ProtobufModel,
    /// Messages of the original that are being compared further up.
    in_progress: HashSet<String>,
    /// Whether messages that fields refer to are compatible.
    known: HashMap<(String, String), bool>,
    found: Vec<Incompatibility>,
    path: Vec<String>,
    steps: usize,
    is_too_large: bool,
}

impl<'s> Check<'s> {
    /// Enums are not compared: a number that is not known is kept as one.
    fn messages(&mut self, original: Scope<'s, '_>, update: Scope<'s, '_>) {
        let updated: HashMap<&str, &'s DescriptorProto> = update.0.iter().map(|message| (message.name(), message)).collect();
        for message in original.0.iter().filter(|message| !is_map(message)) {
            self.path.push(message.name().to_owned());
            match updated.get(message.name()) {
                None => self.add("MESSAGE_REMOVED"),
                Some(now) => self.message((message, &joined(original.1, message.name())), (now, &joined(update.1, message.name()))),
            }
            self.path.pop();
        }
    }

    fn message(&mut self, (one, one_name): (&'s DescriptorProto, &str), (other, other_name): (&'s DescriptorProto, &str)) {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.in_progress.len() >= MAX_DEPTH {
            self.is_too_large = true;
            return;
        }
        if !self.in_progress.insert(one_name.to_owned()) {
            return;
        }
        self.fields(one, other);
        self.messages((&one.nested_type, one_name), (&other.nested_type, other_name));
        self.in_progress.remove(one_name);
    }

    fn fields(&mut self, one: &'s DescriptorProto, other: &'s DescriptorProto) {
        let before = Fields::of(one);
        let now = Fields::of(other);
        for (name, members) in &now.oneofs {
            let moved = members.iter().filter(|tag| before.is_plain(**tag)).count();
            let existing = members.iter().filter(|tag| before.oneof_of.contains_key(tag)).count();
            self.path.push((*name).to_owned());
            if moved > 1 {
                self.add("MULTIPLE_FIELDS_MOVED_TO_ONEOF");
            } else if moved == 1 && existing > 0 {
                self.add("FIELD_MOVED_TO_EXISTING_ONEOF");
            }
            self.path.pop();
        }
        for (name, members) in &before.oneofs {
            let Some(updated) = now.oneofs.get(name) else { continue };
            for tag in members.iter().filter(|tag| !updated.contains(tag)) {
                if !now.by_tag.contains_key(tag) {
                    self.path.extend([(*name).to_owned(), tag.to_string()]);
                    self.add("ONEOF_FIELD_REMOVED");
                    self.path.truncate(self.path.len().saturating_sub(2));
                }
            }
        }
        let tags: BTreeSet<i32> = before.by_tag.keys().chain(now.by_tag.keys()).copied().collect();
        for tag in tags {
            let steps = self.path.len();
            let (original, update) = (before.by_tag.get(&tag).copied(), now.by_tag.get(&tag).copied());
            if let (Some(oneof), Some(updated)) = (before.oneof_of.get(&tag), now.oneof_of.get(&tag))
                && oneof == updated
            {
                self.path.push((*oneof).to_owned());
            }
            self.path.push(tag.to_string());
            match (original, update) {
                (Some(original), None) if before.is_plain(tag) && original.label() == Label::Required => self.add("REQUIRED_FIELD_REMOVED"),
                (None, Some(update)) if now.is_plain(tag) && update.label() == Label::Required => self.add("REQUIRED_FIELD_ADDED"),
                (Some(original), Some(update)) => self.field(original, update),
                _ => {}
            }
            self.path.truncate(steps);
        }
    }

    fn field(&mut self, one: &FieldDescriptorProto, other: &FieldDescriptorProto) {
        let (one, other) = (wire(one, self.original), wire(other, self.update));
        match (one, other) {
            (Wire::Scalar(one), Wire::Scalar(other)) => {
                if one != other {
                    self.add("FIELD_SCALAR_KIND_CHANGED");
                }
            }
            (Wire::Message(one), Wire::Message(other)) => self.named(&one, &other),
            (Wire::Map(key, value), Wire::Map(other_key, other_value)) => {
                self.field(key, other_key);
                self.field(value, other_value);
            }
            _ => self.add("FIELD_KIND_CHANGED"),
        }
    }

    /// Fields of messages: those of the file itself are compared where they are declared.
    fn named(&mut self, one: &str, other: &str) {
        let (Some(before), Some(now)) = (self.original.types.get(one), self.update.types.get(other)) else {
            if one != other {
                self.add("FIELD_NAMED_TYPE_CHANGED");
            }
            return;
        };
        if local(one, before) != local(other, now) {
            self.add("FIELD_NAMED_TYPE_CHANGED");
            return;
        }
        if before.origin == now.origin {
            return;
        }
        let (Declared::Message(before), Declared::Message(now)) = (&before.declared, &now.declared) else { return };
        let pair = (one.to_owned(), other.to_owned());
        let is_compatible = match self.known.get(&pair) {
            Some(known) => *known,
            None => {
                self.known.insert(pair.clone(), true);
                let (found, path) = (self.found.len(), std::mem::take(&mut self.path));
                self.path = local_path(one, self.original.types.get(one));
                self.message((before, one), (now, other));
                self.path = path;
                let is_compatible = self.found.len() == found;
                self.known.insert(pair, is_compatible);
                is_compatible
            }
        };
        if !is_compatible {
            self.add("FIELD_NAMED_TYPE_CHANGED");
        }
    }

    fn add(&mut self, kind: &'static str) {
        let path = format!("#/{}", self.path.join("/"));
        self.found.push(Incompatibility::new(kind, &description(kind, &path), '"', None));
    }
}

fn description(kind: &str, path: &str) -> String {
    match kind {
        "MESSAGE_REMOVED" => format!("The {READER} schema is missing a MESSAGE type at path '{path}' in the {WRITER} schema"),
        "FIELD_KIND_CHANGED" => format!("The type of a field at path '{path}' in the {READER} schema does not match the {WRITER} schema"),
        "FIELD_SCALAR_KIND_CHANGED" => {
            format!("The kind of a SCALAR field at path '{path}' in the {READER} schema does not match its kind in the {WRITER} schema")
        }
        "FIELD_NAMED_TYPE_CHANGED" => {
            format!("The type of a MESSAGE field at path '{path}' in the {READER} schema does not match its type in the {WRITER} schema")
        }
        "REQUIRED_FIELD_ADDED" => format!("A required field  at path '{path}' in the {READER} schema is missing in the {WRITER} schema"),
        "REQUIRED_FIELD_REMOVED" => {
            format!("The {READER} schema is missing a required field at path: '{path}' in the {WRITER} schema")
        }
        "ONEOF_FIELD_REMOVED" => format!("The {READER} schema is missing a oneof field at path '{path}' in the {WRITER} schema"),
        "MULTIPLE_FIELDS_MOVED_TO_ONEOF" => {
            format!("Multiple fields in the oneof at path '{path}' in the {READER} schema are outside a oneof in the {WRITER} schema")
        }
        _ => format!("A field in the oneof at path '{path}' in the {READER} schema is outside an existing oneof in the {WRITER} schema"),
    }
}

/// The fields of a message by their numbers, and those of oneofs by their names.
struct Fields<'s> {
    by_tag: BTreeMap<i32, &'s FieldDescriptorProto>,
    oneof_of: HashMap<i32, &'s str>,
    oneofs: BTreeMap<&'s str, BTreeSet<i32>>,
}

impl<'s> Fields<'s> {
    fn of(message: &'s DescriptorProto) -> Self {
        let mut fields = Fields { by_tag: BTreeMap::new(), oneof_of: HashMap::new(), oneofs: BTreeMap::new() };
        for field in &message.field {
            fields.by_tag.insert(field.number(), field);
            // What is optional in proto3 is a oneof for descriptors' sake only.
            let index = field.oneof_index.filter(|_| !field.proto3_optional()).and_then(|index| usize::try_from(index).ok());
            if let Some(oneof) = index.and_then(|index| message.oneof_decl.get(index)) {
                fields.oneof_of.insert(field.number(), oneof.name());
                fields.oneofs.entry(oneof.name()).or_default().insert(field.number());
            }
        }
        fields
    }

    fn is_plain(&self, tag: i32) -> bool {
        self.by_tag.contains_key(&tag) && !self.oneof_of.contains_key(&tag)
    }
}

/// How a field is written.
enum Wire<'s> {
    /// Types within one group read each other.
    Scalar(&'static str),
    Map(&'s FieldDescriptorProto, &'s FieldDescriptorProto),
    /// By its full name.
    Message(String),
}

fn wire<'s>(field: &FieldDescriptorProto, model: &'s ProtobufModel) -> Wire<'s> {
    let group = match field.r#type() {
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Bool | Type::Enum => "GENERAL_NUMBER",
        Type::Sint32 | Type::Sint64 => "SIGNED_NUMBER",
        Type::String | Type::Bytes => "STRING_OR_BYTES",
        Type::Fixed32 | Type::Sfixed32 => "FIXED32",
        Type::Fixed64 | Type::Sfixed64 => "FIXED64",
        Type::Float => "FLOAT",
        Type::Double => "DOUBLE",
        Type::Message | Type::Group => {
            let name = field.type_name().trim_start_matches('.');
            let entry = match model.types.get(name).map(|info| &info.declared) {
                Some(Declared::Message(message)) if is_map(message) => message.field.as_slice(),
                _ => &[],
            };
            return match entry {
                [key, value] => Wire::Map(key, value),
                _ => Wire::Message(name.to_owned()),
            };
        }
    };
    Wire::Scalar(group)
}

fn is_map(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

fn joined(within: &str, name: &str) -> String {
    if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") }
}

/// A type's name without its package.
fn local<'n>(full: &'n str, info: &TypeInfo) -> &'n str {
    full.strip_prefix(&info.package).and_then(|rest| rest.strip_prefix('.')).unwrap_or(full)
}

fn local_path(full: &str, info: Option<&TypeInfo>) -> Vec<String> {
    info.map_or(full, |info| local(full, info)).split('.').map(str::to_owned).collect()
}
