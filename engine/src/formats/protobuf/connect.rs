//! What a field is in Kafka Connect's data model, through which ksqlDB reads and infers PROTOBUF.

use prost_reflect::{FieldDescriptor, Kind, MapKey, MessageDescriptor, OneofDescriptor, Syntax, Value};

use super::parse::{Parsed, name_of};

/// The precision of decimals whose field says none.
const DEFAULT_PRECISION: u32 = 64;

/// A message that stands for a single value.
#[derive(Debug, Clone)]
pub(super) enum Special {
    Decimal,
    Date,
    Time,
    Timestamp,
    /// `google.protobuf.…Value`, and its only field.
    Wrapper(FieldDescriptor),
}

/// What single value a message stands for, if it does.
pub(super) fn special(message: &MessageDescriptor) -> Option<Special> {
    Some(match message.full_name() {
        "confluent.type.Decimal" => Special::Decimal,
        "google.type.Date" => Special::Date,
        "google.type.TimeOfDay" => Special::Time,
        "google.protobuf.Timestamp" => Special::Timestamp,
        name => match name.strip_prefix("google.protobuf.")? {
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue" | "StringValue"
            | "BytesValue" => Special::Wrapper(message.get_field_by_name("value")?),
            _ => return None,
        },
    })
}

/// Key and value of a repeated message that is a map: by its option, or by its shape as Connect writes maps.
pub(super) fn map_entry(field: &FieldDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let Kind::Message(entry) = field.kind() else { return None };
    if !repeats(field) || !(entry.is_map_entry() || entry.name().ends_with("Entry")) {
        return None;
    }
    let (key, value) = pair(&entry)?;
    (!repeats(&key) && !repeats(&value)).then_some((key, value))
}

/// The fields `key` and `value` of a message that has no others.
pub(super) fn pair(entry: &MessageDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let mut fields = entry.fields();
    let (Some(first), Some(second), None) = (fields.next(), fields.next(), fields.next()) else { return None };
    (first.name() == "key" && second.name() == "value").then_some((first, second))
}

/// Whether the field is repeated (maps are, too).
pub(super) fn repeats(field: &FieldDescriptor) -> bool {
    field.is_list() || field.is_map()
}

/// A oneof's fields become a STRUCT of this name.
pub(super) fn union_name(oneof: &OneofDescriptor) -> String {
    let index = oneof.path().last().copied().unwrap_or_default();
    format!("{}_{index}", oneof.name())
}

/// A field of a message as Connect sees it.
pub(super) enum Member {
    Field(FieldDescriptor),
    /// All fields of a oneof together.
    Union(OneofDescriptor),
}

impl Member {
    pub fn name(&self) -> String {
        match self {
            Member::Field(field) => name_of(field).to_owned(),
            Member::Union(oneof) => union_name(oneof),
        }
    }
}

/// The fields of a message in Connect's order: oneofs first, then the others as they are declared.
pub(super) fn members(message: &MessageDescriptor) -> Vec<Member> {
    let unions = message.oneofs().filter(|oneof| !oneof.is_synthetic()).map(Member::Union);
    let alone = |field: &FieldDescriptor| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic());
    unions.chain(declared(message).into_iter().filter(alone).map(Member::Field)).collect()
}

/// The fields of a message in the order of their declaration.
pub(super) fn declared(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by_key(|field| field.path().last().copied());
    fields
}

/// Whether a repeated field's numbers are written in one run. (The library's own answer does not know the option yet.)
pub(super) fn is_packed(field: &FieldDescriptor) -> bool {
    let chosen = field.field_descriptor_proto().options.as_ref().and_then(|options| options.packed);
    let is_packable = !matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Message(_));
    is_packable && chosen.unwrap_or(field.parent_message().parent_file().syntax() != Syntax::Proto2)
}

/// Whether a single value that is absent is null instead of a zero.
pub(super) fn is_optional(field: &FieldDescriptor) -> bool {
    field.supports_presence() && !field.is_required()
}

/// Precision and scale that a decimal's field says.
pub(super) fn decimal_parameters(field: &FieldDescriptor, parsed: &Parsed) -> (u32, u32) {
    let parameter = |name: &str| -> Option<u32> {
        let meta = field.options().get_extension(parsed.field_meta.as_ref()?).as_message()?.clone();
        let parameters = meta.get_field_by_name("params")?;
        match parameters.as_map()?.get(&MapKey::String(name.to_owned()))? {
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    };
    (parameter("precision").unwrap_or(DEFAULT_PRECISION), parameter("scale").unwrap_or(0))
}

/// The type as Connect's messages name it.
pub(super) fn type_name(field: &FieldDescriptor) -> &'static str {
    if map_entry(field).is_some() {
        return "map";
    }
    if repeats(field) {
        return "array";
    }
    item_type_name(&field.kind())
}

/// The same for one item of a repeated field.
pub(super) fn item_type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "float64",
        Kind::Float => "float32",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "int32",
        Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed32 | Kind::Fixed64 | Kind::Sfixed64 => "int64",
        Kind::Bool => "boolean",
        Kind::String | Kind::Enum(_) => "string",
        Kind::Bytes => "bytes",
        Kind::Message(message) => match special(message) {
            Some(Special::Decimal) => "bytes",
            Some(Special::Date | Special::Time) => "int32",
            Some(Special::Timestamp) => "int64",
            Some(Special::Wrapper(value)) => item_type_name(&value.kind()),
            None => "struct",
        },
    }
}
