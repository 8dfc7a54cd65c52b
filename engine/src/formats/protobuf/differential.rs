//! The codec against the library's dynamic messages: random schemas, random messages, their fields shuffled, doubled and
//! broken. Where both read a payload they must read the same; whatever comes, nothing panics or goes on for ever.

use std::fmt::Write;
use std::sync::Arc;

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value as Proto};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::connect::{Member, declared, members};
use super::cursor::Cursor;
use super::*;
use crate::formats::{Field, LayoutSchemas};
use crate::plan::{SchemaSpec, WriteSchema};
use crate::registry::{MemoryRegistry, SchemaId, SchemaRegistry};
use crate::types::text::days_from_civil;
use crate::types::{MapValue, Value};

const SEEDS: u64 = 300;
const MESSAGES: usize = 4;

const SCALARS: &[&str] = &[
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
    "E",
    "google.protobuf.StringValue",
    "google.protobuf.UInt32Value",
    "google.protobuf.Timestamp",
    "google.type.Date",
];

/// A schema of a few messages, each of which refers to later ones only.
fn schema(random: &mut StdRng, has_maps: bool) -> String {
    let mut text = String::from(
        "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/timestamp.proto\"; \
         import \"google/type/date.proto\"; enum E { Z = 0; ONE = 1; FAR = -7; }\n",
    );
    for message in 0..MESSAGES {
        let _ = writeln!(text, "message M{message} {{");
        let mut numbers: Vec<u32> = (1..40).chain([255, 256, 300, 18_999, 536_870_911]).collect();
        numbers.shuffle(random);
        for field in 0..random.random_range(1..10) {
            let Some(number) = numbers.pop() else { break };
            let any = |random: &mut StdRng| match random.random_range(0..4) {
                0 if message + 1 < MESSAGES => format!("M{}", random.random_range(message + 1..MESSAGES)),
                _ => SCALARS.choose(random).copied().unwrap_or_default().to_owned(),
            };
            let one = any(random);
            let _ = match random.random_range(0..8) {
                0 | 1 => writeln!(text, "repeated {one} f{field} = {number};"),
                2 if !one.starts_with(['M', 'g', 's']) && !one.starts_with("by") => {
                    writeln!(text, "repeated {one} f{field} = {number} [packed = false];")
                }
                3 if has_maps => {
                    let key = ["string", "int32", "bool", "sint64"].choose(random).copied().unwrap_or_default();
                    writeln!(text, "map<{key}, {one}> f{field} = {number};")
                }
                4 => {
                    let Some(second) = numbers.pop() else { break };
                    let other = any(random);
                    writeln!(text, "oneof o{field} {{ {one} f{field} = {number}; {other} g{field} = {second}; }}")
                }
                5 => writeln!(text, "optional {one} f{field} = {number};"),
                _ => writeln!(text, "{one} f{field} = {number};"),
            };
        }
        text.push_str("}\n");
    }
    text
}

fn scalar(kind: &Kind, random: &mut StdRng) -> Proto {
    let small = [0, 1, -1, i32::MIN, i32::MAX, 300].choose(random).copied().unwrap_or_default();
    let long = [0, 1, -1, i64::MIN, i64::MAX, 1 << 40].choose(random).copied().unwrap_or_default();
    match kind {
        Kind::Double => Proto::F64([0.0, -0.0, 1.5, f64::MAX, f64::INFINITY].choose(random).copied().unwrap_or_default()),
        Kind::Float => Proto::F32([0.0, -0.0, 1.1, f32::MIN_POSITIVE].choose(random).copied().unwrap_or_default()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Proto::I32(small),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Proto::I64(long),
        Kind::Uint32 | Kind::Fixed32 => Proto::U32(small as u32),
        Kind::Uint64 | Kind::Fixed64 => Proto::U64(long as u64),
        Kind::Bool => Proto::Bool(random.random()),
        Kind::String => Proto::String("grün 😀 und mehr als fünfzehn".chars().take(random.random_range(0..30)).collect()),
        Kind::Bytes => Proto::Bytes(vec![small as u8; random.random_range(0..200)].into()),
        Kind::Enum(_) => Proto::EnumNumber([0, 1, -7].choose(random).copied().unwrap_or_default()),
        Kind::Message(message) => Proto::Message(message_of(message, random)),
    }
}

fn message_of(descriptor: &MessageDescriptor, random: &mut StdRng) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.type.Date" => {
            for (name, most) in [("year", 9999), ("month", 12), ("day", 28)] {
                message.set_field_by_name(name, Proto::I32(random.random_range(1..=most)));
            }
            return message;
        }
        "google.protobuf.Timestamp" => {
            message.set_field_by_name("seconds", Proto::I64(random.random_range(-1_000_000_000_000..1_000_000_000_000)));
            message.set_field_by_name("nanos", Proto::I32(random.random_range(0..1_000_000_000)));
            return message;
        }
        _ => {}
    }
    for field in descriptor.fields() {
        if random.random_range(0..4) == 0 {
            continue;
        }
        let value = if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let pairs = (0..random.random_range(0..4)).map(|_| {
                let key = match scalar(&entry.map_entry_key_field().kind(), random) {
                    Proto::Bool(key) => MapKey::Bool(key),
                    Proto::I32(key) => MapKey::I32(key),
                    Proto::I64(key) => MapKey::I64(key),
                    Proto::String(key) => MapKey::String(key),
                    other => panic!("{other:?} is no key"),
                };
                (key, scalar(&entry.map_entry_value_field().kind(), random))
            });
            Proto::Map(pairs.collect())
        } else if field.is_list() {
            Proto::List((0..random.random_range(0..5)).map(|_| scalar(&field.kind(), random)).collect())
        } else {
            scalar(&field.kind(), random)
        };
        message.set_field(&field, value);
    }
    message
}

/// What the columns of a message hold, by the library's own reading; `None`: a date that is none.
fn row_of(message: &DynamicMessage) -> Option<Vec<Value>> {
    let descriptor = message.descriptor();
    let value = |member: &Member| match member {
        Member::Union(oneof) => {
            let choices: Vec<FieldDescriptor> =
                declared(&descriptor).into_iter().filter(|field| field.containing_oneof().as_ref() == Some(oneof)).collect();
            if choices.iter().all(|field| !message.has_field(field)) {
                return Some(Value::Null);
            }
            let choice = |field: &FieldDescriptor| match message.has_field(field) {
                true => field_value(&message.get_field(field), &field.kind()),
                false => Some(Value::Null),
            };
            choices.iter().map(choice).collect::<Option<Vec<_>>>().map(Value::structure)
        }
        Member::Field(field) if field.supports_presence() && !message.has_field(field) => Some(Value::Null),
        Member::Field(field) => field_value(&message.get_field(field), &field.kind()),
    };
    members(&descriptor).iter().map(value).collect()
}

fn field_value(value: &Proto, kind: &Kind) -> Option<Value> {
    Some(match value {
        Proto::List(items) => Value::array(items.iter().map(|item| field_value(item, kind)).collect::<Option<_>>()?),
        Proto::Map(entries) => {
            let Kind::Message(entry) = kind else { return None };
            let mut map = MapValue::default();
            for (key, value) in entries {
                let key = match key {
                    MapKey::Bool(key) => key.to_string(),
                    MapKey::I32(key) => key.to_string(),
                    MapKey::I64(key) => key.to_string(),
                    MapKey::String(key) => key.clone(),
                    other => panic!("{other:?} is no key"),
                };
                map.insert(Value::string(key), field_value(value, &entry.map_entry_value_field().kind())?);
            }
            Value::Map(Arc::new(map))
        }
        Proto::Bool(value) => Value::Boolean(*value),
        Proto::I32(value) => Value::Int(*value),
        Proto::I64(value) => Value::BigInt(*value),
        Proto::U32(value) => Value::BigInt(i64::from(*value)),
        Proto::U64(value) => Value::BigInt(*value as i64),
        Proto::F32(value) => Value::Double(f64::from(*value)),
        Proto::F64(value) => Value::Double(*value),
        Proto::String(text) => Value::string(text.as_str()),
        Proto::Bytes(bytes) => Value::bytes(&bytes[..]),
        Proto::EnumNumber(number) => Value::string(match number {
            0 => "Z".to_owned(),
            1 => "ONE".to_owned(),
            -7 => "FAR".to_owned(),
            other => format!("UNKNOWN_ENUM_VALUE_E_{other}"),
        }),
        Proto::Message(message) => {
            let part = |name: &str| match message.get_field_by_name(name).as_deref() {
                Some(Proto::I32(number)) => i64::from(*number),
                Some(Proto::I64(number)) => *number,
                _ => 0,
            };
            match message.descriptor().full_name() {
                "google.protobuf.Timestamp" => Value::Timestamp(part("seconds").checked_mul(1_000)? + part("nanos").div_euclid(1_000_000)),
                "google.type.Date" => {
                    let days = days_from_civil(part("year"), part("month").try_into().ok()?, part("day").try_into().ok()?);
                    Value::Date(i32::try_from(days).ok()?)
                }
                name if name.starts_with("google.protobuf.") => {
                    let field = message.descriptor().get_field_by_name("value")?;
                    field_value(&message.get_field(&field), &field.kind())?
                }
                _ => Value::structure(row_of(message)?),
            }
        }
    })
}

/// The fields of a message, each with its tag.
fn segments(body: &[u8]) -> Vec<&[u8]> {
    let mut segments = Vec::new();
    let mut cursor = Cursor::new(body);
    while !cursor.is_at_end() {
        let start = body.len() - cursor.rest().len();
        let (number, wire) = cursor.tag().unwrap();
        cursor.skip(number, wire).unwrap();
        segments.push(&body[start..body.len() - cursor.rest().len()]);
    }
    segments
}

struct Bench {
    message: MessageDescriptor,
    layout: Layout,
    decoder: Box<dyn Decoder>,
    prefix: Vec<u8>,
}

impl Bench {
    fn new(text: &str) -> Self {
        let schema = Schema::new(SchemaKind::Protobuf, text);
        let registry = Arc::new(MemoryRegistry::default());
        let id = registry.register("t-value", &schema).unwrap();
        let Ok(Inferred::Columns(columns)) = PROTOBUF.columns_of(&schema, &SchemaShape::default()) else { panic!("no columns: {text}") };
        let fields = columns.into_iter().enumerate().map(|(slot, column)| Field::new(column, Some(slot))).collect();
        let spec = SchemaSpec { writes: Some(WriteSchema { id, schema: schema.clone() }), ..SchemaSpec::default() };
        let layout = Layout { fields, unwrapped: false, is_key: false, delimiter: None, schemas: Some(LayoutSchemas { registry, spec }) };
        let message = descriptors(&schema).unwrap().messages().next().unwrap();
        let prefix = frame::prefix(SchemaId(id.0), &message);
        Bench { message, decoder: PROTOBUF.decoder(&layout).unwrap(), layout, prefix }
    }

    fn read(&mut self, body: &[u8]) -> Result<Vec<Value>, String> {
        let mut row = vec![Value::Null; self.layout.fields.len()];
        self.decoder.decode(&[&self.prefix[..], body].concat(), &mut row).map_err(|error| error.to_string())?;
        Ok(row)
    }

    /// Whether both read the payload, and then the same.
    fn agree(&mut self, body: &[u8], what: &str) -> bool {
        let ours = self.read(body);
        let Ok(theirs) = DynamicMessage::decode(self.message.clone(), body) else { return false };
        match (ours, row_of(&theirs)) {
            (Ok(ours), Some(theirs)) => {
                assert_eq!(ours, theirs, "{what}: {body:?}");
                true
            }
            _ => false,
        }
    }
}

#[test]
fn both_read_and_write_the_same() {
    for seed in 0..SEEDS {
        let random = &mut StdRng::seed_from_u64(seed);
        let text = schema(random, true);
        let what = format!("seed {seed}:\n{text}");
        let mut bench = Bench::new(&text);
        let mut encoder = PROTOBUF.encoder(&bench.layout).unwrap();
        for _ in 0..5 {
            let body = message_of(&bench.message, random).encode_to_vec();
            assert!(bench.agree(&body, &what), "{what}: not read");
            // What we write they read.
            let row = bench.read(&body).unwrap();
            let mut written = Vec::new();
            encoder.encode(&row, &mut written).unwrap_or_else(|error| panic!("{what}: {error}"));
            let theirs = DynamicMessage::decode(bench.message.clone(), &written[bench.prefix.len()..]).unwrap();
            assert_eq!(row_of(&theirs), Some(row), "{what}");
            // In any order, and with a second message behind.
            let more = message_of(&bench.message, random).encode_to_vec();
            let both = [body.clone(), more].concat();
            assert!(bench.agree(&both, &what), "{what}: a sum is not read");
            let mut parts = segments(&both);
            parts.shuffle(random);
            assert!(bench.agree(&parts.concat(), &what), "{what}: a shuffled message is not read");
        }
    }
}

#[test]
fn broken_payloads_do_no_harm() {
    let mut agreed = 0;
    for seed in 0..SEEDS {
        let random = &mut StdRng::seed_from_u64(1_000 + seed);
        // The library takes an entry of a map whatever its tag says of how it is laid out, so with maps nothing is compared.
        let has_maps = seed % 2 == 0;
        let text = schema(random, has_maps);
        let what = format!("seed {seed}:\n{text}");
        let mut bench = Bench::new(&text);
        for _ in 0..100 {
            let mut body = message_of(&bench.message, random).encode_to_vec();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(0..=body.len());
                match random.random_range(0..5) {
                    0 => body.truncate(place),
                    1 => body.insert(place, random.random()),
                    2 => body.extend_from_within(place..),
                    3 if place < body.len() => body[place] = random.random(),
                    _ if place < body.len() => body[place] ^= 1 << random.random_range(0..8),
                    _ => {}
                }
            }
            if has_maps {
                let _ = bench.read(&body);
            } else {
                agreed += usize::from(bench.agree(&body, &what));
            }
        }
    }
    assert!(agreed > 1_000, "only {agreed} broken payloads were read by both");
}
