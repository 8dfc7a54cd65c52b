//! `tidemill-bench`: measures the engine against bare librdkafka on a real broker, alternating, in one process's time.
//!
//! It starts an Apache Kafka of its own (or uses `--bootstrap-servers`), loads Nexmark once, runs every workload so many
//! times in turn, then does the same on the embedded log, and prints medians as Markdown tables and JSON. A run whose output is not what it must be does not count.

mod asking;
mod check;
mod codecs;
mod commits;
mod cpu;
mod encoding;
mod host;
mod http;
mod input;
mod inserting;
mod kafka_streams;
mod latency;
mod limits;
mod pairs;
mod pull;
mod queries;
mod report;
mod restart;
mod scraping;
mod server;
mod serving;
mod soak;
mod statements;
mod subscribers;
mod warming;
mod windowed;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tidemill_engine::engine::Engine;
use tidemill_tests::broker::{Broker, BrokerError};

use input::{Input, Place, text};
use latency::Copier;
use limits::{BareConsume, BareCopy, LogCopy, LogRead};
use report::{Report, Row, Section};
use workload::Workload;

/// How long a broker may settle before its latency is measured, milliseconds.
const SETTLE_MS: u64 = 3_000;
/// Runs of the first workload that do not count: a broker's first minute is its compiler's.
const WARM_UP_RUNS: usize = 2;

/// The name of the measurement of statements for `--only`.
const STATEMENTS: &str = "statements";

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
    /// Queries beside which INSERT and CREATE are measured on Kafka (`--only statements` for nothing else); 0: they are not.
    #[arg(long, default_value_t = 1_000)]
    queries: usize,
    /// Let each of those queries write every row that it reads; else each row is written by one of them.
    #[arg(long)]
    all_write: bool,
    /// Where to measure: `kafka`, `embedded`, or both.
    #[arg(long, value_delimiter = ',', default_values_t = [Place::KAFKA.to_owned(), Place::EMBEDDED.to_owned()])]
    logs: Vec<String>,
    /// A running cluster instead of a broker of our own; its topics `bids` and `auctions` are loaded if they are not there.
    #[arg(long)]
    bootstrap_servers: Option<String>,
    /// Run q1, q2, count, wcount, q12, final, hop, session, join and left by Kafka Streams on the same broker, too (fetches it with mvn).
    #[arg(long)]
    kafka_streams: bool,
    /// Run the queries in this process instead of a server's.
    #[arg(long)]
    in_process: bool,
    /// A client property for all, `name=value`.
    #[arg(short = 'X', value_parser = property)]
    property: Vec<(String, String)>,
    /// Instead of all that: runs every operator (or those of `--only`) at a steady rate, and fails where CPU or memory grow.
    #[arg(long)]
    soak: bool,
    /// Seconds of the soak for each operator.
    #[arg(long, default_value_t = 600)]
    soak_seconds: u64,
    /// Records a second of the soak.
    #[arg(long, default_value_t = 20_000)]
    soak_rate: u64,
    /// Instead of all that: what the formats alone cost, in one thread without a log; so many rounds, the best of which counts.
    #[arg(long, value_name = "ROUNDS")]
    codecs: Option<usize>,
    /// Instead of all that: makes so many megabytes of state on Kafka, and measures how a server starts again on them.
    #[arg(long)]
    restart_mb: Option<u64>,
    /// Instead of all that: SQL over a live table and a topic of so many rows, beside SQLite (with python3).
    #[arg(long)]
    asking: Option<u64>,
    /// Instead of all that: so many push queries over one stream, each with a filter of its own, beside one and none (for
    /// `--latency-seconds` each).
    #[arg(long)]
    subscribers: Option<u64>,
    /// Instead of all that: so many rows that clients write, by each of the ways that there are (with python3).
    #[arg(long, value_name = "ROWS")]
    inserting: Option<u64>,
    /// Instead of all that: so many queries with exactly once on one topic; how late committed readers see what they write, and
    /// what that takes of the broker (for `--latency-seconds`).
    #[arg(long, value_name = "QUERIES")]
    commits: Option<usize>,
    /// Milliseconds between these commits.
    #[arg(long, default_value_t = 100)]
    commit_ms: u64,
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
    if let Some(unknown) = arguments.logs.iter().find(|log| ![Place::KAFKA, Place::EMBEDDED].contains(&log.as_str())) {
        return Err(format!("--logs takes {} and {}, not '{unknown}'", Place::KAFKA, Place::EMBEDDED));
    }
    if arguments.soak {
        return soak(arguments);
    }
    if let Some(rounds) = arguments.codecs {
        println!("{}", codecs::measure(rounds)?);
        return Ok(());
    }
    if let Some(megabytes) = arguments.restart_mb {
        let (_broker, bootstrap) = broker(arguments)?;
        let input = Input::load(Place::Kafka { bootstrap, in_process: false }, 0, arguments.property.iter().cloned().collect())?;
        println!("{}", restart::run(&input, megabytes)?);
        return Ok(());
    }
    if let Some(rows) = arguments.asking {
        println!("{}", asking::measure(rows, arguments.runs)?.table());
        return Ok(());
    }
    if let Some(many) = arguments.subscribers {
        println!("{}", subscribers::measure(many, arguments.latency_seconds, arguments.runs)?.table());
        return Ok(());
    }
    if let Some(rows) = arguments.inserting {
        for log in &arguments.logs {
            let (_broker, bootstrap) = match log.as_str() {
                Place::KAFKA => broker(arguments).map(|(broker, bootstrap)| (broker, Some(bootstrap)))?,
                _ => (None, None),
            };
            println!("{}", inserting::measure(log, bootstrap.as_deref(), rows, arguments.runs)?);
        }
        return Ok(());
    }
    if let Some(queries) = arguments.commits {
        let (broker, bootstrap) = broker(arguments)?;
        let input = Input::load(Place::Kafka { bootstrap, in_process: false }, 0, arguments.property.iter().cloned().collect())?;
        let broker = broker.as_ref().and_then(Broker::pid);
        println!("{}", commits::run(&input, broker, queries, arguments.commit_ms, arguments.latency_seconds)?);
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report { cores, ..Report::default() };
    if arguments.logs.iter().any(|log| log == Place::KAFKA) {
        on_kafka(arguments, &mut report)?;
    }
    if arguments.logs.iter().any(|log| log == Place::EMBEDDED) {
        on_embedded(arguments, &mut report)?;
    }
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

/// Runs the soak on each of the logs.
#[allow(clippy::print_stdout)]
fn soak(arguments: &Arguments) -> Result<(), String> {
    let mut is_flat = true;
    let mut run = |log: &str, place: Place| {
        let input = Input::load(place, 0, arguments.property.iter().cloned().collect())?;
        let (table, flat) = soak::run(&input, &arguments.only, arguments.soak_seconds, arguments.soak_rate)?;
        println!("### {log}\n\n{table}");
        is_flat &= flat;
        Ok::<(), String>(())
    };
    if arguments.logs.iter().any(|log| log == Place::KAFKA) {
        let (_broker, bootstrap) = broker(arguments)?;
        run("Apache Kafka", Place::Kafka { bootstrap, in_process: arguments.in_process })?;
    }
    if arguments.logs.iter().any(|log| log == Place::EMBEDDED) {
        let folder = tempfile::Builder::new().prefix("tidemill-bench-").tempdir().map_err(text)?;
        let engine = Engine::open(host::config(folder.path())).map_err(text)?;
        run("Embedded log", Place::Embedded(engine))?;
    }
    if is_flat { Ok(()) } else { Err("CPU or memory grows".into()) }
}

/// A broker of our own, unless there is one already, and its address.
fn broker(arguments: &Arguments) -> Result<(Option<Broker>, String), String> {
    if let Some(bootstrap) = arguments.bootstrap_servers.clone() {
        return Ok((None, bootstrap));
    }
    eprintln!("starting Apache Kafka …");
    let broker = Broker::start().map_err(|(BrokerError::Missing(reason) | BrokerError::Failed(reason))| reason)?;
    let bootstrap = broker.bootstrap();
    Ok((Some(broker), bootstrap))
}

fn on_kafka(arguments: &Arguments, report: &mut Report) -> Result<(), String> {
    let (broker, bootstrap) = broker(arguments)?;
    let mut input = load(arguments, Place::Kafka { bootstrap, in_process: arguments.in_process })?;
    input.broker = broker.as_ref().and_then(Broker::pid).map(cpu::Process::of);
    let seconds = arguments.latency_seconds;
    if seconds > 0 {
        // Before the throughput: what a broker deletes and writes back after that would be measured here.
        std::thread::sleep(Duration::from_millis(SETTLE_MS));
        report.idle_cpu_ms = Some(limits::idle_cpu(&input, seconds)?);
        let copiers =
            [(latency::KAFKA, Copier::None), ("bare librdkafka, two hops", Copier::Bare), ("the engine's log, two hops", Copier::Log)];
        for (name, copier) in copiers {
            report.latencies.insert(name, latency::measure(&input, copier, seconds)?);
        }
        report.latencies.insert(latency::FILTER, serving::filter(&input, seconds, false)?);
        report.latencies.insert(latency::FILTER_ONCE, serving::filter(&input, seconds, true)?);
    }
    let mut all: Vec<Box<dyn Workload>> = vec![
        Box::new(BareCopy),
        Box::new(BareConsume),
        Box::new(LogCopy),
        Box::new(LogRead { readers: 1 }),
        Box::new(LogRead { readers: 10 }),
    ];
    all.extend(queries::on_servers(arguments.in_process).into_iter().map(|query| Box::new(query) as Box<dyn Workload>));
    if arguments.kafka_streams {
        all.extend(kafka_streams::TOPOLOGIES.iter().map(|topology| Box::new(*topology) as Box<dyn Workload>));
    }
    report.sections.push(measure(arguments, &input, "Apache Kafka", all));
    let is_wanted = arguments.only.is_empty() || arguments.only.iter().any(|name| name == STATEMENTS);
    if is_wanted && arguments.queries > 0 {
        // Last: what follows a thousand topics is not what it was.
        report.statements =
            Some(statements::measure(&input, arguments.queries, arguments.all_write, arguments.bootstrap_servers.is_some())?);
    }
    (report.bids, report.bid_bytes) = (input.bids, input.bid_bytes);
    Ok(())
}

fn on_embedded(arguments: &Arguments, report: &mut Report) -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("tidemill-bench-").tempdir().map_err(text)?;
    let engine = Engine::open(host::config(folder.path())).map_err(text)?;
    let input = load(arguments, Place::Embedded(engine))?;
    let mut all: Vec<Box<dyn Workload>> = vec![Box::new(LogCopy), Box::new(LogRead { readers: 1 })];
    all.extend(queries::QUERIES.iter().map(|query| Box::new(*query) as Box<dyn Workload>));
    report.sections.push(measure(arguments, &input, "Embedded log", all));
    (report.bids, report.bid_bytes) = (input.bids, input.bid_bytes);
    if arguments.latency_seconds > 0 {
        match serving::measure(arguments.latency_seconds) {
            Ok(served) => report.served = Some(served),
            Err(error) => eprintln!("the server was not measured: {error}"),
        }
    }
    Ok(())
}

fn load(arguments: &Arguments, place: Place) -> Result<Input, String> {
    eprintln!("loading {} bids …", arguments.bids);
    Input::load(place, arguments.bids, arguments.property.iter().cloned().collect())
}

/// Runs all workloads in turn, as often as asked for.
fn measure(arguments: &Arguments, input: &Input, log: &'static str, mut workloads: Vec<Box<dyn Workload>>) -> Section {
    workloads.retain(|workload| arguments.only.is_empty() || arguments.only.iter().any(|name| name == workload.name()));
    let mut rows: Vec<Row> = workloads
        .iter()
        .map(|workload| Row {
            name: workload.name(),
            describe: workload.describe(),
            goal: workload.goal(),
            runs: pairs::Runs::new(),
            failures: vec![],
        })
        .collect();
    let mut number = 0;
    if let Some(first) = workloads.first_mut() {
        eprintln!("{log}: warming up …");
        for _ in 0..WARM_UP_RUNS {
            number += 1;
            if let Err(error) = first.run(input, number) {
                eprintln!("{log}, warming up: {error}");
            }
        }
        if workloads.iter().any(|workload| workload.is_transactional())
            && input.bootstrap().is_ok()
            && let Err(error) = warming::transactions(input).and_then(|()| warming::rounds(input, &mut workloads, &mut number))
        {
            eprintln!("{log}, warming up: {error}");
        }
    }
    for round in 1..=arguments.runs {
        let mut turns: Vec<_> = workloads.iter_mut().zip(&mut rows).collect();
        if pairs::is_reversed(round) {
            turns.reverse();
        }
        for (workload, row) in turns {
            number += 1;
            match workload.run(input, number) {
                Ok(run) => {
                    eprintln!(
                        "{log}, round {round}: {:<9} {:>6.0} k rec/s {:>6.2} µs CPU {:>6.2} µs of the broker",
                        row.name,
                        run.krps(),
                        run.cpu_us(),
                        run.broker_us().unwrap_or(0.0)
                    );
                    row.runs.insert(round, run);
                }
                Err(error) => {
                    eprintln!("{log}, round {round}: {:<9} does not count: {error}", row.name);
                    row.failures.push(error);
                }
            }
        }
    }
    Section { log, rows }
}
