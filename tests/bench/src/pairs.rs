//! What a row is held against, round by round: the machine's speed changes from one minute to the next by more than most rows
//! differ, so a run is compared with the limit's run of the same round, and what counts is the median of these ratios. A row that
//! is held against another query runs directly before or behind it, in turn.

use std::collections::BTreeMap;

use crate::workload::Measurement;

/// Runs that counted, by their round.
pub type Runs = BTreeMap<usize, Measurement>;

/// A median, and the quartiles around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// `None`: there are no values.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values.get(values.len() * quarter / 4).copied();
        Some(Spread { low: at(1)?, median: at(2)?, high: at(3)? })
    }

    /// Of a row's runs as shares of the limit's.
    pub fn of_pairs(runs: &Runs, limit: &Runs, value: impl Fn(&Measurement) -> Option<f64>) -> Option<Spread> {
        let pairs = runs.iter().filter_map(|(round, run)| Some((run, limit.get(round)?)));
        Spread::of(pairs.filter_map(|(run, limit)| Some(value(run)? / value(limit)?)))
    }

    /// The quartiles for the table.
    pub fn quartiles(self) -> String {
        format!("[{:.2}–{:.2}]", self.low, self.high)
    }
}

/// Whether the workloads of a round run from the last to the first.
pub fn is_reversed(round: usize) -> bool {
    round.is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cpu::Used;

    #[test]
    fn runs_of_the_same_round_are_compared() {
        let run = |wall_ms| Measurement { records: 1, output: 1, wall: Duration::from_millis(wall_ms), cpu: Used::default() };
        // The machine becomes three times as slow, and one run of the limit does not count.
        let limit = Runs::from([(1, run(100)), (2, run(200)), (4, run(300))]);
        let runs = Runs::from([(1, run(110)), (2, run(220)), (3, run(700)), (4, run(330))]);
        let spread = Spread::of_pairs(&runs, &limit, |run| Some(run.wall.as_secs_f64())).expect("pairs");
        assert!((spread.low - 1.1).abs() < 1e-9 && (spread.high - 1.1).abs() < 1e-9, "{spread:?}");
        assert_eq!(Spread::of([7.0, 1.0, 3.0, 5.0].into_iter()), Some(Spread { low: 3.0, median: 5.0, high: 7.0 }));
        assert_eq!(Spread::of_pairs(&runs, &Runs::new(), |_| Some(1.0)), None);
    }
}
