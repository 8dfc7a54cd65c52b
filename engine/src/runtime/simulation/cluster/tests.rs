//! Seeds of several servers, and what proves that they would find something.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::super::check::check_several;
use super::super::tests::{number, side_by_side};
use super::super::workload::Workload;
use super::setup::{ClusterSetup, Defect, Happened, reduced, shrunk};
use super::{Ran, run};
use crate::log::simulated::FaultPlan;
use crate::runtime::planted;

/// Seeds that run each time.
const SEEDS: u64 = 2_000;
/// Failures that are made as small as they can be.
const SHRUNK: usize = 2;

fn checked(setup: &ClusterSetup) -> Result<Ran, String> {
    let ran = run(setup).map_err(|(error, _)| error)?;
    check_several(&setup.base, &ran.expected, &ran.observed)?;
    Ok(ran)
}

/// What came of many seeds.
#[derive(Default)]
struct Tally {
    all: Happened,
    runs: BTreeMap<(Workload, bool), u64>,
    failed: BTreeMap<u64, String>,
}

impl Tally {
    fn add(&mut self, setup: &ClusterSetup, result: Result<Ran, String>) {
        let base = &setup.base;
        match result {
            Ok(ran) => {
                self.all += ran.happened;
                *self.runs.entry((base.workload, base.exactly_once)).or_default() += 1;
            }
            Err(error) => {
                let mut said = format!("seed {} ({:?}, {:?}): {error}", base.seed, base.workload, base.guarantee());
                if self.failed.len() < SHRUNK {
                    said.push_str(&shortest(setup));
                }
                self.failed.insert(base.seed, said);
            }
        }
    }
}

fn run_all(seeds: u64) -> Tally {
    let tally = Mutex::new(Tally::default());
    side_by_side(seeds, |seed| {
        let setup = ClusterSetup::of(seed);
        let result = checked(&setup);
        tally.lock().add(&setup, result);
    });
    tally.into_inner()
}

#[test]
fn seeds() {
    if let Some(seed) = number("TIDEMILL_SIMULATION_SEED") {
        let changes = std::env::var("TIDEMILL_SIMULATION_REDUCED").unwrap_or_default();
        let setup = reduced(ClusterSetup::of(seed), &changes).unwrap_or_else(|error| panic!("{error}"));
        println!("{setup:#?}");
        let ran = match run(&setup) {
            Ok(ran) => ran,
            Err((error, history)) => panic!("seed {seed}: {error}\n{}", history.join("\n")),
        };
        println!("{}{:?}\n{:?}\n{}", ran.log, ran.observed, ran.happened, ran.history.join("\n"));
        check_several(&setup.base, &ran.expected, &ran.observed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        return;
    }
    let seeds = number("TIDEMILL_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let Tally { all, runs, failed } = run_all(seeds);
    let failed: Vec<String> = failed.into_values().collect();
    println!("{seeds} seeds of several servers: {all:?}\n{runs:?}");
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds of several servers:\n{}\nTIDEMILL_SIMULATION_SEED=<seed> cargo test --release --workspace --lib \
         runtime::simulation::cluster::tests::seeds -- --nocapture repeats one",
        failed.len(),
        failed.join("\n")
    );
    if seeds < SEEDS {
        return;
    }
    // What did not happen would prove nothing.
    for (name, count) in [
        ("a start", all.starts),
        ("a start that failed", all.failed_starts),
        ("an orderly end", all.leaves),
        ("a place that was given up", all.given_up),
        ("a death", all.kills),
        ("a store that a standby had", all.from_standby),
        ("a lost folder", all.wipes),
        ("a standstill", all.stops),
        ("a standstill within a call", all.stops_within),
        ("a cut", all.cuts),
        ("a late answer", all.group.slow),
        ("a session that ran out", all.group.expired),
        ("a slot that was handed over", all.group.handed_over),
        ("a slot that was taken", all.group.taken),
        ("transactions that others had ended", all.fenced),
        ("a late record", all.log.late),
        ("a death in a commit", all.log.crash),
        ("a transaction of unknown end", all.log.commit_unknown),
    ] {
        assert!(count >= 50, "{name}: {count} times");
    }
    for workload in Workload::every() {
        for is_once in [false, true] {
            let count = runs.get(&(workload, is_once)).copied().unwrap_or_default();
            assert!(count >= 10, "{workload:?}, exactly once {is_once}: only {count} runs");
        }
    }
}

/// The shortest history that still fails, and how to repeat it.
fn shortest(setup: &ClusterSetup) -> String {
    let (smallest, changes) = shrunk(setup, &|setup| checked(setup).is_err());
    let (log, history) = match run(&smallest) {
        Ok(ran) => (ran.log, ran.history),
        Err((_, history)) => (String::new(), history),
    };
    let error = checked(&smallest).err().unwrap_or_default();
    format!(
        "\n  at its shortest, TIDEMILL_SIMULATION_REDUCED={changes} ({} records): {error}\n  {}\n  {}",
        smallest.base.records,
        history.join("\n  "),
        log.trim_end().replace('\n', "\n  ")
    )
}

#[test]
fn a_seed_repeats_itself() {
    let all = |seed| {
        let setup = ClusterSetup::of(seed);
        run(&setup).map(|ran| (ran.log, ran.observed, ran.happened, ran.history))
    };
    for seed in 0..20 {
        assert_eq!(all(seed), all(seed), "seed {seed}");
    }
}

/// A run in which much befalls the servers, and nothing the log.
fn eventful(workload: Workload, exactly_once: bool, seed: u64) -> ClusterSetup {
    let mut setup = ClusterSetup::of(seed);
    setup.base.workload = workload;
    setup.base.exactly_once = exactly_once;
    setup.standbys = 0;
    setup.base.faults = FaultPlan { seed, late: if exactly_once { 0.0 } else { 0.3 }, ..FaultPlan::default() };
    (setup.base.disk, setup.base.late_schemas, setup.base.records) = (0.0, None, 80);
    (setup.base.partitions, setup.slots) = (4, 8);
    (setup.servers, setup.kill, setup.leave, setup.stop, setup.cut, setup.slow, setup.interrupt) = (3, 0.2, 0.1, 0.5, 0.2, 0.2, 0.03);
    setup
}

/// Of so many seeds, those in which something was found; as many as are needed.
fn found(seeds: u64, needed: usize, setup: impl Fn(u64) -> ClusterSetup) -> Vec<u64> {
    (0..seeds).filter(|seed| checked(&setup(*seed)).is_err()).take(needed).collect()
}

/// What older epochs write late is planted where one server follows another (`what_dead_writers_send_late_does_harm_where_epochs_are_ignored`
/// of the other simulation).
#[test]
fn what_is_planted_is_found() {
    const MOST: u64 = 40;
    let once = |seed| eventful(Workload::Count, true, seed);
    let at_least = |seed| eventful(Workload::Count, false, seed);
    assert_eq!(found(MOST, 1, once), Vec::<u64>::new());
    assert_eq!(found(MOST, 1, at_least), Vec::<u64>::new());
    let with = |defect| move |seed| ClusterSetup { defect: Some(defect), ..once(seed) };
    let followed = |seed| ClusterSetup { standbys: 1, ..eventful(Workload::Count, seed % 2 == 0, seed) };
    assert_eq!(found(MOST, 1, followed), Vec::<u64>::new());
    for (name, seeds) in [
        ("a standby that lacks what it says it has", planted::with(planted::Defect::HollowStandby, || found(MOST, 2, followed))),
        ("a takeover that does not fence", planted::with(planted::Defect::UnfencedTakeover, || found(MOST, 2, once))),
        ("tasks that go on where their slots have gone", planted::with(planted::Defect::KeptTasks, || found(MOST, 2, once))),
        ("a slot of two", found(MOST, 2, with(Defect::SlotOfTwo))),
        ("a torn handover", found(MOST, 2, with(Defect::TornHandover))),
        // Seldom: what is torn has to be what a restore goes back to.
        (
            "a torn handover, at least once",
            found(10 * MOST, 2, |seed| ClusterSetup { defect: Some(Defect::TornHandover), ..at_least(seed) }),
        ),
    ] {
        println!("{name}: {seeds:?}");
        assert_eq!(seeds.len(), 2, "{name} was found in {seeds:?} only");
    }
}
