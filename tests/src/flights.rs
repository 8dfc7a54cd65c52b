//! The flights of `sql-examples/flights`: fetched, and produced as JSON into two topics.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::DateTime;
use serde_json::{Map, Value as Json, json};
use tidemill_engine::log::{Commit, Log, OutRecord, TopicHandle, TopicSpec, partition_for};
use tidemill_engine::state::StateBatch;

use crate::broker::BrokerError;

/// Partitions of both topics: joined tables and streams need the same number.
const PARTITIONS: u32 = 4;
/// Records between two commits.
const COMMIT_RECORDS: usize = 20_000;
/// The time of the airlines' records: before every flight, so that each finds its airline.
const AIRLINES_AT: &str = "2013-01-01T00:00:00Z";
const MINUTE_MS: i64 = 60_000;
/// The exit code of `fetch.sh` where the data can't be had.
const FETCH_MISSING: i32 = 3;
/// What a record says of a flight besides its carrier and its time: text and numbers.
const TEXTS: [&str; 3] = ["tailnum", "origin", "dest"];
const NUMBERS: [&str; 4] = ["flight", "dep_delay", "arr_delay", "distance"];

/// The example's folder in this checkout.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql-examples/flights")
}

/// The folder with `flights.csv` and `airlines.csv`, fetched if it is not there.
///
/// # Errors
/// `Missing` without Python or the package index.
pub fn fetch() -> Result<PathBuf, BrokerError> {
    let output = Command::new(example().join("fetch.sh")).stdin(Stdio::null()).output();
    let output = output.map_err(|error| BrokerError::Missing(format!("needs bash: {error}")))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(said(&output.stdout).into()),
        Some(FETCH_MISSING) => Err(BrokerError::Missing(said(&output.stderr))),
        _ => Err(BrokerError::Failed(said(&output.stderr))),
    }
}

/// How many records were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    pub flights: usize,
    pub airlines: usize,
}

/// Makes the topics `flights` and `airlines` and writes the files' rows, keyed by carrier.
///
/// Flights come in the order of the schedule; their time is the departure: the schedule's minute and the delay. A flight
/// that was cancelled has no delay: its time is that of the schedule.
///
/// # Errors
/// A file can't be read or is not as expected, or the log refuses.
pub fn produce(log: &dyn Log, folder: &Path) -> Result<Produced, Box<dyn std::error::Error>> {
    let mut sender = Sender { writer: log.writer()?, sent: 0 };
    let airlines = File::read(&folder.join("airlines.csv"))?;
    let topic = create(log, "airlines", "compact")?;
    let timestamp = DateTime::parse_from_rfc3339(AIRLINES_AT)?.timestamp_millis();
    for airline in airlines.lines().map(|line| airlines.row(line)) {
        sender.send(topic, text(&airline, "carrier")?, timestamp, &json!({"name": text(&airline, "name")?}))?;
    }
    sender.commit()?;
    let airlines = sender.sent;

    let flights = File::read(&folder.join("flights.csv"))?;
    let mut by_schedule =
        flights.lines().map(|line| Ok((scheduled(&flights.row(line))?, line))).collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    by_schedule.sort_by_key(|(scheduled, _)| *scheduled);
    let topic = create(log, "flights", "delete")?;
    for (scheduled, line) in by_schedule {
        let row = flights.row(line);
        let departure = scheduled + number(&row, "dep_delay")?.unwrap_or(0) * MINUTE_MS;
        let mut value = Map::new();
        for name in TEXTS {
            value.insert(name.to_owned(), row.get(name).map_or(Json::Null, |text| json!(text)));
        }
        for name in NUMBERS {
            value.insert(name.to_owned(), number(&row, name)?.map_or(Json::Null, |number| json!(number)));
        }
        sender.send(topic, text(&row, "carrier")?, departure, &Json::Object(value))?;
    }
    sender.commit()?;
    Ok(Produced { flights: sender.sent - airlines, airlines })
}

/// A row's fields that are not missing, by the names of the header.
type Row<'a> = BTreeMap<&'a str, &'a str>;

/// What stands in the files for a value that is missing.
const MISSING: [&str; 2] = ["", "NA"];

/// A file of comma-separated values without quotes.
struct File(String);

impl File {
    fn read(path: &Path) -> Result<File, String> {
        fs::read_to_string(path).map(File).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Those behind the header.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines().skip(1)
    }

    fn row<'a>(&'a self, line: &'a str) -> Row<'a> {
        let header = self.0.lines().next().unwrap_or_default();
        header.split(',').zip(line.split(',')).filter(|(_, field)| !MISSING.contains(field)).collect()
    }
}

fn text<'a>(row: &Row<'a>, name: &str) -> Result<&'a str, String> {
    row.get(name).copied().ok_or_else(|| format!("a row without {name}: {row:?}"))
}

fn number(row: &Row<'_>, name: &str) -> Result<Option<i64>, String> {
    row.get(name).map(|text| text.parse().map_err(|_| format!("{name} is '{text}'"))).transpose()
}

/// When a flight should have left: the hour in UTC and the minute, in milliseconds since the epoch.
fn scheduled(row: &Row<'_>) -> Result<i64, Box<dyn std::error::Error>> {
    let hour = DateTime::parse_from_rfc3339(text(row, "time_hour")?)?.timestamp_millis();
    Ok(hour + number(row, "minute")?.ok_or("a flight without a minute")? * MINUTE_MS)
}

/// Makes a topic that keeps records however old they are.
fn create(log: &dyn Log, name: &str, cleanup: &str) -> Result<TopicHandle, Box<dyn std::error::Error>> {
    let config = [("cleanup.policy", cleanup), ("retention.ms", "-1")].into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    log.create_topic(&TopicSpec { name: name.to_owned(), partitions: PARTITIONS, replicas: 1, config })?;
    Ok(log.topic(name)?.0)
}

struct Sender {
    writer: Box<dyn tidemill_engine::log::LogWriter>,
    sent: usize,
}

impl Sender {
    fn send(&mut self, topic: TopicHandle, key: &str, timestamp: i64, value: &Json) -> Result<(), Box<dyn std::error::Error>> {
        let (key, value) = (key.as_bytes(), value.to_string());
        let partition = partition_for(Some(key), PARTITIONS, &mut 0);
        self.writer.send(topic, OutRecord { partition, timestamp, key: Some(key), value: Some(value.as_bytes()), headers: &[] })?;
        self.sent += 1;
        if self.sent.is_multiple_of(COMMIT_RECORDS) {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        Ok(self.writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })?)
    }
}
