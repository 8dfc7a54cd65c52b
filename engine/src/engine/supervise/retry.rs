//! Whether and when a failed query is tried again: facts in, decision out.

use crate::runtime::FailureCause;

/// The pause where the log was away, milliseconds: nothing is tried before it is back.
const LOG_AWAY_PAUSE_MS: u64 = 1_000;

/// The pause before a query is tried again: doubled with each failure in a row, up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub initial_ms: u64,
    pub max_ms: u64,
}

impl Backoff {
    /// The pause after so many failures in a row (at least one).
    pub fn pause_ms(self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(63);
        self.initial_ms.saturating_mul(1 << doublings).min(self.max_ms.max(self.initial_ms))
    }
}

/// What is known of a failed query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub cause: FailureCause,
    pub is_paused: bool,
    /// Somebody said RESUME since it failed.
    pub is_asked: bool,
    /// In a row, the last one included.
    pub failures: u32,
    pub failed_at_ms: i64,
    pub now_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    TryNow,
    /// It comes up again at this time, milliseconds since the epoch.
    Wait {
        until_ms: i64,
    },
    /// Only RESUME brings it back.
    Leave,
}

pub fn decide(facts: Facts, backoff: Backoff) -> Decision {
    if facts.is_asked {
        return Decision::TryNow;
    }
    let pause_ms = match facts.cause {
        _ if facts.is_paused => return Decision::Leave,
        FailureCause::Lasting => return Decision::Leave,
        FailureCause::LogAway => LOG_AWAY_PAUSE_MS,
        FailureCause::Outside => backoff.pause_ms(facts.failures),
    };
    let pause = i64::try_from(pause_ms).unwrap_or(i64::MAX);
    match facts.failed_at_ms.saturating_add(pause) {
        until_ms if until_ms > facts.now_ms => Decision::Wait { until_ms },
        _ => Decision::TryNow,
    }
}

/// The history of one query's failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    started_at_ms: i64,
    failed_at_ms: Option<i64>,
    failures: u32,
    is_asked: bool,
}

impl Attempts {
    /// The query starts.
    pub fn start(&mut self, now_ms: i64) {
        *self = Attempts { started_at_ms: now_ms, failed_at_ms: None, is_asked: false, ..*self };
    }

    /// The query is seen as failed; whether that is new. One that had run for longer than it had been waited for begins to
    /// count anew.
    pub fn fail(&mut self, now_ms: i64, backoff: Backoff) -> bool {
        if self.failed_at_ms.is_some() {
            return false;
        }
        let ran_ms = u64::try_from(now_ms.saturating_sub(self.started_at_ms)).unwrap_or(0);
        if ran_ms > backoff.pause_ms(self.failures) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed_at_ms = Some(now_ms);
        true
    }

    /// The query runs: whoever asked for it meanwhile has what they want.
    pub fn runs(&mut self) {
        self.is_asked = false;
    }

    /// Somebody wants it to be tried now.
    pub fn ask(&mut self) {
        self.is_asked = true;
    }

    pub fn facts(&self, cause: FailureCause, is_paused: bool, now_ms: i64) -> Facts {
        let failed_at_ms = self.failed_at_ms.unwrap_or(now_ms);
        Facts { cause, is_paused, is_asked: self.is_asked, failures: self.failures.max(1), failed_at_ms, now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { initial_ms: 15_000, max_ms: 900_000 };
    const FAILED: Facts =
        Facts { cause: FailureCause::Outside, is_paused: false, is_asked: false, failures: 1, failed_at_ms: 1_000, now_ms: 1_000 };

    #[test]
    fn pauses_double_up_to_the_limit() {
        let pauses: Vec<u64> = (1..=8).map(|failures| BACKOFF.pause_ms(failures)).collect();
        assert_eq!(pauses, [15_000, 30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000]);
        assert_eq!(BACKOFF.pause_ms(u32::MAX), 900_000);
        assert_eq!(Backoff { initial_ms: 7, max_ms: 3 }.pause_ms(5), 7, "never below the first");
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_does_not_is_left() {
        for (facts, expected) in [
            (FAILED, Decision::Wait { until_ms: 16_000 }),
            (Facts { now_ms: 15_999, ..FAILED }, Decision::Wait { until_ms: 16_000 }),
            (Facts { now_ms: 16_000, ..FAILED }, Decision::TryNow),
            (Facts { failures: 2, now_ms: 16_000, ..FAILED }, Decision::Wait { until_ms: 31_000 }),
            (Facts { cause: FailureCause::Lasting, now_ms: i64::MAX, ..FAILED }, Decision::Leave),
            (Facts { cause: FailureCause::LogAway, failures: 9, ..FAILED }, Decision::Wait { until_ms: 2_000 }),
            (Facts { cause: FailureCause::LogAway, failures: 9, now_ms: 2_000, ..FAILED }, Decision::TryNow),
            (Facts { is_paused: true, now_ms: i64::MAX, ..FAILED }, Decision::Leave),
            (Facts { is_asked: true, ..FAILED }, Decision::TryNow),
            (Facts { is_asked: true, cause: FailureCause::Lasting, ..FAILED }, Decision::TryNow),
            // A clock that was set back.
            (Facts { failed_at_ms: i64::MAX, ..FAILED }, Decision::Wait { until_ms: i64::MAX }),
        ] {
            assert_eq!(decide(facts, BACKOFF), expected, "{facts:?}");
        }
    }

    #[test]
    fn failures_in_a_row_count_and_a_good_run_ends_the_row() {
        let mut attempts = Attempts::default();
        attempts.start(0);
        attempts.fail(10, BACKOFF);
        attempts.fail(11, BACKOFF);
        assert_eq!(attempts.failures, 1, "seen twice, failed once");
        attempts.start(15_010);
        attempts.fail(15_020, BACKOFF);
        assert_eq!(attempts.failures, 2);
        attempts.start(45_020);
        attempts.fail(45_020 + 30_001, BACKOFF);
        assert_eq!(attempts.failures, 1);
        attempts.ask();
        assert_eq!(decide(attempts.facts(FailureCause::Lasting, true, 0), BACKOFF), Decision::TryNow);
        attempts.start(80_000);
        attempts.fail(80_001, BACKOFF);
        assert_eq!(decide(attempts.facts(FailureCause::Lasting, false, 80_001), BACKOFF), Decision::Leave, "asked once, tried once");
        attempts.start(90_000);
        attempts.ask();
        attempts.runs();
        attempts.fail(90_001, BACKOFF);
        assert_eq!(decide(attempts.facts(FailureCause::Lasting, false, 90_001), BACKOFF), Decision::Leave, "asked while it came back");
    }
}
