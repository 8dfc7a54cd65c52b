//! The example's tables as the server keeps them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tidemill_tests::broker::{self, BrokerError};
use tidemill_tests::flights;
use tidemill_tests::server::{ServerProcess, tidemill_binary};

use crate::batch::{self, Days, Delays, HourKey};

/// How long the server may take for the year.
const PATIENCE: Duration = Duration::from_secs(120);
const FLIGHTS: i64 = 336_776;

/// The fetched files and the batch results.
type Expected = (PathBuf, BTreeMap<HourKey, Delays>, Days);

/// What must come out, or `None` after saying that the test is skipped.
fn expected(test: &str) -> Option<&'static Expected> {
    static EXPECTED: OnceLock<Result<Expected, BrokerError>> = OnceLock::new();
    let expected = EXPECTED.get_or_init(|| {
        let folder = flights::fetch()?;
        let (delays, days) = batch::compute(&folder);
        assert_eq!(delays.values().map(|hour| hour.flights).sum::<i64>(), FLIGHTS, "the batch has every flight");
        Ok((folder, delays, days))
    });
    match expected {
        Ok(expected) => Some(expected),
        Err(BrokerError::Missing(reason)) => {
            broker::skipped(test, reason);
            None
        }
        Err(BrokerError::Failed(reason)) => panic!("{reason}"),
    }
}

#[test]
fn on_the_embedded_log_tables_equal_the_batch() {
    let Some((files, delays, days)) = expected("on_the_embedded_log_tables_equal_the_batch") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    produce(files, "--data-dir", data.to_str().expect("a path"));
    let server = ServerProcess::start(&data, &[]);
    check(&server, delays, days);
    // As before after an end in order.
    assert_eq!(server.terminate(), Some(0));
    compare(&ServerProcess::start(&data, &[]), delays, days);
}

#[test]
fn on_kafka_tables_equal_the_batch() {
    let test = "on_kafka_tables_equal_the_batch";
    let Some((files, delays, days)) = expected(test) else { return };
    let Some(bootstrap) = broker::shared(test) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    produce(files, "--bootstrap-servers", &bootstrap);
    let server = ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap]);
    check(&server, delays, days);
    // As before from the changelog topics alone.
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_dir_all(&data).expect("the data folder can be removed");
    let server = ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap]);
    for table in ["delays_per_hour", "cancellations_per_day"] {
        server.pull_until(&format!("SELECT flights FROM {table};"), PATIENCE, |rows| !rows.is_empty());
    }
    compare(&server, delays, days);
}

/// Runs the example's producer, as its users do.
fn produce(files: &Path, option: &str, value: &str) {
    let producer = tidemill_binary().with_file_name("examples").join("flights");
    assert!(producer.exists(), "{} is missing: build it first (cargo build --release --workspace --examples)", producer.display());
    let output = Command::new(producer).arg(files).args([option, value]).output().expect("the producer runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", said.trim());
}

/// Runs the example's script and compares its tables once every flight is in them.
fn check(server: &ServerProcess, delays: &BTreeMap<HourKey, Delays>, days: &Days) {
    let script = std::fs::read_to_string(flights::example().join("flights.sql")).expect("the script");
    server.ksql(&script);
    let began = Instant::now();
    let all = |rows: &[Json]| rows.iter().map(|row| row[0].as_i64().unwrap_or(0)).sum::<i64>() >= FLIGHTS;
    server.pull_until("SELECT flights FROM cancellations_per_day;", PATIENCE, all);
    server.pull_until("SELECT flights FROM delays_per_hour;", PATIENCE, all);
    println!("{FLIGHTS} flights in both tables after {:?}", began.elapsed());
    compare(server, delays, days);
}

fn compare(server: &ServerProcess, delays: &BTreeMap<HourKey, Delays>, days: &Days) {
    let began = Instant::now();
    let (found_delays, found_days) = tables(server);
    assert_eq!(difference(&found_delays, delays), None);
    assert_eq!(difference(&found_days, days), None);
    println!("{} hours and {} days compared in {:?}", delays.len(), days.len(), began.elapsed());
    // A single flight too many would be seen.
    let mut planted = found_delays;
    let (key, hour) = planted.iter_mut().nth(delays.len() / 2).expect("an hour");
    hour.flights += 1;
    let key = key.clone();
    assert!(difference(&planted, delays).is_some_and(|said| said.contains(&format!("{key:?}"))));
    planted.remove(&key);
    assert!(difference(&planted, delays).is_some());
}

/// The first key on which two tables differ, with both sides.
fn difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(found: &BTreeMap<K, V>, wanted: &BTreeMap<K, V>) -> Option<String> {
    let key = wanted.keys().chain(found.keys()).find(|key| found.get(key) != wanted.get(key))?;
    Some(format!("{key:?}: found {:?}, wanted {:?}", found.get(key), wanted.get(key)))
}

fn tables(server: &ServerProcess) -> (BTreeMap<HourKey, Delays>, Days) {
    let columns = "carrier, WINDOWSTART, airline, flights, departed, late, delay_minutes, mean_delay, least_delay, worst_delay, arrived, \
                   worst_arrival";
    let mut delays = BTreeMap::new();
    for row in server.pull(&format!("SELECT {columns} FROM delays_per_hour;")) {
        let hour = Delays {
            airline: text(&row[2]),
            flights: integer(&row[3]),
            departed: integer(&row[4]),
            late: integer(&row[5]),
            delay_minutes: integer(&row[6]),
            mean_delay: row[7].as_f64().expect("a mean"),
            least_delay: row[8].as_i64(),
            worst_delay: row[9].as_i64(),
            arrived: integer(&row[10]),
            worst_arrival: row[11].as_i64(),
        };
        assert!(delays.insert((text(&row[0]), integer(&row[1])), hour).is_none(), "twice: {row}");
    }
    let mut days = Days::new();
    for row in server.pull("SELECT origin, WINDOWSTART, flights, cancelled FROM cancellations_per_day;") {
        let day = (integer(&row[2]), integer(&row[3]));
        assert!(days.insert((text(&row[0]), integer(&row[1])), day).is_none(), "twice: {row}");
    }
    (delays, days)
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

fn integer(value: &Json) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}
