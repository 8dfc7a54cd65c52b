//! Rules of the dialect, as tables of expressions and their results.

mod arithmetic;
mod calls;
mod casts;
mod comparisons;
mod inserts;
mod refusals;
mod structures;

use std::sync::Arc;

use tidemill_parser::parse_expression;

use super::{Compiled, Env, ExprError, Scope, compile, take_swallowed, text};
use crate::row::{RowMeta, Window};
use crate::types::{Column, MapValue, Schema, SqlType, Value, text as spelling};

/// The columns that expressions in these tests may use, with their values. Those beginning with N are null.
fn columns() -> Vec<(Column, Value)> {
    use SqlType::*;
    let decimal = |precision, scale| Decimal { precision, scale };
    let point = || SqlType::structure([("X".to_string(), Int), ("Y".to_string(), String)]);
    let map: MapValue = [(Value::string("a"), Value::Int(1)), (Value::string("b"), Value::Null)].into_iter().collect();
    let column = |name: &str, sql_type, value| (Column::new(name, sql_type), value);
    vec![
        column("I", Int, Value::Int(7)),
        column("L", BigInt, Value::BigInt(3)),
        column("D", Double, Value::Double(1.5)),
        column("C", decimal(4, 2), Value::decimal("2.50".parse().unwrap())),
        column("Z", Int, Value::Int(0)),
        column("S", String, Value::string("hello")),
        column("B", Boolean, Value::Boolean(true)),
        column("BT", Bytes, Value::bytes([1u8, 2])),
        column("T", Timestamp, Value::Timestamp(1_614_515_445_123)),
        column("DT", Date, Value::Date(18_686)),
        column("TM", Time, Value::Time(45_045_000)),
        column("A", SqlType::array(Int), Value::array(vec![Value::Int(1), Value::Int(2), Value::Null])),
        column("M", SqlType::map(String, Int), Value::Map(Arc::new(map))),
        column("ST", point(), Value::structure(vec![Value::Int(5), Value::string("q")])),
        column("NANS", Double, Value::Double(f64::NAN)),
        column("NI", Int, Value::Null),
        column("NL", BigInt, Value::Null),
        column("ND", Double, Value::Null),
        column("NC", decimal(4, 2), Value::Null),
        column("NS", String, Value::Null),
        column("NB", Boolean, Value::Null),
        column("NA", SqlType::array(Int), Value::Null),
        column("NM", SqlType::map(String, Int), Value::Null),
        column("NST", point(), Value::Null),
        column("NT", Timestamp, Value::Null),
    ]
}

fn schema() -> Schema {
    Schema { key: Vec::new(), value: columns().into_iter().map(|(column, _)| column).collect() }
}

fn compiled(sql: &str) -> Result<Compiled, ExprError> {
    let expr = parse_expression(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    compile(&expr, &Scope::new(&schema(), true))
}

/// The result as CAST AS STRING spells it; `fails` where the expression does, which is null in a column and false in WHERE;
/// `null, logged` where it is null for a part that failed.
fn result(sql: &str) -> String {
    let result = result_before_log(sql);
    if !take_swallowed().is_empty() && result == "null" { "null, logged".to_string() } else { result }
}

/// As [`result`], with what is for the log still waiting there.
fn result_before_log(sql: &str) -> String {
    let compiled = compiled(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let values: Vec<Value> = columns().into_iter().map(|(_, value)| value).collect();
    let window = Some(Window { start: 1_000, end: 2_000 });
    let meta = RowMeta { timestamp: 1_609_459_200_000, partition: 2, offset: 5, window, ..RowMeta::default() };
    match compiled.eval_value(&Env::new(&values, &meta)) {
        Ok(value) => {
            let sql_type = compiled.sql_type.unwrap_or(SqlType::Int);
            spelling::to_text(|out| text::write_value(&value, &sql_type, out)).to_string()
        }
        Err(_) => "fails".to_string(),
    }
}

/// Each expression has its result.
#[track_caller]
fn check(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(sql, expected)| (sql, expected, result(sql)))
        .filter(|(_, expected, got)| got != *expected)
        .map(|(sql, expected, got)| format!("{sql}: expected {expected}, got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each expression has its type.
#[track_caller]
fn check_types(table: &[(&str, &str)]) {
    for (sql, expected) in table {
        let compiled = compiled(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let got = compiled.sql_type.map_or_else(|| "null".to_string(), |t| t.to_string());
        assert_eq!(got, *expected, "{sql}");
    }
}

/// Each expression is refused with words that hold the given ones.
#[track_caller]
fn check_refused(table: &[(&str, &str)]) {
    for (sql, expected) in table {
        match compiled(sql) {
            Ok(compiled) => panic!("{sql} is taken: {compiled:?}"),
            Err(error) => assert!(error.message.contains(expected), "{sql}: {}", error.message),
        }
    }
}

#[test]
fn failures_that_became_null_are_kept_for_the_log() {
    take_swallowed();
    assert_eq!(result_before_log("ARRAY[I / Z, 1]"), "[null, 1]");
    assert_eq!(take_swallowed().iter().map(ToString::to_string).collect::<Vec<_>>(), ["/ by zero"]);
    assert_eq!(result_before_log("ARRAY[NI + 1, 1]"), "[null, 1]");
    assert!(take_swallowed().is_empty(), "a null operand is nothing to report");
}

#[test]
fn pseudo_columns_belong_to_every_row() {
    check(&[
        ("ROWTIME", "1609459200000"),
        ("ROWPARTITION", "2"),
        ("ROWOFFSET", "5"),
        ("WINDOWSTART", "1000"),
        ("WINDOWEND", "2000"),
        ("ROWTIME = '2021-01-01T00:00:00.000'", "true"),
        ("ROWTIME >= '2021-01-01' AND ROWTIME < '2021-01-02'", "true"),
        ("'2021' <= ROWTIME", "true"),
        ("WINDOWSTART < '1970-01-01T00:00:01.001'", "true"),
        ("ROWTIME = '2021-01-01T02:00:00+0200'", "true"),
    ]);
    check_refused(&[("ROWTIME > 'yesterday'", "Failed to parse timestamp 'yesterday'"), ("ROWOFFSET > '2021'", "Cannot compare")]);
}
