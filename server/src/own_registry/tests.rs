//! Requests as they come over HTTP, and what is answered.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_engine::clock::SystemClock;
use tidemill_engine::log::embedded::EmbeddedLog;
use tidemill_engine::registry::own::OwnRegistry;
use tidemill_engine::state::{StateDb, StateLimits};

use super::request::Request;
use super::{Answer, is_path, respond};

struct Api {
    registry: OwnRegistry,
    _folder: tempfile::TempDir,
}

impl Api {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDb::open(folder.path(), StateLimits::default()).expect("opens");
        let log = Arc::new(EmbeddedLog::open(state, Arc::new(SystemClock)).expect("opens"));
        let registry = OwnRegistry::open(log, Arc::new(SystemClock), "_schemas", 1).expect("opens");
        Api { registry, _folder: folder }
    }

    /// `METHOD /path?query` and a body: the answer, or the error's code.
    fn ask(&self, request: &str, body: &str) -> Result<Json, u32> {
        let (method, target) = request.split_once(' ').expect("a method");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        assert!(is_path(&path), "{request}");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        match respond(&self.registry, &Request::new(method, &path, query, Bytes::copy_from_slice(body.as_bytes()))) {
            Ok(Answer::Json(json)) => Ok(json),
            Ok(Answer::Text(text)) => Ok(Json::String(text)),
            Err(failure) => {
                let status = u32::from(failure.status.as_u16());
                assert!(failure.code == status || failure.code / 100 == status, "{failure:?}");
                assert!(!failure.message.is_empty());
                Err(failure.code)
            }
        }
    }

    fn check(&self, rows: &[(&str, Json, Result<Json, u32>)]) {
        for (request, body, expected) in rows {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            assert_eq!(self.ask(request, &body), *expected, "{request} {body}");
        }
    }
}

#[test]
fn requests_are_answered_as_confluents_registry_answers_them() {
    let none = Json::Null;
    let schema = |text: &str| json!({ "schema": text });
    let int = json!({ "subject": "s", "version": 1, "id": 1, "schema": "\"int\"" });
    Api::new().check(&[
        ("GET /subjects", none.clone(), Ok(json!([]))),
        ("GET /contexts", none.clone(), Ok(json!(["."]))),
        ("GET /schemas/types", none.clone(), Ok(json!(["JSON", "PROTOBUF", "AVRO"]))),
        ("GET /config", none.clone(), Ok(json!({ "compatibilityLevel": "BACKWARD" }))),
        ("GET /mode", none.clone(), Ok(json!({ "mode": "READWRITE" }))),
        ("POST /subjects/s/versions", schema("\"int\""), Ok(json!({ "id": 1 }))),
        (
            "POST /subjects/s/versions",
            json!({ "schema": "\"long\"", "schemaType": "AVRO", "version": -1, "id": -1 }),
            Ok(json!({ "id": 2 })),
        ),
        ("POST /subjects/s/versions", schema("\"string\""), Err(409)),
        ("POST /subjects/s/versions", schema("nothing"), Err(42201)),
        ("POST /subjects/s/versions", json!({ "schema": "{}", "schemaType": "XML" }), Err(42201)),
        ("POST /subjects/s/versions", json!({ "schema": 5 }), Err(400)),
        ("POST /subjects/s/versions", json!([]), Err(400)),
        ("POST /subjects/s/versions", none.clone(), Err(422)),
        ("PUT /subjects/s/versions", none.clone(), Err(405)),
        ("GET /subjects/s/versions/1", none.clone(), Ok(int.clone())),
        ("GET /subjects/s/versions/latest/schema", none.clone(), Ok(json!("\"long\""))),
        ("GET /subjects/s/versions/0", none.clone(), Err(42202)),
        ("GET /subjects/s/versions/3", none.clone(), Err(40402)),
        ("GET /subjects/t/versions", none.clone(), Err(40401)),
        ("POST /subjects/s", schema("{\"type\":\"int\"}"), Ok(int)),
        ("POST /subjects/s", schema("\"float\""), Err(40403)),
        ("GET /schemas/ids/1", none.clone(), Ok(json!({ "schema": "\"int\"" }))),
        ("GET /schemas/ids/1?fetchMaxId=true", none.clone(), Ok(json!({ "schema": "\"int\"", "maxId": 2 }))),
        ("GET /schemas/ids/1/schema", none.clone(), Ok(json!("\"int\""))),
        ("GET /schemas/ids/1/subjects", none.clone(), Ok(json!(["s"]))),
        ("GET /schemas/ids/1/versions", none.clone(), Ok(json!([{ "subject": "s", "version": 1 }]))),
        ("GET /schemas/ids/7", none.clone(), Err(40403)),
        ("GET /schemas/ids/x", none.clone(), Err(404)),
        ("GET /schemas?latestOnly=true", none.clone(), Ok(json!([{ "subject": "s", "version": 2, "id": 2, "schema": "\"long\"" }]))),
        ("GET /schemas?subjectPrefix=x", none.clone(), Ok(json!([]))),
        ("GET /schemas?offset=1&limit=5", none.clone(), Ok(json!([{ "subject": "s", "version": 2, "id": 2, "schema": "\"long\"" }]))),
        ("POST /compatibility/subjects/s/versions/latest", schema("\"double\""), Ok(json!({ "is_compatible": true }))),
        ("POST /compatibility/subjects/s/versions", schema("\"string\""), Ok(json!({ "is_compatible": false }))),
        ("POST /compatibility/subjects/s/versions/9", schema("\"string\""), Err(40402)),
        ("GET /config/s", none.clone(), Err(40408)),
        ("GET /config/s?defaultToGlobal=true", none.clone(), Ok(json!({ "compatibilityLevel": "BACKWARD" }))),
        ("PUT /config/s", json!({ "compatibility": "none" }), Ok(json!({ "compatibility": "none" }))),
        ("PUT /config/s", json!({ "compatibility": "often" }), Err(42203)),
        ("PUT /config/s", json!({ "compatibility": "FULL", "alias": "t" }), Err(422)),
        ("GET /config/s", none.clone(), Ok(json!({ "compatibilityLevel": "NONE" }))),
        ("DELETE /config/s", none.clone(), Ok(json!({ "compatibilityLevel": "NONE" }))),
        ("DELETE /config/s", none.clone(), Err(40401)),
        ("GET /mode/s", none.clone(), Err(40409)),
        ("PUT /mode/s", json!({ "mode": "READONLY" }), Ok(json!({ "mode": "READONLY" }))),
        ("PUT /mode/s", json!({ "mode": "OFTEN" }), Err(42204)),
        ("POST /subjects/s/versions", schema("\"double\""), Err(42205)),
        ("DELETE /mode/s", none.clone(), Ok(json!({ "mode": "READONLY" }))),
        ("DELETE /subjects/s/versions/1?permanent=true", none.clone(), Err(40407)),
        ("DELETE /subjects/s/versions/1", none.clone(), Ok(json!(1))),
        ("DELETE /subjects/s/versions/1", none.clone(), Err(40406)),
        ("GET /subjects/s/versions?deletedOnly=true", none.clone(), Ok(json!([1]))),
        ("DELETE /subjects/s?permanent=true", none.clone(), Err(40405)),
        ("DELETE /subjects/s", none.clone(), Ok(json!([2]))),
        ("DELETE /subjects/s", none.clone(), Err(40404)),
        ("GET /subjects?deleted=true", none.clone(), Ok(json!(["s"]))),
        ("DELETE /subjects/s?permanent=true", none.clone(), Ok(json!([1, 2]))),
        ("GET /schemas/nothing/here", none, Err(404)),
    ]);
}

#[test]
fn reasons_are_given_where_they_are_asked_for() {
    let api = Api::new();
    let schema = |text: &str| json!({ "schema": text }).to_string();
    api.ask("POST /subjects/s/versions", &schema("\"int\"")).expect("taken");
    let answer = api.ask("POST /compatibility/subjects/s/versions/latest?verbose=true", &schema("\"string\"")).expect("answers");
    assert_eq!(
        answer["messages"][0],
        "{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match with the old schema', \
         additionalInfo:'reader type: STRING not compatible with writer type: INT'}"
    );
    let answer = api.ask("POST /compatibility/subjects/s/versions?verbose=true", &schema("nothing")).expect("answers");
    assert_eq!(answer["is_compatible"], false);
    assert!(answer["messages"][0].as_str().is_some_and(|why| why.starts_with("Invalid schema of type AVRO, details: ")), "{answer}");
    assert_eq!(api.ask("POST /compatibility/subjects/s/versions", &schema("nothing")), Err(42201));
}

#[test]
fn a_context_may_stand_before_the_path() {
    let none = Json::Null;
    let schema = |text: &str| json!({ "schema": text });
    Api::new().check(&[
        ("POST /subjects/s/versions", schema("\"int\""), Ok(json!({ "id": 1 }))),
        ("POST /contexts/.c/subjects/s/versions", schema("\"long\""), Ok(json!({ "id": 1 }))),
        ("GET /contexts", none.clone(), Ok(json!([".", ".c"]))),
        ("GET /contexts/.c/subjects", none.clone(), Ok(json!([":.c:s"]))),
        ("GET /contexts/:.c:/schemas/ids/1", none.clone(), Ok(json!({ "schema": "\"long\"" }))),
        ("GET /contexts/./schemas/ids/1", none.clone(), Ok(json!({ "schema": "\"int\"" }))),
        ("GET /schemas/ids/1?subject=:.c:", none.clone(), Ok(json!({ "schema": "\"long\"" }))),
        ("PUT /contexts/.c/config", json!({ "compatibility": "FULL" }), Ok(json!({ "compatibility": "FULL" }))),
        ("GET /contexts/.c/config/s?defaultToGlobal=true", none.clone(), Ok(json!({ "compatibilityLevel": "FULL" }))),
        ("GET /config", none.clone(), Ok(json!({ "compatibilityLevel": "BACKWARD" }))),
        ("GET /subjects", none.clone(), Ok(json!([":.c:s", "s"]))),
        ("GET /subjects?subjectPrefix=s", none, Ok(json!(["s"]))),
    ]);
}

/// A small generator of numbers, the same for each seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }
}

#[test]
fn whatever_is_sent_is_answered() {
    let api = Api::new();
    let texts = [
        ("AVRO", r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null",{"type":"map","values":"R"}],"default":null}]}"#),
        (
            "JSON",
            r##"{"$id":"x","type":["object","null"],"properties":{"a":{"$ref":"#"}},"allOf":[{"not":{"enum":[1,"b"]}}],"items":[{}]}"##,
        ),
        (
            "PROTOBUF",
            r#"syntax = "proto3"; package p; message M { oneof o { M m = 1; string s = 2; } map<int32, E> k = 4; enum E { Z = 0; } }"#,
        ),
    ];
    let paths = ["POST /subjects/{}/versions", "POST /subjects/{}", "POST /compatibility/subjects/{}/versions?verbose=true"];
    for (kind, text) in texts {
        api.ask(&format!("POST /subjects/{kind}/versions"), &json!({ "schema": text, "schemaType": kind }).to_string()).expect("taken");
    }
    let mut numbers = Numbers(1);
    let mut taken = 0;
    for round in 0..3_000 {
        let (kind, text) = texts[round % texts.len()];
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=numbers.below(3) {
            let (at, other) = (numbers.below(bytes.len()), numbers.below(bytes.len()));
            match numbers.below(4) {
                0 => bytes[at] = u8::try_from(32 + numbers.below(95)).unwrap_or(b' '),
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let (start, end) = (at.min(other), at.max(other));
                    let part = bytes[start..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let schema = String::from_utf8_lossy(&bytes).into_owned();
        let body = json!({ "schema": schema, "schemaType": kind, "references": [{ "name": "n", "subject": kind, "version": 1 }] });
        taken += usize::from(api.ask(&paths[round % 7 % 3].replace("{}", kind), &body.to_string()).is_ok());
    }
    assert!(taken > 0, "some are schemas still");
}
