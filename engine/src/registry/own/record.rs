//! The topic's records as Confluent's registry writes them: JSON keys, which say what a record is about, and JSON values.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::super::compatibility::Level;
use crate::registry::SchemaKind;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Schema {
        subject: String,
        version: i32,
    },
    /// Of all subjects: `None`.
    Config(Option<String>),
    Mode(Option<String>),
    /// Versions up to one are gone softly.
    DeleteSubject(String),
    /// Softly deleted versions are forgotten.
    ClearSubject(Option<String>),
    Context(String),
    Noop,
}

/// Who shares a registry of Confluent's; there is one tenant here.
const TENANT: &str = "default";

#[derive(Deserialize)]
struct RawKey {
    keytype: String,
    subject: Option<String>,
    version: Option<i32>,
    context: Option<String>,
}

impl Key {
    /// # Errors
    /// It is no key of a registry's: why.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let raw: RawKey = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let subject = || raw.subject.clone().ok_or_else(|| "a key without a subject".to_owned());
        Ok(match raw.keytype.as_str() {
            "SCHEMA" => {
                let version = raw.version.filter(|version| *version > 0).ok_or("a key without a version")?;
                Key::Schema { subject: subject()?, version }
            }
            "CONFIG" => Key::Config(raw.subject),
            "MODE" => Key::Mode(raw.subject),
            "DELETE_SUBJECT" => Key::DeleteSubject(subject()?),
            "CLEAR_SUBJECT" => Key::ClearSubject(raw.subject),
            "CONTEXT" => Key::Context(raw.context.ok_or("a key without a context")?),
            "NOOP" => Key::Noop,
            other => return Err(format!("an unknown type of key '{other}'")),
        })
    }

    pub fn write(&self) -> Vec<u8> {
        let json = match self {
            Key::Schema { subject, version } => json!({ "keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1 }),
            Key::Config(subject) => json!({ "keytype": "CONFIG", "subject": subject, "magic": 0 }),
            Key::Mode(subject) => json!({ "keytype": "MODE", "subject": subject, "magic": 0 }),
            Key::DeleteSubject(subject) => json!({ "keytype": "DELETE_SUBJECT", "subject": subject, "magic": 0 }),
            Key::ClearSubject(subject) => json!({ "keytype": "CLEAR_SUBJECT", "subject": subject, "magic": 0 }),
            Key::Context(context) => json!({ "keytype": "CONTEXT", "tenant": TENANT, "context": context, "magic": 0 }),
            Key::Noop => json!({ "keytype": "NOOP", "magic": 0 }),
        };
        json.to_string().into_bytes()
    }
}

/// A schema that another refers to by a name: a version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    pub name: String,
    pub subject: String,
    pub version: i32,
}

/// The value of [`Key::Schema`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaRecord {
    pub subject: String,
    pub version: i32,
    pub id: i32,
    /// AVRO is not said.
    #[serde(default = "avro", skip_serializing_if = "is_avro")]
    pub schema_type: SchemaKind,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<Json>,
    pub schema: String,
    #[serde(default)]
    pub deleted: bool,
}

fn avro() -> SchemaKind {
    SchemaKind::Avro
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_avro(kind: &SchemaKind) -> bool {
    *kind == SchemaKind::Avro
}

/// Null stands for nothing.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The value of [`Key::Config`]: what is asked of the versions of a subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<Level>,
    /// Whether schemas are normalized before they are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
}

impl Config {
    /// What is not said here is as `outer` says.
    pub(super) fn within(&self, outer: &Config) -> Config {
        Config {
            compatibility_level: self.compatibility_level.or(outer.compatibility_level),
            normalize: self.normalize.or(outer.normalize),
        }
    }
}

/// The value of [`Key::Mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ModeRecord {
    pub mode: Mode,
}

/// What may be done with subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    #[default]
    #[serde(rename = "READWRITE")]
    ReadWrite,
    #[serde(rename = "READONLY")]
    ReadOnly,
    /// Of all subjects, whatever their own modes are.
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadOnlyOverride,
    /// Schemas come with their ids and versions, and nothing is checked.
    Import,
}

impl Mode {
    /// By name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        let all = [Mode::ReadWrite, Mode::ReadOnly, Mode::ReadOnlyOverride, Mode::Import];
        all.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::ReadWrite => "READWRITE",
            Mode::ReadOnly => "READONLY",
            Mode::ReadOnlyOverride => "READONLY_OVERRIDE",
            Mode::Import => "IMPORT",
        }
    }
}

/// The value of [`Key::DeleteSubject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeleteRecord {
    pub subject: String,
    /// The last version that is gone.
    pub version: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_confluents_to_the_byte() {
        for (key, text) in [
            (Key::Schema { subject: "a-value".into(), version: 2 }, r#"{"keytype":"SCHEMA","subject":"a-value","version":2,"magic":1}"#),
            (Key::Config(None), r#"{"keytype":"CONFIG","subject":null,"magic":0}"#),
            (Key::Mode(Some("a".into())), r#"{"keytype":"MODE","subject":"a","magic":0}"#),
            (Key::DeleteSubject("a".into()), r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#),
            (Key::Context(".c".into()), r#"{"keytype":"CONTEXT","tenant":"default","context":".c","magic":0}"#),
            (Key::Noop, r#"{"keytype":"NOOP","magic":0}"#),
        ] {
            assert_eq!(String::from_utf8(key.write()).expect("text"), text);
            assert_eq!(Key::read(text.as_bytes()), Ok(key));
        }
        assert_eq!(Key::read(br#"{"magic":0,"keytype":"CONFIG"}"#), Ok(Key::Config(None)), "as older and newer ones write it");
        for garbage in [
            "",
            "x",
            "{}",
            r#"{"keytype":"SCHEMA","subject":"a"}"#,
            r#"{"keytype":"SCHEMA","subject":"a","version":0}"#,
            r#"{"keytype":"?"}"#,
        ] {
            assert!(Key::read(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn values_say_no_more_than_confluents() {
        let text = r#"{"subject":"a","version":1,"id":3,"md5":"x","schema":"\"int\"","deleted":false}"#;
        let read: SchemaRecord = serde_json::from_str(text).expect("reads");
        assert_eq!((read.schema_type, read.id, read.deleted), (SchemaKind::Avro, 3, false));
        assert_eq!(
            serde_json::to_string(&read).expect("writes"),
            r#"{"subject":"a","version":1,"id":3,"schema":"\"int\"","deleted":false}"#
        );
        let text = r#"{"subject":"a","version":1,"id":3,"schemaType":"JSON","references":[{"name":"n","subject":"s","version":2}],"schema":"{}","deleted":true}"#;
        let read: SchemaRecord = serde_json::from_str(text).expect("reads");
        assert_eq!(serde_json::to_string(&read).expect("writes"), text);
        let config: Config = serde_json::from_str(r#"{"compatibilityLevel":"FULL_TRANSITIVE","alias":"x"}"#).expect("reads");
        assert_eq!(config.compatibility_level, Some(Level::FullTransitive));
    }
}
