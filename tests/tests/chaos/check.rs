//! Compares what readers of committed records have seen with what the model says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::model::{Expected, Sink, Steps, versions};

/// How much longer than the commit interval it may take from a commit to the next one, milliseconds: the commit itself, and a
/// machine that is busy with a broker.
const COMMIT_SLACK_MS: i64 = 2_500;
/// Of a time in which nothing of a key came, no more than this counts, milliseconds: the server was dead, or the broker stood still.
const SILENCE_MS: i64 = 500;

/// A record of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub key: String,
    pub step: i64,
    /// When the broker took it, milliseconds.
    pub taken_ms: i64,
}

/// Records in the order of their partitions.
pub type History = BTreeMap<Sink, Vec<Seen>>;

/// From when until when a server went on that had been replaced, by the broker's clock, milliseconds.
pub type Haunt = std::ops::RangeInclusive<i64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee<'a> {
    ExactlyOnce,
    /// What was sent since a commit, which comes so often, may come again.
    AtLeastOnce {
        interval_ms: i64,
    },
    /// The same, and servers that were replaced send what they had under way when their successors have begun. No transaction
    /// fences them: where nothing more comes of a key (a window has closed), what they send stays the last that is read of it.
    BesideZombies {
        haunts: &'a [Haunt],
    },
}

impl Guarantee<'_> {
    fn has_zombies(self) -> bool {
        matches!(self, Guarantee::BesideZombies { .. })
    }

    /// What was seen of a key without what a zombie sent again behind its last step.
    fn lasting<'s>(self, last: i64, seen: &'s [&'s Seen]) -> &'s [&'s Seen] {
        let Guarantee::BesideZombies { haunts } = self else { return seen };
        let Some(at) = seen.iter().rposition(|row| row.step == last) else { return seen };
        let (lasting, late) = seen.split_at(at + 1);
        let again = |row: &Seen| lasting.iter().any(|before| before.step == row.step);
        let haunted = |row: &Seen| haunts.iter().any(|haunt| haunt.contains(&row.taken_ms));
        if late.iter().all(|row| again(row) && haunted(row)) { lasting } else { seen }
    }
}

/// What holds true of a history, and what does not.
#[derive(Debug, Default)]
pub struct Verdict {
    pub wrong: Vec<String>,
    /// Records that came again, where they may.
    pub repeats: usize,
    pub records: usize,
}

/// Whether everything that must come has come at least once; a text says what is missing.
pub fn missing(expected: &Expected, history: &History) -> Option<String> {
    for (sink, keys) in expected {
        let seen = history.get(sink).map_or(&[][..], Vec::as_slice);
        let seen: BTreeSet<(&str, i64)> = seen.iter().map(|seen| (seen.key.as_str(), seen.step)).collect();
        for (key, steps) in keys {
            let lacks = match steps {
                Steps::Exactly(steps) => steps.iter().find(|step| !seen.contains(&(key.as_str(), **step))).copied(),
                Steps::Rising(left, right) => {
                    let last = super::model::step_of(*left, *right);
                    (!seen.contains(&(key.as_str(), last))).then_some(last)
                }
            };
            if let Some(step) = lacks {
                return Some(format!("{}: {key} has no {step}", sink.name()));
            }
        }
    }
    None
}

pub fn check(expected: &Expected, history: &History, guarantee: Guarantee<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let none = BTreeMap::new();
    for sink in Sink::ALL {
        let keys = expected.get(&sink).unwrap_or(&none);
        let mut seen: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
        for record in history.get(&sink).into_iter().flatten() {
            verdict.records += 1;
            seen.entry(&record.key).or_default().push(record);
        }
        for key in seen.keys().filter(|key| !keys.contains_key(**key)) {
            verdict.wrong.push(format!("{}: {key} is in no input", sink.name()));
        }
        for (key, steps) in keys {
            let seen = seen.get(key.as_str()).map_or(&[][..], Vec::as_slice);
            let last = match steps {
                Steps::Exactly(steps) => steps.last().copied().unwrap_or_default(),
                Steps::Rising(left, right) => super::model::step_of(*left, *right),
            };
            let lasting = guarantee.lasting(last, seen);
            let found = match steps {
                Steps::Exactly(steps) => exactly(steps, lasting, guarantee),
                Steps::Rising(left, right) => rising(*left, *right, lasting, guarantee),
            };
            match found {
                Ok(repeats) => verdict.repeats += repeats + seen.len() - lasting.len(),
                Err(reason) => verdict.wrong.push(format!("{}: {key}: {reason}", sink.name())),
            }
        }
    }
    verdict
}

/// Records that came again; the steps one after the other, in their order.
fn exactly(steps: &[i64], seen: &[&Seen], guarantee: Guarantee<'_>) -> Result<usize, String> {
    let place: HashMap<i64, usize> = steps.iter().enumerate().map(|(index, step)| (*step, index)).collect();
    // When each step was first taken, silence left out.
    let mut first_ms: Vec<i64> = Vec::new();
    let mut last_taken_ms = seen.first().map_or(0, |first| first.taken_ms);
    let (mut next, mut repeats) = (0, 0);
    // Since when the records of the run at hand were sent for the first time.
    let mut run_ms: Option<i64> = None;
    for record in seen {
        let index = *place.get(&record.step).ok_or_else(|| format!("{} is in no input", record.step))?;
        if index > next && (!guarantee.has_zombies() || index > first_ms.len()) {
            return Err(format!("{} comes where {} should: lost, or out of order", record.step, steps[next]));
        }
        if index == first_ms.len() {
            let since = (record.taken_ms - last_taken_ms).clamp(0, SILENCE_MS);
            first_ms.push(first_ms.last().map_or(0, |last| last + since));
            last_taken_ms = record.taken_ms;
            run_ms = None;
        } else {
            if index != next {
                // It went back to here: all that was sent since was sent within one commit interval.
                run_ms = Some(first_ms[index]);
            }
            let sent = run_ms.map_or(0, |since| first_ms.last().copied().unwrap_or(since) - since);
            match guarantee {
                Guarantee::ExactlyOnce => {
                    return Err(format!("{} comes again behind {}", record.step, steps[next.saturating_sub(1)]));
                }
                Guarantee::AtLeastOnce { interval_ms } if sent > interval_ms + COMMIT_SLACK_MS => {
                    return Err(format!("{} comes again with what was sent {sent} ms before: more than a commit interval", record.step));
                }
                Guarantee::AtLeastOnce { .. } | Guarantee::BesideZombies { .. } => repeats += 1,
            }
        }
        next = index + 1;
    }
    if next < steps.len() { Err(format!("it ends at {next} of {} steps", steps.len())) } else { Ok(repeats) }
}

/// The same for pairs of versions, of which one rises by one at a time.
fn rising(left: i64, right: i64, seen: &[&Seen], guarantee: Guarantee<'_>) -> Result<usize, String> {
    let Some(first) = seen.first() else { return Err("nothing came".into()) };
    let mut last = versions(first.step);
    let mut high = last;
    if last.0 != 1 && last.1 != 1 {
        return Err(format!("it begins with {last:?}"));
    }
    let mut repeats = 0;
    for record in &seen[1..] {
        let (l, r) = versions(record.step);
        let before = if guarantee.has_zombies() { high } else { last };
        let rises = (l - before.0, r - before.1);
        if !matches!(rises, (1, 0) | (0, 1)) {
            // It went back to here. What it had taken of one side since may come before what it had taken of the other: topics
            // have no order among each other.
            let goes_back = l <= high.0 && r <= high.1 + 1 || l <= high.0 + 1 && r <= high.1;
            if guarantee == Guarantee::ExactlyOnce || !goes_back {
                return Err(format!("{last:?} is followed by ({l}, {r})"));
            }
        }
        repeats += usize::from(l <= high.0 && r <= high.1);
        last = (l, r);
        high = (high.0.max(l), high.1.max(r));
    }
    if last == (left, right) { Ok(repeats) } else { Err(format!("it ends with {last:?} instead of {:?}", (left, right))) }
}
