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
    /// Each key's last row. `final_only`: it comes once; else a row with each change.
    Table { rows: BTreeMap<String, Numbers>, final_only: bool },
}

pub(super) fn expected(workload: Workload, inputs: &[Input]) -> Expected {
    match workload {
        Workload::Filter => {
            let passes = inputs.iter().filter(|input| number(input, "V") > Some(3));
            Expected::Stream { rows: passes.map(|input| (input.key.to_owned(), vec![number(input, "N")])).collect(), ordered: true }
        }
        Workload::Count => counted(inputs, |input| Some(input.key.to_owned())),
        Workload::Regroup => counted(inputs, |input| input.value.as_ref()?["G"].as_str().map(str::to_owned)),
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
                Expected::Table { rows, .. } => Expected::Table { rows, final_only: true },
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
            let side = |topic| inputs.iter().filter(move |input| input.topic == topic);
            let pair = |left: &Input| {
                let (key, at, n) = (left.key, left.timestamp, number(left, "N"));
                let others = side(other).filter(move |other| other.key == key && (other.timestamp - at).abs() <= WITHIN_MS);
                others.map(move |other| (key.to_owned(), vec![n, number(other, "N")])).collect::<Vec<_>>()
            };
            Expected::Stream { rows: side("s").flat_map(pair).collect(), ordered: false }
        }
    }
}

fn counted(inputs: &[Input], group: impl Fn(&Input) -> Option<String>) -> Expected {
    let mut rows: BTreeMap<String, Numbers> = BTreeMap::new();
    for input in inputs {
        let Some(group) = group(input) else { continue };
        let row = rows.entry(group).or_insert_with(|| vec![Some(0), Some(0)]);
        row[0] = row[0].map(|count| count + 1);
        row[1] = row[1].zip(number(input, "V")).map(|(sum, v)| sum + v);
    }
    Expected::Table { rows, final_only: false }
}

fn window(input: &Input) -> String {
    format!("{}@{}", input.key, input.timestamp / WINDOW_MS * WINDOW_MS)
}

fn number(input: &Input, column: &str) -> Option<i64> {
    input.value.as_ref().and_then(|value| value.get(column)).and_then(Json::as_i64)
}
