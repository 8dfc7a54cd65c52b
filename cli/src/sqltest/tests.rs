//! SQL tests that must pass and SQL tests that must fail: what docs/testing.md shows, and what it says of failures.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Bench, file, run};

/// The manual, where its examples think they stand.
fn manual() -> (std::path::PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/testing.md");
    let text = std::fs::read_to_string(&path).expect("the manual is there");
    (path, text)
}

/// The blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}\n");
    text.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// The failure of each test of a text, in order.
fn outcomes(path: &Path, text: &str) -> Vec<(String, Option<String>)> {
    let tests = file::parse(path, text).expect("tests").tests;
    let outcome = |test: &file::SqlTest| run(test, &mut Bench::new(), &BTreeMap::new()).err();
    tests.iter().map(|test| (test.name.clone(), outcome(test))).collect()
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    let outcomes = outcomes(Path::new("t.sql"), &format!("--@test: t\n{SOURCES}{text}"));
    let message = outcomes[0].1.as_deref().unwrap_or_else(|| panic!("passes: {text}"));
    assert!(message.contains(expected), "{text}:\n{message}");
}

#[track_caller]
fn passes(text: &str) {
    let outcomes = outcomes(Path::new("t.sql"), &format!("--@test: t\n{SOURCES}{text}"));
    assert_eq!(outcomes[0].1, None, "{text}");
}

const SOURCES: &str = "CREATE STREAM a (id INT KEY, v INT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');
CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
CREATE STREAM b AS SELECT * FROM a WHERE v > 0;
CREATE TABLE c AS SELECT id, COUNT(*) AS n FROM b GROUP BY id;
";

#[test]
fn the_manuals_examples_pass() {
    let (path, text) = manual();
    let examples = blocks(&text, "sql");
    assert!(examples.len() >= 11, "{} examples", examples.len());
    for example in examples {
        for (name, failure) in outcomes(&path, example) {
            assert_eq!(failure, None, "{name}");
        }
    }
}

#[test]
fn the_manuals_failure_is_as_shown() {
    let (_, text) = manual();
    let first = blocks(&text, "sql")[0].replacen("VALUES (2, 'ship', 5000.0);\nASSERT", "VALUES (2, 'ship', 500.0);\nASSERT", 1);
    let failure = outcomes(Path::new("orders.sql"), &first)[0].1.clone().expect("fails");
    let shown = blocks(&text, "text")[0].split_once('\n').expect("a head").1;
    let shown: Vec<&str> = shown.lines().map(str::trim).collect();
    assert_eq!(failure.trim_end().lines().map(str::trim).collect::<Vec<_>>(), shown);
}

#[test]
fn altered_assertions_fail() {
    let rows = "INSERT INTO a VALUES (1, 5);\nINSERT INTO a VALUES (1, 0);\nINSERT INTO a VALUES (1, 6);\n";
    passes(&format!("{rows}ASSERT VALUES b VALUES (1, 5), (1, 6);\nASSERT VALUES c VALUES (1, 1), (1, 2);\nASSERT NO VALUES c;"));
    for (assert, expected) in [
        ("ASSERT VALUES b VALUES (1, 4);", "^"),
        (
            "ASSERT VALUES b (v) VALUES (5);\nASSERT VALUES b (v) VALUES (5);",
            "t.sql:10: Expected record does not match actual. It is record 2",
        ),
        ("ASSERT VALUES b VALUES (1, 5), (1, 6), (1, 7);", "Expected another record, but all records have already been read"),
        ("ASSERT VALUES b VALUES (1, 6), (1, 5);", "record 1"),
        ("ASSERT NO VALUES b;", "Expected no further record in topic 'B'"),
        ("ASSERT NULL VALUES c (id) KEY (1);", "A tombstone was expected"),
        ("ASSERT VALUES b (ROWTIME) VALUES (1);", "actual"),
        ("ASSERT VALUES b (w) VALUES (1);", "Column name `W` does not exist in B"),
        ("ASSERT VALUES b (id) VALUES (1, 2);", "Expected number columns and values to match: 1, 2"),
        ("ASSERT VALUES bb (id) VALUES (1);", "Source BB does not exist. Did you mean B?"),
        ("ASSERT PROCESSING LOG;", "there is none"),
        ("ADVANCE STREAM TIME TO -5;", "no moment"),
        ("ADVANCE WALL CLOCK TO 'soon';", "'soon' is no date and time"),
        ("SELECT * FROM b EMIT CHANGES;", "ASSERT VALUES"),
        ("ASSERT TOPIC nope;", "Topic nope does not exist"),
        ("ASSERT NOT EXISTS TOPIC a;", "Topic a exists"),
        ("RUN SCRIPT 'nowhere.sql';", "nowhere.sql"),
        ("ASSERT VALUES b VALUES (1, 5)\n--@test: next\nSHOW TABLES;", "t.sql:9: missing ';'"),
        ("SET 'auto.offset.reest' = 'earliest';", "Did you mean 'auto.offset.reset'?"),
        ("SHOW STREEMS;", "t.sql:9:6: "),
    ] {
        fails(&format!("{rows}{assert}"), expected);
    }
}

#[test]
fn declarations_are_compared() {
    let sources = "CREATE STREAM d WITH (KAFKA_TOPIC='dd', VALUE_FORMAT='DELIMITED', TIMESTAMP='v2') AS SELECT id, v, CAST(v AS BIGINT) AS v2 FROM a;\n";
    let with = "WITH (KAFKA_TOPIC='dd', VALUE_FORMAT='DELIMITED', TIMESTAMP='v2')";
    for assert in ["", "(id INT KEY, v INT, v2 BIGINT)"] {
        passes(&format!("{sources}ASSERT STREAM d {assert} {with};"));
        passes(&format!("{sources}ASSERT STREAM d {assert};"));
    }
    for (assert, expected) in [
        (format!("ASSERT TABLE d {with};"), "Expected type does not match actual for source D.\n\tExpected: KTABLE\n\tActual: KSTREAM"),
        (format!("ASSERT STREAM d (id INT KEY, v STRING, v2 BIGINT) {with};"), "Expected schema does not match"),
        (format!("ASSERT STREAM d {};", with.replace("'dd'", "'d'")), "Expected kafka topic does not match"),
        (format!("ASSERT STREAM d {};", with.replace("DELIMITED", "JSON")), "Expected value format does not match"),
        (format!("ASSERT STREAM d {};", with.replace(", TIMESTAMP='v2'", "")), "Expected timestamp column does not match"),
        (format!("ASSERT STREAM d {};", with.replace(")", ", VALUE_DELIMITER='|')")), "Expected delimiter does not match"),
        (format!("ASSERT STREAM d {};", with.replace(")", ", KEY_FORMAT='JSON')")), "Expected key format does not match"),
    ] {
        fails(&format!("{sources}{assert}"), expected);
    }
}

#[test]
fn expected_errors_are_the_end_of_a_test() {
    passes("--@expected.message: column 'W' cannot be resolved\nCREATE STREAM d AS SELECT w FROM a;\nNOT EVEN SQL;");
    passes(
        "--@expected.error: java.lang.AssertionError\n--@expected.message: all records have already been read\nASSERT VALUES b VALUES (1, 1);",
    );
    fails(
        "--@expected.message: something else\nCREATE STREAM d AS SELECT w FROM a;",
        "Expected an error with the message\n  something else\nbut got",
    );
    fails("--@expected.error: x.Y", "t.sql:5: Expected an error, but every statement was carried out");
}

#[test]
fn formats_with_schemas_have_a_registry() {
    // PROTOBUF holds neither these nulls.
    for format in ["AVRO", "JSON_SR"] {
        passes(&format!(
            "CREATE STREAM f (k STRING KEY, n INT, s STRUCT<x INT, y ARRAY<STRING>>) WITH (KAFKA_TOPIC='f', FORMAT='{format}');
            CREATE STREAM g AS SELECT * FROM f;
            ASSERT SCHEMA SUBJECT 'G-value';
            ASSERT NOT EXISTS SCHEMA SUBJECT 'H-value';
            INSERT INTO f VALUES ('a', 1, STRUCT(x := 2, y := ARRAY['p', NULL]));
            ASSERT VALUES g VALUES ('a', 1, STRUCT(x := 2, y := ARRAY['p', NULL]));
            CREATE STREAM inferred (k STRING KEY) WITH (KAFKA_TOPIC='G', FORMAT='{format}');
            ASSERT STREAM inferred (k STRING KEY, n INT, s STRUCT<x INT, y ARRAY<STRING>>) WITH (KAFKA_TOPIC='G', FORMAT='{format}');
            INSERT INTO f VALUES ('b', NULL, NULL);
            ASSERT VALUES inferred VALUES ('b', NULL, NULL);"
        ));
    }
}

#[test]
fn queries_pause_go_on_end_and_follow_each_other() {
    passes(
        "PAUSE CSAS_B_0;\nINSERT INTO a VALUES (1, 5);\nASSERT NO VALUES b;\nRESUME CSAS_B_0;\nASSERT VALUES b VALUES (1, 5);\n\
         ASSERT VALUES c VALUES (1, 1);\nTERMINATE CTAS_C_1;\nINSERT INTO a VALUES (1, 6);\nASSERT VALUES b VALUES (1, 6);\nASSERT NO VALUES c;\n\
         DROP TABLE c DELETE TOPIC;\nASSERT NOT EXISTS TOPIC c;\nINSERT INTO b SELECT id, v + 100 AS v FROM a;\nINSERT INTO a VALUES (2, 1);\n\
         ASSERT VALUES b VALUES (2, 1), (2, 101);\nASSERT NO VALUES b;",
    );
    fails("TERMINATE nope;", "NOPE");
    fails("INSERT INTO a SELECT id, v + 1 AS v FROM b;\nINSERT INTO a VALUES (1, 1);", "cycle");
}
