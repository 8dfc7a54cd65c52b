//! The lines of a transcript file.

use std::path::Path;

use serde_json::Value as Json;

use crate::exact;

/// A request, as it was sent.
pub struct Request {
    pub protocol: Protocol,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// The body's parts where they are sent one after the other.
    pub parts: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http11,
    Http10,
    Http2,
    WebSocket,
}

/// What is done on another connection once the first chunk of an answer is there.
pub struct Meanwhile {
    pub sleep_ms: u64,
    pub method: String,
    pub path: String,
    pub body: Json,
    pub status: Option<u64>,
}

/// What the recorded server answered. Numbers stand as [`exact`] texts.
pub struct Expected {
    pub status: u64,
    pub headers: Vec<(String, String)>,
    /// A body that was parsed.
    pub body: Option<Json>,
    /// A body as it arrived.
    pub chunks: Option<Vec<String>>,
    pub still_open: bool,
    /// Texts of a WebSocket.
    pub frames: Option<Vec<String>>,
    /// How a WebSocket was closed.
    pub close: Option<u64>,
}

pub struct Exchange {
    pub name: String,
    pub request: Request,
    pub expected: Expected,
    pub meanwhile: Vec<Meanwhile>,
}

pub struct Produced {
    pub topic: String,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
    pub timestamp: i64,
}

pub enum Line {
    Setup {
        statements: Vec<String>,
    },
    Wait {
        sql: String,
        rows: usize,
    },
    Sleep {
        ms: u64,
    },
    Produce(Produced),
    /// A request whose answer is not looked at.
    Do(Box<Request>, Vec<Meanwhile>),
    Exchange(Box<Exchange>),
}

/// A file's lines, and the properties that its server has besides the usual ones.
pub struct Script {
    pub lines: Vec<Line>,
    pub server_properties: Vec<(String, String)>,
}

impl Script {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut script = Script { lines: Vec::new(), server_properties: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let json: Json = serde_json::from_str(line).unwrap_or_else(|e| panic!("{} line {}: {e}", path.display(), number + 1));
            script.server_properties.extend(pairs(&json["server_properties"]));
            script.lines.push(read_line(&json, line));
        }
        script
    }
}

fn read_line(json: &Json, text: &str) -> Line {
    let protocol = protocol(json);
    if let Some(statements) = json["setup"].as_array() {
        return Line::Setup { statements: statements.iter().map(string).collect() };
    }
    if json["wait"].is_object() {
        let rows = json["wait"]["rows"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a number of rows");
        return Line::Wait { sql: string(&json["wait"]["pull"]), rows };
    }
    if let Some(ms) = json["sleep_ms"].as_u64() {
        return Line::Sleep { ms };
    }
    if json["produce"].is_object() {
        return Line::Produce(produced(&json["produce"]));
    }
    if json["do"].is_object() {
        return Line::Do(Box::new(request(&json["do"], protocol)), meanwhile(json));
    }
    let quoted: Json = serde_json::from_str(&exact::quote_numbers(text)).expect("still JSON");
    Line::Exchange(Box::new(Exchange {
        name: string(&json["name"]),
        request: request(&json["request"], protocol),
        expected: expected(&json["response"], &quoted["response"]),
        meanwhile: meanwhile(json),
    }))
}

fn protocol(json: &Json) -> Protocol {
    match json["protocol"].as_str() {
        None => Protocol::Http11,
        Some("HTTP/1.0") => Protocol::Http10,
        Some("WebSocket") => Protocol::WebSocket,
        Some(_) => Protocol::Http2,
    }
}

fn request(json: &Json, protocol: Protocol) -> Request {
    let parts: Vec<Vec<u8>> = json["body_parts"].as_array().into_iter().flatten().map(|part| string(part).into_bytes()).collect();
    let body = match &json["body"] {
        Json::Null if !parts.is_empty() => Some(parts.concat()),
        Json::Null => None,
        Json::String(text) => Some(text.clone().into_bytes()),
        Json::Object(object) if object.len() == 1 && object.contains_key("base64") => Some(base64(&string(&json["body"]["base64"]))),
        other => Some(repeated(&other.to_string()).into_bytes()),
    };
    let path = string(&json["path"]) + &query(&json["query"]);
    // What was asked is looked at for names, wherever it stood.
    let body = if protocol == Protocol::WebSocket { Some(json["query"].to_string().into_bytes()) } else { body };
    Request { protocol, method: string(&json["method"]), path, headers: pairs(&json["headers"]), body, parts }
}

/// What follows the question mark: as it was sent, or parameters with JSON in them.
fn query(json: &Json) -> String {
    let escaped = |text: String| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    match json {
        Json::String(text) => format!("?{text}"),
        Json::Object(parameters) => {
            let parameters = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value.to_string())));
            format!("?{}", parameters.collect::<Vec<_>>().join("&"))
        }
        _ => String::new(),
    }
}

/// `<N times x>` stands for N letters x.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else { return text.to_owned() };
    match rest.split_once(" times x>").and_then(|(count, after)| Some((count.parse().ok()?, after))) {
        Some((count, after)) => format!("{before}{}{after}", "x".repeat(count)),
        None => format!("{before}<{}", repeated(rest)),
    }
}

fn expected(json: &Json, quoted: &Json) -> Expected {
    let chunks = json["chunks"].as_array().map(|chunks| chunks.iter().map(string).collect());
    Expected {
        status: json["status"].as_u64().unwrap_or_default(),
        headers: pairs(&json["headers"]),
        body: json.get("body").map(|_| quoted["body"].clone()),
        chunks,
        frames: json["frames"].as_array().map(|frames| frames.iter().map(string).collect()),
        close: json["close"]["code"].as_u64(),
        still_open: json["ended"].as_str().is_some_and(|e| e.starts_with("still open")),
    }
}

fn meanwhile(json: &Json) -> Vec<Meanwhile> {
    let Some(list) = json["meanwhile"].as_array() else { return Vec::new() };
    let one = |entry: &Json| {
        let what = &entry["after_first_chunk"];
        let sql = what["ksql"].as_str();
        Meanwhile {
            sleep_ms: what["sleep_ms"].as_u64().unwrap_or(0),
            method: what["method"].as_str().unwrap_or("POST").to_owned(),
            path: what["path"].as_str().unwrap_or("/ksql").to_owned(),
            body: sql.map_or_else(|| what["body"].clone(), |sql| serde_json::json!({ "ksql": sql })),
            status: entry["status"].as_u64(),
        }
    };
    list.iter().map(one).collect()
}

fn produced(json: &Json) -> Produced {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let headers = json["headers"].as_array().into_iter().flatten().map(|h| (string(&h[0]), text(&h[1])));
    Produced {
        topic: string(&json["topic"]),
        key: text(&json["key"]),
        value: text(&json["value"]),
        headers: headers.collect(),
        timestamp: json["timestamp"].as_i64().expect("a timestamp"),
    }
}

fn pairs(json: &Json) -> Vec<(String, String)> {
    json.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), string(value))).collect()
}

fn string(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Object(object) if object.contains_key("base64") => String::from_utf8_lossy(&base64(&string(&object["base64"]))).into_owned(),
        other => other.to_string(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in text.bytes().filter_map(|b| LETTERS.iter().position(|l| *l == b)) {
        bits = bits << 6 | u32::try_from(letter).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 255).expect("a byte"));
        }
    }
    out
}

#[test]
fn bodies_are_spelled_out() {
    assert_eq!(repeated("a < b <3 times x>;"), "a < b xxx;");
    assert_eq!(base64("aGVsbG8="), b"hello");
}
