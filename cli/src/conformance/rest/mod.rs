//! REST cases: statements, records in, and what a server answers to each request. Each runs on a server of its own, in this process,
//! on the embedded log.
//!
//! The statements that are no SELECT go to `/ksql` in one request, then the records to their topics, then each SELECT to `/query`.

mod answers;
#[cfg(test)]
mod canary;
mod case;
mod http;
mod messages;
mod requests;
mod stage;

use super::differences::Differences;
use super::{judged, timed};
use crate::testing::parallel::caught;
use crate::testing::report::CaseResult;

pub(crate) use case::{RestCase, load};

/// Runs a case and judges it.
pub(crate) fn run_one(case: &RestCase, differences: &Differences) -> CaseResult {
    let run = |case: &RestCase| caught(|| requests::run(case, requests::PATIENCE));
    let judge = || judged(&case.plain, run(case), differences, |difference| run(&case.differing(difference)));
    timed(&case.plain, case.expected_error.is_some(), judge)
}
