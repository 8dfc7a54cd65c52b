//! The same requests to Apicurio and to ours, in the order of `beside.json`. They must answer alike, but for what is listed
//! there with its reason: where the two differ, Confluent's documentation decides.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value as Json;
use tidemill_tests::apicurio::Apicurio;
use tidemill_tests::broker::BrokerError;
use tidemill_tests::server::ServerProcess;

const STEPS: &str = include_str!("beside.json");

/// Status and JSON of a request; a text that is no JSON counts as one.
fn ask(port: u16, base: &str, method: &str, path: &str, body: &Json) -> (u16, Json) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "{method} {base}{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nAccept: application/vnd.schemaregistry.v1+json, \
         application/vnd.schemaregistry+json, application/json\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: \
         {length}\r\n\r\n{body}"
    )
    .expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
    (status, serde_json::from_str(&body).unwrap_or(Json::String(body)))
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
        let Some(chunk) = rest.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        out.push_str(chunk);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    out
}

/// Ids in the order in which a registry gave them: one leaves gaps for what it refuses, the other none.
#[derive(Default)]
struct Ids(Vec<Json>);

impl Ids {
    fn rank(&mut self, id: &Json) -> Json {
        let known = self.0.iter().position(|known| known == id);
        let rank = known.unwrap_or_else(|| {
            self.0.push(id.clone());
            self.0.len() - 1
        });
        Json::String(format!("id {}", rank + 1))
    }
}

/// What must be alike: status, code of errors, and the members of answers; the texts of schemas by what they say.
fn essence(path: &str, status: u16, json: &Json, ids: &mut Ids) -> Json {
    if status >= 400 {
        return serde_json::json!({ "status": status, "error_code": json["error_code"] });
    }
    let mut json = json.clone();
    if let Some(id) = json.get("id").cloned() {
        json["id"] = ids.rank(&id);
    }
    if path.ends_with("/referencedby") {
        json = json.as_array().into_iter().flatten().map(|id| ids.rank(id)).collect();
    }
    plain(&json)
}

fn plain(json: &Json) -> Json {
    match json {
        Json::Object(object) => {
            let kept =
                object.iter().filter(|(name, value)| !(value.is_null() || value.as_array().is_some_and(Vec::is_empty)) && *name != "guid");
            Json::Object(
                kept.filter(|(name, value)| !(*name == "schemaType" && *value == "AVRO"))
                    .map(|(name, value)| match (name.as_str(), value.as_str()) {
                        ("schema", Some(text)) => (name.clone(), serde_json::from_str(text).unwrap_or_else(|_| words(text))),
                        _ => (name.clone(), plain(value)),
                    })
                    .collect(),
            )
        }
        Json::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(plain).collect();
            items.sort_by_key(Json::to_string);
            Json::Array(items)
        }
        Json::String(text) => words(text),
        other => other.clone(),
    }
}

/// A text without its spaces.
fn words(text: &str) -> Json {
    Json::String(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn it_answers_as_a_foreign_registry_does() {
    let apicurio = match Apicurio::start() {
        Ok(apicurio) => apicurio,
        Err(BrokerError::Missing(why)) => {
            println!("SKIPPED it_answers_as_a_foreign_registry_does: {why}");
            return;
        }
        Err(BrokerError::Failed(why)) => panic!("{why}"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    let base = apicurio.url();
    let base = base.split_once(&apicurio.port().to_string()).map(|(_, path)| path.to_owned()).expect("a path");
    let steps: Vec<Json> = serde_json::from_str(STEPS).expect("beside.json");
    let (mut wrong, mut our_ids, mut their_ids) = (Vec::new(), Ids::default(), Ids::default());
    for step in &steps {
        let (method, path) = (step["method"].as_str().unwrap_or("GET"), step["path"].as_str().expect("a path"));
        let (status, ours) = ask(server.address().port(), "", method, path, &step["body"]);
        let ours = essence(path, status, &ours, &mut our_ids);
        let what = format!("{method} {path} {}", step["body"]);
        if let Some(expected) = step.get("ours") {
            assert!(step["why"].as_str().is_some_and(|why| !why.is_empty()), "{what}: a difference has its reason");
            if ours != *expected {
                wrong.push(format!("{what}\n  documented: {expected}\n  ours:       {ours}"));
            }
        }
        if step["only"] == true {
            continue;
        }
        let (status, theirs) = ask(apicurio.port(), &base, method, path, &step["body"]);
        let theirs = essence(path, status, &theirs, &mut their_ids);
        match step.get("ours") {
            None if ours != theirs => wrong.push(format!("{what}\n  theirs: {theirs}\n  ours:   {ours}")),
            Some(_) if ours == theirs => wrong.push(format!("{what}\n  is no difference any more: {ours}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), steps.len(), wrong.join("\n"));
}
