//! What a seed decides: the query, its input, the faults, and how the process is driven.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::Guarantee;
use super::workload::Workload;
use crate::letters::{Kinds, LetterBox};
use crate::log::simulated::{FaultCounts, FaultPlan};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub seed: u64,
    pub workload: Workload,
    pub atomic: bool,
    /// The query commits by transactions; never on an atomic log.
    pub exactly_once: bool,
    pub partitions: u32,
    pub workers: usize,
    pub records: i64,
    pub poll_records: usize,
    pub commit_interval_ms: u64,
    pub faults: FaultPlan,
    /// How often a write to the disk fails.
    pub disk: f64,
    /// How often the process dies between two steps.
    pub crash: f64,
    /// How often the disk is lost with the process.
    pub wipe: f64,
    /// How often it is looked whether others have written to changelogs.
    pub look_interval_ms: u64,
    /// How often the registry does not know a schema yet; `None`: records bear no schemas.
    pub late_schemas: Option<f64>,
}

/// What has happened in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Happened {
    pub log: FaultCounts,
    pub disk: u64,
    /// Deaths of the process, and those in which it lost its disk.
    pub crashes: u64,
    pub wipes: u64,
    /// Starts after the first.
    pub restarts: u64,
    /// Starts that the log refused.
    pub failed_starts: u64,
    pub pauses: u64,
    /// Questions that the registry had no answer to yet.
    pub late_schemas: u64,
    /// Starts of the query within its process.
    pub starts_again: u64,
    /// Processes that found another in their place.
    pub fenced: u64,
}

impl std::ops::AddAssign for Happened {
    fn add_assign(&mut self, other: Happened) {
        let Happened { log, disk, crashes, wipes, restarts, failed_starts, pauses, late_schemas, starts_again, fenced } = other;
        self.log += log;
        self.disk += disk;
        self.crashes += crashes;
        self.wipes += wipes;
        self.restarts += restarts;
        self.failed_starts += failed_starts;
        self.pauses += pauses;
        self.late_schemas += late_schemas;
        self.starts_again += starts_again;
        self.fenced += fenced;
    }
}

/// How what a run writes becomes visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Commits {
    /// A log that takes records, state and positions in one piece.
    Atomic,
    /// Records as they come.
    AtLeastOnce,
    Transactions,
}

impl Commits {
    pub const ALL: [Commits; 3] = [Commits::Atomic, Commits::AtLeastOnce, Commits::Transactions];
}

impl Setup {
    pub fn commits(&self) -> Commits {
        match (self.atomic, self.exactly_once) {
            (true, _) => Commits::Atomic,
            (false, true) => Commits::Transactions,
            (false, false) => Commits::AtLeastOnce,
        }
    }

    pub fn guarantee(&self) -> Guarantee {
        if self.exactly_once { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce }
    }

    /// Where letters go.
    pub fn letters(&self) -> Option<LetterBox> {
        (self.workload == Workload::Letters).then(|| LetterBox { topic: "O".into(), kinds: Kinds::default() })
    }

    pub fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut workload = Workload::ALL[random.random_range(0..Workload::ALL.len())];
        // Others' seeds stay what they were.
        if let (4, Ok(number)) = (seed % 5, usize::try_from(seed / 5)) {
            workload = Workload::LATER[number % Workload::LATER.len()];
        }
        if seed % 20 == 7 {
            workload = Workload::Letters;
        }
        let atomic = random.random_bool(0.4);
        // Half of the runs on a log that is not atomic see no commit fail while the process goes on: there, all holds.
        let commits_fail = atomic || random.random_bool(0.5);
        let often = |most: f64, random: &mut StdRng| if random.random_bool(0.6) { random.random_range(0.0..most) } else { 0.0 };
        let mut faults = FaultPlan {
            seed,
            poll: often(0.2, &mut random),
            ask: often(0.06, &mut random),
            reorder: often(1.0, &mut random),
            crash: often(0.2, &mut random),
            scatter: seed % 5 == 4,
            ..FaultPlan::default()
        };
        if commits_fail {
            faults.send = often(0.03, &mut random);
            faults.flush = often(0.4, &mut random);
            faults.commit = often(0.2, &mut random);
            // Its outcome is not found out yet: fewer runs, so that others are held to the full truth.
            faults.commit_unknown = if random.random_bool(0.5) { often(0.2, &mut random) } else { 0.0 };
            faults.refuse_offsets = often(0.3, &mut random);
        }
        // Drawn apart, so that other runs stay what they were.
        let mut apart = StdRng::seed_from_u64(seed ^ 0xe0_5e);
        let exactly_once = !atomic && apart.random_bool(0.5);
        if exactly_once {
            faults.expire = often(0.2, &mut apart);
            faults.fence = often(0.1, &mut apart);
        }
        if !atomic {
            faults.late = often(1.0, &mut StdRng::seed_from_u64(seed ^ 0x1a7e));
        }
        Setup {
            seed,
            workload,
            atomic,
            exactly_once,
            partitions: random.random_range(1..4),
            workers: random.random_range(1..4),
            records: random.random_range(30..200),
            poll_records: random.random_range(1..20),
            commit_interval_ms: random.random_range(1..80),
            faults,
            disk: often(0.5, &mut random),
            crash: often(0.02, &mut random),
            wipe: if atomic { 0.0 } else { often(0.6, &mut random) },
            look_interval_ms: 10_000 * (seed % 2),
            // A letter's bytes are read here as JSON.
            late_schemas: (random.random_bool(0.4) && workload != Workload::Letters).then(|| random.random_range(0.1..0.9)),
        }
    }
}
