//! Query cases (statements, records in, records out), run in process on the simulated log and a clock that stands still; and
//! [`rest`] cases, which ask a server.

#[cfg(test)]
mod canary;
pub(crate) mod case;
mod codec;
mod compare;
pub(crate) mod differences;
mod post;
pub(crate) mod rest;
pub(crate) mod world;

use std::time::Instant;

use crate::testing::parallel::caught;
use crate::testing::report::{CaseResult, Verdict};
use case::Case;
use differences::{Difference, Differences};
use world::RunOptions;

/// Runs a case and judges it.
pub(crate) fn run_one(case: &Case, options: RunOptions, differences: &Differences) -> CaseResult {
    let run = |case: &Case| caught(|| world::run(case, options));
    let judge = || judged(case, run(case), differences, |difference| run(&difference.apply(case)));
    timed(case, case.expected_error.is_some(), judge)
}

/// What has come of a case: `ours` runs it as a difference has it that is listed for it.
fn judged(
    case: &Case,
    outcome: Result<(), String>,
    differences: &Differences,
    ours: impl FnOnce(&Difference) -> Result<(), String>,
) -> Verdict {
    match (outcome, differences.of(case)) {
        (Ok(()), None) => Verdict::Passed,
        (Ok(()), Some(_)) => Verdict::Failed("is listed as different on purpose, but passes".to_owned()),
        (Err(reason), None) => Verdict::Failed(reason),
        (Err(_), Some(difference)) => match ours(difference) {
            Ok(()) => Verdict::Different(difference.reason.clone()),
            Err(reason) => Verdict::Failed(format!("differs on purpose, but not as listed: {reason}")),
        },
    }
}

/// A result with how long it took to come to.
fn timed(case: &Case, is_rejection: bool, judge: impl FnOnce() -> Verdict) -> CaseResult {
    let started = Instant::now();
    let verdict = judge();
    let seconds = started.elapsed().as_secs_f64();
    CaseResult { file: case.file.clone(), line: None, name: case.name.clone(), is_rejection, seconds, verdict }
}
