//! Bodies of requests: what they may hold, and what is said of those that can't be read.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde_json::{Map, Value as Json};
use tidemill_parser::same_variable;

use crate::error::{ApiError, ErrorCode};
use crate::net::RequestBody;

/// What a client may send beyond the limit, in bodies' lengths, before its connection is cut: until then it is heard out, so
/// that it reads the answer instead of failing to write.
const MAX_OVERRUN: usize = 8;

/// How long a client may pause while it sends a body.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The same, where its announced length is too much already.
const OVERRUN_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take for the whole of it.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// Properties or variables of a session.
pub type Settings = BTreeMap<String, String>;

/// Reads a whole body.
///
/// # Errors
/// It is longer than `max_bytes`, it stops coming, or the connection broke.
pub async fn read_body(body: RequestBody, max_bytes: usize) -> Result<Bytes, ApiError> {
    let timeout = |what: String| ApiError::generic(ErrorCode::REQUEST_TIMEOUT, format!("The request's body did not {what}"));
    let reading = tokio::time::timeout(BODY_TIMEOUT, read_parts(body, max_bytes));
    match reading.await {
        Ok(Ok(Some(read))) => Ok(read),
        Ok(Ok(None)) => Err(ApiError::generic(
            ErrorCode::BODY_TOO_LARGE,
            format!("The request's body is larger than {max_bytes} bytes, the limit set by tidemill.http.max.body.bytes"),
        )),
        Ok(Err(Interrupted::Stalled)) => Err(timeout(format!("go on for {} seconds", BODY_IDLE_TIMEOUT.as_secs()))),
        Ok(Err(Interrupted::Broken(error))) => Err(ApiError::bad_request(format!("The request's body could not be read: {error}"))),
        Err(_) => Err(timeout(format!("come to its end within {} seconds", BODY_TIMEOUT.as_secs()))),
    }
}

/// Why a body was not read to its end.
enum Interrupted {
    Stalled,
    Broken(hyper::Error),
}

/// `None`: it is too large.
async fn read_parts(mut body: RequestBody, max_bytes: usize) -> Result<Option<Bytes>, Interrupted> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max_bytes.saturating_mul(MAX_OVERRUN) {
        return Ok(None);
    }
    let is_too_large = announced > max_bytes;
    let idle = if is_too_large { OVERRUN_IDLE_TIMEOUT } else { BODY_IDLE_TIMEOUT };
    let mut read = BytesMut::new();
    let mut length = 0usize;
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(_) if is_too_large => return Ok(None),
            Err(_) => return Err(Interrupted::Stalled),
        };
        let Ok(data) = frame.map_err(Interrupted::Broken)?.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= max_bytes {
            read.extend_from_slice(&data);
        } else if length > max_bytes.saturating_mul(MAX_OVERRUN) {
            break;
        } else {
            // What was kept is of no use any more.
            read = BytesMut::new();
        }
    }
    Ok((length <= max_bytes).then(|| read.freeze()))
}

/// The JSON object in a body.
///
/// # Errors
/// There is no body, it is not JSON, or it is no object.
pub fn object(body: &[u8]) -> Result<Map<String, Json>, ApiError> {
    if body.is_empty() {
        return Err(ApiError::bad_request("The request has no body; a JSON object is expected"));
    }
    match serde_json::from_slice(body) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(other) => Err(ApiError::bad_request(format!("Invalid JSON in request: an object is expected, not {}", shown(&other)))),
        Err(error) => Err(ApiError::bad_request(format!("Failed to deserialize buffer: the body is no JSON: {error}"))),
    }
}

fn undecodable(reason: &str) -> ApiError {
    ApiError::generic(ErrorCode::SERVER_ERROR, format!("Failed to deserialize buffer: {reason}"))
}

/// A value's kind, and the value where it is a short one.
fn shown(value: &Json) -> String {
    const SHORT: usize = 100;
    match value {
        Json::Number(_) | Json::String(_) if value.to_string().len() <= SHORT => format!("{} ({value})", kind_of(value)),
        _ => kind_of(value).to_owned(),
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// A text member; a number or boolean counts as its text.
fn text(value: Json, name: &str) -> Result<String, ApiError> {
    match value {
        Json::String(text) => Ok(text),
        Json::Number(_) | Json::Bool(_) => Ok(value.to_string()),
        other => Err(ApiError::bad_request(format!("Invalid JSON in request: \"{name}\" must be a string, not {}", kind_of(&other)))),
    }
}

/// Properties or variables; what is no text counts as its JSON. Missing and null are empty.
pub fn settings(object: &mut Map<String, Json>, name: &str) -> Result<Settings, ApiError> {
    match object.remove(name) {
        None | Some(Json::Null) => Ok(Settings::new()),
        Some(Json::Object(members)) => members
            .into_iter()
            .map(|(key, value)| match value {
                Json::Null => Err(undecodable(&format!("\"{name}\" has null for \"{key}\""))),
                Json::String(text) => Ok((key, text)),
                other => Ok((key, other.to_string())),
            })
            .collect(),
        Some(other) => {
            Err(ApiError::bad_request(format!("Invalid JSON in request: \"{name}\" must be an object, not {}", kind_of(&other))))
        }
    }
}

/// Variables of a session. Of several whose names differ in case only, which are one variable, the last holds.
fn variables(object: &mut Map<String, Json>) -> Result<Settings, ApiError> {
    const NAME: &str = "sessionVariables";
    let order: Vec<String> = object.get(NAME).and_then(Json::as_object).into_iter().flat_map(Map::keys).cloned().collect();
    let given = settings(object, NAME)?;
    let mut kept = Settings::new();
    for name in order {
        if let Some(value) = given.get(&name) {
            define(&mut kept, name, value.clone());
        }
    }
    Ok(kept)
}

/// Sets a variable, in whichever case it was named before.
pub fn define(variables: &mut Settings, name: String, value: String) {
    undefine(variables, &name);
    variables.insert(name, value);
}

/// Forgets a variable, in whichever case it is named.
pub fn undefine(variables: &mut Settings, name: &str) {
    if let Some(defined) = same_variable(name, variables.keys()).cloned() {
        variables.remove(&defined);
    }
}

/// What `/ksql` and `/query` take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KsqlRequest {
    pub ksql: String,
    pub properties: Settings,
    pub variables: Settings,
    /// The last command that the client knows of: the answer waits for it.
    pub command_sequence_number: Option<i64>,
}

impl KsqlRequest {
    /// # Errors
    /// See [`object`]; a member of the wrong kind.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut object = object(body)?;
        let ksql = match object.remove("ksql") {
            None | Some(Json::Null) => String::new(),
            Some(value) => text(value, "ksql")?,
        };
        let command_sequence_number = match object.remove("commandSequenceNumber") {
            None | Some(Json::Null) => None,
            Some(Json::Number(number)) if number.as_i64().is_some() => number.as_i64(),
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "Invalid JSON in request: \"commandSequenceNumber\" must be a whole number, not {other}"
                )));
            }
        };
        let properties = settings(&mut object, "streamsProperties")?;
        let variables = variables(&mut object)?;
        Ok(KsqlRequest { ksql, properties, variables, command_sequence_number })
    }
}

/// What `/query-stream` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryStreamRequest {
    pub sql: String,
    pub properties: Settings,
    pub variables: Settings,
}

impl QueryStreamRequest {
    /// # Errors
    /// See [`object`]; no `sql`, or a member of the wrong kind.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        let mut object = object(body)?;
        let sql = match object.remove("sql") {
            None => return Err(missing("sql")),
            Some(Json::Null) => return Err(undecodable("\"sql\" is null")),
            Some(value) => text(value, "sql")?,
        };
        let properties = settings(&mut object, "properties")?;
        let variables = variables(&mut object)?;
        Ok(QueryStreamRequest { sql, properties, variables })
    }
}

/// The query that `/close-query` is to end.
///
/// # Errors
/// See [`object`]; no `queryId`.
pub fn query_id(body: &[u8]) -> Result<String, ApiError> {
    match object(body)?.remove("queryId") {
        None | Some(Json::Null) => Err(missing("queryId")),
        Some(value) => text(value, "queryId"),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid JSON in request: \"{name}\" is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_leniently() {
        let request = KsqlRequest::read(br#"{"ksql": 5, "streamsProperties": {"a": 1, "b": [1], "c": "x"}, "banana": 1}"#).expect("reads");
        let pairs = [("a", "1"), ("b", "[1]"), ("c", "x")];
        assert_eq!(request.ksql, "5");
        assert_eq!(request.properties, pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        assert_eq!(KsqlRequest::read(br#"{"ksql": null, "streamsProperties": null}"#).expect("reads"), KsqlRequest::default());
    }

    #[test]
    fn a_variable_is_one_in_any_case() {
        let body = br#"{"ksql": "", "sql": "", "sessionVariables": {"b": "first", "B": "last", "a": "x"}}"#;
        let expected = Settings::from([("B".to_owned(), "last".to_owned()), ("a".to_owned(), "x".to_owned())]);
        assert_eq!(KsqlRequest::read(body).expect("reads").variables, expected);
        let mut variables = QueryStreamRequest::read(body).expect("reads").variables;
        assert_eq!(variables, expected);
        define(&mut variables, "A".to_owned(), "y".to_owned());
        undefine(&mut variables, "b");
        undefine(&mut variables, "none");
        assert_eq!(variables, Settings::from([("A".to_owned(), "y".to_owned())]));
    }

    #[test]
    fn what_cant_be_read_is_refused() {
        for (body, code) in [
            (&b""[..], 40000),
            (b"{\"ksql\": \"SHOW", 40000),
            (b"{\"ksql\":\"\xff\xfe\"}", 40000),
            (b"[]", 40000),
            (b"\"x\"", 40000),
            (br#"{"ksql":"","streamsProperties":{"a":null}}"#, 50000),
            (br#"{"ksql":"","commandSequenceNumber":"x"}"#, 40000),
        ] {
            assert_eq!(KsqlRequest::read(body).expect_err("refused").code().0, code);
        }
        assert_eq!(QueryStreamRequest::read(b"{}").expect_err("refused").code().0, 40000);
        assert_eq!(QueryStreamRequest::read(br#"{"sql":null}"#).expect_err("refused").code().0, 50000);
        assert_eq!(query_id(b"{}").expect_err("refused").code().0, 40000);
    }
}
