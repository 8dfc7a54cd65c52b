//! Text as ksqlDB prints it, since it goes over the wire.

use tidemill_parser::{parse_columns, parse_data_type, parse_expression, parse_statement};

#[test]
fn statements_are_printed_in_ksqldbs_style() {
    for (sql, expected) in [
        (
            "create stream a1 (k varchar key, v int) with (value_format='JSON', kafka_topic='a1', partitions=2);",
            "CREATE STREAM A1 (K STRING KEY, V INTEGER) WITH (KAFKA_TOPIC='a1', PARTITIONS=2, VALUE_FORMAT='JSON')",
        ),
        (
            "CREATE OR REPLACE SOURCE TABLE IF NOT EXISTS `b` (id BIGINT PRIMARY KEY, `m` MAP<STRING, DECIMAL(4,2)>)",
            "CREATE OR REPLACE SOURCE TABLE IF NOT EXISTS `b` (ID BIGINT PRIMARY KEY, `m` MAP<STRING, DECIMAL(4, 2)>)",
        ),
        (
            "CREATE TABLE q5 WITH (partitions=1) AS SELECT s.k k, count(*) AS n FROM s s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECOND, \
             RETENTION 1 HOUR, GRACE PERIOD 10 MINUTES) GROUP BY s.k EMIT CHANGES",
            "CREATE TABLE Q5 WITH (PARTITIONS=1) AS SELECT\n  S.K K,\n  COUNT(*) N\nFROM S S\nWINDOW HOPPING ( SIZE 10 SECONDS , ADVANCE BY 5 SECONDS , \
             RETENTION 1 HOURS , GRACE PERIOD 10 MINUTES ) \nGROUP BY S.K\nEMIT CHANGES",
        ),
        (
            "SELECT * FROM s s LEFT JOIN s2 s2 WITHIN (1 HOUR, 2 HOURS) ON s.k = s2.k WHERE s.a > 0 EMIT CHANGES LIMIT 3",
            "SELECT *\nFROM S S\nLEFT OUTER JOIN S2 S2 WITHIN (1 HOURS, 2 HOURS) ON ((S.K = S2.K))\nWHERE (S.A > 0)\nEMIT CHANGES\nLIMIT 3",
        ),
        (
            "SELECT s.a, ucase(s.b) x FROM s s WINDOW SESSION (5 MINUTES) GROUP BY ucase(s.b), s.a HAVING count(*) > 1 EMIT FINAL",
            "SELECT\n  S.A,\n  UCASE(S.B) X\nFROM S S\nWINDOW SESSION ( 5 MINUTES ) \nGROUP BY UCASE(S.B), S.A\nHAVING (COUNT(*) > 1)\nEMIT FINAL",
        ),
        ("SELECT * FROM s s PARTITION BY null", "SELECT *\nFROM S S\nPARTITION BY null"),
        ("insert into s (k, a) values ('x', -1)", "INSERT INTO S (K, A) VALUES ('x', -1)"),
        ("set 'a' = 'b'", "SET 'a'='b'"),
        ("drop stream if exists s delete topic", "DROP STREAM IF EXISTS S DELETE TOPIC"),
    ] {
        assert_eq!(parse_statement(sql).unwrap_or_else(|e| panic!("{e}")).statement.to_string(), expected);
    }
}

#[test]
fn expressions_are_printed_in_ksqldbs_style() {
    for (sql, expected) in [
        ("a+1 * b", "(A + (1 * B))"),
        ("case when s.a > 1 then 'big' else 'small' end", "(CASE WHEN (S.A > 1) THEN 'big' ELSE 'small' END)"),
        ("cast(s.a as varchar)", "CAST(S.A AS STRING)"),
        ("transform(s.arr, x => x * 2)", "TRANSFORM(S.ARR, (X) => (X * 2))"),
        ("s.arr[1]", "S.ARR[1]"),
        ("s.st->f", "S.ST->F"),
        ("a not like 'x' and not b", "((NOT (A LIKE 'x')) AND (NOT B))"),
        ("a is not null", "(A IS NOT NULL)"),
        ("a in (1, 2)", "(A IN (1, 2))"),
        ("struct(a := 1, `b` := map('k' := array[1]))", "STRUCT(A:=1, `b`:=MAP('k':=ARRAY[1]))"),
        ("a != b", "(A <> B)"),
        ("1e3 + 0.5 + null", "((1.0E3 + 0.5) + null)"),
    ] {
        assert_eq!(parse_expression(sql).unwrap_or_else(|e| panic!("{e}")).to_string(), expected);
    }
}

#[test]
fn schemas_and_types_are_read_on_their_own() {
    let columns = parse_columns("`K` STRING KEY, A INT, `b` struct<x int>, H BYTES HEADER('h')").expect("columns");
    let printed: Vec<String> = columns.iter().map(ToString::to_string).collect();
    assert_eq!(printed, ["K STRING KEY", "A INTEGER", "`b` STRUCT<X INTEGER>", "H BYTES HEADER('h')"]);
    assert_eq!(parse_data_type(" array< map<string,array<int>>> ").expect("type").to_string(), "ARRAY<MAP<STRING, ARRAY<INTEGER>>>");
    for bad in ["", "INT INT", "INT;", "ARRAY<INT", "DECIMAL", "DECIMAL(1)", "SELECT", "STRUCT<A>"] {
        assert!(parse_data_type(bad).is_err(), "{bad}");
    }
    assert!(parse_columns("").is_err() && parse_columns("A INT,").is_err());
}
