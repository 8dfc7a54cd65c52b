//! How long operators take, told from a sample: one record of a few is timed on its way through its task, the others cost a
//! comparison and a count.

use std::time::Duration;

use crate::clock::Clock;

/// The first records of a task are all timed …
const FIRST_TIMED: u32 = 128;
/// … and then one of so many.
const ONE_OF: u32 = 128;

/// What one operator of one task did since the task began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// Rows that it took.
    pub rows: u64,
    /// Those of them that were timed, and how long they took, without what the operators behind it did.
    pub timed_rows: u64,
    pub timed: Duration,
}

impl Measured {
    /// About how long all rows took.
    pub fn time(&self) -> Duration {
        let (rows, timed_rows) = (u128::from(self.rows), u128::from(self.timed_rows));
        let Some(each) = self.timed.as_nanos().saturating_mul(rows).checked_div(timed_rows) else { return Duration::ZERO };
        Duration::from_nanos(u64::try_from(each).unwrap_or(u64::MAX))
    }

    /// Both together: the same operator in another task.
    pub fn and(self, other: Measured) -> Measured {
        Measured {
            rows: self.rows.saturating_add(other.rows),
            timed_rows: self.timed_rows.saturating_add(other.timed_rows),
            timed: self.timed.saturating_add(other.timed),
        }
    }
}

/// Says which records are timed, and keeps the time while one is.
#[derive(Debug, Default)]
pub struct Profile {
    records: u32,
    is_timing: bool,
    /// Time of operators that were called by the one at work.
    within: Duration,
    /// Whether anything was timed since it was last asked.
    has_news: bool,
}

impl Profile {
    /// Another record begins.
    #[inline]
    pub fn begin_record(&mut self) {
        self.records = self.records.wrapping_add(1);
        self.is_timing = self.records <= FIRST_TIMED || self.records.is_multiple_of(ONE_OF);
        self.has_news |= self.is_timing;
    }

    /// What comes now belongs to no record.
    pub fn end_record(&mut self) {
        self.is_timing = false;
    }

    #[inline]
    pub fn is_timing(&self) -> bool {
        self.is_timing
    }

    /// Whether anything was timed since it was last asked.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }
}

/// An operator at work.
pub struct Timing {
    began: std::time::Instant,
    outside: Duration,
}

impl Timing {
    pub fn begin(profile: &mut Profile, clock: &dyn Clock) -> Self {
        Timing { outside: std::mem::take(&mut profile.within), began: clock.instant() }
    }

    pub fn end(self, profile: &mut Profile, clock: &dyn Clock, measured: &mut Measured) {
        let took = clock.instant().saturating_duration_since(self.began);
        measured.timed_rows += 1;
        measured.timed += took.saturating_sub(profile.within);
        profile.within = self.outside.saturating_add(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_scaled_by_rows() {
        let some = Measured { rows: 1_000, timed_rows: 10, timed: Duration::from_micros(20) };
        assert_eq!(some.time(), Duration::from_millis(2));
        assert_eq!(Measured { rows: 5, ..Measured::default() }.time(), Duration::ZERO);
        assert_eq!(some.and(some).time(), Duration::from_millis(4));
    }

    #[test]
    fn few_records_are_timed() {
        let mut profile = Profile::default();
        let timed = (0..12_800).filter(|_| {
            profile.begin_record();
            profile.is_timing()
        });
        assert_eq!(timed.count(), 128 + 99);
        assert!(profile.take_news() && !profile.take_news());
    }
}
