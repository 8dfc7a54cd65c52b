//! Seeded faults of the simulated log.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Which faults happen, and how often: each number is a probability from 0 to 1 for one call.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FaultPlan {
    pub seed: u64,
    /// `poll` fails with a retriable error; nothing is lost.
    pub poll: f64,
    /// `send` fails with a retriable error; the record is not queued.
    pub send: f64,
    /// `commit` fails before anything of it is done: all that was sent since the last one is lost (where the log is not
    /// atomic: records that were visible already stay).
    pub commit: f64,
    /// `commit` is carried out, yet reports a retriable error. Where the log is not atomic, it may also be carried out in
    /// part: records without state, or records and state without offsets.
    pub commit_unknown: f64,
    /// `poll` looks at the partitions in a random order instead of in turn, and cuts batches at random lengths.
    pub reorder: f64,
}

/// How many faults have happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultCounts {
    pub poll: u64,
    pub send: u64,
    pub commit: u64,
    pub commit_unknown: u64,
    pub reorder: u64,
}

/// A plan at work.
pub(super) struct Faults {
    plan: FaultPlan,
    rng: StdRng,
    counts: FaultCounts,
}

impl Faults {
    pub fn new(plan: FaultPlan) -> Self {
        Faults { plan, rng: StdRng::seed_from_u64(plan.seed), counts: FaultCounts::default() }
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

    pub fn send_fails(&mut self) -> bool {
        roll(&mut self.rng, self.plan.send, &mut self.counts.send)
    }

    pub fn commit_fails(&mut self) -> bool {
        roll(&mut self.rng, self.plan.commit, &mut self.counts.commit)
    }

    /// How many of the three parts of a commit are done before it fails; `None`: it doesn't.
    pub fn commit_unknown(&mut self, atomic: bool) -> Option<u32> {
        let fails = roll(&mut self.rng, self.plan.commit_unknown, &mut self.counts.commit_unknown);
        fails.then(|| if atomic { 3 } else { self.rng.random_range(1..=3) })
    }

    /// A random number below `limit` where the order is to be disturbed.
    pub fn reorder(&mut self, limit: usize) -> Option<usize> {
        let happens = roll(&mut self.rng, self.plan.reorder, &mut self.counts.reorder);
        happens.then(|| self.rng.random_range(0..limit.max(1)))
    }
}

fn roll(rng: &mut StdRng, probability: f64, count: &mut u64) -> bool {
    // No draw without a fault: a log without faults costs nothing.
    let happens = probability > 0.0 && rng.random_bool(probability.min(1.0));
    *count += u64::from(happens);
    happens
}
