//! What a user waits for on Kafka: an INSERT and a CREATE … AS, on a server without queries and on one with many that all
//! read what is inserted. Beside each CREATE the broker alone does the same: a new topic, and one record of a command.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidemill_engine::log::{OutRecord, TopicSpec};

use crate::http::{Connection, request};
use crate::input::{Input, text};
use crate::server::Server;

/// Begins the names of what the server makes.
const SERVICE: &str = "bench_statements_";
/// Rows a second, and how many.
const ROWS: u32 = 500;
const ROWS_PER_SECOND: u32 = 25;
/// CREATEs, and the same by the broker alone, in turn.
const CREATES: usize = 20;
/// Rows before those that count: the first opens connections.
const WARM_UP_ROWS: u32 = 25;
/// A record about as large as a command.
const COMMAND_BYTES: usize = 2_000;
/// What may be added to the time alone while many queries read, milliseconds.
const INSERT_GOAL_MS: f64 = 10.0;
const CREATE_GOAL_MS: f64 = 20.0;

/// Milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// One server's statements.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub insert: Times,
    pub create: Times,
    /// The broker alone, for what a CREATE does.
    pub broker: Times,
}

/// Without and with queries.
#[derive(Debug, Clone, Copy)]
pub struct Statements {
    pub queries: usize,
    pub alone: Measured,
    pub beside: Measured,
    /// Mean time of the CREATEs that made the queries, milliseconds.
    pub making_ms: f64,
}

/// Measures a server that gets so many queries meanwhile. With `all_write`, each query writes every row that it reads; else
/// each row is written by one of them. Topics are deleted after that where the cluster belongs to somebody else.
///
/// # Errors
/// What the server or the broker says.
pub fn measure(input: &Input, queries: usize, all_write: bool, clean_up: bool) -> Result<Statements, String> {
    let server = Server::start(Some(input.bootstrap()?), SERVICE)?;
    let mut client = Client { connection: Connection::open(server.address)?, creates: 0 };
    client
        .run("CREATE STREAM readings (id BIGINT KEY, sensor BIGINT) WITH (KAFKA_TOPIC='readings', PARTITIONS=1, VALUE_FORMAT='JSON');")?;
    let broker = Alone::new(input)?;
    eprintln!("statements: alone …");
    let alone = measured(&mut client, &broker, queries)?;
    eprintln!("statements: making {queries} queries …");
    let began = Instant::now();
    for sensor in 0..queries {
        let condition = if all_write { "sensor >= 0".to_owned() } else { format!("sensor = {sensor}") };
        client.run(&format!("CREATE STREAM reads_{sensor} AS SELECT id, sensor FROM readings WHERE {condition} EMIT CHANGES;"))?;
    }
    let making_ms = began.elapsed().as_secs_f64() * 1e3 / queries.max(1) as f64;
    eprintln!("statements: beside {queries} queries …");
    let beside = measured(&mut client, &broker, queries)?;
    drop(server);
    if clean_up {
        for topic in input.log.list_topics().map_err(text)? {
            let name = topic.name.to_ascii_lowercase();
            if name.contains(SERVICE) || name.starts_with("reads_") || name.starts_with("made_") || name == "readings" {
                input.delete(&topic.name)?;
            }
        }
    }
    Ok(Statements { queries, alone, beside, making_ms })
}

fn measured(client: &mut Client, broker: &Alone<'_>, queries: usize) -> Result<Measured, String> {
    client.insert(WARM_UP_ROWS, queries)?;
    let insert = client.insert(ROWS, queries)?;
    let (mut create, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..CREATES {
        bare.push(broker.create()?);
        create.push(client.create()?);
    }
    Ok(Measured { insert: times(insert), create: times(create), broker: times(bare) })
}

struct Client {
    connection: Connection,
    creates: usize,
}

impl Client {
    /// Runs a statement; how long its answer took.
    fn run(&mut self, sql: &str) -> Result<Duration, String> {
        let request = request("/ksql", &json!({ "ksql": sql }).to_string());
        let began = Instant::now();
        let answer = self.connection.exchange(&request)?;
        let took = began.elapsed();
        if answer.status == 200 { Ok(took) } else { Err(format!("{sql}: {}", String::from_utf8_lossy(&answer.body))) }
    }

    /// Inserts rows one by one, each at its own time whatever the ones before took.
    fn insert(&mut self, rows: u32, queries: usize) -> Result<Vec<Duration>, String> {
        let began = Instant::now();
        (0..rows)
            .map(|row| {
                let due = Duration::from_secs(1) / ROWS_PER_SECOND * row;
                if let Some(early) = due.checked_sub(began.elapsed()) {
                    std::thread::sleep(early);
                }
                let sensor = row as usize % queries.max(1);
                self.run(&format!("INSERT INTO readings (id, sensor) VALUES ({row}, {sensor});"))
            })
            .collect()
    }

    fn create(&mut self) -> Result<Duration, String> {
        self.creates += 1;
        self.run(&format!("CREATE STREAM made_{} AS SELECT id, sensor FROM readings WHERE sensor < 0 EMIT CHANGES;", self.creates))
    }
}

/// The broker without a server.
struct Alone<'a> {
    input: &'a Input,
    commands: String,
    count: std::cell::Cell<usize>,
}

impl<'a> Alone<'a> {
    fn new(input: &'a Input) -> Result<Alone<'a>, String> {
        let commands = format!("{SERVICE}commands");
        let alone = Alone { input, commands, count: std::cell::Cell::new(0) };
        alone.topic(&alone.commands)?;
        Ok(alone)
    }

    fn topic(&self, name: &str) -> Result<(), String> {
        let spec = TopicSpec { name: name.to_owned(), partitions: 1, replicas: 1, config: Default::default() };
        self.input.log.create_topic(&spec).map_err(text)
    }

    /// What a CREATE asks of it: a topic that can be used, and a record.
    fn create(&self) -> Result<Duration, String> {
        self.count.set(self.count.get() + 1);
        let name = format!("{SERVICE}{}", self.count.get());
        let value = [b' '; COMMAND_BYTES];
        let began = Instant::now();
        self.topic(&name)?;
        let (handle, _) = self.input.log.known_topic(&self.commands).map_err(text)?;
        let record = OutRecord { partition: 0, timestamp: 1, key: None, value: Some(&value), headers: &[] };
        self.input.log.append(handle, record).map_err(text)?;
        Ok(began.elapsed())
    }
}

fn times(mut samples: Vec<Duration>) -> Times {
    samples.sort();
    let at = |share: f64| {
        let index = ((samples.len() as f64 * share) as usize).min(samples.len().saturating_sub(1));
        samples.get(index).map_or(0.0, |sample| sample.as_secs_f64() * 1e3)
    };
    Times { p50: at(0.5), p99: at(0.99), max: at(1.0) }
}

impl Statements {
    /// What an INSERT's p99 takes more beside the queries.
    fn insert_more(&self) -> f64 {
        self.beside.insert.p99 - self.alone.insert.p99
    }

    /// What a CREATE takes beyond the broker's own time, beside the queries.
    fn create_more(&self) -> f64 {
        self.beside.create.p50 - self.beside.broker.p50
    }

    /// In Markdown.
    pub fn table(&self) -> String {
        let Statements { queries, alone, beside, making_ms } = self;
        let mut out = format!(
            "\n### Statements on Kafka\n\n| ms | alone, p50 | p99 | max | with {queries} queries, p50 | p99 | max |\n|---|---:|---:|---:|---:|---:|---:|\n"
        );
        let rows = [
            ("INSERT of a row that all of them read", alone.insert, beside.insert),
            ("CREATE STREAM … AS SELECT", alone.create, beside.create),
            ("the broker alone: a topic and a record", alone.broker, beside.broker),
        ];
        for (name, one, other) in rows {
            let numbers = [one.p50, one.p99, one.max, other.p50, other.p99, other.max].map(|ms| format!("{ms:.1}"));
            out += &format!("| {name} | {} |\n", numbers.join(" | "));
        }
        let (insert, create) = (self.insert_more(), self.create_more());
        let mark = crate::report::mark;
        out += &format!(
            "\nWith {queries} queries an INSERT's p99 takes {insert:.1} ms more (goal {INSERT_GOAL_MS}{}), a CREATE {create:.1} ms more than \
             the broker alone (goal {CREATE_GOAL_MS}{}). Making them took {making_ms:.1} ms each.\n",
            mark(insert <= INSERT_GOAL_MS),
            mark(create <= CREATE_GOAL_MS)
        );
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let times = |times: Times| json!({ "p50_ms": times.p50, "p99_ms": times.p99, "max_ms": times.max });
        let measured = |one: Measured| json!({ "insert": times(one.insert), "create": times(one.create), "broker": times(one.broker) });
        json!({
            "queries": self.queries, "alone": measured(self.alone), "beside": measured(self.beside), "making_ms": self.making_ms,
            "insert_more_ms": self.insert_more(), "create_more_ms": self.create_more(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_queries_add_is_held_against_the_goals() {
        let times = |p50: f64, p99: f64| Times { p50, p99, max: 2.0 * p99 };
        let alone = Measured { insert: times(1.0, 4.0), create: times(30.0, 40.0), broker: times(20.0, 30.0) };
        let beside = Measured { insert: times(2.0, 13.0), create: times(61.0, 70.0), broker: times(40.0, 50.0) };
        let table = Statements { queries: 9, alone, beside, making_ms: 30.0 }.table();
        assert!(table.contains("takes 9.0 ms more (goal 10 ✓), a CREATE 21.0 ms more than the broker alone (goal 20 ✗)"), "{table}");
    }
}
