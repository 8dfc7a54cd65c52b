//! Assertions on the records of a source's topic. Each takes the next record; the columns that are named must be equal.

use tidemill_engine::types::{Column, SqlType, Value};
use tidemill_parser::ast::{AssertValues, Ident};
use tidemill_parser::did_you_mean;

use super::show::{Line, literal, table};
use super::stage::{Record, Shape, Stage};

/// Records that a failed assertion shows before the one that differs.
const SHOWN_BEFORE: usize = 5;

/// `ASSERT VALUES`, or `ASSERT NULL VALUES` where `tombstone`.
pub fn values(stage: &mut dyn Stage, assert: &AssertValues, tombstone: bool) -> Result<(), String> {
    let shape = stage.shape(&assert.source)?;
    let names: Vec<Ident> = match assert.columns.is_empty() {
        false => assert.columns.clone(),
        true if tombstone => shape.columns.iter().take(shape.key_count).map(|c| Ident::new(c.name.clone())).collect(),
        true => shape.order.iter().map(|name| Ident::new(name.clone())).collect(),
    };
    let columns: Vec<Column> = names.iter().map(|name| column(&shape, name)).collect::<Result<_, _>>()?;
    for values in &assert.rows {
        if values.len() != columns.len() {
            return Err(format!("Expected number columns and values to match: {}, {}", columns.len(), values.len()));
        }
        let expected: Vec<Value> =
            values.iter().zip(&columns).map(|(value, column)| stage.constant(value, column)).collect::<Result<_, _>>()?;
        let given = columns
            .iter()
            .zip(&expected)
            .find(|(column, value)| !shape.is_key(&column.name) && column.name != "ROWTIME" && !value.is_null());
        if let (true, Some((column, _))) = (tombstone, given) {
            return Err(format!(
                "Unexpected value columns specified in ASSERT NULL VALUES: a tombstone has none, so '{}' can only be NULL",
                column.name
            ));
        }
        let Some(actual) = stage.next(&shape, true)? else {
            return Err(missing(stage, &shape, &columns, &expected)?);
        };
        if let Some(difference) = difference(&shape, &columns, &expected, &actual, tombstone) {
            return Err(differs(stage, &shape, &columns, &expected, &actual, tombstone, &difference)?);
        }
    }
    Ok(())
}

/// `ASSERT NO VALUES`.
pub fn no_values(stage: &mut dyn Stage, source: &Ident) -> Result<(), String> {
    let shape = stage.shape(source)?;
    let Some(record) = stage.next(&shape, false)? else { return Ok(()) };
    let columns = all_columns(&shape);
    let line = line(&shape, &columns, "unexpected", &record);
    Err(format!("Expected no further record in topic '{}', but there is one.\n{}", shape.topic, table(&names(&columns), &[line], &[])))
}

/// `ASSERT [NO] PROCESSING LOG`.
pub fn processing_log(stage: &mut dyn Stage, exists: bool, contains: Option<&str>) -> Result<(), String> {
    if exists {
        return match (stage.next_complaint()?, contains) {
            (None, None) => Err("Expected an entry in the processing log, but there is none.".to_owned()),
            (None, Some(text)) => Err(format!("Expected an entry with «{text}» in the processing log, but there is none.")),
            (Some(entry), Some(text)) if !entry.contains(text) => {
                Err(format!("Expected an entry with «{text}» in the processing log. The next one is:\n  {entry}"))
            }
            _ => Ok(()),
        };
    }
    while let Some(entry) = stage.next_complaint()? {
        if contains.is_none_or(|text| entry.contains(text)) {
            return Err(format!("Expected no such entry in the processing log, but there is one:\n  {entry}"));
        }
    }
    Ok(())
}

fn column(shape: &Shape, name: &Ident) -> Result<Column, String> {
    shape.column(&name.name).ok_or_else(|| {
        let near = did_you_mean(&name.name, shape.columns.iter().map(|c| c.name.as_str()));
        let near = near.map(|n| format!(" Did you mean `{n}`?")).unwrap_or_default();
        format!("Column name `{}` does not exist in {}.{near}", name.name, shape.name)
    })
}

/// What differs.
enum Difference {
    Unreadable(String),
    IsTombstone,
    IsNoTombstone,
    /// Which of the columns.
    Values(Vec<bool>),
}

fn difference(shape: &Shape, columns: &[Column], expected: &[Value], actual: &Record, tombstone: bool) -> Option<Difference> {
    if let Some(reason) = &actual.unreadable {
        return Some(Difference::Unreadable(reason.clone()));
    }
    match (tombstone, actual.has_value) {
        (false, false) => return Some(Difference::IsTombstone),
        (true, true) => return Some(Difference::IsNoTombstone),
        _ => {}
    }
    let differ: Vec<bool> = columns
        .iter()
        .zip(expected)
        .map(|(column, value)| !(tombstone && value.is_null()) && shape.value(actual, &column.name) != *value)
        .collect();
    differ.contains(&true).then_some(Difference::Values(differ))
}

fn missing(stage: &mut dyn Stage, shape: &Shape, columns: &[Column], expected: &[Value]) -> Result<String, String> {
    let read = stage.read_so_far(shape)?;
    let mut lines = vec![expected_line(columns, expected)];
    lines.extend(before(shape, columns, &read, read.len()));
    Ok(format!(
        "Expected another record, but all records have already been read: topic '{}' has {}.\n{}",
        shape.topic,
        read.len(),
        table(&names(columns), &lines, &[])
    ))
}

fn differs(
    stage: &mut dyn Stage,
    shape: &Shape,
    columns: &[Column],
    expected: &[Value],
    actual: &Record,
    tombstone: bool,
    difference: &Difference,
) -> Result<String, String> {
    let read = stage.read_so_far(shape)?;
    let number = read.len();
    let what = match difference {
        Difference::Unreadable(reason) => return Ok(format!("Record {number} of topic '{}' can't be read: {reason}", shape.topic)),
        Difference::IsTombstone => " A record was expected, and a tombstone came (ASSERT NULL VALUES takes one).",
        Difference::IsNoTombstone => " A tombstone was expected.",
        Difference::Values(_) => "",
    };
    let marked = match difference {
        Difference::Values(differ) => differ.clone(),
        _ => Vec::new(),
    };
    let mut lines = before(shape, columns, &read, number.saturating_sub(1));
    let mut wanted = expected_line(columns, expected);
    if tombstone {
        wanted.label = "expected (tombstone)".to_owned();
    }
    lines.push(wanted);
    lines.push(line(shape, columns, if actual.has_value { "actual" } else { "actual (tombstone)" }, actual));
    Ok(format!(
        "Expected record does not match actual.{what} It is record {number} of topic '{}'.\n{}",
        shape.topic,
        table(&names(columns), &lines, &marked)
    ))
}

/// The last records before number `end`.
fn before(shape: &Shape, columns: &[Column], read: &[Record], end: usize) -> Vec<Line> {
    let first = end.saturating_sub(SHOWN_BEFORE);
    let shown = read.iter().enumerate().take(end).skip(first);
    shown.map(|(index, record)| line(shape, columns, &format!("record {}", index + 1), record)).collect()
}

fn expected_line(columns: &[Column], expected: &[Value]) -> Line {
    let cells = columns.iter().zip(expected).map(|(column, value)| literal(value, &column.sql_type)).collect();
    Line { label: "expected".to_owned(), cells }
}

fn line(shape: &Shape, columns: &[Column], label: &str, record: &Record) -> Line {
    let cells = columns.iter().map(|column| literal(&shape.value(record, &column.name), &column.sql_type)).collect();
    Line { label: label.to_owned(), cells }
}

/// Every column, behind the record's time.
fn all_columns(shape: &Shape) -> Vec<Column> {
    let window = ["WINDOWSTART", "WINDOWEND"].into_iter().filter(|_| shape.is_windowed);
    let pseudo = std::iter::once("ROWTIME").chain(window).map(|name| Column::new(name, SqlType::BigInt));
    pseudo.chain(shape.columns.iter().cloned()).collect()
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|c| c.name.clone()).collect()
}
