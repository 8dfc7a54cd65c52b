//! Guesses the format of a topic's keys or values from their bytes, for PRINT.
//!
//! Every format begins as possible; each record strikes off those that it can't be. What is left is named, and the first
//! of it is how records are shown. A guess stays a guess: eight bytes are a BIGINT, a DOUBLE, and often text as well. What
//! stands behind the id of a schema is surer, where the registry knows the schema.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::Value as Tree;

use super::Printer;
use super::windowed_key::split_window;
use crate::plan::WindowedKey;
use crate::registry::{Schema, SchemaId, SchemaKind};
use crate::row::Window;
use crate::types::text::{write_double, write_i32, write_i64};

/// Windows that begin past this are no windows: the year 10000, milliseconds.
const MAX_WINDOW_MS: i64 = 253_402_300_800_000;
/// Schemas that are remembered while a topic is printed.
const MAX_SCHEMAS: usize = 1_000;

const NO_DATA: &str = "¯\\_(ツ)_/¯ - no data processed";

/// What bytes may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Avro,
    Protobuf,
    Json,
    JsonSr,
    KafkaInt,
    KafkaBigInt,
    KafkaDouble,
    KafkaString,
}

/// What keys or values may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Plain(Plain),
    Session(Plain),
    Hopping(Plain),
    Tumbling(Plain),
    /// Bytes with the header of the schema registry, which does not know the schema.
    Registry,
}

use Candidate::{Hopping, Registry, Session, Tumbling};

const fn plain(plain: Plain) -> Candidate {
    Candidate::Plain(plain)
}

/// In the order in which they are named.
const KEY: &[Candidate] = &[
    Session(Plain::Avro),
    Hopping(Plain::Avro),
    Tumbling(Plain::Avro),
    plain(Plain::Avro),
    Session(Plain::Protobuf),
    Hopping(Plain::Protobuf),
    Tumbling(Plain::Protobuf),
    plain(Plain::Protobuf),
    plain(Plain::Json),
    Session(Plain::JsonSr),
    Hopping(Plain::JsonSr),
    Tumbling(Plain::JsonSr),
    plain(Plain::JsonSr),
    plain(Plain::KafkaInt),
    plain(Plain::KafkaBigInt),
    plain(Plain::KafkaDouble),
    Session(Plain::KafkaString),
    Hopping(Plain::KafkaString),
    Tumbling(Plain::KafkaString),
    plain(Plain::KafkaString),
    Registry,
];
const VALUE: &[Candidate] = &[
    plain(Plain::Avro),
    plain(Plain::Protobuf),
    plain(Plain::Json),
    plain(Plain::JsonSr),
    plain(Plain::KafkaInt),
    plain(Plain::KafkaBigInt),
    plain(Plain::KafkaDouble),
    plain(Plain::KafkaString),
    Registry,
];

/// Schemas that records of a topic name by their ids.
#[derive(Clone, Default)]
pub struct ShownSchemas {
    /// `None`: the registry does not know it.
    known: HashMap<SchemaId, Option<Shown>>,
}

/// A schema that the registry knows.
#[derive(Clone)]
struct Shown {
    kind: SchemaKind,
    /// `None`: it is not well formed, so nothing is of it.
    printer: Option<Printer>,
}

impl ShownSchemas {
    /// The schema that bytes may name and that is to be asked for.
    pub fn missing(&self, bytes: Option<&[u8]>) -> Option<SchemaId> {
        let (id, _) = framed(bytes?)?;
        (id.0 > 0 && self.known.len() < MAX_SCHEMAS && !self.known.contains_key(&id)).then_some(id)
    }

    /// Remembers the registry's answer; `None`: it does not know the schema.
    pub fn learn(&mut self, id: SchemaId, schema: Option<Arc<Schema>>) {
        self.known.insert(id, schema.map(|schema| Shown { kind: schema.kind, printer: printer(&schema) }));
    }

    fn get(&self, id: SchemaId) -> Option<&Shown> {
        self.known.get(&id)?.as_ref()
    }
}

/// The id of a schema and what stands behind it.
fn framed(bytes: &[u8]) -> Option<(SchemaId, &[u8])> {
    match bytes {
        [0, a, b, c, d, rest @ ..] if !rest.is_empty() => Some((SchemaId(i32::from_be_bytes([*a, *b, *c, *d])), rest)),
        _ => None,
    }
}

impl Plain {
    fn name(self) -> &'static str {
        match self {
            Plain::Avro => "AVRO",
            Plain::Protobuf => "PROTOBUF",
            Plain::Json => "JSON",
            Plain::JsonSr => "JSON_SR",
            Plain::KafkaInt => "KAFKA_INT",
            Plain::KafkaBigInt => "KAFKA_BIGINT",
            Plain::KafkaDouble => "KAFKA_DOUBLE",
            Plain::KafkaString => "KAFKA_STRING",
        }
    }

    /// The bytes as text, if they can be of this format.
    fn show(self, bytes: &[u8], schemas: &ShownSchemas) -> Option<String> {
        let mut text = String::new();
        match self {
            Plain::Avro => return with_schema(bytes, schemas, SchemaKind::Avro),
            Plain::Protobuf => return with_schema(bytes, schemas, SchemaKind::Protobuf),
            Plain::JsonSr => return with_schema(bytes, schemas, SchemaKind::Json),
            Plain::Json => return serde_json::from_slice::<Tree>(bytes).ok().map(|tree| tree.to_string()),
            Plain::KafkaInt => write_i32(i32::from_be_bytes(bytes.try_into().ok()?), &mut text),
            Plain::KafkaBigInt => write_i64(i64::from_be_bytes(bytes.try_into().ok()?), &mut text),
            Plain::KafkaDouble => write_double(f64::from_be_bytes(bytes.try_into().ok()?), &mut text),
            Plain::KafkaString => return std::str::from_utf8(bytes).ok().map(Into::into),
        }
        Some(text)
    }
}

/// What stands behind the id of a schema of that kind.
fn with_schema(bytes: &[u8], schemas: &ShownSchemas, kind: SchemaKind) -> Option<String> {
    let (id, payload) = framed(bytes)?;
    let shown = schemas.get(id).filter(|shown| shown.kind == kind)?;
    shown.printer.as_ref()?(payload).ok()
}

/// How payloads of a schema are shown.
fn printer(schema: &Schema) -> Option<Printer> {
    if schema.kind == SchemaKind::Json {
        let tree = |payload: &[u8]| serde_json::from_slice::<Tree>(payload).map(|tree| tree.to_string());
        return Some(Arc::new(move |payload| tree(payload).map_err(|error| error.to_string())));
    }
    let mut formats = super::ALL.iter().filter_map(|format| format.schemas());
    formats.find(|support| support.kind() == Some(schema.kind))?.printer(schema).ok()
}

impl Candidate {
    fn name(self) -> String {
        match self {
            Candidate::Plain(plain) => plain.name().to_owned(),
            Session(plain) => format!("SESSION({})", plain.name()),
            Hopping(plain) => format!("HOPPING({})", plain.name()),
            Tumbling(plain) => format!("TUMBLING({})", plain.name()),
            Registry => "AVRO or JSON_SR or PROTOBUF".to_owned(),
        }
    }

    /// The bytes as text, if they can be of this format.
    fn show(self, bytes: &[u8], schemas: &ShownSchemas) -> Option<String> {
        match self {
            Candidate::Plain(plain) => plain.show(bytes, schemas),
            Session(plain) => {
                let (key, window) = windowed(bytes, WindowedKey::Session)?;
                if !(window.start..MAX_WINDOW_MS).contains(&window.end) {
                    return None;
                }
                Some(format!("[{}@{}/{}]", plain.show(key, schemas)?, window.start, window.end))
            }
            Hopping(plain) | Tumbling(plain) => {
                let (key, window) = windowed(bytes, WindowedKey::Time { size_ms: 0 })?;
                Some(format!("[{}@{}/-]", plain.show(key, schemas)?, window.start))
            }
            Registry => framed(bytes).filter(|(id, _)| schemas.get(*id).is_none()).map(|_| show_bytes(bytes)),
        }
    }
}

/// A windowed key, where the bytes may well be one.
fn windowed(bytes: &[u8], kind: WindowedKey) -> Option<(&[u8], Window)> {
    let (key, window) = split_window(bytes, kind).ok()?;
    (!key.is_empty() && (0..MAX_WINDOW_MS).contains(&window.start)).then_some((key, window))
}

/// Guesses the format of the keys, or of the values, of one topic.
#[derive(Debug, Clone)]
pub struct FormatDetector {
    possible: Vec<Candidate>,
    has_seen: bool,
}

impl FormatDetector {
    pub fn new(is_key: bool) -> Self {
        FormatDetector { possible: if is_key { KEY } else { VALUE }.to_vec(), has_seen: false }
    }

    /// Takes a record into account (null tells nothing), and says whether [`FormatDetector::names`] changed.
    pub fn observe(&mut self, bytes: Option<&[u8]>, schemas: &ShownSchemas) -> bool {
        let Some(bytes) = bytes else { return false };
        let before = self.names();
        self.has_seen = true;
        self.possible.retain(|candidate| candidate.show(bytes, schemas).is_some());
        self.names() != before
    }

    /// The possible formats as PRINT names them: `JSON or KAFKA_STRING`.
    pub fn names(&self) -> String {
        if !self.has_seen {
            return NO_DATA.into();
        }
        let certain: Vec<String> = self.certain().map(Candidate::name).collect();
        if certain.is_empty() { "UNRECOGNISED_BYTES".into() } else { certain.join(" or ") }
    }

    /// A key or value as PRINT shows it: by the first possible format, else by whatever it can be read as.
    pub fn show(&self, bytes: Option<&[u8]>, schemas: &ShownSchemas) -> String {
        let Some(bytes) = bytes else { return "<null>".into() };
        self.certain().find_map(|candidate| candidate.show(bytes, schemas)).unwrap_or_else(|| show_bytes(bytes))
    }

    /// What is possible; unknown schemas only where nothing else is, for a small number looks like them.
    fn certain(&self) -> impl Iterator<Item = Candidate> + '_ {
        let only_registry = self.possible.as_slice() == [Registry];
        self.possible.iter().copied().filter(move |candidate| *candidate != Registry || only_registry)
    }
}

/// Printable ASCII as it is, all else as `\xHH`.
pub(super) fn show_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'\\' => text.push(char::from(*byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(text, "\\x{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schemas 1 (AVRO), 2 (JSON) and 4 (PROTOBUF); 9 is asked for in vain.
    fn known() -> ShownSchemas {
        let record = r#"{"type":"record","name":"r","fields":[{"name":"A","type":["null","int"]}]}"#;
        let mut schemas = ShownSchemas::default();
        schemas.learn(SchemaId(1), Some(Arc::new(Schema::new(SchemaKind::Avro, record))));
        schemas.learn(SchemaId(2), Some(Arc::new(Schema::new(SchemaKind::Json, "{}"))));
        let message = "syntax = \"proto3\"; message M { int32 I = 1; string S = 2; }";
        schemas.learn(SchemaId(4), Some(Arc::new(Schema::new(SchemaKind::Protobuf, message))));
        schemas.learn(SchemaId(9), None);
        schemas
    }

    fn detect(is_key: bool, records: &[&[u8]]) -> (String, String) {
        let schemas = known();
        let mut detector = FormatDetector::new(is_key);
        for record in records {
            detector.observe(Some(record), &schemas);
        }
        (detector.names(), detector.show(records.last().copied(), &schemas))
    }

    #[test]
    fn formats_and_how_they_show() {
        let windowed = [&b"k2"[..], &1_599_998_400_000i64.to_be_bytes()].concat();
        let session = [&b"k"[..], &20i64.to_be_bytes(), &10i64.to_be_bytes()].concat();
        let cases: &[(bool, &[u8], &str, &str)] = &[
            (true, b"k1", "KAFKA_STRING", "k1"),
            (false, b"{ \"A\" : 1.50, \"B\":\"x\"}", "JSON or KAFKA_STRING", "{\"A\":1.50,\"B\":\"x\"}"),
            (false, b"{\"X\":10}", "JSON or KAFKA_BIGINT or KAFKA_DOUBLE or KAFKA_STRING", "{\"X\":10}"),
            (true, &windowed, "HOPPING(KAFKA_STRING) or TUMBLING(KAFKA_STRING)", "[k2@1599998400000/-]"),
            (false, b"not json", "KAFKA_BIGINT or KAFKA_DOUBLE or KAFKA_STRING", "7957706749160681326"),
            (true, &[0, 0, 0, 200], "KAFKA_INT", "200"),
            (true, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0xff], "KAFKA_BIGINT or KAFKA_DOUBLE", "4609434218613702911"),
            (true, b"customer-0000000001", "KAFKA_STRING", "customer-0000000001"),
            (false, &[0, 0, 0, 0, 7, 0xff, 1], "AVRO or JSON_SR or PROTOBUF", "\\x00\\x00\\x00\\x00\\x07\\xFF\\x01"),
            (false, &[0, 0, 0, 0, 1, 2, 14], "AVRO or KAFKA_STRING", "{\"A\": 7}"),
            (false, &[0, 0, 0, 0, 1, 2, 0xf9, 0x0f], "AVRO or KAFKA_BIGINT or KAFKA_DOUBLE", "{\"A\": -1021}"),
            (false, b"\x00\x00\x00\x00\x02{ \"B\": 1 }", "JSON_SR or KAFKA_STRING", "{\"B\":1}"),
            (false, &[0, 0, 0, 0, 4, 0, 8, 2, 18, 1, b'x'], "PROTOBUF or KAFKA_STRING", "I: 2 S: \"x\""),
            (true, &[0, 0, 0, 0, 4, 0, 8, 0xff], "KAFKA_BIGINT or KAFKA_DOUBLE", "67111167"),
            (false, &[0xff, b'a', b'\\'], "UNRECOGNISED_BYTES", "\\xFFa\\x5C"),
        ];
        for (is_key, record, names, shown) in cases {
            assert_eq!(detect(*is_key, &[record]), (names.to_string(), shown.to_string()));
        }
        let avro = [&[0, 0, 0, 0, 1, 2, 14][..], &1_599_998_400_000i64.to_be_bytes()].concat();
        let (names, shown) = detect(true, &[&avro]);
        assert!(names.starts_with("HOPPING(AVRO) or TUMBLING(AVRO)"), "{names}");
        assert_eq!(shown, "[{\"A\": 7}@1599998400000/-]");
        let asked = [&[0, 0, 0, 0, 1, 2, 14][..], &[0, 0, 0, 0, 9, 1], &[0, 0, 0, 0, 3, 1], &5i64.to_be_bytes(), b"text"];
        let missing: Vec<_> = asked.iter().filter_map(|bytes| known().missing(Some(bytes))).collect();
        assert_eq!(missing, [SchemaId(3)]);
        let (names, shown) = detect(true, &[&session]);
        assert!(names.starts_with("SESSION(KAFKA_STRING)"), "{names}");
        assert_eq!(shown, "[k@10/20]");
    }

    #[test]
    fn the_guess_narrows() {
        let schemas = &ShownSchemas::default();
        let mut detector = FormatDetector::new(false);
        assert_eq!(detector.names(), NO_DATA);
        assert!(!detector.observe(None, schemas));
        assert_eq!(detector.show(None, schemas), "<null>");
        assert!(detector.observe(Some(b"{\"A\":1,\"B\":2}"), schemas));
        assert!(!detector.observe(Some(b"[1]"), schemas));
        assert_eq!(detector.names(), "JSON or KAFKA_STRING");
        assert!(detector.observe(Some(b"text"), schemas));
        assert_eq!(detector.names(), "KAFKA_STRING");
        assert!(detector.observe(Some(b"\xff"), schemas));
        assert_eq!((detector.names().as_str(), detector.show(Some(b"text"), schemas)), ("UNRECOGNISED_BYTES", "text".into()));
    }
}
