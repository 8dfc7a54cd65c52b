//! What a seed decides about several servers: how many there are, and what happens to them.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::setup::Setup;
use super::super::shrink::{self, Knob, knobs};
use super::group::GroupCounts;
use crate::log::simulated::{FaultCounts, FaultPlan};

/// See the module. What befalls servers is a probability each time that something may.
#[derive(Debug, Clone)]
pub(super) struct ClusterSetup {
    pub base: Setup,
    pub servers: usize,
    pub slots: u16,
    /// How many others follow a task's state.
    pub standbys: usize,
    /// A server ends in order, or dies.
    pub leave: f64,
    pub kill: f64,
    /// It stands still, mostly for longer than its session: between two things, or in the middle of one.
    pub stop: f64,
    /// It is cut off from the group, and perhaps from the log.
    pub cut: f64,
    /// It answers a rebalance late.
    pub slow: f64,
    /// Others have their turn in the middle of what a server does, for each call of the log.
    pub interrupt: f64,
    /// What goes wrong without being said, and must be found.
    pub defect: Option<Defect>,
}

/// A defect of the group or of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The group gives a slot to two.
    SlotOfTwo,
    /// What is committed before a slot goes lacks its rows.
    TornHandover,
}

/// What has happened in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Happened {
    pub log: FaultCounts,
    pub group: GroupCounts,
    pub starts: u64,
    pub failed_starts: u64,
    pub leaves: u64,
    /// Of those, the ones that gave up their places at once.
    pub given_up: u64,
    pub kills: u64,
    /// Stores of tasks that came to a server which had followed them.
    pub from_standby: u64,
    /// Stood still between two things, or in the middle of one.
    pub stops: u64,
    pub stops_within: u64,
    pub cuts: u64,
    pub late: u64,
    pub interrupts: u64,
    /// Servers that found their transactions ended by others.
    pub fenced: u64,
    pub wipes: u64,
    pub starts_again: u64,
}

impl std::ops::AddAssign for Happened {
    fn add_assign(&mut self, other: Happened) {
        self.log += other.log;
        let GroupCounts { expired, rebalances, slow, handed_over, taken } = other.group;
        let pairs = [
            (&mut self.group.expired, expired),
            (&mut self.group.rebalances, rebalances),
            (&mut self.group.slow, slow),
            (&mut self.group.handed_over, handed_over),
            (&mut self.group.taken, taken),
            (&mut self.starts, other.starts),
            (&mut self.failed_starts, other.failed_starts),
            (&mut self.leaves, other.leaves),
            (&mut self.given_up, other.given_up),
            (&mut self.kills, other.kills),
            (&mut self.from_standby, other.from_standby),
            (&mut self.stops, other.stops),
            (&mut self.stops_within, other.stops_within),
            (&mut self.cuts, other.cuts),
            (&mut self.late, other.late),
            (&mut self.interrupts, other.interrupts),
            (&mut self.fenced, other.fenced),
            (&mut self.wipes, other.wipes),
            (&mut self.starts_again, other.starts_again),
        ];
        pairs.into_iter().for_each(|(count, more)| *count += more);
    }
}

impl ClusterSetup {
    pub fn of(seed: u64) -> Self {
        let mut base = Setup::of(seed);
        let mut random = StdRng::seed_from_u64(seed ^ 0xc1_05_7e);
        let often = |most: f64, random: &mut StdRng| if random.random_bool(0.6) { random.random_range(0.0..most) } else { 0.0 };
        base.atomic = false;
        base.exactly_once = random.random_bool(0.5);
        // Servers have enough to do with each other: the log's own faults are few.
        base.faults = FaultPlan {
            poll: base.faults.poll / 4.0,
            ask: base.faults.ask / 4.0,
            send: base.faults.send / 4.0,
            flush: base.faults.flush / 4.0,
            commit: base.faults.commit / 4.0,
            commit_unknown: base.faults.commit_unknown / 4.0,
            crash: base.faults.crash / 8.0,
            expire: if base.exactly_once { often(0.05, &mut random) } else { 0.0 },
            fence: 0.0,
            late: often(0.6, &mut random),
            ..base.faults
        };
        base.crash = 0.0;
        base.disk /= 4.0;
        base.wipe = often(0.6, &mut random);
        base.partitions = random.random_range(1..6);
        base.workers = random.random_range(1..3);
        base.records = random.random_range(20..100);
        base.late_schemas = base.late_schemas.filter(|_| random.random_bool(0.5));
        ClusterSetup {
            base,
            servers: random.random_range(2..4),
            slots: random.random_range(2..9),
            leave: often(0.3, &mut random),
            kill: often(0.3, &mut random),
            stop: often(0.5, &mut random),
            cut: often(0.3, &mut random),
            slow: often(0.5, &mut random),
            interrupt: often(0.03, &mut random),
            // Last, so that seeds are otherwise what they were.
            standbys: usize::from(random.random_bool(0.5)),
            defect: None,
        }
    }
}

const KNOBS: [Knob<ClusterSetup>; 23] = knobs![
    "records" 1.0 base.records as i64,
    "servers" 1.0 servers as usize,
    "partitions" 1.0 base.partitions as u32,
    "slots" 1.0 slots as u16,
    "standbys" 0.0 standbys as usize,
    "workers" 1.0 base.workers as usize,
    "leave" 0.0 leave as f64,
    "kill" 0.0 kill as f64,
    "stop" 0.0 stop as f64,
    "cut" 0.0 cut as f64,
    "slow" 0.0 slow as f64,
    "interrupt" 0.0 interrupt as f64,
    "poll" 0.0 base.faults.poll as f64,
    "ask" 0.0 base.faults.ask as f64,
    "send" 0.0 base.faults.send as f64,
    "flush" 0.0 base.faults.flush as f64,
    "commit" 0.0 base.faults.commit as f64,
    "commit_unknown" 0.0 base.faults.commit_unknown as f64,
    "crash_in_commit" 0.0 base.faults.crash as f64,
    "reorder" 0.0 base.faults.reorder as f64,
    "late" 0.0 base.faults.late as f64,
    "disk" 0.0 base.disk as f64,
    "wipe" 0.0 base.wipe as f64,
];

/// What may become smaller of a setup that fails.
pub(super) fn shrunk(setup: &ClusterSetup, fails: &dyn Fn(&ClusterSetup) -> bool) -> (ClusterSetup, String) {
    shrink::shrink(&KNOBS, setup, fails)
}

/// A setup with some of its numbers changed.
///
/// # Errors
/// What is not understood.
pub(super) fn reduced(setup: ClusterSetup, changes: &str) -> Result<ClusterSetup, String> {
    shrink::reduced(&KNOBS, setup, changes)
}
