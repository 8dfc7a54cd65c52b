//! Values of INSERT INTO … VALUES.

use tidemill_parser::{parse_data_type, parse_expression};

use super::super::{eval_const, insert_value, sql_type, text};
use crate::types::{Column, SqlType, text as spelling};

fn inserted(sql: &str, into: &str) -> Result<String, String> {
    let to: SqlType = sql_type(&parse_data_type(into).unwrap(), Default::default()).unwrap();
    let value = insert_value(&parse_expression(sql).unwrap(), &Column::new("A", to.clone())).map_err(|e| e.message)?;
    Ok(spelling::to_text(|out| text::write_value(&value, &to, out)).to_string())
}

#[test]
fn values_take_the_column_type() {
    for (sql, into, expected) in [
        ("-1", "INT", "-1"),
        ("1 + 1", "BIGINT", "2"),
        ("1", "DOUBLE", "1.0"),
        ("1.5", "DOUBLE", "1.5"),
        ("0.00", "DECIMAL(12, 2)", "0.00"),
        ("10", "DECIMAL(12, 2)", "10.00"),
        ("2.25", "DECIMAL(4, 2)", "2.25"),
        ("NULL", "INT", "null"),
        ("CAST(NULL AS INT)", "BIGINT", "null"),
        ("'2021-01-01T00:00:00'", "TIMESTAMP", "2021-01-01T00:00:00.000"),
        ("'1970-01-01'", "DATE", "1970-01-01"),
        ("'10:11'", "TIME", "10:11"),
        ("'AQI='", "BYTES", "AQI="),
        ("ARRAY[1, 1 + 1]", "ARRAY<BIGINT>", "[1, 2]"),
        ("ARRAY[CAST(null AS INT)]", "ARRAY<INT>", "[null]"),
        ("MAP(CAST(NULL AS STRING) := 1)", "MAP<STRING, INT>", "{null=1}"),
        ("STRUCT(B := 'x', C := 1)", "STRUCT<A INT, B STRING>", "Struct{B=x}"),
        ("ARRAY[STRUCT(A := 1)]", "ARRAY<STRUCT<A BIGINT>>", "[Struct{A=1}]"),
    ] {
        assert_eq!(inserted(sql, into).as_deref(), Ok(expected), "{sql} into {into}");
    }
}

#[test]
fn refusals_name_column_and_value() {
    for (sql, into, words) in [
        ("'b'", "INT", "Expected type INTEGER for field `A` but got STRING(b)"),
        ("5", "STRING", "Expected type STRING for field `A` but got INTEGER(5)"),
        ("2147483648", "INT", "Expected type INTEGER for field `A` but got BIGINT(2147483648)"),
        ("'soon'", "TIMESTAMP", "Expected type TIMESTAMP for field `A` but got STRING(soon)"),
        ("ARRAY[1]", "ARRAY<STRING>", "Expected type ARRAY<STRING> for field `A` but got ARRAY<INTEGER>([1])"),
        ("B", "INT", "Got the column: B"),
        ("CAST('x' AS INT)", "INT", "CAST('x' AS INTEGER) can't be evaluated: 'x' is no INTEGER"),
        ("COALESCE(CAST('x' AS INT), 1)", "INT", "can't be evaluated: 'x' is no INTEGER"),
    ] {
        let message = inserted(sql, into).unwrap_err();
        assert!(message.contains(words), "{sql} into {into}: {message}");
    }
    assert!(eval_const(&parse_expression("'10'").unwrap(), &SqlType::Int).is_err());
}
