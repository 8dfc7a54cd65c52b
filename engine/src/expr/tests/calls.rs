//! Calls of functions: choice of the variant, conversion of arguments, nulls and failures.

use std::collections::BTreeMap;

use tidemill_parser::parse_expression;

use super::super::{Scope, compile_aggregate};
use super::{check, check_types, schema};

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
        ("COALESCE(I / Z, 1)", "1"),
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
