//! The records of a source on a server, by a push query that begins with the first.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tidemill_parser::ast::Ident;

use super::INTERRUPTED;
use super::cells::value;
use crate::client::Lines;
use crate::sqltest::stage::{Record, Shape};

/// How often it is looked whether the test was interrupted.
const LOOK: Duration = Duration::from_millis(200);

pub struct Reader {
    lines: Lines,
    pub read: Vec<Record>,
    /// The source was changed since.
    pub is_stale: bool,
    /// Nobody has looked for a record yet.
    pub is_new: bool,
}

/// The query that reads a source's records with their times.
pub fn query(prefix: &str, shape: &Shape) -> String {
    let window = ["WINDOWSTART", "WINDOWEND"].into_iter().filter(|_| shape.is_windowed).map(str::to_owned);
    let columns = shape.columns.iter().map(|column| Ident::new(column.name.clone()).to_string());
    let items: Vec<String> = std::iter::once("ROWTIME".to_owned()).chain(window).chain(columns).collect();
    format!("SELECT {} FROM {} EMIT CHANGES;", items.join(", "), Ident::new(format!("{prefix}{}", shape.name)))
}

impl Reader {
    pub fn new(lines: Lines) -> Self {
        Reader { lines, read: Vec::new(), is_stale: false, is_new: true }
    }

    /// The next record, if it comes in time.
    pub fn next(&mut self, runtime: &tokio::runtime::Runtime, shape: &Shape, patience: Duration) -> Result<Option<Record>, String> {
        self.is_new = false;
        let deadline = Instant::now() + patience;
        loop {
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err("interrupted".to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now()).min(LOOK);
            let lines = &mut self.lines;
            let line = match runtime.block_on(async { tokio::time::timeout(left, lines.next()).await }) {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) => return Err("the server has ended the query that reads the records".to_owned()),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) if Instant::now() >= deadline => return Ok(None),
                Err(_) => continue,
            };
            if let Some(record) = record(&line, shape)? {
                self.read.push(record.clone());
                return Ok(Some(record));
            }
        }
    }
}

/// What a line of the answer says.
fn record(line: &str, shape: &Shape) -> Result<Option<Record>, String> {
    let line = crate::shell::bare(line);
    if line.is_empty() || line == "]" {
        return Ok(None);
    }
    let json: Json = serde_json::from_str(line).map_err(|_| format!("the server's answer can't be read: {line}"))?;
    if let Some(message) = json["errorMessage"]["message"].as_str() {
        return Err(message.to_owned());
    }
    if let Some(message) = json["finalMessage"].as_str() {
        return Err(format!("the server has ended the query that reads the records: {message}"));
    }
    let Some(columns) = json["row"]["columns"].as_array() else { return Ok(None) };
    let mut columns = columns.iter();
    let mut number = || columns.next().and_then(Json::as_i64);
    let timestamp = number().unwrap_or_default();
    let window = match shape.is_windowed {
        true => number().zip(number()).map(|(start, end)| tidemill_engine::row::Window { start, end }),
        false => None,
    };
    let values = shape.columns.iter().map(|column| columns.next().map_or(Ok(Default::default()), |json| value(json, &column.sql_type)));
    let values = values.collect::<Result<_, _>>()?;
    let has_value = json["row"]["tombstone"].as_bool() != Some(true);
    Ok(Some(Record { timestamp, partition: None, offset: None, window, has_value, values, unreadable: None }))
}
