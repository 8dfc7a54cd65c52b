//! Specs of PROTOBUF, by the library's dynamic messages: nothing here is shared with the formats under test but the parsing of
//! schemas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value};
use serde_json::{Map, Value as Json, json};
use tidemill_engine::formats::protobuf_descriptors;
use tidemill_engine::types::text::{civil_from_days, days_from_civil};

use super::{CodecSchema, SchemaCodec};

pub(super) struct ProtobufCodec;

impl SchemaCodec for ProtobufCodec {
    fn encode(&self, spec: &Json, schema: &CodecSchema<'_>) -> Result<Vec<u8>, String> {
        let file = protobuf_descriptors(schema.schema)?;
        let named = schema.full_name.and_then(|name| file.messages().find(|message| message.full_name() == name));
        let message = named.or_else(|| file.messages().next()).ok_or("the schema has no message")?;
        let mut out = Vec::new();
        if schema.is_framed {
            out = frame(&message);
        }
        to_message(spec, &message)?.encode(&mut out).map_err(|e| e.to_string())?;
        Ok(out)
    }

    fn decode(&self, payload: &[u8], schema: &CodecSchema<'_>) -> Result<Json, String> {
        let file = protobuf_descriptors(schema.schema)?;
        let (index, body) = if schema.is_framed { unframe(payload)? } else { (0, payload) };
        let message = file.messages().nth(index).ok_or_else(|| format!("the schema has no message {index}"))?;
        Ok(of_message(&DynamicMessage::decode(message, body).map_err(|e| e.to_string())?))
    }
}

/// Which message of the file it is. No case has one within another.
fn frame(message: &MessageDescriptor) -> Vec<u8> {
    let index = message.parent_file().messages().position(|other| other == *message).unwrap_or_default();
    match u8::try_from(2 * index) {
        Ok(0) | Err(_) => vec![0],
        Ok(zigzag) => vec![2, zigzag],
    }
}

fn unframe(payload: &[u8]) -> Result<(usize, &[u8]), String> {
    match payload {
        [0, body @ ..] => Ok((0, body)),
        [2, zigzag, body @ ..] if *zigzag < 0x80 => Ok((usize::from(*zigzag / 2), body)),
        _ => Err(format!("no message indexes stand before {payload:?}")),
    }
}

/// Precision or scale of a decimal's field.
fn parameter(field: &FieldDescriptor, name: &str) -> Option<i64> {
    let meta = field.parent_pool().get_extension_by_name("confluent.field_meta")?;
    let options = field.options();
    let options = options.get_extension(&meta);
    let parameters = options.as_message()?.get_field_by_name("params")?.into_owned();
    parameters.as_map()?.get(&MapKey::String(name.to_owned()))?.as_str()?.parse().ok()
}

fn member<'j>(spec: &'j Map<String, Json>, name: &str) -> Option<&'j Json> {
    spec.get(name).or_else(|| spec.iter().find(|(key, _)| key.to_uppercase() == name.to_uppercase()).map(|(_, value)| value))
}

fn to_message(spec: &Json, message: &MessageDescriptor) -> Result<DynamicMessage, String> {
    let spec = spec.as_object().ok_or_else(|| format!("{spec} is no {}", message.full_name()))?;
    let mut built = DynamicMessage::new(message.clone());
    for field in message.fields() {
        // The choices of a oneof stand in a struct of its name and number.
        let around = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).and_then(|oneof| {
            let index = message.oneofs().position(|other| other == oneof)?;
            member(spec, &format!("{}_{index}", oneof.name()))?.as_object()
        });
        let Some(value) = member(around.unwrap_or(spec), field.name()).filter(|value| !value.is_null()) else { continue };
        built.set_field(&field, to_field(value, &field)?);
    }
    Ok(built)
}

fn to_field(spec: &Json, field: &FieldDescriptor) -> Result<Value, String> {
    let entry = match field.kind() {
        Kind::Message(entry) if entry.get_field_by_name("key").is_some() && entry.name().ends_with("Entry") => Some(entry),
        _ => None,
    };
    match (spec, entry) {
        (Json::Object(entries), Some(entry)) if field.is_map() => {
            let value = entry.map_entry_value_field();
            let entries = entries.iter().map(|(key, item)| Ok((to_key(key, &entry.map_entry_key_field())?, to_value(item, &value)?)));
            entries.collect::<Result<_, String>>().map(Value::Map)
        }
        // As Connect writes maps.
        (Json::Object(entries), Some(entry)) if field.is_list() => {
            let entries = entries.iter().map(|(key, item)| to_message(&json!({ "key": key, "value": item }), &entry).map(Value::Message));
            entries.collect::<Result<_, String>>().map(Value::List)
        }
        (Json::Array(items), _) if field.is_list() => {
            items.iter().map(|item| to_value(item, field)).collect::<Result<_, String>>().map(Value::List)
        }
        _ => to_value(spec, field),
    }
}

fn to_key(key: &str, field: &FieldDescriptor) -> Result<MapKey, String> {
    let wrong = |e: std::num::ParseIntError| format!("{key}: {e}");
    Ok(match field.kind() {
        Kind::String => MapKey::String(key.to_owned()),
        Kind::Bool => MapKey::Bool(key == "true"),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(key.parse().map_err(wrong)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(key.parse().map_err(wrong)?),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(key.parse().map_err(wrong)?),
        _ => MapKey::U64(key.parse().map_err(wrong)?),
    })
}

fn to_value(spec: &Json, field: &FieldDescriptor) -> Result<Value, String> {
    let wrong = || format!("{spec} is no {:?}", field.kind());
    let text = || match spec {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let whole = || spec.as_i64().or_else(|| text().parse().ok()).ok_or_else(wrong);
    let double = || spec.as_f64().or_else(|| text().parse().ok()).ok_or_else(wrong);
    let small = || i32::try_from(whole()?).map_err(|_| wrong());
    let unsigned = || u32::try_from(whole()?).map_err(|_| wrong());
    Ok(match field.kind() {
        Kind::Bool => Value::Bool(spec.as_bool().ok_or_else(wrong)?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(small()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(whole()?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(unsigned()?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(spec.as_u64().ok_or_else(wrong)?),
        Kind::Float => Value::F32(double()? as f32),
        Kind::Double => Value::F64(double()?),
        Kind::String => Value::String(text()),
        Kind::Bytes => Value::Bytes(BASE64.decode(text()).map_err(|e| e.to_string())?.into()),
        Kind::Enum(of) => Value::EnumNumber(of.get_value_by_name(&text()).ok_or_else(wrong)?.number()),
        Kind::Message(message) => {
            let mut built = DynamicMessage::new(message.clone());
            match message.full_name() {
                "confluent.type.Decimal" => {
                    let number: BigDecimal = text().parse().map_err(|_| wrong())?;
                    let number = parameter(field, "scale").map_or(number.clone(), |scale| number.with_scale(scale));
                    let (unscaled, scale) = number.as_bigint_and_exponent();
                    built.set_field_by_name("value", Value::Bytes(unscaled.to_signed_bytes_be().into()));
                    built.set_field_by_name("precision", Value::U32(u32::try_from(number.digits()).map_err(|e| e.to_string())?));
                    built.set_field_by_name("scale", Value::I32(i32::try_from(scale).map_err(|e| e.to_string())?));
                }
                "google.type.Date" => {
                    let (year, month, day) = civil_from_days(whole()?);
                    for (name, part) in [("year", year), ("month", i64::from(month)), ("day", i64::from(day))] {
                        built.set_field_by_name(name, Value::I32(i32::try_from(part).map_err(|e| e.to_string())?));
                    }
                }
                "google.type.TimeOfDay" => {
                    let ms = small()?;
                    for (name, part) in [
                        ("hours", ms / 3_600_000),
                        ("minutes", ms / 60_000 % 60),
                        ("seconds", ms / 1_000 % 60),
                        ("nanos", ms % 1_000 * 1_000_000),
                    ] {
                        built.set_field_by_name(name, Value::I32(part));
                    }
                }
                "google.protobuf.Timestamp" => {
                    let ms = whole()?;
                    built.set_field_by_name("seconds", Value::I64(ms.div_euclid(1_000)));
                    built.set_field_by_name("nanos", Value::I32((ms.rem_euclid(1_000) * 1_000_000) as i32));
                }
                name if is_wrapper(name) => {
                    let value = message.get_field_by_name("value").ok_or_else(wrong)?;
                    built.set_field(&value, to_value(spec, &value)?);
                }
                _ => built = to_message(spec, &message)?,
            }
            Value::Message(built)
        }
    })
}

fn is_wrapper(name: &str) -> bool {
    name.starts_with("google.protobuf.")
        && name.ends_with("Value")
        && name != "google.protobuf.Value"
        && name != "google.protobuf.ListValue"
}

fn of_message(message: &DynamicMessage) -> Json {
    let mut spec = Map::new();
    let descriptor = message.descriptor();
    for oneof in descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let set = oneof.fields().find(|field| message.has_field(field));
        let index = descriptor.oneofs().position(|other| other == oneof).unwrap_or_default();
        let value = set.map_or(Json::Null, |field| json!({ field.name(): of_field(&message.get_field(&field), &field) }));
        spec.insert(format!("{}_{index}", oneof.name()), value);
    }
    for field in descriptor.fields().filter(|field| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic())) {
        let value = match message.has_field(&field) || !field.supports_presence() {
            true => of_field(&message.get_field(&field), &field),
            false => Json::Null,
        };
        spec.insert(field.name().to_owned(), value);
    }
    Json::Object(spec)
}

fn of_field(value: &Value, field: &FieldDescriptor) -> Json {
    let entry = match field.kind() {
        Kind::Message(entry) => entry.name().ends_with("Entry") && entry.fields().count() == 2 && entry.get_field_by_name("key").is_some(),
        _ => false,
    };
    match value {
        Value::List(items) if entry => {
            let mut entries = Map::new();
            for item in items.iter().filter_map(Value::as_message) {
                let mut item = of_message(item);
                let key = match &item["key"] {
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                };
                entries.insert(key, item["value"].take());
            }
            Json::Object(entries)
        }
        Value::List(items) => items.iter().map(|item| of_value(item, field)).collect(),
        Value::Map(entries) => {
            let Kind::Message(entry) = field.kind() else { return Json::Null };
            let mut keyed: Vec<(String, Json)> = Vec::new();
            for (key, value) in entries {
                let key = match key {
                    MapKey::String(text) => text.clone(),
                    MapKey::Bool(value) => value.to_string(),
                    MapKey::I32(number) => number.to_string(),
                    MapKey::I64(number) => number.to_string(),
                    MapKey::U32(number) => number.to_string(),
                    MapKey::U64(number) => number.to_string(),
                };
                keyed.push((key, of_value(value, &entry.map_entry_value_field())));
            }
            Json::Object(keyed.into_iter().collect())
        }
        // ksqlDB's own runner has no text for bytes that are not there.
        Value::Bytes(bytes) if bytes.is_empty() => Json::Null,
        single => of_value(single, field),
    }
}

fn of_double(number: f64) -> Json {
    match number {
        _ if number.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ => json!(number),
    }
}

fn of_value(value: &Value, field: &FieldDescriptor) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I32(number) => json!(number),
        Value::I64(number) => json!(number),
        Value::U32(number) => json!(number),
        Value::U64(number) => json!(*number as i64),
        Value::F32(number) => of_double(f64::from(*number)),
        Value::F64(number) => of_double(*number),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!(BASE64.encode(bytes)),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(of) => of.get_value(*number).map_or(Json::Null, |symbol| json!(symbol.name())),
            _ => Json::Null,
        },
        Value::Message(message) => of_special(message).unwrap_or_else(|| of_message(message)),
        Value::List(_) | Value::Map(_) => Json::Null,
    }
}

/// Of a message that stands for a single value.
fn of_special(message: &DynamicMessage) -> Option<Json> {
    let number = |name: &str| match message.get_field_by_name(name).as_deref() {
        Some(Value::I32(number)) => i64::from(*number),
        Some(Value::I64(number)) => *number,
        _ => 0,
    };
    let descriptor = message.descriptor();
    Some(match descriptor.full_name() {
        "confluent.type.Decimal" => {
            let bytes = message.get_field_by_name("value")?.into_owned();
            let unscaled = BigInt::from_signed_bytes_be(bytes.as_bytes()?);
            serde_json::from_str(&BigDecimal::new(unscaled, number("scale")).to_plain_string()).ok()?
        }
        "google.type.Date" => {
            let part = |name: &str| u32::try_from(number(name)).unwrap_or_default();
            json!(days_from_civil(number("year"), part("month"), part("day")))
        }
        "google.type.TimeOfDay" => {
            let seconds = (number("hours") * 60 + number("minutes")) * 60 + number("seconds");
            json!(seconds * 1_000 + number("nanos") / 1_000_000)
        }
        "google.protobuf.Timestamp" => json!(number("seconds") * 1_000 + number("nanos") / 1_000_000),
        name if is_wrapper(name) => {
            let field = descriptor.get_field_by_name("value")?;
            of_value(&message.get_field(&field), &field)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tidemill_engine::registry::{Schema, SchemaKind};

    use super::*;

    #[test]
    fn specs_go_there_and_back() {
        let text = "syntax = \"proto3\"; import \"google/type/date.proto\"; import \"google/type/timeofday.proto\"; \
                    import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\"; import \"confluent/type/decimal.proto\"; \
                    message Other { } message M { int32 i = 1; google.type.Date da = 2; google.type.TimeOfDay t = 3; \
                    google.protobuf.Timestamp ts = 4; google.protobuf.Int64Value w = 5; confluent.type.Decimal de = 6 [(confluent.field_meta) \
                    = { params: [{ key: \"scale\", value: \"3\" }] }]; repeated string l = 7; map<string, double> m = 8; repeated XEntry x = 9; \
                    message XEntry { string key = 1; int32 value = 2; } oneof pick { int32 a = 10; string b = 11; } optional int32 none = 12; E e = 13; \
                    enum E { Z = 0; ONE = 1; } bytes by = 14; }";
        let schema = Schema::new(SchemaKind::Protobuf, text);
        let schema = CodecSchema { schema: &schema, full_name: Some("M"), is_framed: true };
        let spec = json!({
            "pick_0": { "b": "" }, "i": -1, "da": -10, "t": 86_399_999, "ts": -1, "w": 0, "de": serde_json::from_str::<Json>("1.500").unwrap(),
            "l": ["", "x"], "m": { "a": 1.5 }, "x": { "k": 0 }, "none": null, "e": "ONE", "by": "AP8=",
        });
        let bytes = ProtobufCodec.encode(&spec, &schema).unwrap();
        assert_eq!(bytes[..2], [2, 2]);
        assert_eq!(ProtobufCodec.decode(&bytes, &schema), Ok(spec));
        let nothing = ProtobufCodec.decode(&[2, 2], &schema).unwrap();
        assert_eq!((&nothing["i"], &nothing["da"], &nothing["l"], &nothing["e"]), (&json!(0), &Json::Null, &json!([]), &json!("Z")));
    }
}
