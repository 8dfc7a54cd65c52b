//! Calls of functions: choice of the variant, conversion of arguments, nulls and failures.

use std::collections::BTreeMap;

use tidemill_parser::parse_expression;

use super::super::{Env, Scope, compile_aggregate, compile_table_function};
use super::{check, check_refused, check_types, columns, schema};
use crate::row::RowMeta;
use crate::types::Value;

#[test]
fn exact_types_win_over_wider_ones() {
    check_types(&[
        ("ABS(I)", "INTEGER"),
        ("ABS(L)", "BIGINT"),
        ("ABS(C)", "DECIMAL(4, 2)"),
        ("TRUNC(I)", "BIGINT"),
        ("SQRT(I)", "DOUBLE"),
        ("SQRT(C)", "DOUBLE"),
        ("COALESCE(NI, I)", "INTEGER"),
        ("IFNULL(C, 1.123)", "DECIMAL(5, 3)"),
        ("COALESCE(NULL)", "null"),
    ]);
}

#[test]
fn nulls_and_failures_in_arguments() {
    check(&[
        ("ABS(-I)", "7"),
        ("ABS(NI)", "null"),
        ("ABS(NI + 1)", "fails"),
        ("COALESCE(NI, I)", "7"),
        ("COALESCE(I / Z, 1)", "fails"),
        ("COALESCE(CAST(I / Z AS INT), 1)", "1"),
        // Calls, fields and converted values are null where they fail; other arguments fail the expression.
        ("COALESCE(GREATEST(ABS(I / Z), 3), 1)", "3"),
        ("GREATEST(SQRT(I / Z), 1E0)", "1.0"),
        ("UNIX_TIMESTAMP(S) IS NULL", "true"),
        ("IFNULL(ABS(I / Z), 5)", "5"),
        ("IFNULL(NULL, 5)", "5"),
        ("IFNULL(C, 1.123)", "2.500"),
        ("IFNULL(NC, 1.123)", "1.123"),
        ("GREATEST(I, 3, NI)", "7"),
        ("LEAST(C, 1.123)", "1.123"),
        ("SQRT(I + 2)", "3.0"),
    ]);
}

#[test]
fn aggregates_take_exact_types_and_literals() {
    let compiled = |sql: &str| {
        let schema = schema();
        compile_aggregate(&parse_expression(sql).unwrap(), &Scope::new(&schema, false), &BTreeMap::new())
            .map(|c| (c.args.len(), c.aggregator.return_type().to_string()))
            .map_err(|e| e.message)
    };
    assert_eq!(compiled("COUNT(*)"), Ok((0, "BIGINT".to_string())));
    assert_eq!(compiled("COUNT(S)"), Ok((1, "BIGINT".to_string())));
    assert_eq!(compiled("SUM(I + 1)"), Ok((1, "INTEGER".to_string())));
    assert_eq!(compiled("TOPK(I, 3)"), Ok((1, "ARRAY<INTEGER>".to_string())));
    let refused = |sql: &str, words: &str| {
        let message = compiled(sql).unwrap_err();
        assert!(message.contains(words), "{sql}: {message}");
    };
    refused("SUM(S)", "Function 'SUM' does not accept parameters (STRING).");
    refused("AVG(C)", "does not accept parameters (DECIMAL(4, 2)).");
    refused("HISTOGRAM(I)", "Function 'histogram' does not accept parameters (INTEGER).");
    refused("TOPK(I, I)", "Parameter 2 passed to function TOPK must be a literal constant, but was expression: 'I'");
    refused(
        "EARLIEST_BY_OFFSET(I, I)",
        "Parameter 2 passed to function EARLIEST_BY_OFFSET must be a literal constant, but was expression: 'I'",
    );
    refused("LATEST_BY_OFFSET(I, -1)", "Failed to invoke UDAF factory method");
}

#[test]
fn lambdas_take_their_types_from_the_arguments_before() {
    check_types(&[
        ("TRANSFORM(ARRAY[1, 2], x => x * 1.5)", "ARRAY<DECIMAL(13, 1)>"),
        ("REDUCE(ARRAY[1, 2], CAST(0 AS BIGINT), (total, x) => total + x)", "BIGINT"),
        ("TRANSFORM(M, (k, v) => k || 'x', (k, v) => v IS NULL)", "MAP<STRING, BOOLEAN>"),
    ]);
    check(&[
        ("TRANSFORM(ARRAY[1, 2], x => x + I)", "[8, 9]"),
        ("FILTER(A, x => x > 1)", "[2]"),
        ("FILTER(M, (k, v) => k = 'a')", "{a=1}"),
        ("REDUCE(ARRAY['a', 'b'], '', (t0, x) => t0 || x)", "ab"),
        ("TRANSFORM(ARRAY[1, 2], x => REDUCE(ARRAY[10, 20], x, (t0, y) => t0 + y * x))", "[31, 62]"),
        ("TRANSFORM(ARRAY[1, 2], x => TRANSFORM(ARRAY[x, 5], y => x * 10 + y))", "[[11, 15], [22, 25]]"),
        ("TRANSFORM(NA, x => x + 1)", "null"),
    ]);
    check_refused(&[
        ("FILTER(A, x => x + 1)", "to return BOOLEAN, but it returns INTEGER"),
        ("REDUCE(A, 0, (t0, x) => S2)", "Column 'S2' cannot be resolved."),
        ("REDUCE(A, 0, (s2, x) => 'a')", "to return INTEGER, but it returns STRING"),
        ("TRANSFORM(A, (x, y) => x)", "does not accept parameters (ARRAY<INTEGER>, LAMBDA)."),
    ]);
}

#[test]
fn text_goes_for_times_and_joins() {
    check(&[
        ("S || NS || '!'", "hello!"),
        ("UNIX_DATE('1970-01-03')", "2"),
        ("UNIX_TIMESTAMP('1970-01-01T00:00:01')", "1000"),
        ("UNIX_TIMESTAMP(S)", "null, logged"),
    ]);
}

#[test]
fn table_functions_make_rows() {
    let schema = schema();
    let scope = Scope::new(&schema, false);
    let explode = compile_table_function(&parse_expression("EXPLODE(A)").unwrap(), &scope).unwrap();
    assert_eq!(explode.sql_type.to_string(), "INTEGER");
    let row: Vec<Value> = columns().into_iter().map(|(_, value)| value).collect();
    let rows = explode.rows(&Env::new(&row, &RowMeta::default()));
    assert_eq!(rows, Ok(vec![Value::Int(1), Value::Int(2), Value::Null]));
    let decimals = compile_table_function(&parse_expression("EXPLODE(ARRAY[C])").unwrap(), &scope).unwrap();
    assert_eq!(decimals.sql_type.to_string(), "DECIMAL(4, 2)");
    let refused = compile_table_function(&parse_expression("EXPLODE(M)").unwrap(), &scope).err().unwrap();
    let expected = "Function 'explode' does not accept parameters (MAP<STRING, INTEGER>).\nValid alternatives are:\nexplode(ARRAY<DECIMAL> input)\nexplode(ARRAY<T> list)";
    assert!(refused.message.contains(expected), "{}", refused.message);
}
