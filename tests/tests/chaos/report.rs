//! How often, from which seed, with what result: printed, and for `make chaos` written down.

use std::io::Write;

use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_tests::supervised::last_lines;

use super::check::Verdict;
use super::random::Random;

/// The factor of a long round's counts; `None`: this is the short round of a build.
pub fn factor() -> Option<f64> {
    std::env::var("TIDEMILL_CHAOS_ROUNDS").ok().and_then(|text| text.parse().ok())
}

/// How many of something: in a build's short round, and for `make chaos`, times `TIDEMILL_CHAOS_ROUNDS`.
pub fn count(short: usize, long: usize) -> usize {
    factor().map_or(short, |factor| ((long as f64 * factor).round() as usize).max(1))
}

/// A test's choices, and the seed that they come from.
pub fn seeded() -> (Random, u64) {
    let given = std::env::var("TIDEMILL_CHAOS_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| SystemClock.now_ms() as u64 % 1_000_000_007);
    (Random::new(seed), seed)
}

/// A row of the table.
pub struct Row {
    pub test: &'static str,
    pub planned: usize,
    /// Of the planned faults, those that happened.
    pub hit: usize,
    pub seed: u64,
    pub seconds: f64,
    /// What else is worth saying.
    pub note: String,
}

impl Row {
    /// Prints and keeps the row; fails where something is wrong, or too few faults happened.
    ///
    /// # Panics
    /// There.
    pub fn end(self, verdict: &Verdict, log: &str) {
        let Row { test, planned, hit, seed, seconds, note } = self;
        let wrong = verdict.wrong.len();
        let repeats = verdict.repeats;
        let line = format!("{test} | {planned} | {hit} | {wrong} | {} | {repeats} | {seed} | {seconds:.0} | {note}", verdict.records);
        println!("CHAOS {line}");
        if let Ok(path) = std::env::var("TIDEMILL_CHAOS_REPORT") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
            file.and_then(|mut file| writeln!(file, "{line}")).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let first: Vec<&String> = verdict.wrong.iter().take(20).collect();
        assert!(wrong == 0, "{test}, seed {seed}: {wrong} wrong, first {first:#?}\n{}", tail(log));
        assert!(hit == planned, "{test}, seed {seed}: {hit} of {planned} faults happened\n{}", tail(log));
    }
}

/// The end of a server's log.
pub fn tail(log: &str) -> String {
    last_lines(log, 80)
}
