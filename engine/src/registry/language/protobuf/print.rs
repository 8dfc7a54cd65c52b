//! A `.proto` file's text from its descriptor: what is kept of a schema that was sent as one, so that whoever asks for it can
//! read it.

use std::fmt::Write as _;

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto, file_options::OptimizeMode,
};

use super::json_name;

/// The largest number of a field: `max` in a range.
const MAX_FIELD: i32 = 536_870_911;

pub(super) fn print(file: &FileDescriptorProto) -> String {
    let is_proto3 = file.syntax() == "proto3";
    let mut printer = Printer { out: String::new(), depth: 0, is_proto3 };
    printer.file(file);
    printer.out
}

struct Printer {
    out: String,
    depth: usize,
    is_proto3: bool,
}

impl Printer {
    fn line(&mut self, text: &str) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn block(&mut self, head: &str, body: impl FnOnce(&mut Self)) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
        body(self);
        self.depth = self.depth.saturating_sub(1);
        self.line("}");
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        self.line(&format!("syntax = \"{}\";", if self.is_proto3 { "proto3" } else { "proto2" }));
        if !file.package().is_empty() {
            self.line(&format!("package {};", file.package()));
        }
        self.out.push('\n');
        for (index, import) in file.dependency.iter().enumerate() {
            let is = |list: &[i32]| list.iter().any(|at| usize::try_from(*at) == Ok(index));
            let how = if is(&file.public_dependency) {
                "public "
            } else if is(&file.weak_dependency) {
                "weak "
            } else {
                ""
            };
            self.line(&format!("import {how}{};", quoted(import)));
        }
        if let Some(options) = &file.options {
            let texts = [
                ("java_package", &options.java_package),
                ("java_outer_classname", &options.java_outer_classname),
                ("go_package", &options.go_package),
                ("objc_class_prefix", &options.objc_class_prefix),
                ("csharp_namespace", &options.csharp_namespace),
                ("swift_prefix", &options.swift_prefix),
                ("php_class_prefix", &options.php_class_prefix),
                ("php_namespace", &options.php_namespace),
                ("php_metadata_namespace", &options.php_metadata_namespace),
                ("ruby_package", &options.ruby_package),
            ];
            for (name, value) in texts {
                if let Some(value) = value {
                    self.line(&format!("option {name} = {};", quoted(value)));
                }
            }
            let flags = [
                ("java_multiple_files", options.java_multiple_files),
                ("java_string_check_utf8", options.java_string_check_utf8),
                ("cc_generic_services", options.cc_generic_services),
                ("java_generic_services", options.java_generic_services),
                ("py_generic_services", options.py_generic_services),
                ("deprecated", options.deprecated),
                ("cc_enable_arenas", options.cc_enable_arenas),
            ];
            for (name, value) in flags {
                if let Some(value) = value {
                    self.line(&format!("option {name} = {value};"));
                }
            }
            if let Some(Ok(mode)) = options.optimize_for.map(OptimizeMode::try_from) {
                self.line(&format!("option optimize_for = {};", mode.as_str_name()));
            }
        }
        for message in &file.message_type {
            self.out.push('\n');
            self.message(message);
        }
        for declared in &file.enum_type {
            self.out.push('\n');
            self.enumeration(declared);
        }
        self.extensions(&file.extension, &[]);
        for service in &file.service {
            self.out.push('\n');
            self.service(service);
        }
    }

    fn message(&mut self, message: &DescriptorProto) {
        self.block(&format!("message {}", message.name()), |p| p.message_body(message));
    }

    fn message_body(&mut self, message: &DescriptorProto) {
        if let Some(options) = &message.options {
            let flags = [
                ("message_set_wire_format", options.message_set_wire_format),
                ("no_standard_descriptor_accessor", options.no_standard_descriptor_accessor),
                ("deprecated", options.deprecated),
            ];
            for (name, value) in flags {
                if let Some(value) = value {
                    self.line(&format!("option {name} = {value};"));
                }
            }
        }
        for range in &message.reserved_range {
            self.line(&format!("reserved {};", span(range.start(), range.end().saturating_sub(1), MAX_FIELD)));
        }
        for name in &message.reserved_name {
            self.line(&format!("reserved {};", quoted(name)));
        }
        let mut printed_oneofs = vec![false; message.oneof_decl.len()];
        for field in &message.field {
            let oneof = field.oneof_index.filter(|_| !field.proto3_optional()).and_then(|index| usize::try_from(index).ok());
            let Some(index) = oneof else {
                self.field(field, &message.nested_type, true);
                continue;
            };
            let Some(declared) = message.oneof_decl.get(index) else { continue };
            if printed_oneofs.get(index) == Some(&false) {
                printed_oneofs[index] = true;
                self.block(&format!("oneof {}", declared.name()), |p| {
                    for member in message.field.iter().filter(|member| member.oneof_index == field.oneof_index) {
                        p.field(member, &message.nested_type, false);
                    }
                });
            }
        }
        for range in &message.extension_range {
            self.line(&format!("extensions {};", span(range.start(), range.end().saturating_sub(1), MAX_FIELD)));
        }
        let is_group = |name: &str| {
            message.field.iter().chain(&message.extension).any(|field| field.r#type() == Type::Group && last(field.type_name()) == name)
        };
        for nested in &message.nested_type {
            let is_map = nested.options.as_ref().is_some_and(|options| options.map_entry());
            if !is_map && !is_group(nested.name()) {
                self.message(nested);
            }
        }
        for declared in &message.enum_type {
            self.enumeration(declared);
        }
        self.extensions(&message.extension, &message.nested_type);
    }

    fn field(&mut self, field: &FieldDescriptorProto, nested: &[DescriptorProto], labelled: bool) {
        let named = |name: &str| nested.iter().find(|message| message.name() == name);
        let message = named(last(field.type_name()));
        let map = message
            .filter(|message| field.r#type() == Type::Message && message.options.as_ref().is_some_and(|options| options.map_entry()));
        if let Some([key, value]) = map.map(|entry| entry.field.as_slice()) {
            let text = format!("map<{}, {}> {} = {}{};", type_of(key), type_of(value), field.name(), field.number(), self.options(field));
            return self.line(&text);
        }
        let label = match field.label() {
            _ if !labelled => "",
            Label::Repeated => "repeated ",
            Label::Required => "required ",
            Label::Optional if !self.is_proto3 || field.proto3_optional() => "optional ",
            Label::Optional => "",
        };
        if field.r#type() == Type::Group {
            let head = format!("{label}group {} = {}", last(field.type_name()), field.number());
            return self.block(&head, |p| {
                if let Some(message) = message {
                    p.message_body(message);
                }
            });
        }
        let text = format!("{label}{} {} = {}{};", type_of(field), field.name(), field.number(), self.options(field));
        self.line(&text);
    }

    fn options(&self, field: &FieldDescriptorProto) -> String {
        let mut options = Vec::new();
        if let Some(default) = &field.default_value {
            options.push(match field.r#type() {
                Type::String => format!("default = {}", quoted(default)),
                // Already escaped.
                Type::Bytes => format!("default = \"{}\"", default.replace('"', "\\\"")),
                _ => format!("default = {default}"),
            });
        }
        if let Some(name) = field.json_name.as_deref().filter(|name| *name != json_name(field.name())) {
            options.push(format!("json_name = {}", quoted(name)));
        }
        if let Some(set) = &field.options {
            let flags = [("packed", set.packed), ("deprecated", set.deprecated), ("lazy", set.lazy), ("weak", set.weak)];
            options.extend(flags.iter().filter_map(|(name, value)| value.map(|value| format!("{name} = {value}"))));
            if set.ctype.is_some() {
                options.push(format!("ctype = {}", set.ctype().as_str_name()));
            }
            if set.jstype.is_some() {
                options.push(format!("jstype = {}", set.jstype().as_str_name()));
            }
        }
        if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) }
    }

    fn enumeration(&mut self, declared: &EnumDescriptorProto) {
        self.block(&format!("enum {}", declared.name()), |p| {
            if let Some(options) = &declared.options {
                for (name, value) in [("allow_alias", options.allow_alias), ("deprecated", options.deprecated)] {
                    if let Some(value) = value {
                        p.line(&format!("option {name} = {value};"));
                    }
                }
            }
            for range in &declared.reserved_range {
                p.line(&format!("reserved {};", span(range.start(), range.end(), i32::MAX)));
            }
            for name in &declared.reserved_name {
                p.line(&format!("reserved {};", quoted(name)));
            }
            for value in &declared.value {
                let deprecated = value.options.as_ref().and_then(|options| options.deprecated);
                let options = deprecated.map(|deprecated| format!(" [deprecated = {deprecated}]")).unwrap_or_default();
                p.line(&format!("{} = {}{options};", value.name(), value.number()));
            }
        });
    }

    fn extensions(&mut self, fields: &[FieldDescriptorProto], nested: &[DescriptorProto]) {
        for field in fields {
            self.block(&format!("extend {}", field.extendee()), |p| p.field(field, nested, true));
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        self.block(&format!("service {}", service.name()), |p| {
            for method in &service.method {
                let stream = |is: bool| if is { "stream " } else { "" };
                p.line(&format!(
                    "rpc {} ({}{}) returns ({}{});",
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type(),
                    stream(method.server_streaming()),
                    method.output_type()
                ));
            }
        });
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn span(start: i32, end: i32, max: i32) -> String {
    match end {
        end if end == start => start.to_string(),
        end if end >= max => format!("{start} to max"),
        end => format!("{start} to {end}"),
    }
}

fn type_of(field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::Group | Type::Message | Type::Enum => field.type_name(),
    };
    name.to_owned()
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
