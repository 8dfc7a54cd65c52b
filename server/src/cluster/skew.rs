//! How far another server's clock is from this one's: they write times into the same topics.

use tidemill_engine::clock::Clock;

/// What clocks that are kept by NTP may differ by, and more, milliseconds.
const MAX_SKEW_MS: i64 = 5_000;

/// When a server was asked what its clock says.
pub struct Asked<'a> {
    clock: &'a dyn Clock,
    at_ms: i64,
}

impl<'a> Asked<'a> {
    /// Now.
    pub fn now(clock: &'a dyn Clock) -> Self {
        Asked { clock, at_ms: clock.now_ms() }
    }

    /// What there is to say of a clock that said `said_ms` between then and now.
    pub fn answered(&self, said_ms: i64) -> Option<String> {
        told(self.at_ms, self.clock.now_ms(), said_ms)
    }
}

/// The answer was on its way for an unknown part of the time between; only what that can't explain counts.
fn told(asked_ms: i64, answered_ms: i64, said_ms: i64) -> Option<String> {
    let (behind, ahead) = (asked_ms.saturating_sub(said_ms), said_ms.saturating_sub(answered_ms));
    let (skew_ms, direction) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    (skew_ms > MAX_SKEW_MS).then(|| {
        let seconds = skew_ms / 1_000;
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let by = match (hours, minutes) {
            (0, 0) => format!("{seconds} s"),
            (0, _) => format!("{minutes} min {seconds} s"),
            _ => format!("{hours} h {minutes} min"),
        };
        format!("its clock is {by} {direction} this server's; rows get their times from both: have NTP set the clocks of all machines")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much() {
        let at = |said_ms: i64| told(1_000_000_000, 1_000_000_200, said_ms);
        assert_eq!(at(1_000_000_100), None);
        assert_eq!(at(1_000_000_000 - MAX_SKEW_MS), None, "the answer may have been on its way for long");
        assert_eq!(at(1_000_000_200 + MAX_SKEW_MS), None);
        let said = at(1_000_000_200 + HOUR_MS + 61_000).expect("it is ahead");
        assert!(said.starts_with("its clock is 1 h 1 min ahead of this server's"), "{said}");
        let said = at(1_000_000_000 - 65_000).expect("it is behind");
        assert!(said.starts_with("its clock is 1 min 5 s behind this server's"), "{said}");
        assert!(at(1_000_000_000 - 6_000).expect("it is behind").starts_with("its clock is 6 s behind"));
        assert!(at(i64::MIN).is_some() && at(i64::MAX).is_some());
    }
}
