//! `tidemill-bench`: measures the engine against bare librdkafka on a real broker, alternating, in one process's time.
//!
//! It starts an Apache Kafka of its own (or uses `--bootstrap-servers`), loads Nexmark once, runs every workload so many
//! times in turn, and prints medians as a table and JSON. A run whose output is not what it must be does not count.

mod cpu;
mod host;
mod http;
mod input;
mod latency;
mod limits;
mod pull;
mod queries;
mod report;
mod server;
mod serving;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tempfile::TempDir;
use tidemill_engine::engine::{Engine, EngineConfig};
use tidemill_tests::broker::{Broker, BrokerError};

use input::{Input, Place, text};
use latency::Copier;
use limits::{BareConsume, BareCopy, LogCopy, LogRead};
use report::{Report, Row};
use workload::Workload;

/// Measures the engine against bare librdkafka on a real broker.
#[derive(Parser)]
struct Arguments {
    /// Bids to load.
    #[arg(long, default_value_t = 2_300_000)]
    bids: u64,
    /// Runs of each workload.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only these workloads, by name.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds of each latency measurement; 0 for none.
    #[arg(long, default_value_t = 10)]
    latency_seconds: u64,
    /// A running cluster instead of a broker of our own; its topics `bids` and `auctions` are loaded if they are not there.
    #[arg(long)]
    bootstrap_servers: Option<String>,
    /// Measure on the embedded log instead of a broker.
    #[arg(long, conflicts_with = "bootstrap_servers")]
    embedded: bool,
    /// Run the queries in this process instead of a server's.
    #[arg(long)]
    in_process: bool,
    /// A client property for all, `name=value`.
    #[arg(short = 'X', value_parser = property)]
    property: Vec<(String, String)>,
    /// Where the JSON goes; `-` for standard output.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn property(text: &str) -> Result<(String, String), String> {
    text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "expected name=value".to_owned())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidemill-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)] // The table is what this program is for.
fn run(arguments: &Arguments) -> Result<(), String> {
    let (_broker, _folder, place) = place(arguments)?;
    eprintln!("loading {} bids …", arguments.bids);
    let input = Input::load(place, arguments.bids, arguments.property.iter().cloned().collect())?;
    let report = measure(arguments, &input)?;
    println!("{}", report.table());
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report.json()).map_err(text)?;
        if path.as_os_str() == "-" {
            println!("{json}");
        } else {
            std::fs::write(path, json).map_err(text)?;
        }
    }
    Ok(())
}

/// The log to measure on, with what must live as long.
fn place(arguments: &Arguments) -> Result<(Option<Broker>, Option<TempDir>, Place), String> {
    let in_process = arguments.in_process;
    if arguments.embedded {
        let folder = tempfile::Builder::new().prefix("tidemill-bench-").tempdir().map_err(text)?;
        let engine = Engine::open(EngineConfig::new(folder.path())).map_err(text)?;
        return Ok((None, Some(folder), Place::Embedded(engine)));
    }
    if let Some(bootstrap) = arguments.bootstrap_servers.clone() {
        return Ok((None, None, Place::Kafka { bootstrap, in_process }));
    }
    eprintln!("starting Apache Kafka …");
    let broker = Broker::start().map_err(|(BrokerError::Missing(reason) | BrokerError::Failed(reason))| reason)?;
    let bootstrap = broker.bootstrap();
    Ok((Some(broker), None, Place::Kafka { bootstrap, in_process }))
}

fn workloads(only: &[String], place: &Place) -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = vec![Box::new(LogCopy), Box::new(LogRead { readers: 1 }), Box::new(LogRead { readers: 10 })];
    if matches!(place, Place::Kafka { .. }) {
        all.splice(0..0, [Box::new(BareCopy) as Box<dyn Workload>, Box::new(BareConsume)]);
    }
    all.extend(queries::QUERIES.iter().map(|query| Box::new(*query) as Box<dyn Workload>));
    all.into_iter().filter(|workload| only.is_empty() || only.iter().any(|name| name == workload.name())).collect()
}

fn measure(arguments: &Arguments, input: &Input) -> Result<Report, String> {
    let mut workloads = workloads(&arguments.only, &input.place);
    let mut rows: Vec<Row> = workloads
        .iter()
        .map(|workload| Row { name: workload.name(), describe: workload.describe(), goal: workload.goal(), runs: vec![], failures: vec![] })
        .collect();
    let mut number = 0;
    for round in 1..=arguments.runs {
        for (workload, row) in workloads.iter_mut().zip(&mut rows) {
            number += 1;
            match workload.run(input, number) {
                Ok(run) => {
                    eprintln!("round {round}: {:<6} {:>6.0} k rec/s {:>6.2} µs CPU", row.name, run.krps(), run.cpu_us());
                    row.runs.push(run);
                }
                Err(error) => {
                    eprintln!("round {round}: {:<6} does not count: {error}", row.name);
                    row.failures.push(error);
                }
            }
        }
    }
    let mut latencies = BTreeMap::new();
    let mut idle_cpu_ms = None;
    let mut served = None;
    let seconds = arguments.latency_seconds;
    if seconds > 0 && !arguments.embedded {
        idle_cpu_ms = Some(limits::idle_cpu(input, seconds)?);
        for (name, copier) in [("kafka", Copier::None), ("bare", Copier::Bare), ("log", Copier::Log)] {
            latencies.insert(name, latency::measure(input, copier, seconds, name)?);
        }
        match serving::measure(input, seconds) {
            Ok((latency, measured)) => {
                latencies.insert("filter", latency);
                served = Some(measured);
            }
            Err(error) => eprintln!("the server was not measured: {error}"),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Report { bids: input.bids, bid_bytes: input.bid_bytes, cores, rows, latencies, idle_cpu_ms, served })
}
