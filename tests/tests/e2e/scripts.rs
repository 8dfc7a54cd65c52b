//! `tidemill run`: a script in process sees its own inserts, and its first error ends it with the place in the file.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tidemill_tests::server::tidemill_binary;

fn run(folder: &Path, script: &str) -> Output {
    let file = folder.join("script.sql");
    std::fs::write(&file, script).expect("the script is written");
    let command = Command::new(tidemill_binary()).arg("run").arg("script.sql").current_dir(folder).stdin(Stdio::null()).output();
    command.expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_question_counts_what_the_script_inserted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "
        CREATE STREAM orders (id INT KEY, item STRING, amount DOUBLE)
          WITH (KAFKA_TOPIC='orders', PARTITIONS=3, VALUE_FORMAT='JSON');
        CREATE STREAM large AS SELECT id, item, amount FROM orders WHERE amount > 1 PARTITION BY id;
        CREATE TABLE sales AS SELECT item, COUNT(*) AS n, SUM(amount) AS total FROM large GROUP BY item;
        INSERT INTO orders (id, item, amount) VALUES (1, 'tea', 4.5);
        INSERT INTO orders (id, item, amount) VALUES (2, 'tea', 0.5);
        INSERT INTO orders (id, item, amount) VALUES (3, 'tea', 5.5);
        SELECT * FROM sales WHERE item = 'tea';";
    let output = run(folder.path(), script);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}\n{}", text(&output.stderr));
    let row = printed.lines().map(|line| line.replace(' ', "")).find(|line| line.starts_with("|tea|"));
    assert_eq!(row.as_deref(), Some("|tea|2|10.0|"), "{printed}");
    assert_eq!(text(&output.stderr), "", "nothing to complain about");
}

#[test]
fn the_first_error_ends_the_script() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let create = "CREATE STREAM s (id INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');\n";
    let cases = [
        ("SELECT vv\n  FROM s EMIT CHANGES;", "script.sql:2:8: ", "Did you mean 'V'?"),
        ("SELECT v FORM s EMIT CHANGES;", "script.sql:2:", "FORM"),
        ("SELECT v FROM t;", "script.sql:2:15: ", "T does not exist"),
    ];
    for (statement, place, words) in cases {
        let output = run(folder.path(), &format!("{create}{statement}\nSHOW STREAMS;"));
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{statement}: {complaint}");
        assert!(complaint.starts_with(place) && complaint.contains(words) && complaint.contains('^'), "{statement}: {complaint}");
        assert!(!text(&output.stdout).contains("Windowed"), "nothing after the error runs");
    }
}

#[test]
fn a_query_that_fails_fails_the_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "
        SET 'ksql.fail.on.deserialization.error' = 'true';
        CREATE STREAM raw (id INT KEY, txt STRING) WITH (KAFKA_TOPIC='x', PARTITIONS=1, VALUE_FORMAT='KAFKA');
        CREATE STREAM a (id INT KEY, v INT) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON');
        CREATE STREAM b AS SELECT * FROM a;
        INSERT INTO raw VALUES (1, 'no json');";
    let output = run(folder.path(), script);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("has failed: ") && complaint.contains("CSAS_B_"), "{complaint}");
}

#[test]
fn assertions_on_rows_belong_to_tests() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run(folder.path(), "ASSERT VALUES s VALUES (1);");
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.starts_with("script.sql:1: ") && complaint.contains("tidemill test"), "{complaint}");
}
