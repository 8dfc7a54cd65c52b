//! What a registry answers: schemas, ids, and Confluent's errors.

use serde::Deserialize;
use tidemill_engine::registry::{RegistryError, SchemaKind};

/// Why a request did not get what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The registry understood and said no.
    Refused { code: i64, message: String },
    /// No answer, or one that says to come again.
    Away(String),
    /// An answer that is not a registry's, or one that only another configuration would change.
    Wrong(String),
}

impl Failure {
    /// Of the client's own: an answer that it does not take.
    pub fn refused(message: impl Into<String>) -> Self {
        Failure::Refused { code: 0, message: message.into() }
    }

    /// As the engine is told.
    pub fn into_error(self) -> RegistryError {
        match self {
            Failure::Refused { code: 0, message } => RegistryError::Refused(message),
            // As Confluent's client says it.
            Failure::Refused { code, message } => RegistryError::Refused(format!("{message}; error code: {code}")),
            Failure::Away(message) => {
                RegistryError::Away(format!("{message}. Try again once it answers, or check ksql.schema.registry.url"))
            }
            Failure::Wrong(message) => RegistryError::Away(message),
        }
    }
}

/// Of a registration.
#[derive(Debug, Deserialize)]
pub(super) struct IdAnswer {
    pub id: i32,
}

/// A schema; where it is a version of a subject, with its id and number.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SchemaAnswer {
    pub schema: String,
    /// AVRO where it is missing.
    #[serde(rename = "schemaType")]
    pub kind: Option<String>,
    pub references: Option<Vec<ReferenceAnswer>>,
    pub id: Option<i32>,
    pub version: Option<i32>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ReferenceAnswer {
    pub name: String,
    pub subject: String,
    pub version: i32,
}

impl SchemaAnswer {
    /// The language it is written in.
    pub fn kind(&self) -> Result<SchemaKind, Failure> {
        match self.kind.as_deref() {
            None | Some("AVRO") => Ok(SchemaKind::Avro),
            Some("JSON") => Ok(SchemaKind::Json),
            Some("PROTOBUF") => Ok(SchemaKind::Protobuf),
            Some(other) => Err(Failure::refused(format!("The schema registry holds a schema of the unknown type '{other}'"))),
        }
    }
}

/// Confluent's form of an error.
#[derive(Debug, Deserialize)]
struct ErrorAnswer {
    error_code: i64,
    #[serde(default)]
    message: Option<String>,
}

/// Of ids.
pub(super) const SCHEMA_NOT_FOUND: i64 = 40403;
/// The subject, or the version of it, is not there, or is deleted: 40401 subject, 40402 version, 40404 subject soft-deleted,
/// 40406 version soft-deleted.
const NOT_THERE: [i64; 4] = [40401, 40402, 40404, 40406];
/// The registry's own store or leader is away: 50001 store, 50002 timeout, 50003 forwarding, 50004 no leader.
const ITS_OWN_TROUBLE: [i64; 4] = [50001, 50002, 50003, 50004];
/// As much of an answer as a message quotes, characters.
const QUOTED: usize = 200;

/// Whether a refusal says that there is no such subject or version.
pub(super) fn is_not_there(code: i64) -> bool {
    NOT_THERE.contains(&code)
}

/// What an answer that is not a success means.
pub(super) fn failure(status: u16, content_type: Option<&str>, body: &[u8]) -> Failure {
    let error = serde_json::from_slice::<ErrorAnswer>(body).ok();
    let said = error.as_ref().and_then(|error| error.message.clone()).map(|message| quoted(&message));
    let colon_said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    match (status, &error) {
        (401, _) => Failure::Wrong(format!(
            "rejects the credentials (401{colon_said}). Check ksql.schema.registry.basic.auth.user.info or ksql.schema.registry.bearer.auth.token"
        )),
        (403, _) => Failure::Wrong(format!("does not allow it to these credentials (403{colon_said})")),
        (407, _) => Failure::Wrong("the proxy asks for credentials, which can't be given".to_owned()),
        (_, Some(error)) if ITS_OWN_TROUBLE.contains(&error.error_code) => {
            Failure::Away(format!("can't do it now (error {}{colon_said})", error.error_code))
        }
        (408 | 425 | 429 | 500..=599, _) => Failure::Away(format!("answers with status {status}{colon_said}")),
        // What a web server says of a path that it does not know.
        (404..=406 | 415, Some(error)) if error.error_code == i64::from(status) || error.error_code == 0 => {
            Failure::Wrong(format!("has no such path ({status}{colon_said}). Check the path of ksql.schema.registry.url"))
        }
        (400..=499, Some(error)) => Failure::Refused {
            code: error.error_code,
            message: error.message.clone().map_or_else(|| format!("status {status}"), |message| quoted_to(&message, 10 * QUOTED)),
        },
        (300..=399, _) => {
            Failure::Wrong(format!("answers with a redirection (status {status}). Set ksql.schema.registry.url to where it leads"))
        }
        _ => Failure::Wrong(not_json(status, content_type)),
    }
}

/// What is said of an answer that no registry gives.
pub(super) fn not_json(status: u16, content_type: Option<&str>) -> String {
    let kind = content_type.map_or_else(|| "something".to_owned(), |kind| format!("'{}'", quoted(kind)));
    format!("answers with {kind} (status {status}) and not as a schema registry does. Check ksql.schema.registry.url")
}

fn quoted(text: &str) -> String {
    quoted_to(text, QUOTED)
}

/// The beginning of a text.
fn quoted_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_understood() {
        let body = |code: i64| format!(r#"{{"error_code":{code},"message":"said"}}"#);
        for (status, code, expected) in [
            (404, 40403, Failure::Refused { code: 40403, message: "said".into() }),
            (404, 40401, Failure::Refused { code: 40401, message: "said".into() }),
            (409, 409, Failure::Refused { code: 409, message: "said".into() }),
            (422, 42201, Failure::Refused { code: 42201, message: "said".into() }),
            (422, 42205, Failure::Refused { code: 42205, message: "said".into() }),
            (500, 50001, Failure::Away("can't do it now (error 50001: said)".into())),
            (503, 503, Failure::Away("answers with status 503: said".into())),
            (429, 42900, Failure::Away("answers with status 429: said".into())),
        ] {
            assert_eq!(failure(status, Some("application/json"), body(code).as_bytes()), expected, "{code}");
        }
        for (status, text, expected) in [
            (404, "<html>", "'text/html' (status 404)"),
            (404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#, "Check the path of"),
            (302, "", "redirection"),
            (401, "", "rejects the credentials"),
            (400, "[]", "not as a schema registry does"),
        ] {
            let Failure::Wrong(said) = failure(status, Some("text/html"), text.as_bytes()) else { panic!("{status} {text}") };
            assert!(said.contains(expected), "{said}");
        }
        assert!(matches!(failure(500, None, b"<html>"), Failure::Away(_)));
    }

    #[test]
    fn long_messages_are_cut() {
        let body = format!(r#"{{"error_code":42201,"message":"{}"}}"#, "ä".repeat(100_000));
        let Failure::Refused { message, .. } = failure(422, None, body.as_bytes()) else { panic!("refused") };
        assert!(message.chars().count() < 3_000);
    }
}
