//! `parse(print(ast)) == ast`, over every statement form of the dialect and every conformance case.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tidemill_parser::{Statements, parse_test_script, split_script};

/// Every form of every statement. `{}` in front of a query form stands for nothing; each must parse.
const STATEMENTS: &[&str] = &[
    "CREATE STREAM s",
    "CREATE STREAM s (k STRING KEY, a INT) WITH (kafka_topic='s', value_format='JSON', partitions=2)",
    "CREATE OR REPLACE SOURCE STREAM IF NOT EXISTS s (a INT, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS, x BYTES HEADER('it''s'))",
    "CREATE SOURCE TABLE `t` (\"k\" BIGINT PRIMARY KEY, v MAP<STRING, ARRAY<DECIMAL(4, 2)>>) WITH (\"kafka_topic\" = 't')",
    "CREATE TABLE t (a addr, b `INT`, c VARCHAR(255), d INT ARRAY, e STRUCT<>, f TIMESTAMP, g DATE, h TIME, i BOOLEAN, j DOUBLE)",
    "CREATE STREAM o WITH (wrap_single_value=false, x=-1, y=1.50, z=1e3, n=null) AS SELECT * FROM s",
    "CREATE OR REPLACE TABLE IF NOT EXISTS o AS SELECT a, COUNT(*) AS n FROM s GROUP BY a",
    "ALTER STREAM s ADD COLUMN a INT, ADD b STRUCT<x INT>",
    "ALTER TABLE s ADD column INT",
    "ALTER SYSTEM 'a'='b'",
    "DROP STREAM IF EXISTS s DELETE TOPIC",
    "DROP TABLE t",
    "CREATE TYPE IF NOT EXISTS addr AS STRUCT<street VARCHAR, `No` INT>",
    "DROP TYPE IF EXISTS addr",
    "DROP TYPE addr",
    "CREATE SOURCE CONNECTOR IF NOT EXISTS c WITH ('connector.class'='x', \"tasks.max\"='1')",
    "CREATE SINK CONNECTOR c WITH (a='b')",
    "DROP CONNECTOR IF EXISTS c",
    "INSERT INTO o SELECT * FROM s",
    "INSERT INTO o WITH (query_id='my_insert') SELECT * FROM s EMIT CHANGES",
    "INSERT INTO s VALUES (1, 'a', -2.5, ARRAY[1], MAP('k' := 1), STRUCT(f := 1, g := NULL), TRUE)",
    "INSERT INTO s (rowtime, `k`) VALUES (1, 1 + 2)",
    "INSERT INTO s VALUES ()",
    "SELECT *, s.*, a->b->*, a AS b, c d FROM s AS x WHERE a > 1 LIMIT 5",
    "SELECT a FROM s GROUP BY (a, b) HAVING COUNT(*) > 1 EMIT CHANGES",
    "SELECT a FROM s GROUP BY (a + b) * 2, c EMIT FINAL LIMIT 1",
    "SELECT a FROM s GROUP BY (a)",
    "SELECT a FROM s GROUP BY ()",
    "SELECT a FROM s PARTITION BY (a, b) EMIT CHANGES",
    "SELECT a FROM s PARTITION BY NULL",
    "SELECT a FROM s emit PARTITION BY UCASE(a) EMIT CHANGES",
    "SELECT a FROM s partition PARTITION BY a",
    "SELECT a FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY a",
    "SELECT a FROM s WINDOW w HOPPING (SIZE 10 SECONDS, ADVANCE BY 500 MILLISECONDS, RETENTION 1 DAY, GRACE PERIOD 0 MINUTES) GROUP BY a",
    "SELECT a FROM s WINDOW SESSION (5 MINUTES, GRACE PERIOD 1 HOUR) GROUP BY a EMIT FINAL",
    "SELECT a FROM a JOIN b ON a.k = b.k INNER JOIN c WITHIN 1 HOUR ON a.k = c.k LEFT JOIN d x ON a.k = x.k",
    "SELECT a FROM a RIGHT OUTER JOIN b WITHIN (1 SECOND, 2 MINUTES) GRACE PERIOD 3 DAYS ON a.k = b.k FULL JOIN c AS cc ON 1 = 2",
    "SHOW PROPERTIES",
    "SHOW ALL TOPICS EXTENDED",
    "LIST TOPICS",
    "SHOW STREAMS EXTENDED",
    "SHOW TABLES",
    "SHOW QUERIES EXTENDED",
    "SHOW FUNCTIONS",
    "SHOW TYPES",
    "SHOW VARIABLES",
    "SHOW CONNECTORS",
    "SHOW SOURCE CONNECTORS",
    "SHOW SINK CONNECTORS",
    "SHOW CONNECTOR PLUGINS",
    "SHOW DEAD LETTERS",
    "SHOW DEAD LETTERS OF csas_x_1 LIMIT 5",
    "REPLAY DEAD LETTERS OF csas_x_1",
    "REPLAY DEAD LETTERS OF csas_x_1 INTO csas_x_2",
    "DESCRIBE s EXTENDED",
    "DESCRIBE function",
    "DESCRIBE FUNCTION count",
    "DESCRIBE STREAMS",
    "DESCRIBE TABLES EXTENDED",
    "DESCRIBE CONNECTOR c",
    "EXPLAIN CSAS_X_1",
    "EXPLAIN SELECT * FROM s EMIT CHANGES",
    "EXPLAIN CREATE STREAM x AS SELECT * FROM s",
    "PRINT my_topic FROM BEGINNING INTERVAL 3 LIMIT 5",
    "PRINT 'my-topic' SAMPLE 2",
    "TERMINATE ALL",
    "TERMINATE csas_x_1",
    "PAUSE q",
    "RESUME ALL",
    "SET 'auto.offset.reset'='earliest'",
    "UNSET 'a'",
    "UNSET ALL",
    "DEFINE fmt = 'it''s'",
    "UNDEFINE fmt",
    "ASSERT TOPIC t WITH (partitions=2, replicas=1) TIMEOUT 10 SECONDS",
    "ASSERT NOT EXISTS TOPIC 'a-b'",
    "ASSERT SCHEMA SUBJECT 'x-value' ID 3 TIMEOUT 1 MINUTE",
    "ASSERT NOT EXISTS SCHEMA ID 12345678901",
    "ASSERT VALUES s (a, b) VALUES (1, 'x')",
    "ASSERT VALUES s (a, b) VALUES (1, 'x'), (2, NULL)",
    "ASSERT NO VALUES s",
    "ASSERT PROCESSING LOG",
    "ASSERT NO PROCESSING LOG CONTAINS 'it''s late'",
    "ADVANCE STREAM TIME TO 60000",
    "ADVANCE STREAM TIME BY 5 MINUTES",
    "ADVANCE WALL CLOCK TO '2026-01-01T00:00:00'",
    "ASSERT NULL VALUES s (k) KEY ('x')",
    "ASSERT STREAM s (a INT) WITH (kafka_topic='s')",
    "ASSERT TABLE t",
    "RUN SCRIPT '/a/b.sql'",
];

/// Every form of every expression.
pub const EXPRESSIONS: &[&str] = &[
    "NULL",
    "true",
    "FALSE",
    "1",
    "-1",
    "- -1",
    "-(-1)",
    "-(1)",
    "+1",
    "2147483648",
    "-2147483648",
    "-9223372036854775808",
    "1.50",
    "-.5",
    "5.",
    "1e3",
    "-1.5E-10",
    "1e308",
    "'it''s'",
    "''",
    "a",
    "`a`.\"B\"",
    "-a",
    "- - a",
    "-(-a)",
    "NOT a",
    "NOT NOT a",
    "a AND b OR NOT c AND d",
    "a = 1 AND b <> 2 OR c != 3",
    "a < 1 OR b <= c OR d > e OR f >= g",
    "a IS NULL AND b IS NOT NULL",
    "a IS DISTINCT FROM b AND c IS NOT DISTINCT FROM d + 1",
    "a BETWEEN 1 AND 2 + 3 AND b NOT BETWEEN 'x' AND 'y'",
    "a IN (1, 2) OR b NOT IN ('x') OR NOT c IN (NULL)",
    "NOT (NOT (a LIKE 'x'))",
    "a LIKE 'x%' AND b NOT LIKE '!%_' ESCAPE '!'",
    "a LIKE 'x' ESCAPE ''''",
    "a + b - c * d / e % f",
    "a - (b - c)",
    "a || b + 1 || 'x'",
    "(a || b) = c",
    "CASE WHEN a THEN 1 WHEN b > 2 THEN 2 ELSE 3 END",
    "CASE a WHEN 1 THEN 'x' END",
    "CAST(a + 1 AS DECIMAL(10, 2))",
    "CAST(a AS STRUCT<f ARRAY<MAP<STRING, my_type>>>)",
    "DATE '2020-01-31'",
    "TIME '10:00'",
    "TIMESTAMP '2020-01-31T10:00:00'",
    "a[1]",
    "a[-1][b + 1]",
    "m['k']",
    "s.a[1]->b->c[2]->d",
    "(a + b)->c",
    "(-1)[2]",
    "(-a)[2]",
    "-a[2]",
    "a->`b`->END_",
    "f(x)[1]->y",
    "ARRAY[]",
    "ARRAY[1, a, ARRAY['x']]",
    "ARRAY[1, 2][1]",
    "MAP()",
    "MAP('k' := 1, b := MAP('x' := 2))['k']",
    "STRUCT()",
    "STRUCT(a := 1, `b` := STRUCT(c := 2))->a",
    "f()",
    "COUNT(*)",
    "COUNT(a)",
    "TIMESTAMPADD(MINUTES, 5, ts)",
    "TIMESTAMPADD(MINUTE, 5, ts)",
    "TIMESTAMPADD(`MINUTE`, 5, ts)",
    "DATEADD(year, 5, d)",
    "f(day, hour, 1)",
    "f(DAYS)",
    "TRANSFORM(a, x => x * 2)",
    "TRANSFORM(m, (k, v) => k, (k, v) => UCASE(v) || 'x')",
    "REDUCE(a, 0, (s, x) => CASE WHEN x > s THEN x ELSE s END)",
    "FILTER(a, x => x IN (1, 2) AND LEN(x) > 1)",
    "TRANSFORM(a, x => TRANSFORM(x, y => y + 1))",
    "`lower`(a)",
    "SUBSTRING(a, 1, 2) + TRIM(b) + FLOOR(c) + CEIL(d) + EXTRACT(e) + POSITION(f) + CONVERT(g, h)",
    "value + date + time + timestamp + interval + zone + year + key + partition + struct + map + array + values_",
    "current_date + user + position + overlay + exists_ + match + collate + xor + any + some + unnest + row + prior",
    "1R + 2nd",
];

#[test]
fn every_form_of_statement_prints_as_what_parses_back() {
    for sql in STATEMENTS {
        check(sql, sql);
    }
}

#[test]
fn every_form_of_expression_prints_as_what_parses_back() {
    for sql in EXPRESSIONS {
        let expr = tidemill_parser::parse_expression(sql).unwrap_or_else(|e| panic!("{e}"));
        let printed = expr.to_string();
        let again = tidemill_parser::parse_expression(&printed).unwrap_or_else(|e| panic!("{sql}\n{e}"));
        assert_eq!(again, expr, "{sql} printed as {printed}");
        assert_eq!(again.to_string(), printed);
    }
}

/// The folder of the conformance cases, if there is one.
fn conformance() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = std::env::var_os("TIDEMILL_CONFORMANCE").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Some records hold half of an emoji, which is no text that Rust knows. No statement does.
fn without_surrogates(text: &str) -> String {
    "89abcdefABCDEF"
        .chars()
        .fold(text.to_string(), |text, c| text.replace(&format!("\\ud{c}"), "\\u00").replace(&format!("\\uD{c}"), "\\u00"))
}

/// A case: where it is from, its statements, and what their rejection must say if they must be rejected.
struct Case {
    place: String,
    statements: Vec<String>,
    rejection: Option<String>,
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut files: Vec<PathBuf> = ["query", "recorded", "rest"]
        .iter()
        .filter_map(|kind| std::fs::read_dir(folder.join(kind)).ok())
        .flat_map(|entries| entries.filter_map(|e| Some(e.ok()?.path())))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = without_surrogates(&std::fs::read_to_string(&file).expect("readable"));
        let json: Value = serde_json::from_str(&text).expect("JSON");
        for case in json.get("tests").and_then(Value::as_array).into_iter().flatten() {
            let statements = case.get("statements").and_then(Value::as_array).into_iter().flatten();
            let expected = case.get("expectedException").or(case.get("expectedError"));
            cases.push(Case {
                place: format!("{}: {}", file.display(), case.get("name").and_then(Value::as_str).unwrap_or("")),
                statements: statements.filter_map(|s| s.as_str().map(str::to_string)).collect(),
                rejection: expected.map(|e| e.get("message").and_then(Value::as_str).unwrap_or("").to_string()),
            });
        }
    }
    cases
}

#[test]
fn every_conformance_statement_prints_as_what_parses_back() {
    let Some(folder) = conformance() else {
        crate::skipped(
            "every_conformance_statement_prints_as_what_parses_back",
            "no conformance cases here (set TIDEMILL_CONFORMANCE to their folder)",
        );
        return;
    };
    let (mut parsed, mut refused) = (0, 0);
    for case in cases(&folder) {
        // As the cases' own drivers do: one script, a statement a line; over REST each for itself.
        let scripts = if case.place.contains("/rest/") { case.statements.clone() } else { vec![case.statements.join("\n")] };
        for raw in scripts.iter().flat_map(|s| split_script(s)) {
            match raw.parse() {
                Ok(_) => {
                    check(&raw.text, &case.place);
                    parsed += 1;
                }
                Err(error) => {
                    let expected = case.rejection.as_ref().unwrap_or_else(|| panic!("{}\n{error}", case.place));
                    // What isn't about syntax is the engine's to refuse; all that is must say what the case expects.
                    assert!(error.to_string().contains(expected.as_str()), "{}\nexpected: {expected}\nfound: {error}", case.place);
                    refused += 1;
                    break;
                }
            }
        }
    }
    println!("{parsed} conformance statements parsed and printed, {refused} refused as expected");
    assert!(parsed > 3_000 && refused > 10);
}

#[test]
fn a_misprint_would_be_found() {
    let parse = |sql: &str| parse_test_script(sql).expect("parses");
    assert_ne!(parse("SELECT a FROM s WHERE a = 1"), parse("SELECT a FROM s WHERE a = 2"));
    assert_ne!(parse("SELECT a FROM s WHERE a = 1.0"), parse("SELECT a FROM s WHERE a = 1.00"));
    assert_ne!(parse("CREATE STREAM s WITH (a=1, b=2)"), parse("CREATE STREAM s WITH (a=1, b=3)"));
}

fn check(sql: &str, place: &str) {
    let raw = split_script(sql);
    let [raw] = raw.as_slice() else { panic!("{place}: not one statement") };
    let first = raw.parse_as(Statements::Test).unwrap_or_else(|e| panic!("{place}\n{e}"));
    let printed = first.statement.to_string();
    let again = parse_test_script(&printed).unwrap_or_else(|e| panic!("{place}\nprinted as {printed}\n{e}"));
    let [again] = again.as_slice() else { panic!("{place}\nprinted as several: {printed}") };
    // The texts of explained statements differ as the statements' do.
    match (&first.statement, &again.statement) {
        (tidemill_parser::ast::Statement::Explain(_), _) => assert_eq!(again.statement.to_string(), printed, "{place}"),
        (a, b) => assert_eq!(a, b, "{place}\nprinted as {printed}"),
    }
    assert_eq!(again.statement.to_string(), printed, "{place}");
}
