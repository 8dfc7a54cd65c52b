//! Guesses the format of a topic's keys or values from their bytes, for PRINT.
//!
//! Every format begins as possible; each record strikes off those that it can't be. What is left is named, and the first
//! of it is how records are shown. A guess stays a guess: eight bytes are a BIGINT, a DOUBLE, and often text as well.

use std::fmt::Write;

use serde_json::Value as Tree;

use super::windowed_key::split_window;
use crate::plan::WindowedKey;
use crate::row::Window;
use crate::types::text::{write_double, write_i32, write_i64};

/// Windows that begin past this are no windows: the year 10000, milliseconds.
const MAX_WINDOW_MS: i64 = 253_402_300_800_000;

/// First byte of what serializers of the schema registry write; 4 bytes of schema id follow.
const REGISTRY_MAGIC: u8 = 0;
const REGISTRY_HEADER_BYTES: usize = 5;

const NO_DATA: &str = "¯\\_(ツ)_/¯ - no data processed";

/// What bytes may be, in the order in which they are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Json,
    KafkaInt,
    KafkaBigInt,
    KafkaDouble,
    Session,
    Hopping,
    Tumbling,
    KafkaString,
    /// Bytes with the header of the schema registry. Without a registry there is no telling which of its formats.
    Registry,
}

const KEY: &[Candidate] = &[
    Candidate::Json,
    Candidate::KafkaInt,
    Candidate::KafkaBigInt,
    Candidate::KafkaDouble,
    Candidate::Session,
    Candidate::Hopping,
    Candidate::Tumbling,
    Candidate::KafkaString,
    Candidate::Registry,
];
const VALUE: &[Candidate] =
    &[Candidate::Json, Candidate::KafkaInt, Candidate::KafkaBigInt, Candidate::KafkaDouble, Candidate::KafkaString, Candidate::Registry];

impl Candidate {
    fn name(self) -> &'static str {
        match self {
            Candidate::Json => "JSON",
            Candidate::KafkaInt => "KAFKA_INT",
            Candidate::KafkaBigInt => "KAFKA_BIGINT",
            Candidate::KafkaDouble => "KAFKA_DOUBLE",
            Candidate::Session => "SESSION(KAFKA_STRING)",
            Candidate::Hopping => "HOPPING(KAFKA_STRING)",
            Candidate::Tumbling => "TUMBLING(KAFKA_STRING)",
            Candidate::KafkaString => "KAFKA_STRING",
            Candidate::Registry => "AVRO or JSON_SR or PROTOBUF",
        }
    }

    /// The bytes as text, if they can be of this format.
    fn show(self, bytes: &[u8]) -> Option<String> {
        let mut text = String::new();
        match self {
            Candidate::Json => return serde_json::from_slice::<Tree>(bytes).ok().map(|tree| tree.to_string()),
            Candidate::KafkaInt => write_i32(i32::from_be_bytes(bytes.try_into().ok()?), &mut text),
            Candidate::KafkaBigInt => write_i64(i64::from_be_bytes(bytes.try_into().ok()?), &mut text),
            Candidate::KafkaDouble => write_double(f64::from_be_bytes(bytes.try_into().ok()?), &mut text),
            Candidate::KafkaString => return std::str::from_utf8(bytes).ok().map(Into::into),
            Candidate::Session => {
                let (key, window) = windowed(bytes, WindowedKey::Session)?;
                if !(window.start..MAX_WINDOW_MS).contains(&window.end) {
                    return None;
                }
                return Some(format!("[{key}@{}/{}]", window.start, window.end));
            }
            Candidate::Hopping | Candidate::Tumbling => {
                let (key, window) = windowed(bytes, WindowedKey::Time { size_ms: 0 })?;
                return Some(format!("[{key}@{}/-]", window.start));
            }
            Candidate::Registry => {
                let is_framed = bytes.first() == Some(&REGISTRY_MAGIC) && bytes.len() > REGISTRY_HEADER_BYTES;
                return is_framed.then(|| show_bytes(bytes));
            }
        }
        Some(text)
    }
}

/// The text of a windowed key, where the bytes may well be one.
fn windowed(bytes: &[u8], kind: WindowedKey) -> Option<(&str, Window)> {
    let (key, window) = split_window(bytes, kind).ok()?;
    let key = std::str::from_utf8(key).ok().filter(|key| !key.is_empty())?;
    (0..MAX_WINDOW_MS).contains(&window.start).then_some((key, window))
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
    pub fn observe(&mut self, bytes: Option<&[u8]>) -> bool {
        let Some(bytes) = bytes else { return false };
        let before = self.names();
        self.has_seen = true;
        self.possible.retain(|candidate| candidate.show(bytes).is_some());
        self.names() != before
    }

    /// The possible formats as PRINT names them: `JSON or KAFKA_STRING`.
    pub fn names(&self) -> String {
        if !self.has_seen {
            return NO_DATA.into();
        }
        let certain: Vec<&str> = self.certain().map(Candidate::name).collect();
        if certain.is_empty() { "UNRECOGNISED_BYTES".into() } else { certain.join(" or ") }
    }

    /// A key or value as PRINT shows it: by the first possible format, else by whatever it can be read as.
    pub fn show(&self, bytes: Option<&[u8]>) -> String {
        let Some(bytes) = bytes else { return "<null>".into() };
        self.certain().find_map(|candidate| candidate.show(bytes)).unwrap_or_else(|| show_bytes(bytes))
    }

    /// What is possible; the registry's formats only where nothing else is, for a small number looks like them.
    fn certain(&self) -> impl Iterator<Item = Candidate> + '_ {
        let only_registry = self.possible.as_slice() == [Candidate::Registry];
        self.possible.iter().copied().filter(move |candidate| *candidate != Candidate::Registry || only_registry)
    }
}

/// Printable ASCII as it is, all else as `\xHH`.
fn show_bytes(bytes: &[u8]) -> String {
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

    fn detect(is_key: bool, records: &[&[u8]]) -> (String, String) {
        let mut detector = FormatDetector::new(is_key);
        for record in records {
            detector.observe(Some(record));
        }
        (detector.names(), detector.show(records.last().copied()))
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
            (false, &[0xff, b'a', b'\\'], "UNRECOGNISED_BYTES", "\\xFFa\\x5C"),
        ];
        for (is_key, record, names, shown) in cases {
            assert_eq!(detect(*is_key, &[record]), (names.to_string(), shown.to_string()));
        }
        let (names, shown) = detect(true, &[&session]);
        assert!(names.starts_with("SESSION(KAFKA_STRING)"), "{names}");
        assert_eq!(shown, "[k@10/20]");
    }

    #[test]
    fn the_guess_narrows() {
        let mut detector = FormatDetector::new(false);
        assert_eq!(detector.names(), NO_DATA);
        assert!(!detector.observe(None));
        assert_eq!(detector.show(None), "<null>");
        assert!(detector.observe(Some(b"{\"A\":1,\"B\":2}")));
        assert!(!detector.observe(Some(b"[1]")));
        assert_eq!(detector.names(), "JSON or KAFKA_STRING");
        assert!(detector.observe(Some(b"text")));
        assert_eq!(detector.names(), "KAFKA_STRING");
        assert!(detector.observe(Some(b"\xff")));
        assert_eq!((detector.names().as_str(), detector.show(Some(b"text"))), ("UNRECOGNISED_BYTES", "text".into()));
    }
}
