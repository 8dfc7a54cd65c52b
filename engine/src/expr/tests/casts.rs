//! CAST.

use super::check;

#[test]
fn text_to_numbers() {
    check(&[
        ("CAST(' 1 ' AS INT)", "1"),
        ("CAST('+5' AS INT)", "5"),
        ("CAST('-0' AS INT)", "0"),
        ("CAST('1.5' AS INT)", "null, logged"),
        ("CAST('' AS INT)", "null, logged"),
        ("CAST('99999999999' AS INT)", "null, logged"),
        ("CAST('99999999999' AS BIGINT)", "99999999999"),
        ("CAST('1e2' AS DOUBLE)", "100.0"),
        ("CAST('.5' AS DOUBLE)", "0.5"),
        ("CAST('-0' AS DOUBLE)", "-0.0"),
        ("CAST('NaN' AS DOUBLE)", "null, logged"),
        ("CAST('Infinity' AS DOUBLE)", "null, logged"),
        ("CAST('1.5' AS DECIMAL(4,0))", "2"),
        ("CAST('.5' AS DECIMAL(4,0))", "1"),
        ("CAST('1.' AS DECIMAL(4,1))", "1.0"),
        ("CAST('12345' AS DECIMAL(4,0))", "null, logged"),
        ("CAST(NS AS INT)", "null"),
        ("CAST(NULL AS INT)", "null"),
    ]);
}

#[test]
fn text_to_booleans_never_fails() {
    check(&[
        ("CAST('tRu' AS BOOLEAN)", "true"),
        ("CAST('Yes' AS BOOLEAN)", "true"),
        ("CAST('FALSE' AS BOOLEAN)", "false"),
        ("CAST('truest' AS BOOLEAN)", "false"),
        ("CAST('' AS BOOLEAN)", "false"),
        ("CAST('é' AS BOOLEAN)", "false"),
        ("CAST(NS AS BOOLEAN)", "null"),
    ]);
}

#[test]
fn numbers_to_numbers() {
    check(&[
        ("CAST(2147483648 AS INT)", "-2147483648"),
        ("CAST(9223372036854775807 AS INT)", "-1"),
        ("CAST(1E10 AS INT)", "2147483647"),
        ("CAST(-2.5E0 AS INT)", "-2"),
        ("CAST(1E300 AS BIGINT)", "9223372036854775807"),
        ("CAST(1.999 AS INT)", "1"),
        ("CAST(C AS DOUBLE)", "2.5"),
        ("CAST(I AS DECIMAL(6,2))", "7.00"),
        ("CAST(12345 AS DECIMAL(6,2))", "null, logged"),
        ("CAST(1.005 AS DECIMAL(5,2))", "1.01"),
        ("CAST(-1.005 AS DECIMAL(5,2))", "-1.01"),
        ("CAST(-2.5E0 AS DECIMAL(4,0))", "-3"),
        ("CAST(-1E-7 AS DECIMAL(4,0))", "0"),
        ("CAST(999.995 AS DECIMAL(5,2))", "1000.00"),
        ("CAST(1000.0 AS DECIMAL(5,2))", "null, logged"),
        ("CAST(NI AS DOUBLE)", "null"),
    ]);
}

#[test]
fn times_to_and_from_text() {
    check(&[
        ("CAST(T AS STRING)", "2021-02-28T12:30:45.123"),
        ("CAST(DT AS STRING)", "2021-02-28"),
        ("CAST(TM AS STRING)", "12:30:45"),
        ("CAST('12:30' AS TIME)", "12:30"),
        ("CAST('25:00' AS TIME)", "null, logged"),
        ("CAST('2021-02' AS DATE)", "2021-02-01"),
        ("CAST('2021-2-8' AS DATE)", "null, logged"),
        ("CAST('2021-02-28T12:30:45+02:00' AS TIMESTAMP)", "2021-02-28T10:30:45.000"),
        ("CAST('2021-02-28 12:30:45' AS TIMESTAMP)", "null, logged"),
        ("CAST(T AS DATE)", "2021-02-28"),
        ("CAST(T AS TIME)", "12:30:45"),
        ("CAST(DT AS TIMESTAMP)", "2021-02-28T00:00:00.000"),
        ("CAST('true' AS BYTES)", "true"),
        ("CAST('1' AS BYTES)", "null, logged"),
    ]);
}

#[test]
fn structures_item_by_item() {
    check(&[
        ("CAST(A AS ARRAY<STRING>)", "[1, 2, null]"),
        ("CAST(A AS ARRAY<DECIMAL(5,1)>)", "[1.0, 2.0, null]"),
        ("CAST(ARRAY['1', 'x'] AS ARRAY<INT>)", "null, logged"),
        ("CAST(M AS MAP<STRING, DOUBLE>)", "{a=1.0, b=null}"),
        ("CAST(ST AS STRUCT<Y STRING, W INT>)", "Struct{Y=q}"),
        ("CAST(ST AS STRUCT<X STRING>)", "Struct{X=5}"),
        ("CAST(NST AS STRUCT<X STRING>)", "null"),
    ]);
}

#[test]
fn everything_but_bytes_to_text() {
    check(&[
        ("CAST(B AS STRING)", "true"),
        ("CAST(D AS STRING)", "1.5"),
        ("CAST(1E7 AS STRING)", "1.0E7"),
        ("CAST(1E-4 AS STRING)", "1.0E-4"),
        ("CAST(C AS STRING)", "2.50"),
        ("CAST(A AS STRING)", "[1, 2, null]"),
        ("CAST(M AS STRING)", "{a=1, b=null}"),
        ("CAST(ST AS STRING)", "Struct{X=5,Y=q}"),
        ("CAST(STRUCT(X := NI, Y := NS) AS STRING)", "Struct{}"),
    ]);
}

#[test]
fn what_fails_is_null_right_there_and_the_expression_around_goes_on() {
    check(&[
        ("CAST('x' AS INT) IS NULL", "true"),
        ("CAST('x' AS INT) = 1 OR I = 7", "true"),
        ("CASE WHEN CAST(S AS INT) = 1 THEN 'one' ELSE 'other' END", "other"),
        ("COALESCE(CAST(S AS INT), 3)", "3"),
        ("CAST(I / Z AS BIGINT) IS NULL", "true"),
        ("CAST(I / Z AS INT) IS NULL", "true"),
        ("CAST(NI + 1 AS STRING) IS NULL", "true"),
        ("TRANSFORM(ARRAY['1', 'x'], e => CAST(e AS INT))", "[1, null]"),
        // Arithmetic takes no null, so it fails in its turn.
        ("CAST('x' AS INT) + 1", "fails"),
    ]);
}
