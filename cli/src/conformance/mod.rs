//! Query cases (statements, records in, records out), run in process on the simulated log and a clock that stands still.

#[cfg(test)]
mod canary;
pub(crate) mod case;
mod codec;
mod compare;
pub(crate) mod differences;
mod post;
pub(crate) mod world;

use std::time::Instant;

use crate::testing::parallel::caught;
use crate::testing::report::{CaseResult, Verdict};
use case::Case;
use differences::Differences;
use world::RunOptions;

/// Runs a case and judges it.
pub(crate) fn run_one(case: &Case, options: RunOptions, differences: &Differences) -> CaseResult {
    let started = Instant::now();
    let run = |case: &Case| caught(|| world::run(case, options));
    let verdict = match (run(case), differences.of(case)) {
        (Ok(()), None) => Verdict::Passed,
        (Ok(()), Some(_)) => Verdict::Failed("is listed as different on purpose, but passes".to_owned()),
        (Err(reason), None) => Verdict::Failed(reason),
        (Err(_), Some(difference)) => match run(&difference.apply(case)) {
            Ok(()) => Verdict::Different(difference.reason.clone()),
            Err(reason) => Verdict::Failed(format!("differs on purpose, but not as listed: {reason}")),
        },
    };
    let is_rejection = case.expected_error.is_some();
    let seconds = started.elapsed().as_secs_f64();
    CaseResult { file: case.file.clone(), line: None, name: case.name.clone(), is_rejection, seconds, verdict }
}
