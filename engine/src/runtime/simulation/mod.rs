//! The real runtime on the simulated log and disk, under seeded faults: Runtime, workers, commit, restore and input as
//! they run in the server, in one thread and on a simulated clock, so that a seed repeats itself.
//!
//! A seed decides the query, its input, the faults and how the process is driven ([`setup`]). When all is read, faults end,
//! the process comes to rest, and what the sink holds and the store answers is compared ([`check`]) with a model that was
//! computed apart ([`model`]). `TIDEMILL_SIMULATION_SEED=n` runs one seed and tells what it was; `TIDEMILL_SIMULATION_SEEDS=n`
//! runs so many. What fails is made as small as it can be ([`shrink`]).

mod check;
mod clock;
mod cluster;
mod model;
mod process;
mod schemas;
mod setup;
mod shrink;
mod tests;
mod workload;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;

use self::check::Observed;
use self::clock::SimulatedClock;
use self::model::{Expected, Numbers, Row};
use self::process::Process;
use self::setup::{Happened, Setup};
use self::workload::Input;
use super::QueryState;
use crate::analyze::tests::world::{Outcome, World};
use crate::formats::register_plan;
use crate::log::simulated::{FaultPlan, OUTCOME_UNKNOWN, SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, TopicSpec};
use crate::operators::materialized;
use crate::plan::QueryPlan;
use crate::registry::NoRegistry;
use crate::registry::slow::SlowRegistry;
use crate::state::StoreReader;
use crate::state::simulated::SimulatedDisk;
use crate::types::Value;

/// A run from its first record to its rest.
struct Run {
    setup: Setup,
    plan: Arc<QueryPlan>,
    log: SimulatedLog,
    disk: SimulatedDisk,
    clock: Arc<SimulatedClock>,
    random: StdRng,
    registry: Arc<SlowRegistry>,
    process: Option<Process>,
    happened: Happened,
}

/// What a run came to.
struct Ran {
    expected: Expected,
    observed: Observed,
    happened: Happened,
    /// All that the log holds, by topic.
    log: String,
}

/// Runs a setup.
///
/// # Errors
/// The process failed, or did not come to rest.
fn run(setup: &Setup) -> Result<Ran, String> {
    let mut run = Run::new(setup.clone());
    let partitions = i32::try_from(setup.partitions).unwrap_or(1);
    let inputs = setup.workload.inputs(setup.records, partitions, &mut run.random);
    let mut waiting = inputs.iter();
    let mut is_over = false;
    while !is_over {
        match run.random.random_range(0..20) {
            0..4 => {
                for _ in 0..run.random.random_range(1..8) {
                    let Some(input) = waiting.next() else {
                        is_over = true;
                        break;
                    };
                    let record = record_of(&run.setup, input, &mut run.random);
                    run.log.append(input.topic, input.partition, record).map_err(|error| error.to_string())?;
                }
            }
            4..6 => run.clock.advance(run.random.random_range(1..100)),
            6..8 => {
                if let Some(process) = &run.process {
                    let _ = process.state.write_next();
                }
            }
            8 => run.pause_or_resume(),
            _ => run.step()?,
        }
    }
    run.rest()?;
    let expected = setup.workload.expected(&inputs);
    let observed = run.observe()?;
    Ok(Ran { expected, observed, happened: run.happened, log: dump(&run.log) })
}

impl Run {
    fn new(setup: Setup) -> Self {
        Run {
            plan: planned(&setup),
            log: log_of(&setup),
            disk: SimulatedDisk::new(setup.seed, setup.disk),
            clock: Arc::new(SimulatedClock::new()),
            random: StdRng::seed_from_u64(setup.seed ^ 0x5eed),
            registry: schemas::registry(setup.seed, setup.late_schemas.unwrap_or_default()),
            process: None,
            happened: Happened::default(),
            setup,
        }
    }

    /// A process that runs: a new one where there is none.
    fn process(&mut self) -> Option<&mut Process> {
        if self.process.is_none() {
            match Process::start(&self.setup, &self.plan, &self.log, self.disk.open(), &self.clock, self.registry.clone()) {
                Ok(process) => self.process = Some(process),
                Err(_) => {
                    self.happened.failed_starts += 1;
                    // What it had made goes with it; the log may have died with it, too.
                    self.disk.crash();
                    self.log.revive();
                }
            }
        }
        self.process.as_mut()
    }

    /// The process dies.
    fn crash(&mut self) {
        self.log.is_dying();
        self.process = None;
        self.disk.crash();
        self.log.revive();
        self.happened.restarts += 1;
        if self.setup.wipe > 0.0 && self.random.random_bool(self.setup.wipe) {
            self.disk.wipe();
            self.happened.wipes += 1;
        }
    }

    /// One step of the process, after which it may die.
    fn step(&mut self) -> Result<(), String> {
        let choice: usize = self.random.random_range(0..64);
        let Some(process) = self.process() else { return Ok(()) };
        let worker = choice % process.workers();
        process.step(worker);
        let dies = self.setup.crash > 0.0 && self.random.random_bool(self.setup.crash);
        self.happened.crashes += u64::from(dies);
        if dies || self.log.is_dead() {
            self.crash();
            return Ok(());
        }
        self.recover()
    }

    /// Goes on after what a process has to be helped out of.
    fn recover(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.runtime.fenced().is_some() {
            // Nothing is done here any more.
            self.happened.fenced += 1;
            self.crash();
        } else if let QueryState::Failed(failure) = process.handle.state() {
            if !failure.reason.contains(OUTCOME_UNKNOWN) {
                return Err(format!("the query failed: {}", failure.reason));
            }
            // The next start finds out how the transaction ended.
            process.start_again(&self.plan, &self.setup);
            self.happened.starts_again += 1;
        }
        Ok(())
    }

    /// A user pauses the query, or lets it go on.
    fn pause_or_resume(&mut self) {
        let pauses = self.random.random_bool(0.3);
        let Some(process) = &self.process else { return };
        let query = process.handle.id.to_string();
        if pauses {
            process.runtime.pause(&query);
            self.happened.pauses += 1;
        } else {
            process.runtime.resume(&query);
        }
    }

    /// Faults end, and all that is left is worked off.
    fn rest(&mut self) -> Result<(), String> {
        let planted = self.setup.faults.planted;
        self.log.set_faults(FaultPlan { seed: self.setup.seed, planted, ..FaultPlan::default() });
        self.disk.set_faults(0.0);
        self.registry.answer();
        // What a commit that was under way came to may be told only now.
        for is_last in [false, false, false, true] {
            self.recover()?;
            let clock = self.clock.clone();
            let process = self.process().ok_or("the process does not start without faults")?;
            let query = process.handle.id.to_string();
            process.runtime.resume(&query);
            let drained = process.drain(&clock);
            let is_helped_out = process.runtime.fenced().is_some() || matches!(process.handle.state(), QueryState::Failed(_));
            if is_last || !is_helped_out {
                drained?;
                break;
            }
        }
        self.happened.log = self.log.fault_counts();
        self.happened.disk = self.disk.faults();
        self.happened.late_schemas = self.registry.late();
        Ok(())
    }

    fn observe(&self) -> Result<Observed, String> {
        let process = self.process.as_ref().ok_or("no process")?;
        let partitions =
            |stores: &[String]| process.runtime.partition_readers(&self.plan.query_id, stores).map_err(|error| error.to_string());
        let store = if self.setup.workload.is_table() { Some(store_rows(&self.plan, partitions)?) } else { None };
        Ok(Observed { sink: sink_rows(&self.plan, &self.log)?, store })
    }
}

/// The query of a setup.
fn planned(setup: &Setup) -> Arc<QueryPlan> {
    let mut world = World::new();
    world.default_partitions = Some(setup.partitions);
    let Ok(Outcome::Query(mut planned)) = world.run(&setup.workload.script(setup.late_schemas.is_some())) else {
        panic!("{}", setup.workload.script(setup.late_schemas.is_some()))
    };
    // Only topics of the query's own have schemas to be written with, and nobody is asked for these.
    register_plan(&mut planned.plan, &NoRegistry).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(planned.plan)
}

/// A log with the topics of a setup, and its faults.
fn log_of(setup: &Setup) -> SimulatedLog {
    let log = SimulatedLog::new(SimulationOptions { atomic: setup.atomic, faults: FaultPlan::default() });
    for topic in setup.workload.topics().iter().chain(&["O"]) {
        let spec = TopicSpec { name: (*topic).to_owned(), partitions: setup.partitions, replicas: 1, config: BTreeMap::new() };
        log.create_topic(&spec).unwrap_or_else(|error| panic!("{error}"));
    }
    log.set_poll_records(setup.poll_records);
    log.set_faults(setup.faults);
    log
}

/// An input as it is written: AVRO by one of several schemas, or JSON.
fn record_of(setup: &Setup, input: &Input, random: &mut StdRng) -> StoredRecord {
    let value = input.value.as_ref().map(|value| match setup.late_schemas {
        Some(_) => schemas::payload(value, random.random_range(1..=schemas::COUNT)),
        None => value.to_string().into_bytes(),
    });
    StoredRecord { timestamp: input.timestamp, key: Some(input.key.into()), value, ..Default::default() }
}

/// All that a log holds, by topic.
fn dump(log: &SimulatedLog) -> String {
    let mut dump = String::new();
    for topic in log.list_topics().unwrap_or_default() {
        dump += &format!("{}: {:?}\n", topic.name, log.records(&topic.name));
    }
    dump
}

/// The records of the sink, each partition's in order.
fn sink_rows(plan: &QueryPlan, log: &SimulatedLog) -> Result<Vec<Vec<Row>>, String> {
    let is_windowed = plan.root.windowed_key().is_some();
    let sink = log.records("O").map_err(|error| error.to_string())?;
    Ok(sink.into_iter().map(|records| records.iter().map(|record| sink_row(record, is_windowed)).collect()).collect())
}

/// A record of the sink: its key, and the numbers of its value in their order.
fn sink_row(record: &StoredRecord, is_windowed: bool) -> Row {
    let key = record.key.as_deref().unwrap_or_default();
    let key = match key.split_last_chunk::<8>() {
        Some((key, start)) if is_windowed => format!("{}@{}", String::from_utf8_lossy(key), i64::from_be_bytes(*start)),
        _ => String::from_utf8_lossy(key).into_owned(),
    };
    let value: Json = record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default();
    (key, ["N", "M", "B", "C", "T"].iter().filter_map(|name| value.get(name)).map(Json::as_i64).collect())
}

/// What the store behind the query's table answers. `partitions` gives of each partition one reader of each store.
fn store_rows(
    plan: &QueryPlan,
    partitions: impl FnOnce(&[String]) -> Result<Vec<Vec<StoreReader>>, String>,
) -> Result<BTreeMap<String, Numbers>, String> {
    let reader = materialized::reader(plan).ok_or("the table has no store")?;
    let mut rows = BTreeMap::new();
    for partition in partitions(reader.stores())? {
        let read = reader.scan(0, &[], None, &partition, &mut |_, row| {
            let mut values = row.values.iter();
            let Some(Value::String(key)) = values.next() else { return false };
            let window = row.meta.window.map(|window| format!("@{}", window.start)).unwrap_or_default();
            rows.insert(format!("{key}{window}"), values.map(number).collect());
            true
        });
        read.map_err(|error| error.to_string())?;
    }
    Ok(rows)
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(i64::from(*number)),
        Value::BigInt(number) => Some(*number),
        _ => None,
    }
}
