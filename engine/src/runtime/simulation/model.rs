//! What a query is to put out, computed apart from the engine: from its input as a whole, without stores, chunks or time.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::workload::{Input, WINDOW_MS, WITHIN_MS, Workload};

/// Numbers of a row; `None` is null.
pub(super) type Numbers = Vec<Option<i64>>;

/// A row of the sink: its key (with the window's start behind an @), and its numbers.
pub(super) type Row = (String, Numbers);

/// What stands in the sink in the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// Rows in the order in which each key has them; no two are the same. In a join of two streams, only what is there
    /// counts and not its order.
    Stream { rows: Vec<Row>, ordered: bool },
    /// Each key's last row.
    Table { rows: BTreeMap<String, Numbers>, changes: Changes },
}

/// Which changes a table puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    /// One row with each change, which it counts.
    Counted,
    /// Each row once.
    Final,
    /// More or fewer: what counts is the last.
    Any,
}

pub(super) fn expected(workload: Workload, inputs: &[Input]) -> Expected {
    match workload {
        Workload::Filter => {
            let passes = inputs.iter().filter(|input| number(input, "V") > Some(3));
            Expected::Stream { rows: passes.map(|input| (input.key.to_owned(), vec![number(input, "N")])).collect(), ordered: true }
        }
        // Each record is there: as a row, or as the letter of a record that fails.
        Workload::Letters => {
            Expected::Stream { rows: inputs.iter().map(|input| (input.key.to_owned(), vec![number(input, "N")])).collect(), ordered: true }
        }
        Workload::Count => counted(inputs, |input| Some(input.key.to_owned())),
        Workload::Regroup => counted(inputs, group),
        Workload::WindowedCount => counted(inputs, |input| Some(window(input))),
        Workload::Final => {
            // A window closes when a record of its task's partition has passed its end.
            let mut time = BTreeMap::new();
            for input in inputs {
                let latest: &mut i64 = time.entry(input.partition).or_default();
                *latest = input.timestamp.max(*latest);
            }
            let closed = |input: &&Input| {
                let end = input.timestamp / WINDOW_MS * WINDOW_MS + WINDOW_MS;
                time.get(&input.partition).is_some_and(|time| end <= *time)
            };
            let inputs: Vec<Input> = inputs.iter().filter(closed).cloned().collect();
            match counted(&inputs, |input| Some(window(input))) {
                Expected::Table { rows, .. } => Expected::Table { rows, changes: Changes::Final },
                other => other,
            }
        }
        Workload::StreamTable => {
            let mut table: BTreeMap<&str, i64> = BTreeMap::new();
            let mut rows = Vec::new();
            for input in inputs {
                match (input.topic, number(input, "B")) {
                    ("r", Some(b)) => drop(table.insert(input.key, b)),
                    ("r", None) => drop(table.remove(input.key)),
                    _ => rows.push((input.key.to_owned(), vec![number(input, "N"), table.get(input.key).copied()])),
                }
            }
            Expected::Stream { rows, ordered: true }
        }
        Workload::StreamStream | Workload::OneTopic => {
            let other = if workload == Workload::OneTopic { "s" } else { "r" };
            let row = |(left, right): (&Input, &Input)| (left.key.to_owned(), vec![number(left, "N"), number(right, "N")]);
            Expected::Stream { rows: pairs(inputs, other).map(row).collect(), ordered: false }
        }
        Workload::Pairs => {
            let lefts: Vec<Input> = pairs(inputs, "r").map(|(left, _)| left.clone()).collect();
            counted(&lefts, group)
        }
        Workload::Looked => {
            let stream: Vec<Input> = inputs.iter().filter(|input| input.topic == "s").cloned().collect();
            counted(&stream, group)
        }
        Workload::TablePairs => {
            let right = last_numbers(inputs);
            let lefts: BTreeMap<&str, &Input> = inputs.iter().filter(|input| input.topic == "s").map(|input| (input.key, input)).collect();
            let mut rows: BTreeMap<String, Numbers> = BTreeMap::new();
            for left in lefts.into_values() {
                let (Some(group), Some(b)) = (group(left), right.get(left.key).copied().flatten()) else { continue };
                let row = rows.entry(group).or_insert_with(|| vec![Some(0), Some(0)]);
                row[0] = row[0].map(|count| count + 1);
                row[1] = row[1].map(|sum| sum + b);
            }
            Expected::Table { rows, changes: Changes::Any }
        }
        Workload::ForeignKey => {
            let right = last_numbers(inputs);
            let lefts = inputs.iter().filter(|input| input.topic == "s");
            let row = |left: &Input| {
                let found = group(left).and_then(|key| right.get(key.as_str()).copied().flatten());
                (left.key.to_owned(), vec![number(left, "N"), found])
            };
            Expected::Table { rows: lefts.map(row).collect(), changes: Changes::Any }
        }
    }
}

/// The records of the topic s with those of another that they meet.
fn pairs<'i>(inputs: &'i [Input], other: &'static str) -> impl Iterator<Item = (&'i Input, &'i Input)> {
    let side = move |topic| inputs.iter().filter(move |input| input.topic == topic);
    let meets = |left: &Input, right: &Input| right.key == left.key && (right.timestamp - left.timestamp).abs() <= WITHIN_MS;
    side("s").flat_map(move |left| side(other).filter(move |right| meets(left, right)).map(move |right| (left, right)))
}

/// What each key of the topic r has last; `None`: a tombstone.
fn last_numbers(inputs: &[Input]) -> BTreeMap<&str, Option<i64>> {
    inputs.iter().filter(|input| input.topic == "r").map(|input| (input.key, number(input, "B"))).collect()
}

fn group(input: &Input) -> Option<String> {
    input.value.as_ref()?["G"].as_str().map(str::to_owned)
}

fn counted(inputs: &[Input], group: impl Fn(&Input) -> Option<String>) -> Expected {
    let mut rows: BTreeMap<String, Numbers> = BTreeMap::new();
    for input in inputs {
        let Some(group) = group(input) else { continue };
        let row = rows.entry(group).or_insert_with(|| vec![Some(0), Some(0)]);
        row[0] = row[0].map(|count| count + 1);
        row[1] = row[1].zip(number(input, "V")).map(|(sum, v)| sum + v);
    }
    Expected::Table { rows, changes: Changes::Counted }
}

fn window(input: &Input) -> String {
    format!("{}@{}", input.key, input.timestamp / WINDOW_MS * WINDOW_MS)
}

fn number(input: &Input, column: &str) -> Option<i64> {
    input.value.as_ref().and_then(|value| value.get(column)).and_then(Json::as_i64)
}
