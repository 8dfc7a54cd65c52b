//! `tidemill test`: what users see of tests that pass and fail, and the exit codes that CI goes by.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tidemill_tests::server::{ServerProcess, tidemill_binary};

const SOURCES: &str = "CREATE STREAM a (id INT KEY, v INT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');
CREATE STREAM b AS SELECT * FROM a WHERE v > 0;
";

fn test(folder: &Path, arguments: &[&str]) -> (Output, String, String) {
    let output = Command::new(tidemill_binary()).arg("test").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.expect("the binary runs");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    (output, said, complained)
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, text).expect("written");
}

#[test]
fn a_failure_has_its_place_and_both_rows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = format!("--@test: good\n{SOURCES}INSERT INTO a VALUES (1, 5);\nASSERT VALUES b VALUES (1, 5);\n");
    write(folder.path(), "tests/good.sql", &good);
    let (output, said, _) = test(folder.path(), &["tests"]);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), "passed tests/good.sql:1: good\n1 passed, 0 failed, 0 skipped\n"));

    write(
        folder.path(),
        "tests/bad.sql",
        &good.replace("ASSERT VALUES b VALUES (1, 5)", "ASSERT VALUES b VALUES (1, 6)").replace("good", "bad"),
    );
    write(folder.path(), "tests/script.sql", "SHOW STREAMS;");
    let (output, said, _) = test(folder.path(), &["tests", "--junit", "out.xml", "--report", "out.json", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    for words in
        ["FAILED tests/bad.sql:1: bad\n  tests/bad.sql:5: ", "expected  1  | 6\n", "actual    1  | 5\n", "1 passed, 1 failed, 0 skipped\n"]
    {
        assert!(said.contains(words), "{words} is missing:\n{said}");
    }
    assert!(!said.contains("good"), "{said}");
    let xml = std::fs::read_to_string(folder.path().join("out.xml")).expect("a report");
    assert!(xml.contains(r#"tests="2" failures="1""#) && xml.contains("tests/bad.sql:5"), "{xml}");
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("out.json")).expect("a report")).expect("JSON");
    assert_eq!(json["cases"][0]["verdict"], "failed");

    let (output, ..) = test(folder.path(), &["tests", "--filter", "good"]);
    assert_eq!(output.status.code(), Some(0));

    write(folder.path(), "with.sql", &good.replace("ASSERT VALUES b VALUES (1, 5)", "ASSERT VALUES b VALUES (1, ${v})"));
    for (definition, code) in [("v=5", 0), ("v=6", 1), ("5", 1)] {
        let (output, said, complained) = test(folder.path(), &["with.sql", "--define", definition]);
        assert_eq!(output.status.code(), Some(code), "{definition}: {said}{complained}");
    }
}

#[test]
fn the_same_file_runs_on_a_server_and_leaves_nothing_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    let url = format!("http://{}", server.address());
    let text = format!(
        "--@test: joins, tombstones, replacing
SET 'ksql.create.or.replace.enabled' = 'true';
{SOURCES}CREATE TABLE t (id INT PRIMARY KEY, name STRING, d DECIMAL(4, 2), l ARRAY<INT>) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
CREATE TABLE named AS SELECT * FROM t WHERE name <> 'x';
CREATE STREAM j AS SELECT b.id AS id, t.name AS name, v FROM b JOIN t ON b.id = t.id;
INSERT INTO t VALUES (1, 'one', 1.5, ARRAY[1, 2]);
INSERT INTO a (ROWTIME, id, v) VALUES (10000000000000, 1, 5);
ASSERT VALUES b (id, v, ROWTIME) VALUES (1, 5, 10000000000000);
ASSERT VALUES j (id, name, v) VALUES (1, 'one', 5);
ASSERT VALUES named (id, name, d, l) VALUES (1, 'one', 1.50, ARRAY[1, 2]);
INSERT INTO t VALUES (1, 'x', NULL, NULL);
ASSERT NULL VALUES named (id) KEY (1);
ASSERT TABLE named (id INT PRIMARY KEY, name STRING, d DECIMAL(4, 2), l ARRAY<INT>) WITH (KAFKA_TOPIC='NAMED', VALUE_FORMAT='JSON');
CREATE OR REPLACE STREAM b AS SELECT *, v * 2 AS w FROM a;
INSERT INTO a VALUES (2, -1);
ASSERT VALUES b (id, v, w) VALUES (2, -1, -2);
ASSERT NO VALUES b;
--@test: an error has the test's own names
--@expected.message: A stream with the same name already exists
{SOURCES}{SOURCES}
--@test: a wrong row
{SOURCES}INSERT INTO a VALUES (1, 5);
ASSERT VALUES b VALUES (1, 6);
"
    );
    write(folder.path(), "all.sql", &text);
    let (output, said, complained) = test(folder.path(), &["all.sql", "--server", &url, "--timeout", "30"]);
    assert_eq!(output.status.code(), Some(1), "{said}{complained}");
    assert!(said.contains("expected  1  | 6\n    actual    1  | 5\n"), "{said}{complained}");
    assert!(said.ends_with("2 passed, 1 failed, 0 skipped\n"), "{said}{complained}");
    assert_eq!(complained, "");
    for (sql, field) in [("SHOW STREAMS;", "streams"), ("SHOW TABLES;", "tables"), ("SHOW QUERIES;", "queries"), ("SHOW TOPICS;", "topics")]
    {
        let left = server.ksql(sql)[0][field].to_string();
        assert!(!left.contains("TEST_"), "{left}");
    }
}

#[test]
fn ctrl_c_leaves_nothing_on_the_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    write(folder.path(), "slow.sql", &format!("--@test: waits\n{SOURCES}ASSERT VALUES b VALUES (1, 1);\n--@test: never runs\n{SOURCES}"));
    let url = format!("http://{}", server.address());
    let running = Command::new(tidemill_binary())
        .args(["test", "slow.sql", "--server", &url, "--timeout", "120"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let is_there = |server: &ServerProcess| server.ksql("SHOW STREAMS;")[0]["streams"].to_string().contains("TEST_");
    let started = Instant::now();
    while !is_there(&server) {
        assert!(started.elapsed() < Duration::from_secs(60), "the test makes its streams");
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted = Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let output = running.wait_with_output().expect("the test ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains(": interrupted\n") && said.contains("1 failed, 1 skipped"), "{said}");
    assert!(!is_there(&server), "{}", server.ksql("SHOW STREAMS;"));
}

#[test]
fn the_examples_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql-examples");
    let (output, said, complained) = test(&folder, &["tests"]);
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    assert!(said.contains("passed tests/windows.sql:3: "), "{said}");
}

#[test]
fn what_is_no_test_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "script.sql", "SHOW STREAMS;");
    for (arguments, code, words) in [
        (&["."][..], 1, "there is no test in the given paths; 1 files with SQL hold no --@test: NAME"),
        (&["script.sql"], 1, "script.sql: there is no test in this file: a test begins with a comment --@test: NAME"),
        (&["nowhere"], 1, "nowhere: no such file or folder"),
        (&[".", "--format", "rest"], 1, "there is no test in the given paths"),
        (&[], 2, "required"),
    ] {
        let (output, said, complained) = test(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{complained}");
        assert!(format!("{said}{complained}").contains(words), "{arguments:?}: {said}{complained}");
    }
}

#[test]
fn three_files_are_run_as_ksql_test_runner_runs_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let record = |topic: &str, v: i32| format!(r#"{{"topic": "{topic}", "key": 1, "value": {{"V": {v}}}, "timestamp": 7}}"#);
    write(folder.path(), "case/statements.sql", SOURCES);
    write(folder.path(), "case/input.json", &format!(r#"{{"inputs": [{}, {}]}}"#, record("a", 0), record("a", 5)));
    write(folder.path(), "case/output.json", &format!(r#"{{"outputs": [{}]}}"#, record("B", 5)));
    write(folder.path(), "case/other.json", &format!(r#"{{"outputs": [{}]}}"#, record("B", 6)));
    write(folder.path(), "case/empty.json", r#"{"outputs": []}"#);
    let files = |output: &'static str| ["-s", "case/statements.sql", "-i", "case/input.json", "-o", output];
    let (output, said, _) = test(folder.path(), &files("case/output.json"));
    assert_eq!((output.status.code(), said.as_str()), (Some(0), "\t >>> Test passed!\n"));
    let (output, _, complained) = test(folder.path(), &files("case/other.json"));
    assert_eq!(output.status.code(), Some(1));
    assert!(complained.starts_with("\t>>>>> Test failed: ") && complained.contains("expected 6, got 5"), "{complained}");
    assert!(complained.contains("expected 1 => {\"V\":6} at 7\n") && complained.contains("actual   1 => {\"V\":5} at 7\n"), "{complained}");
    let (output, _, complained) = test(folder.path(), &files("case/empty.json"));
    let invalid = "Invalid arguments: File name: case/empty.json Message: Outputs cannot be empty.\n";
    assert_eq!((output.status.code(), complained.as_str()), (Some(1), invalid));

    // As a folder, and where it must fail.
    let (output, said, _) = test(folder.path(), &["--format", "runner", "."]);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), "passed ./case\n1 passed, 0 failed, 0 skipped\n"));
    std::fs::create_dir(folder.path().join("incorrect")).expect("a folder");
    std::fs::rename(folder.path().join("case"), folder.path().join("incorrect/case")).expect("moved");
    let (output, said, _) = test(folder.path(), &["."]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("passed, but stands below a folder named 'incorrect' and must fail"), "{said}");
}
