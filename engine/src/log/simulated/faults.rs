//! Seeded faults of the simulated log.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Which faults happen, and how often: each number is a probability from 0 to 1 for one call.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FaultPlan {
    pub seed: u64,
    /// `poll` fails with a retriable error; nothing is lost.
    pub poll: f64,
    /// A question (offsets, groups, topics, a subscription, a writer) fails with a retriable error.
    pub ask: f64,
    /// `send` fails with a retriable error; the record is not queued.
    pub send: f64,
    /// `flush` fails with a retriable error: some of what was sent is delivered, the rest is lost. Does not happen where the
    /// log is atomic.
    pub flush: f64,
    /// `commit` fails before anything of it is done: all that was sent since the last one is lost (where the log is not
    /// atomic, some of it may have been delivered).
    pub commit: f64,
    /// `commit` is carried out, yet reports a retriable error. Where the log is not atomic, it may also be carried out in
    /// part: records without state, or records and state without offsets.
    pub commit_unknown: f64,
    /// The offsets of a commit that succeeds are refused afterwards, which is told to who asks: as where offsets are
    /// committed in the background. Does not happen where the log is atomic.
    pub refuse_offsets: f64,
    /// The process dies within a commit, after any part of it: from then on every call fails until [`super::SimulatedLog::revive`].
    pub crash: f64,
    /// `poll` looks at the partitions in a random order instead of in turn, and cuts batches at random lengths; what a
    /// transaction wrote becomes visible in one partition sooner than in another.
    pub reorder: f64,
    /// Of what is lost in part, each partition loses its own part, as with brokers that answer one by one; else it is the end
    /// of all that was sent.
    pub scatter: bool,
    /// What a process that died had on its way to changelogs and marks is not lost: it arrives in the time of the next ones. With
    /// this probability for each call that brings records. A process then dies while it flushes as well.
    pub late: f64,
    /// A transaction took too long, and the log has aborted it.
    pub expire: f64,
    /// Another process has taken the place of a transactional writer.
    pub fence: f64,
    /// A defect that must be found by whoever checks what the log holds.
    pub planted: Option<Planted>,
}

/// What goes wrong silently with one record in [`PLANTED_IN`] that are published (changelogs are spared).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// It vanishes.
    Loss,
    /// It comes twice.
    Duplicate,
    /// It changes places with the record of the same key before it.
    Reorder,
    /// Of a transaction, what it wrote to one partition vanishes.
    Torn,
    /// A transaction is aborted, and its writer is told that it was committed: the next one is, though this one was not.
    Hidden,
}

/// One record in so many is hit by a planted defect.
const PLANTED_IN: u32 = 10;

/// How many faults have happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultCounts {
    pub poll: u64,
    pub ask: u64,
    pub send: u64,
    pub flush: u64,
    pub commit: u64,
    pub commit_unknown: u64,
    pub refuse_offsets: u64,
    pub crash: u64,
    pub reorder: u64,
    pub late: u64,
    pub expire: u64,
    pub fence: u64,
    pub planted: u64,
}

impl std::ops::AddAssign for FaultCounts {
    fn add_assign(&mut self, other: FaultCounts) {
        let FaultCounts { poll, ask, send, flush, commit, commit_unknown, refuse_offsets, crash, reorder, late, expire, fence, planted } =
            other;
        self.poll += poll;
        self.ask += ask;
        self.send += send;
        self.flush += flush;
        self.commit += commit;
        self.commit_unknown += commit_unknown;
        self.refuse_offsets += refuse_offsets;
        self.crash += crash;
        self.reorder += reorder;
        self.late += late;
        self.expire += expire;
        self.fence += fence;
        self.planted += planted;
    }
}

/// How a commit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeds,
    /// Nothing of it is done.
    Fails,
    /// So many of its three parts (records, state, offsets) are done, and the caller hears of an error.
    Unknown(u32),
    /// As `Unknown`, and the process dies.
    Crashes(u32),
    /// Records and state are taken; the offsets are refused.
    OffsetsRefused,
}

/// How the commit of a transaction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    /// Aborted, and the caller knows.
    Aborted,
    /// The caller never hears whether it was committed.
    Unknown {
        is_committed: bool,
    },
    /// Another process has the id; this transaction is aborted.
    Fenced,
    /// The process dies: before anything is done, with the transaction committed, or with the state taken as well.
    Crashes(u32),
}

/// A plan at work.
pub(super) struct Faults {
    plan: FaultPlan,
    rng: StdRng,
    /// For what comes late, so that all else stays what it was.
    late: StdRng,
    counts: FaultCounts,
}

impl Faults {
    pub fn new(plan: FaultPlan) -> Self {
        let late = StdRng::seed_from_u64(plan.seed ^ 0x1a7e);
        Faults { plan, rng: StdRng::seed_from_u64(plan.seed), late, counts: FaultCounts::default() }
    }

    pub fn replace(&mut self, plan: FaultPlan) {
        *self = Faults { counts: self.counts, ..Faults::new(plan) };
    }

    pub fn counts(&self) -> FaultCounts {
        self.counts
    }

    pub fn poll_fails(&mut self) -> bool {
        roll(&mut self.rng, self.plan.poll, &mut self.counts.poll)
    }

    pub fn ask_fails(&mut self) -> bool {
        roll(&mut self.rng, self.plan.ask, &mut self.counts.ask)
    }

    pub fn send_fails(&mut self) -> bool {
        roll(&mut self.rng, self.plan.send, &mut self.counts.send)
    }

    pub fn flush_fails(&mut self) -> bool {
        roll(&mut self.rng, self.plan.flush, &mut self.counts.flush)
    }

    /// What becomes of a commit.
    pub fn fate(&mut self, atomic: bool) -> Fate {
        let Faults { plan, rng, counts, .. } = self;
        if roll(rng, plan.crash, &mut counts.crash) {
            return Fate::Crashes(if atomic { 3 * rng.random_range(0..=1) } else { rng.random_range(0..=3) });
        }
        if roll(rng, plan.commit, &mut counts.commit) {
            return Fate::Fails;
        }
        if roll(rng, plan.commit_unknown, &mut counts.commit_unknown) {
            return Fate::Unknown(if atomic { 3 } else { rng.random_range(1..=3) });
        }
        if !atomic && roll(rng, plan.refuse_offsets, &mut counts.refuse_offsets) {
            return Fate::OffsetsRefused;
        }
        Fate::Succeeds
    }

    /// What becomes of the commit of a transaction.
    pub fn outcome(&mut self) -> Outcome {
        let Faults { plan, rng, counts, .. } = self;
        if roll(rng, plan.crash, &mut counts.crash) {
            return Outcome::Crashes(rng.random_range(0..=2));
        }
        if roll(rng, plan.fence, &mut counts.fence) {
            return Outcome::Fenced;
        }
        if roll(rng, plan.commit, &mut counts.commit) || roll(rng, plan.expire, &mut counts.expire) {
            return Outcome::Aborted;
        }
        if roll(rng, plan.commit_unknown, &mut counts.commit_unknown) {
            // Mostly a second look tells.
            return match rng.random_range(0..3) {
                0 => Outcome::Committed,
                1 => Outcome::Aborted,
                _ => Outcome::Unknown { is_committed: rng.random_bool(0.5) },
            };
        }
        Outcome::Committed
    }

    /// Whether one thing comes later than another.
    pub fn delays(&mut self) -> bool {
        roll(&mut self.rng, self.plan.reorder * 0.5, &mut self.counts.reorder)
    }

    /// Whether a transaction is to be torn.
    pub fn tears(&mut self) -> bool {
        self.plan.planted == Some(Planted::Torn) && self.rng.random_ratio(1, PLANTED_IN)
    }

    /// Whether a transaction that was aborted is to be taken for committed.
    pub fn hides(&mut self) -> bool {
        let hides = self.plan.planted == Some(Planted::Hidden);
        self.counts.planted += u64::from(hides);
        hides
    }

    /// Whether the process may die: then what is on its way may arrive in part.
    pub fn may_crash(&self) -> bool {
        self.plan.crash > 0.0
    }

    /// How many of `all` things are done before it ends.
    pub fn part(&mut self, all: usize) -> usize {
        self.rng.random_range(0..=all)
    }

    pub fn scatters(&self) -> bool {
        self.plan.scatter
    }

    /// A random number below `limit` where the order is to be disturbed.
    pub fn reorder(&mut self, limit: usize) -> Option<usize> {
        let happens = roll(&mut self.rng, self.plan.reorder, &mut self.counts.reorder);
        happens.then(|| self.rng.random_range(0..limit.max(1)))
    }

    /// The planted defect where it is to hit the next record.
    pub fn planted(&mut self) -> Option<Planted> {
        let of_records = [Planted::Loss, Planted::Duplicate, Planted::Reorder];
        let planted = self.plan.planted.filter(|planted| of_records.contains(planted))?;
        self.rng.random_ratio(1, PLANTED_IN).then_some(planted)
    }

    /// Whether what a process that dies has on its way arrives later on.
    pub fn keeps_late(&self) -> bool {
        self.plan.late > 0.0
    }

    /// Whether the process dies while it waits for what it sent: the more of it is on its way then.
    pub fn dies_in_flush(&mut self) -> bool {
        self.keeps_late() && roll(&mut self.late, self.plan.crash, &mut self.counts.crash)
    }

    /// How many of `all` late records arrive now.
    pub fn arrives_late(&mut self, all: usize) -> usize {
        let arrives = all > 0 && self.late.random_bool(self.plan.late.min(1.0));
        let count = if arrives { self.late.random_range(1..=all) } else { 0 };
        self.counts.late += count as u64;
        count
    }

    pub fn count_planted(&mut self) {
        self.counts.planted += 1;
    }
}

fn roll(rng: &mut StdRng, probability: f64, count: &mut u64) -> bool {
    // No draw without a fault: a log without faults costs nothing.
    let happens = probability > 0.0 && rng.random_bool(probability.min(1.0));
    *count += u64::from(happens);
    happens
}
