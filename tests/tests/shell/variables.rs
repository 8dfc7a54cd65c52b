//! `${name}` in the shell and in `run`, as over REST.

use std::process::Command;

use serde_json::json;
use tidemill_tests::server::tidemill_binary;

use crate::support::{World, piped};

const CREATE: &str = "CREATE STREAM s (id INT KEY, v STRING) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";

/// Statements, and the texts that then stand in the stream.
const CASES: [(&str, &[&str]); 5] = [
    ("INSERT INTO s (id, v) VALUES (1, '${topic}');", &["${topic}"]),
    ("DEFINE x = 'y'; INSERT INTO s (id, v) VALUES (1, '${x} $${x} ${z}');", &["y ${x} ${z}"]),
    ("DEFINE x = 'y'; SET 'ksql.variable.substitution.enable'='false'; INSERT INTO s (id, v) VALUES (1, '${x} $${x}');", &["${x} $${x}"]),
    (
        "SET 'ksql.variable.substitution.enable'='false'; DEFINE x = 'y'; UNSET 'ksql.variable.substitution.enable';
         INSERT INTO s (id, v) VALUES (1, '${x}');",
        &["y"],
    ),
    // Case doesn't tell variables apart.
    ("DEFINE a = 'x'; DEFINE A = 'y'; DEFINE b = 'z'; UNDEFINE B; INSERT INTO s (id, v) VALUES (1, '${a}${A}${b}');", &["yy${b}"]),
];

fn texts(out: &str) -> Vec<String> {
    out.lines().filter_map(|line| line.strip_prefix("TEXT,")).map(str::to_owned).collect()
}

#[test]
fn shell_and_run_and_rest_agree() {
    for (statements, expected) in CASES {
        let world = World::new();
        let question = "SELECT 'TEXT' AS t, v FROM s;";
        let said = world.piped(&["--output", "csv", "-e", &format!("{CREATE}{statements}"), "-e", question], "");
        assert_eq!(texts(&said.out), expected, "shell: {statements}\n{said:?}");
        world.write("script.sql", &format!("{CREATE}\n{statements}\n{question}"));
        let mut command = Command::new(tidemill_binary());
        command.args(["run", "--output", "csv", "script.sql"]).current_dir(world.path());
        let said = piped(command, "");
        assert_eq!(texts(&said.out), expected, "run: {statements}\n{said:?}");
        world.server.ksql(
            &format!("{}{statements}", CREATE.replace("STREAM s", "STREAM s2").replace("'s'", "'s2'")).replace("INTO s ", "INTO s2 "),
        );
        let rows = world.server.pull("SELECT v FROM s2;");
        assert_eq!(rows, expected.iter().map(|text| json!([text])).collect::<Vec<_>>(), "REST: {statements}");
    }
}

#[test]
fn an_undefined_variable_outside_a_text_is_an_error_with_its_place() {
    let world = World::new();
    let said = world.piped(&["-d", "topic=x"], "SHOW STREAMS;\nSELECT * FROM ${topc};");
    assert!(said.code == Some(1) && said.err.starts_with("stdin:2") && said.err.contains("Did you mean 'topic'?"), "{said:?}");
}
