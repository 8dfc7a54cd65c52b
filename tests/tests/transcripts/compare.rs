//! Whether an answer matches the recorded one, by the rules of the transcripts' README.

use std::net::SocketAddr;

use serde_json::{Map, Value as Json};

use crate::client::Answer;
use crate::script::{Exchange, Expected, Protocol};
use crate::text::{normal_id, normal_text, topology_facts, without_clock, words_before_colons};
use crate::{exact, facts};

/// Headers that count.
const HEADERS: [&str; 4] = ["content-type", "transfer-encoding", "connection", "location"];
/// Lists in any order.
const SETS: &[&str] = &[
    "streams",
    "tables",
    "queries",
    "types",
    "functions",
    "properties",
    "topics",
    "readQueries",
    "writeQueries",
    "sourceConstraints",
    "sourceDescriptions",
    "queryDescriptions",
    "defaultProperties",
    "overwrittenProperties",
    "variables",
    "fields",
    "sinks",
    "tasksMetadata",
];
/// Numbers of which only the names and the shape count.
const SHAPES: &[&str] = &["queryOffsetSummaries", "clusterStatistics", "clusterErrorStats", "consumerGroups", "tasksMetadata", "offsets"];
/// Numbers that differ from run to run.
const VARYING: &[&str] = &["commandSequenceNumber", "timestamp", "createTime", "consumerCount", "consumerGroupCount"];
/// Texts of our own.
const OWN_WORDS: &[&str] = &["description", "author", "version"];
/// Above this a number of milliseconds is the wall clock of a run.
pub const WALL_CLOCK_MS: i64 = 1_750_000_000_000;

/// What is asked of an answer besides what was recorded of it.
pub struct Rules {
    /// Rows may come in any order.
    pub any_row_order: bool,
    pub address: SocketAddr,
}

/// Why an answer does not match; nothing where it does.
pub fn compare(exchange: &Exchange, answer: &Answer, rules: &Rules) -> Vec<String> {
    let mut differences = Differences {
        found: Vec::new(),
        request: String::from_utf8_lossy(exchange.request.body.as_deref().unwrap_or_default()).into_owned(),
        address: rules.address.to_string(),
    };
    let expected = &exchange.expected;
    if exchange.request.protocol == Protocol::WebSocket {
        differences.socket(expected, answer);
        return differences.found;
    }
    if answer.status != expected.status {
        differences.note(format!("status {}, not {}: {}", answer.status, expected.status, shortened(&answer.text())));
        return differences.found;
    }
    for name in HEADERS {
        let recorded = expected.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        // HTTP/2 has no such headers.
        let is_hop = exchange.request.protocol == Protocol::Http2 && matches!(name, "transfer-encoding" | "connection");
        if answer.header(name) != recorded && !is_hop {
            differences.note(format!("header {name}: {:?}, not {recorded:?}", answer.header(name)));
        }
    }
    if answer.still_open != expected.still_open {
        differences.note(format!("still open: {}, not {}", answer.still_open, expected.still_open));
    }
    differences.body(expected, answer, rules);
    if is_push(&differences.request) && expected.chunks.as_ref().is_some_and(|c| c.len() != answer.chunks.len()) {
        let recorded = expected.chunks.as_ref().map_or(0, Vec::len);
        differences.note(format!("{} chunks, not {recorded}", answer.chunks.len()));
    }
    differences.found
}

fn is_push(request: &str) -> bool {
    request.to_uppercase().contains("EMIT CHANGES")
}

struct Differences {
    found: Vec<String>,
    request: String,
    address: String,
}

impl Differences {
    fn note(&mut self, difference: String) {
        self.found.push(difference);
    }

    fn body(&mut self, expected: &Expected, answer: &Answer, rules: &Rules) {
        let ours = answer.text();
        if let Some(chunks) = &expected.chunks {
            return self.stream(&chunks.concat(), &ours, rules);
        }
        match &expected.body {
            Some(Json::String(text)) if *text == ours => {}
            Some(body @ Json::String(text)) if exact::number(body).is_none() => {
                self.note(format!("body {:?}, not {text:?}", shortened(&ours)));
            }
            Some(body) => self.document(body, &ours),
            None => {}
        }
    }

    /// Frames of a WebSocket, and the code that it was closed with. A frame's reason is what the last frame says.
    fn socket(&mut self, expected: &Expected, answer: &Answer) {
        if (answer.status, answer.close.as_ref().map(|c| c.0)) != (expected.status, expected.close) {
            self.note(format!("status {}, closed with {:?}; not {}, {:?}", answer.status, answer.close, expected.status, expected.close));
        }
        let texts: Vec<String> = answer.chunks.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        let reason = answer.close.as_ref().map_or("", |(_, reason)| reason.trim_end_matches("..."));
        let said = texts
            .last()
            .and_then(|last| serde_json::from_str::<Json>(last).ok())
            .and_then(|last| last["error"].as_str().map(str::to_owned));
        if !said.as_deref().unwrap_or_default().starts_with(reason) {
            self.note(format!("closed because of {reason:?}, but the last frame says {said:?}"));
        }
        let parsed =
            |texts: &[String]| texts.iter().map(|t| exact::parse(t).unwrap_or_else(|| Json::String(t.clone()))).collect::<Vec<_>>();
        self.list("", &parsed(expected.frames.as_deref().unwrap_or_default()), &parsed(&texts), false);
    }

    fn document(&mut self, expected: &Json, ours: &str) {
        let Some(parsed) = exact::parse(ours) else {
            return self.note(format!("not JSON: {:?}", shortened(ours)));
        };
        let first = if expected.is_array() { &expected[0] } else { expected };
        let start = ours.trim_start_matches('[');
        if first.get("@type").is_some() && !start.is_empty() && !start.starts_with("{\"@type\"") {
            self.note("@type does not come first".to_owned());
        }
        self.value("", expected, &parsed);
    }

    /// Answers of the query endpoints: a document, or a line each.
    fn stream(&mut self, expected: &str, ours: &str, rules: &Rules) {
        let (recorded, actual) = (parts(expected), parts(ours));
        let (recorded, actual) = match (recorded, actual) {
            (Parts::Values(a), Parts::Values(b)) => without_missed_acknowledgements(a, b),
            _ => {
                let (a, b) = (normal_text(expected), normal_text(ours));
                if a != b {
                    self.note(format!("text {:?}, not {:?}", shortened(&b), shortened(&a)));
                }
                return;
            }
        };
        let is_row = |v: &Json| v.is_array() || v.get("row").is_some();
        let rows = |values: &[Json], wanted: bool| values.iter().filter(|v| is_row(v) == wanted).cloned().collect::<Vec<_>>();
        self.list("", &rows(&recorded, false), &rows(&actual, false), false);
        self.list("rows", &rows(&recorded, true), &rows(&actual, true), rules.any_row_order);
    }

    fn value(&mut self, path: &str, expected: &Json, ours: &Json) {
        let key = path.rsplit('.').next().unwrap_or_default();
        let in_shape = path.split(['.', '[']).any(|part| SHAPES.contains(&part));
        match (expected, ours) {
            (Json::Object(a), Json::Object(b)) => self.object(path, a, b),
            // What is counted may have begun to be, or not yet.
            (Json::Array(a), Json::Array(b)) if in_shape => {
                if let (Some(a), Some(b)) = (a.first(), b.first()) {
                    self.value(&format!("{path}[]"), a, b);
                }
            }
            // What caused what is told in Java's words there.
            (Json::Array(a), Json::Array(b)) if key == "CAUSE" => {
                if a.is_empty() != b.is_empty() {
                    self.note(format!("{path}: {} causes, not {}", b.len(), a.len()));
                }
            }
            (Json::Array(a), Json::Array(b)) => self.list(path, a, b, SETS.contains(&key)),
            (Json::String(a), Json::String(b)) => {
                if let Some(difference) = self.strings(path, key, a, b, in_shape) {
                    self.note(format!("{path}: {difference}"));
                }
            }
            (a, b) if a == b => {}
            (a, b) => self.note(format!("{path}: {}, not {}", shortened(&b.to_string()), shortened(&a.to_string()))),
        }
    }

    fn object(&mut self, path: &str, expected: &Map<String, Json>, ours: &Map<String, Json>) {
        let by_host = path.ends_with("ksqlHostQueryStatus");
        let names_only = path.ends_with("overriddenProperties");
        for (name, value) in expected {
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match if by_host { ours.values().next() } else { ours.get(name) } {
                None => self.note(format!("{at} is missing (recorded: {})", shortened(&value.to_string()))),
                Some(_) if names_only => {}
                Some(ours) => self.value(&at, value, ours),
            }
        }
        for (name, value) in ours.iter().filter(|(name, _)| !by_host && !expected.contains_key(*name)) {
            self.note(format!("{path}.{name} is too much ({})", shortened(&value.to_string())));
        }
    }

    fn list(&mut self, path: &str, expected: &[Json], ours: &[Json], any_order: bool) {
        if !any_order {
            if expected.len() != ours.len() {
                let of = |list: &[Json]| shortened(&list.iter().map(Json::to_string).collect::<Vec<_>>().join(","));
                return self.note(format!(
                    "{path}: {} entries, not {}: {} instead of {}",
                    ours.len(),
                    expected.len(),
                    of(ours),
                    of(expected)
                ));
            }
            for (i, (a, b)) in expected.iter().zip(ours).enumerate() {
                self.value(&format!("{path}[{i}]"), a, b);
            }
            return;
        }
        let mut left: Vec<&Json> = ours.iter().collect();
        let mut unmatched = Vec::new();
        for value in expected {
            match left.iter().position(|other| self.same(path, value, other)) {
                Some(at) => {
                    left.swap_remove(at);
                }
                None => unmatched.push(value),
            }
        }
        // The nearest of the rest, so that the reason says what differs in them.
        for value in unmatched {
            let named = |json: &Json| ["name", "id"].iter().find_map(|n| json.get(*n)).map(normal_json);
            let near = left.iter().position(|other| named(value).is_some() && named(other) == named(value));
            match near {
                Some(at) => {
                    let other = left.swap_remove(at);
                    self.value(&format!("{path}[{}]", named(value).unwrap_or_default()), value, other);
                }
                None => self.note(format!("{path} lacks {}", shortened(&value.to_string()))),
            }
        }
        for value in left {
            self.note(format!("{path} has {}", shortened(&value.to_string())));
        }
    }

    fn same(&self, path: &str, expected: &Json, ours: &Json) -> bool {
        let mut inner = Differences { found: Vec::new(), request: self.request.clone(), address: self.address.clone() };
        inner.value(&format!("{path}[]"), expected, ours);
        inner.found.is_empty()
    }

    fn strings(&self, path: &str, key: &str, expected: &str, ours: &str, in_shape: bool) -> Option<String> {
        let digits = |text: &str| exact::number(&Json::String(text.to_owned())).map(str::to_owned);
        match (digits(expected), digits(ours)) {
            (Some(_), Some(_)) if in_shape || VARYING.contains(&key) => return None,
            (Some(a), Some(b)) => return (!same_number(&a, &b)).then(|| format!("{b}, not {a}")),
            (None, None) => {}
            _ => return Some(format!("{ours:?}, not {expected:?}")),
        }
        let differs = |same: bool| (!same).then(|| format!("{:?}, not {:?}", shortened(ours), shortened(expected)));
        match key {
            "message" | "error" | "errorMessage" | "ERRORMESSAGE" if !path.contains("commandStatus") => {
                let missing = facts::missing(expected, ours, &self.request);
                (!missing.is_empty())
                    .then(|| format!("says {:?}, lacks {} of {:?}", shortened(ours), missing.join(", "), shortened(expected)))
            }
            "RECORD" => differs(without_clock(expected) == without_clock(ours)),
            "statistics" | "errorStats" => differs(words_before_colons(expected) == words_before_colons(ours)),
            "topology" => differs(topology_facts(expected) == topology_facts(ours)),
            key if OWN_WORDS.contains(&key) => differs(expected.is_empty() || !ours.is_empty()),
            "kafkaClusterId" | "kafka-cluster" => differs(!ours.is_empty()),
            "host" | "ksqlHost" => differs(!ours.is_empty()),
            "value" if path.starts_with("[") && path.contains("properties[") => None,
            _ => differs(normal_id(expected) == normal_id(ours)),
        }
    }
}

enum Parts {
    Values(Vec<Json>),
    Text,
}

/// The values of a body: the items of one array, or a value a line.
fn parts(text: &str) -> Parts {
    if let Some(Json::Array(items)) = exact::parse(text) {
        // A single line that is a row is a row, not a list of values.
        let is_list = items.first().is_none_or(Json::is_object);
        return Parts::Values(if is_list { items } else { vec![Json::Array(items)] });
    }
    let lines = text.lines().filter(|l| !l.is_empty()).map(|line| exact::parse(line.trim_end_matches(',')));
    match lines.collect::<Option<Vec<_>>>() {
        Some(values) if !values.is_empty() => Parts::Values(values),
        _ => Parts::Text,
    }
}

/// The acknowledgement of a row just before a bad one may be missing: the error ends the answer at once.
fn without_missed_acknowledgements(recorded: Vec<Json>, mut ours: Vec<Json>) -> (Vec<Json>, Vec<Json>) {
    let status = |value: Option<&Json>| value.and_then(|v| v.get("status")).and_then(Json::as_str).map(str::to_owned);
    let ends_badly = status(recorded.last()).as_deref() == Some("error");
    while ends_badly && ours.len() > recorded.len() && status(ours.get(ours.len() - 2)).as_deref() == Some("ok") {
        ours.remove(ours.len() - 2);
    }
    (recorded, ours)
}

fn same_number(a: &str, b: &str) -> bool {
    let clock = |text: &str| text.parse::<i64>().is_ok_and(|n| n > WALL_CLOCK_MS && n < WALL_CLOCK_MS * 2);
    a == b || (clock(a) && clock(b))
}

fn normal_json(json: &Json) -> String {
    normal_id(json.as_str().unwrap_or_default())
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Request;

    /// What of an answer was not as recorded; both are bodies of /query-stream or /ksql.
    fn found(recorded: &str, ours: &str, any_row_order: bool) -> Vec<String> {
        let request = Request {
            protocol: Protocol::Http11,
            method: "POST".to_owned(),
            path: "/query-stream".to_owned(),
            headers: Vec::new(),
            body: Some(b"{\"sql\":\"SELECT nope FROM s;\"}".to_vec()),
            parts: Vec::new(),
        };
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let is_document = recorded.contains("@type");
        let body = if is_document { exact::parse(recorded) } else { None };
        let chunks = (!is_document).then(|| vec![recorded.to_owned()]);
        let expected = Expected { status: 200, headers: headers.clone(), body, chunks, still_open: false, frames: None, close: None };
        let exchange = Exchange { name: String::new(), request, expected, meanwhile: Vec::new() };
        let answer = Answer { status: 200, headers, chunks: vec![ours.as_bytes().to_vec()], ..Answer::default() };
        let rules = Rules { any_row_order, address: ([127, 0, 0, 1], 1).into() };
        compare(&exchange, &answer, &rules)
    }

    const ROWS: &str = "{\"queryId\":\"query_1795230607573\",\"columnNames\":[\"K\",\"D\"]}\n[\"a\",1.50]\n[\"b\",{\"X\":1,\"Y\":2}]\n";

    #[test]
    fn what_may_vary_may() {
        let ours = ROWS.replace("query_1795230607573", "query_1799999999999").replace("\"X\":1,\"Y\":2", "\"Y\":2,\"X\":1");
        assert_eq!(found(ROWS, &ours, false), Vec::<String>::new());
        let reordered = "{\"queryId\":\"query_1\",\"columnNames\":[\"K\",\"D\"]}\n[\"b\",{\"X\":1,\"Y\":2}]\n[\"a\",1.50]\n";
        assert!(found(ROWS, reordered, true).is_empty() && !found(ROWS, reordered, false).is_empty());
        let streams = r#"[{"@type":"streams","streams":[{"name":"A"},{"name":"B"}]}]"#;
        assert!(found(streams, r#"[{"@type":"streams","streams":[{"name":"B"},{"name":"A"}]}]"#, false).is_empty());
    }

    #[test]
    fn planted_differences_are_found() {
        for (from, to) in [
            ("[\"a\",1.50]\n", ""),
            ("[\"a\",1.50]\n", "[\"a\",1.50]\n[\"a\",1.50]\n"),
            ("1.50", "1.5"),
            ("\"X\":1", "\"X\":1.0"),
            ("\"K\",\"D\"", "\"D\",\"K\""),
            ("query_", "transient_S_"),
            (",\"Y\":2", ""),
            (",\"Y\":2", ",\"Y\":2,\"Z\":3"),
            ("\"a\"", "\"A\""),
        ] {
            assert!(!found(ROWS, &ROWS.replace(from, to), true).is_empty(), "{from} → {to}");
        }
        let error =
            r#"{"@type":"statement_error","error_code":40001,"message":"SELECT column 'NOPE' cannot be resolved.","statementText":"x"}"#;
        for (from, to) in [
            ("40001", "40000"),
            ("'NOPE'", "a column"),
            ("statement_error", "generic_error"),
            ("\"x\"", "\"y\""),
            ("{\"@type\":\"statement_error\",", "{\"first\":1,\"@type\":\"statement_error\","),
        ] {
            assert!(!found(error, &error.replace(from, to), false).is_empty(), "{from} → {to}");
        }
        assert!(found(error, &error.replace("cannot be resolved", "is no column of s"), false).is_empty());
        assert!(!found("{\"a\":1}", "no JSON", false).is_empty());
    }
}
