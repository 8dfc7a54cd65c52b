//! Specs of AVRO, by way of the Avro library's own values: nothing of the engine's codec is used.
//!
//! A record is an object whose members are looked up by the field's name, whatever the case of its letters; a map whose keys
//! may be null, which Kafka Connect writes as an array of entries, is an object too. Bytes are base64, decimals numbers with
//! all digits of their scale, times and dates numbers of their unit.

use std::collections::HashMap;
use std::str::FromStr;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordSchema, ResolvedSchema, UuidSchema};
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use serde_json::{Map, Number, Value as Json, json};
use tidemill_engine::registry;

use super::{CodecSchema, SchemaCodec};

pub(super) struct AvroCodec;

impl SchemaCodec for AvroCodec {
    fn encode(&self, spec: &Json, schema: &CodecSchema<'_>) -> Result<Vec<u8>, String> {
        let parsed = Parsed::of(schema.schema)?;
        let types = parsed.types()?;
        let value = types.to_avro(spec, &parsed.root)?;
        let writer = GenericDatumWriter::builder(&parsed.root).schemata(parsed.all()).map_err(text)?.build().map_err(text)?;
        writer.write_value_to_vec(value).map_err(|error| format!("{spec} is not of the schema {}: {error}", schema.schema.text))
    }

    fn decode(&self, mut payload: &[u8], schema: &CodecSchema<'_>) -> Result<Json, String> {
        let parsed = Parsed::of(schema.schema)?;
        let types = parsed.types()?;
        let reader = GenericDatumReader::builder(&parsed.root).writer_schemata(parsed.all()).map_err(text)?.build().map_err(text)?;
        let value = reader.read_value(&mut payload).map_err(|error| format!("no value of {}: {error}", schema.schema.text))?;
        if !payload.is_empty() {
            return Err(format!("{} bytes are left behind a value of {}", payload.len(), schema.schema.text));
        }
        types.to_json(&value, &parsed.root)
    }
}

fn text(error: apache_avro::Error) -> String {
    error.to_string()
}

/// A schema with those that it refers to.
struct Parsed {
    root: Schema,
    others: Vec<Schema>,
}

impl Parsed {
    fn of(schema: &registry::Schema) -> Result<Self, String> {
        let mut texts = Vec::new();
        add_references(schema, &mut texts);
        let (root, others) = Schema::parse_str_with_list(&schema.text, &texts).map_err(text)?;
        Ok(Parsed { root, others })
    }

    fn all(&self) -> Vec<&Schema> {
        self.others.iter().chain([&self.root]).collect()
    }

    fn types(&self) -> Result<Types<'_>, String> {
        let resolved = ResolvedSchema::new_with_schemata(self.all()).map_err(text)?;
        Ok(Types { names: resolved.get_names().iter().map(|(name, schema)| (name.clone(), *schema)).collect() })
    }
}

fn add_references<'s>(schema: &'s registry::Schema, texts: &mut Vec<&'s str>) {
    for reference in &schema.references {
        add_references(&reference.schema, texts);
        if !texts.contains(&reference.schema.text.as_str()) {
            texts.push(&reference.schema.text);
        }
    }
}

struct Types<'s> {
    names: HashMap<Name, &'s Schema>,
}

impl<'s> Types<'s> {
    fn follow(&self, schema: &'s Schema) -> Result<&'s Schema, String> {
        match schema {
            Schema::Ref { name } => self.names.get(name).copied().ok_or_else(|| format!("there is no {name}")),
            _ => Ok(schema),
        }
    }

    fn to_avro(&self, spec: &Json, schema: &'s Schema) -> Result<Avro, String> {
        let wrong = || format!("{spec} is no {schema:?}");
        let integer = || number(spec)?.parse::<i64>().ok();
        let small = || integer().and_then(|value| i32::try_from(value).ok());
        let double = || number(spec)?.parse::<f64>().ok();
        let value = match self.follow(schema)? {
            Schema::Union(union) => {
                let mut branches = (0u32..).zip(union.variants());
                let found = branches.find_map(|(index, branch)| Some(Avro::Union(index, Box::new(self.to_avro(spec, branch).ok()?))));
                return found.ok_or_else(wrong);
            }
            Schema::Null => spec.is_null().then_some(Avro::Null),
            _ if spec.is_null() => None,
            Schema::Boolean => spec.as_bool().or_else(|| spec.as_str()?.parse().ok()).map(Avro::Boolean),
            Schema::Int => small().map(Avro::Int),
            Schema::Date => small().map(Avro::Date),
            Schema::TimeMillis => small().map(Avro::TimeMillis),
            Schema::Long => integer().map(Avro::Long),
            Schema::TimeMicros => integer().map(Avro::TimeMicros),
            Schema::TimestampMillis => integer().map(Avro::TimestampMillis),
            Schema::TimestampMicros => integer().map(Avro::TimestampMicros),
            Schema::TimestampNanos => integer().map(Avro::TimestampNanos),
            Schema::LocalTimestampMillis => integer().map(Avro::LocalTimestampMillis),
            Schema::LocalTimestampMicros => integer().map(Avro::LocalTimestampMicros),
            Schema::LocalTimestampNanos => integer().map(Avro::LocalTimestampNanos),
            Schema::Float => double().map(|value| Avro::Float(value as f32)),
            Schema::Double => double().map(Avro::Double),
            Schema::String | Schema::Uuid(UuidSchema::String) => {
                Some(Avro::String(spec.as_str().map_or_else(|| spec.to_string(), str::to_owned)))
            }
            Schema::Bytes => bytes(spec).map(Avro::Bytes),
            Schema::Fixed(of) => bytes(spec).map(|bytes| Avro::Fixed(of.size, bytes)),
            Schema::Enum(of) => {
                let symbol = spec.as_str().ok_or_else(wrong)?;
                let index = of.symbols.iter().position(|known| known == symbol).and_then(|index| u32::try_from(index).ok());
                index.map(|index| Avro::Enum(index, symbol.to_owned()))
            }
            Schema::Decimal(of) => {
                let number = number(spec).and_then(|text| BigDecimal::from_str(&text).ok()).ok_or_else(wrong)?;
                let (unscaled, _) = number.with_scale(i64::try_from(of.scale).unwrap_or(0)).into_bigint_and_exponent();
                let mut bytes = unscaled.to_signed_bytes_be();
                if let InnerDecimalSchema::Fixed(fixed) = &of.inner {
                    let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
                    let filling = fixed.size.saturating_sub(bytes.len());
                    bytes.splice(0..0, std::iter::repeat_n(sign, filling));
                }
                Some(Avro::Decimal(Decimal::from(bytes)))
            }
            Schema::Array(array) => match (spec, self.follow(&array.items)?) {
                (Json::Object(members), Schema::Record(entry)) if is_map_entry(entry) => {
                    let entry = |(key, value): (&String, &Json)| self.record(entry, &[("key", &json!(key)), ("value", value)]);
                    Some(Avro::Array(members.iter().map(entry).collect::<Result<_, _>>()?))
                }
                (Json::Array(items), _) => {
                    Some(Avro::Array(items.iter().map(|item| self.to_avro(item, &array.items)).collect::<Result<_, _>>()?))
                }
                _ => None,
            },
            Schema::Map(map) => {
                let members = spec.as_object().ok_or_else(wrong)?;
                let member = |(key, value): (&String, &Json)| Ok((key.clone(), self.to_avro(value, &map.types)?));
                Some(Avro::Map(members.iter().map(member).collect::<Result<_, String>>()?))
            }
            Schema::Record(record) => {
                let members = spec.as_object().ok_or_else(wrong)?;
                let members: Vec<(&str, &Json)> = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
                Some(self.record(record, &members)?)
            }
            _ => None,
        };
        value.ok_or_else(wrong)
    }

    fn record(&self, record: &'s RecordSchema, members: &[(&str, &Json)]) -> Result<Avro, String> {
        let field = |field: &'s apache_avro::schema::RecordField| {
            let exact = members.iter().find(|(name, _)| *name == field.name);
            let found = exact.or_else(|| members.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name)));
            let spec = found.map(|(_, spec)| *spec).or(field.default.as_ref()).unwrap_or(&Json::Null);
            Ok((field.name.clone(), self.to_avro(spec, &field.schema)?))
        };
        record.fields.iter().map(field).collect::<Result<_, String>>().map(Avro::Record)
    }

    fn to_json(&self, value: &Avro, schema: &'s Schema) -> Result<Json, String> {
        Ok(match (value, self.follow(schema)?) {
            (Avro::Union(index, value), Schema::Union(union)) => {
                let branch = usize::try_from(*index).ok().and_then(|index| union.variants().get(index));
                self.to_json(value, branch.ok_or("a branch that is not there")?)?
            }
            (Avro::Null, _) => Json::Null,
            (Avro::Boolean(value), _) => json!(value),
            (Avro::Int(value) | Avro::Date(value) | Avro::TimeMillis(value), _) => json!(value),
            (
                Avro::Long(value)
                | Avro::TimeMicros(value)
                | Avro::TimestampMillis(value)
                | Avro::TimestampMicros(value)
                | Avro::TimestampNanos(value)
                | Avro::LocalTimestampMillis(value)
                | Avro::LocalTimestampMicros(value)
                | Avro::LocalTimestampNanos(value),
                _,
            ) => json!(value),
            (Avro::Float(value), _) => json!(value),
            (Avro::Double(value), _) if value.is_finite() => json!(value),
            (Avro::Double(value), _) => json!(if value.is_nan() {
                "NaN"
            } else if *value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            (Avro::String(value) | Avro::Enum(_, value), _) => json!(value),
            (Avro::Uuid(value), _) => json!(value.to_string()),
            (Avro::Bytes(value) | Avro::Fixed(_, value), _) => json!(BASE64.encode(value)),
            (Avro::Decimal(value), Schema::Decimal(of)) => {
                let unscaled = BigInt::from_signed_bytes_be(&Vec::<u8>::try_from(value.clone()).map_err(text)?);
                let number = BigDecimal::new(unscaled, i64::try_from(of.scale).unwrap_or(0)).to_plain_string();
                Json::Number(Number::from_str(&number).map_err(|error| error.to_string())?)
            }
            (Avro::Array(items), Schema::Array(array)) => {
                let entry = match self.follow(&array.items)? {
                    Schema::Record(record) => is_map_entry(record),
                    _ => false,
                };
                let items = items.iter().map(|item| self.to_json(item, &array.items)).collect::<Result<Vec<_>, _>>()?;
                if entry { Json::Object(items.into_iter().map(member).collect()) } else { Json::Array(items) }
            }
            (Avro::Map(entries), Schema::Map(map)) => {
                let entry = |(key, value): (&String, &Avro)| Ok((key.clone(), self.to_json(value, &map.types)?));
                Json::Object(entries.iter().map(entry).collect::<Result<Map<_, _>, String>>()?)
            }
            (Avro::Record(values), Schema::Record(record)) => {
                let field = |((name, value), field): (&(String, Avro), &'s apache_avro::schema::RecordField)| {
                    Ok((name.clone(), self.to_json(value, &field.schema)?))
                };
                Json::Object(values.iter().zip(&record.fields).map(field).collect::<Result<Map<_, _>, String>>()?)
            }
            (value, schema) => return Err(format!("{value:?} is no {schema:?}")),
        })
    }
}

/// Whether an array of these records is a map, as Kafka Connect writes those whose keys may be null.
fn is_map_entry(record: &RecordSchema) -> bool {
    record.name.fullname(None) == "io.confluent.connect.avro.MapEntry"
        || record.attributes.get("connect.internal.type").is_some_and(|kind| kind == "MapEntry")
}

/// The member of an object that an entry stands for.
fn member(entry: Json) -> (String, Json) {
    let key = match &entry["key"] {
        Json::String(key) => key.clone(),
        other => other.to_string(),
    };
    (key, entry["value"].clone())
}

/// A number's text, quoted or not.
fn number(spec: &Json) -> Option<String> {
    match spec {
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn bytes(spec: &Json) -> Option<Vec<u8>> {
    BASE64.decode(spec.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_engine::registry::SchemaKind;

    #[test]
    fn specs_there_and_back() {
        let schema = json!({ "type": "record", "name": "r", "fields": [
            { "name": "I", "type": ["null", "int"] },
            { "name": "S", "type": "string" },
            { "name": "B", "type": "bytes" },
            { "name": "D", "type": { "type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 4 } },
            { "name": "T", "type": { "type": "int", "logicalType": "time-millis" } },
            { "name": "L", "type": { "type": "long", "logicalType": "local-timestamp-millis" } },
            { "name": "U", "type": { "type": "string", "logicalType": "uuid" } },
            { "name": "M", "type": { "type": "array", "items": {
                "type": "record", "name": "m", "connect.internal.type": "MapEntry",
                "fields": [{ "name": "key", "type": ["null", "string"] }, { "name": "value", "type": ["null", "m2"] }],
            } } },
        ] });
        let inner = r#"{"type":"record","name":"m2","fields":[{"name":"x","type":"long"}]}"#;
        let reference = registry::Reference {
            name: "m2".into(),
            subject: "m2".into(),
            version: 1,
            schema: registry::Schema::new(SchemaKind::Avro, inner).into(),
        };
        let schema = registry::Schema { kind: SchemaKind::Avro, text: schema.to_string(), references: vec![reference] };
        let schema = CodecSchema { schema: &schema, full_name: None, is_framed: true };
        let spec = json!({ "i": "7", "S": 3, "B": "AAE=", "D": "10", "T": 5, "L": 7, "U": "550e8400-e29b-41d4-a716-446655440000", "M": { "k": { "x": 1 }, "n": null } });
        let payload = AvroCodec.encode(&spec, &schema).unwrap();
        let back = AvroCodec.decode(&payload, &schema).unwrap();
        let expected =
            r#"{"I":7,"S":"3","B":"AAE=","D":10.0000,"T":5,"L":7,"U":"550e8400-e29b-41d4-a716-446655440000","M":{"k":{"x":1},"n":null}}"#;
        assert_eq!(back.to_string(), expected);
        assert!(AvroCodec.encode(&json!({ "S": "x" }), &schema).is_err(), "a required field is missing");
        assert!(AvroCodec.decode(&payload[1..], &schema).is_err());
    }
}
