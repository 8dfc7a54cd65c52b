//! Compares what came out with what should have.
//!
//! Where today's design can't hold what it should, that is said here by name, in [`Exemption`], and counted: never
//! swallowed. An exemption goes when the design does better.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Changes, Expected, Numbers, Row};
use super::setup::{Happened, Setup};
use super::workload::Workload;

/// What was seen in the end.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Observed {
    /// The sink's records, each partition's in order.
    pub sink: Vec<Vec<Row>>,
    /// What the store behind a table answers; `None`: nothing was asked.
    pub store: Option<BTreeMap<String, Numbers>>,
}

/// Why state may include a record more than once where the log is not atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exemption {
    /// A commit reported an error after its state had been handed over (on an atomic log: after all of it was done): the task
    /// reads on from before it, and the state does not go back.
    StateAheadOfPositions,
}

/// Which exemptions hold for a run.
pub(super) fn exemptions(setup: &Setup, happened: &Happened) -> BTreeSet<Exemption> {
    let mut all = BTreeSet::new();
    let counts = happened.log;
    if setup.atomic {
        if counts.commit_unknown > 0 {
            all.insert(Exemption::StateAheadOfPositions);
        }
        return all;
    }
    all
}

/// What is wrong, in words.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(setup: &Setup, expected: &Expected, observed: &Observed, happened: &Happened) -> Result<(), String> {
    let is_exempt = !exemptions(setup, happened).is_empty() && (setup.atomic || setup.workload.stores() > 0);
    let is_once = (setup.atomic || setup.exactly_once) && !is_exempt;
    compare_all(setup, expected, observed, Rules { is_exempt, is_once, may_end_late: false })
}

/// The same, of several servers: at least once, what one that was replaced had under way may come to the sink as the last.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check_several(setup: &Setup, expected: &Expected, observed: &Observed) -> Result<(), String> {
    compare_all(setup, expected, observed, Rules { is_exempt: false, is_once: setup.exactly_once, may_end_late: !setup.exactly_once })
}

/// What is expected of a sink and a store.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// State may include a record more than once.
    is_exempt: bool,
    /// Nothing comes twice.
    is_once: bool,
    /// What has come may come again behind all that is newer; the store is right all the same.
    may_end_late: bool,
}

fn compare_all(setup: &Setup, expected: &Expected, observed: &Observed, rules: Rules) -> Result<(), String> {
    let Rules { is_exempt, is_once, .. } = rules;
    match expected {
        Expected::Stream { rows, ordered } => check_stream(setup, rows, *ordered, observed, is_exempt, is_once),
        Expected::Table { rows, changes } => {
            check_table(rows, *changes, observed, rules)?;
            let Some(store) = observed.store.as_ref().filter(|_| *changes != Changes::Final) else { return Ok(()) };
            for (key, row) in rows {
                compare("the store's", key, row, store.get(key), is_exempt)?;
            }
            match store.iter().find(|(key, row)| !rows.contains_key(*key) && !is_empty(*changes, row)) {
                Some((key, _)) => Err(format!("the store has {key}, which nobody wrote")),
                None => Ok(()),
            }
        }
    }
}

fn check_stream(setup: &Setup, rows: &[Row], ordered: bool, observed: &Observed, is_exempt: bool, is_once: bool) -> Result<(), String> {
    // A table that is ahead of the stream that looks into it gives a later row.
    let may_differ = |row: &Row, other: &Row| {
        is_exempt && setup.workload == Workload::StreamTable && row.0 == other.0 && row.1.first() == other.1.first()
    };
    let known: BTreeMap<&Row, usize> = rows.iter().enumerate().map(|(index, row)| (row, index)).collect();
    let mut seen = BTreeSet::new();
    for partition in &observed.sink {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for row in partition {
            let Some(index) = known.get(row) else {
                if rows.iter().any(|other| may_differ(row, other)) {
                    continue;
                }
                return Err(format!("{row:?} is there, and should not be"));
            };
            let is_new = seen.insert(*index);
            if !is_new && is_once {
                return Err(format!("{row:?} is there twice"));
            }
            if is_new && ordered {
                let before = last.insert(&row.0, *index);
                if before.is_some_and(|before| before > *index) {
                    return Err(format!("{row:?} comes behind a row that should follow it"));
                }
            }
        }
    }
    match rows.iter().enumerate().find(|(index, _)| !seen.contains(index)) {
        Some((_, row)) if observed.sink.iter().flatten().any(|other| may_differ(row, other)) => Ok(()),
        Some((_, row)) => Err(format!("{row:?} is lost")),
        None => Ok(()),
    }
}

fn check_table(rows: &BTreeMap<String, Numbers>, kind: Changes, observed: &Observed, rules: Rules) -> Result<(), String> {
    let Rules { is_exempt, is_once, may_end_late } = rules;
    let mut last: BTreeMap<&str, (&Numbers, usize)> = BTreeMap::new();
    for (key, row) in observed.sink.iter().flatten() {
        let changes = last.get(key.as_str()).map_or(0, |(_, changes)| *changes) + 1;
        let count = row.first().copied().flatten();
        if is_once && kind == Changes::Counted && count != i64::try_from(changes).ok() {
            return Err(format!("change {changes} of {key} counts {count:?}"));
        }
        if is_once && kind == Changes::Final && changes > 1 {
            return Err(format!("{key} is final twice"));
        }
        last.insert(key, (row, changes));
    }
    for (key, row) in rows {
        let found = last.get(key.as_str()).map(|(row, _)| *row);
        // A window that was let go rightly may be let go once more with less, by a store that was left behind.
        let may_differ = is_exempt && kind == Changes::Final || may_end_late;
        let was_right = may_differ && observed.sink.iter().flatten().any(|(other, found)| other == key && found == row);
        if !was_right {
            compare("the sink's", key, row, found, is_exempt)?;
        }
    }
    let was_empty = |key: &str| may_end_late && observed.sink.iter().flatten().any(|(other, row)| other == key && is_empty(kind, row));
    match last.iter().find(|(key, (row, _))| !rows.contains_key(**key) && !is_empty(kind, row) && !was_empty(key)) {
        Some((key, _)) => Err(format!("the sink has {key}, which nobody wrote")),
        None => Ok(()),
    }
}

/// Whether a row is that of a group that has lost its last member.
fn is_empty(kind: Changes, row: &Numbers) -> bool {
    kind == Changes::Any && row.first() == Some(&Some(0))
}

fn compare(whose: &str, key: &str, expected: &Numbers, found: Option<&Numbers>, is_exempt: bool) -> Result<(), String> {
    let Some(found) = found else { return Err(format!("{whose} row of {key} is lost")) };
    // Counted more than once, where that is exempt; never less.
    let holds = found == expected || is_exempt && found.iter().zip(expected).all(|(found, expected)| found >= expected);
    if holds { Ok(()) } else { Err(format!("{whose} row of {key} is {found:?}, not {expected:?}")) }
}
