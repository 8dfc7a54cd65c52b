//! One file, replayed in order on a fresh server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::{Commit, OutRecord, partition_for};
use tidemill_engine::row::Header;
use tidemill_engine::state::StateBatch;
use tidemill_server::{ConfigBuilder, Running, Server};
use tokio::runtime::Handle;

use crate::client::{self, Answer};
use crate::compare::{Rules, compare};
use crate::h2;
use crate::script::{Exchange, Line, Meanwhile, Produced, Protocol, Request, Script};
use crate::ws;

/// How long an answer that ends may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer that does not end is watched.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);
/// How long the rows that a file waits for may take.
const WAIT_PATIENCE: Duration = Duration::from_secs(10);
/// How the recorded server was set up. Ours keeps a processing log, is a schema registry and answers any SQL by default, ksqlDB does
/// none of it; that these are answered by default is held by tests of their own.
const PROPERTIES: [(&str, &str); 9] = [
    ("tidemill.rest.any.sql", "false"),
    ("tidemill.schema.registry.enabled", "false"),
    ("ksql.logging.processing.topic.auto.create", "false"),
    ("ksql.logging.processing.stream.auto.create", "false"),
    ("ksql.service.id", "rec_"),
    ("ksql.streams.commit.interval.ms", "100"),
    ("ksql.headers.columns.enabled", "true"),
    ("ksql.properties.overrides.denylist", "ksql.streams.num.standby.replicas"),
    ("ksql.connect.url", "http://127.0.0.1:18083"),
];

/// What became of one exchange.
pub struct Outcome {
    pub name: String,
    pub protocol: Protocol,
    /// Nothing where the answer matched.
    pub reasons: Vec<String>,
}

/// What became of a file.
#[derive(Default)]
pub struct Replayed {
    pub outcomes: Vec<Outcome>,
    /// What the set-up could not do.
    pub remarks: Vec<String>,
}

/// Replays a file.
pub fn replay(file: &Path, runtime: &Handle) -> Replayed {
    let script = Script::read(file);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = ConfigBuilder::new().set("listeners", "http://127.0.0.1:0", "test");
    config = config.set("tidemill.data.dir", &folder.path().display().to_string(), "test");
    for (name, value) in PROPERTIES {
        config = config.set(name, value, "test");
    }
    for (name, value) in &script.server_properties {
        config = config.set(name, value, "test");
    }
    let config = config.build().unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let server = runtime.block_on(Server::start(config)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut replay = Replay { server, runtime, replayed: Replayed::default(), parted: BTreeSet::new() };
    for line in &script.lines {
        replay.line(line);
    }
    runtime.block_on(replay.server.shutdown());
    replay.replayed
}

struct Replay<'a> {
    server: Running,
    runtime: &'a Handle,
    replayed: Replayed,
    /// Streams and tables of several partitions: their rows may come in any order.
    parted: BTreeSet<String>,
}

impl Replay<'_> {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Setup { statements } => {
                for sql in statements {
                    self.note_partitions(sql);
                    let answer = self.ksql(sql);
                    if answer.status != 200 {
                        self.replayed.remarks.push(format!("set-up: {sql}: {}", answer.text()));
                    }
                }
            }
            Line::Wait { sql, rows } => self.wait(sql, *rows),
            Line::Sleep { ms } => std::thread::sleep(Duration::from_millis(*ms)),
            Line::Produce(record) => self.produce(record),
            Line::Do(request, meanwhile) => {
                let mut reasons = Vec::new();
                let _ = self.send(request, OPEN_PATIENCE, meanwhile, &mut reasons);
            }
            Line::Exchange(exchange) => self.exchange(exchange),
        }
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let mut reasons = Vec::new();
        let patience = if exchange.expected.still_open { OPEN_PATIENCE } else { PATIENCE };
        match self.send(&exchange.request, patience, &exchange.meanwhile, &mut reasons) {
            Ok(answer) => {
                let rules = Rules { any_row_order: self.any_row_order(exchange), address: self.server.addr };
                reasons.extend(compare(exchange, &answer, &rules));
            }
            Err(error) => reasons.push(format!("no answer: {error}")),
        }
        self.replayed.outcomes.push(Outcome { name: exchange.name.clone(), protocol: exchange.request.protocol, reasons });
    }

    fn send(&self, request: &Request, patience: Duration, meanwhile: &[Meanwhile], reasons: &mut Vec<String>) -> Result<Answer, String> {
        let address = self.server.addr;
        let aside = |first: &[u8]| {
            for action in meanwhile {
                reasons.extend(act(address, action, first));
            }
        };
        match request.protocol {
            Protocol::Http2 => self.runtime.block_on(h2::send(address, request, patience, aside)).map_err(|e| e.to_string()),
            Protocol::WebSocket => self.runtime.block_on(ws::send(address, request, patience)),
            _ => client::send(address, request, patience, aside).map_err(|e| e.to_string()),
        }
    }

    fn ksql(&self, sql: &str) -> Answer {
        let body = json!({"ksql": sql, "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}});
        post(self.server.addr, "/ksql", &body)
    }

    fn wait(&mut self, sql: &str, rows: usize) {
        let started = Instant::now();
        loop {
            let answer = post(self.server.addr, "/query-stream", &json!({ "sql": sql }));
            let count = answer.text().lines().count().saturating_sub(1);
            if answer.status == 200 && count >= rows {
                return;
            }
            if answer.status == 400 || started.elapsed() > WAIT_PATIENCE {
                return self.replayed.remarks.push(format!("waited for {rows} rows of {sql}: {count}; {}", answer.text()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn produce(&mut self, record: &Produced) {
        let log = self.server.engine.log();
        let (topic, partitions) = match log.topic(&record.topic) {
            Ok(found) => found,
            Err(error) => return self.replayed.remarks.push(format!("produce: {error}")),
        };
        let key = record.key.as_deref().map(str::as_bytes);
        let headers: Vec<Header> =
            record.headers.iter().map(|(key, value)| Header { key: key.clone(), value: value.clone().map(String::into_bytes) }).collect();
        let mut writer = log.writer().expect("a writer");
        let out = OutRecord {
            partition: partition_for(key, partitions, &mut 0),
            timestamp: record.timestamp,
            key,
            value: record.value.as_deref().map(str::as_bytes),
            headers: &headers,
        };
        writer.send(topic, out).expect("the log takes a record");
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
    }

    fn note_partitions(&mut self, sql: &str) {
        let lower = sql.to_lowercase();
        let several = lower.split("partitions=").nth(1).and_then(|rest| rest.chars().next()).is_some_and(|c| ('2'..='9').contains(&c));
        if several || self.mentions_parted(&lower) {
            let name = lower.split_whitespace().skip_while(|w| *w != "stream" && *w != "table").nth(1);
            self.parted.extend(name.map(str::to_owned));
        }
    }

    fn mentions_parted(&self, lower: &str) -> bool {
        let words: BTreeSet<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        self.parted.iter().any(|name| words.contains(name.as_str()))
    }

    fn any_row_order(&self, exchange: &Exchange) -> bool {
        let body = String::from_utf8_lossy(exchange.request.body.as_deref().unwrap_or_default()).to_lowercase();
        body.contains(" in ") || body.contains(" in(") || body.contains(" or ") || self.mentions_parted(&body)
    }
}

/// Does something beside an answer whose first chunk is there; what went wrong with it.
fn act(address: SocketAddr, action: &Meanwhile, first: &[u8]) -> Option<String> {
    std::thread::sleep(Duration::from_millis(action.sleep_ms));
    let id = String::from_utf8_lossy(first).split("\"queryId\":\"").nth(1).and_then(|rest| rest.split('"').next().map(str::to_owned));
    let body = action.body.to_string().replace("<queryId of this answer>", &id.unwrap_or_default());
    let request = Request {
        protocol: Protocol::Http11,
        method: action.method.clone(),
        path: action.path.clone(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Some(body.into_bytes()),
        parts: Vec::new(),
    };
    match client::send(address, &request, PATIENCE, |_| {}) {
        Ok(answer) if action.status.is_none_or(|status| status == answer.status) => None,
        Ok(answer) => Some(format!("meanwhile: status {}: {}", answer.status, answer.text())),
        Err(error) => Some(format!("meanwhile: {error}")),
    }
}

fn post(address: SocketAddr, path: &str, body: &Json) -> Answer {
    let request = Request {
        protocol: Protocol::Http11,
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Some(body.to_string().into_bytes()),
        parts: Vec::new(),
    };
    client::send(address, &request, PATIENCE, |_| {}).unwrap_or_default()
}
