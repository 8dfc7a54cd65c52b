//! Kafka Streams on the same broker, for scale: the Maven project beside this crate, built into the cache folder once.
//!
//! Its clock starts when the topology starts: the JVM's own start, about a second, is left out.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tidemill_tests::broker::cache_folder;

use crate::check::{Check, CountKey};
use crate::cpu::Process;
use crate::encoding::Encoding;
use crate::input::{Input, text};
use crate::queries::wait_for;
use crate::workload::{Measurement, Workload};

/// The project's files, by their path within it.
const PROJECT: &[(&str, &str)] = &[
    ("pom.xml", include_str!("../kafka-streams/pom.xml")),
    ("src/main/java/tidemill/bench/Topologies.java", include_str!("../kafka-streams/src/main/java/tidemill/bench/Topologies.java")),
    ("src/main/java/tidemill/bench/Avro.java", include_str!("../kafka-streams/src/main/java/tidemill/bench/Avro.java")),
];
/// What the program prints when it begins.
const STARTED: &str = "started";
/// Heap of its JVM.
const HEAP: &str = "-Xmx512m";

/// One topology of the project.
#[derive(Debug, Clone, Copy)]
pub struct Topology {
    name: &'static str,
    describe: &'static str,
    /// Its name in the project.
    topology: &'static str,
    /// Of the bids and of the results.
    encoding: Encoding,
    check: Check,
    /// With exactly once, committed as often as the queries that are.
    is_once: bool,
}

/// One that reads and writes JSON.
const fn json(name: &'static str, describe: &'static str, topology: &'static str, check: Check) -> Topology {
    Topology { name, describe, topology, encoding: Encoding::Json, check, is_once: false }
}

const fn once(name: &'static str, topology: &'static str, check: Check) -> Topology {
    let describe = "Kafka Streams: the same with exactly once, committed each 100 ms";
    Topology { name, describe, topology, encoding: Encoding::Json, check, is_once: true }
}

const COUNTS: Check = Check::Counts { by: CountKey::Auction, each: true };
const WINDOWED: Check = Check::Counts { by: CountKey::AuctionWindow, each: true };
const REGROUPED: Check = Check::Counts { by: CountKey::BidderWindow, each: true };

/// All of them.
pub const TOPOLOGIES: &[Topology] = &[
    json("streams-q1", "Kafka Streams: q1", "q1", Check::Converted),
    json("streams-q2", "Kafka Streams: q2", "q2", Check::Filtered),
    Topology {
        name: "streams-q1-avro",
        describe: "Kafka Streams: q1 from AVRO to AVRO, by generic records",
        topology: "q1-avro",
        encoding: Encoding::Avro,
        check: Check::Converted,
        is_once: false,
    },
    Topology {
        name: "streams-q2-avro",
        describe: "Kafka Streams: q2 from AVRO to AVRO, by generic records",
        topology: "q2-avro",
        encoding: Encoding::Avro,
        check: Check::Filtered,
        is_once: false,
    },
    json("streams-count", "Kafka Streams: count by key, each change", "count", COUNTS),
    json("streams-wcount", "Kafka Streams: tumbling count by key, each change", "wcount", WINDOWED),
    json("streams-q12", "Kafka Streams: tumbling count by bidder, each change, with its repartition", "q12", REGROUPED),
    json("streams-final", "Kafka Streams: tumbling count, final results alone", "final", Check::Final),
    json("streams-hop", "Kafka Streams: count in hopping windows, final results alone", "hop", Check::Hopped),
    json("streams-session", "Kafka Streams: count in sessions", "session", Check::Sessions),
    json("streams-join", "Kafka Streams: bids joined with their auctions within 10 seconds", "join", Check::Met),
    json(
        "streams-left",
        "Kafka Streams: bids joined with their auctions in time, those without a match held",
        "left",
        // It lets rows go by wall-clock time, too, so the last ones stay.
        Check::LeftJoined { exact: false },
    ),
    once("streams-q1-once", "q1", Check::Converted),
    once("streams-count-once", "count", COUNTS),
    once("streams-wcount-once", "wcount", WINDOWED),
    once("streams-q12-once", "q12", REGROUPED),
    once("streams-join-once", "join", Check::Met),
];

impl Workload for Topology {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> &'static str {
        self.describe
    }

    fn is_transactional(&self) -> bool {
        self.is_once
    }

    fn run(&mut self, input: &Input, run: usize) -> Result<Measurement, String> {
        let project = build()?;
        let bids = self.encoding.bids();
        input.expect(bids, input.bids).map_err(|why| format!("{why}; a query that reads '{bids}' has to run before"))?;
        let id = format!("{}-{}-{run}", self.name, std::process::id());
        let sink = format!("{id}-sink");
        input.create(&sink)?;
        let measured = self.measure(input, &project, &id, &sink);
        for topic in input.log.list_topics().map_err(text)?.into_iter().filter(|topic| topic.name.starts_with(&id)) {
            input.delete(&topic.name)?;
        }
        measured
    }
}

impl Topology {
    fn measure(&self, input: &Input, project: &Path, id: &str, sink: &str) -> Result<Measurement, String> {
        let state = tempfile::Builder::new().prefix("tidemill-streams-").tempdir().map_err(text)?;
        let mut command = Command::new("java");
        command.args([HEAP, "-XX:+UseSerialGC", "-cp"]).arg(format!("{0}/target/classes:{0}/libs/*", project.display()));
        command.arg("tidemill.bench.Topologies").args([input.bootstrap()?, self.topology, sink, id]).arg(state.path());
        command.arg(if self.is_once { "exactly_once_v2" } else { "at_least_once" });
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map(Running).map_err(text)?;
        let mut line = String::new();
        let output = child.0.stdout.take().ok_or("no output of Kafka Streams")?;
        BufReader::new(output).read_line(&mut line).map_err(text)?;
        if line.trim() != STARTED {
            return Err("Kafka Streams did not start".into());
        }
        let meters = input.meters(Process::of(child.0.id()));
        let (before, began) = (meters.used(), Instant::now());
        let (least, most) = input.expected.records(self.check);
        // What ends a transaction counts as a record in a partition's end.
        let mut done = wait_for(input, sink, least, most.filter(|_| !self.is_once), || meters.used())?;
        done.records = most.unwrap_or(done.records);
        drop(child);
        self.check.verify(self.encoding, input, sink, done.records)?;
        let (wall, cpu) = (done.at.duration_since(began), done.cpu.since(before));
        Ok(Measurement { records: input.bids, output: done.records, wall, cpu })
    }
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles the project, unless that was done before, and returns its folder.
fn build() -> Result<PathBuf, String> {
    let folder = cache_folder().join("kafka-streams-bench");
    let is_same = |(path, content): &(&str, &str)| fs::read_to_string(folder.join(path)).is_ok_and(|found| found == *content);
    if PROJECT.iter().all(is_same) && folder.join("target/classes").is_dir() {
        return Ok(folder);
    }
    eprintln!("building the Kafka Streams topologies …");
    let _ = fs::remove_dir_all(&folder);
    for (path, content) in PROJECT {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(text)?;
        fs::write(path, content).map_err(text)?;
    }
    let mut mvn = Command::new("mvn");
    mvn.args(["-q", "-B", "compile", "dependency:copy-dependencies", "-DoutputDirectory=libs"]).current_dir(&folder).stdin(Stdio::null());
    let output = mvn.output().map_err(|error| format!("mvn: {error}"))?;
    if output.status.success() {
        return Ok(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    Err(format!("mvn failed: {}", String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("no reason given")))
}
