//! A server whose log can't be written (the disk is full, the reader of the pipe is gone) goes on as ever.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tidemill_tests::server::{ServerProcess, tidemill_binary};

fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device that is always full").into()
}

#[test]
fn a_server_that_nobody_hears_answers_and_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, stderr) in [("closed pipe", Stdio::piped()), ("full disk", full_disk())] {
        // At `debug` every request is told, by every kind of thread.
        let server = ServerProcess::start_unheard(&folder.path().join(name), stderr, &[("TIDEMILL_LOG", "debug")]);
        server.ksql("CREATE STREAM s (id INT KEY, x INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');");
        server.ksql("CREATE TABLE t AS SELECT id, SUM(x) AS total FROM s GROUP BY id;");
        server.ksql("INSERT INTO s (id, x) VALUES (1, 2);");
        server.ksql("INSERT INTO s (id, x) VALUES (1, 3);");
        let rows = server.pull_until("SELECT total FROM t WHERE id = 1;", Duration::from_secs(30), |rows| rows == [json!([5])]);
        assert_eq!(rows.len(), 1, "{name}");
        assert_eq!(server.terminate(), Some(0), "{name}");
    }
}

#[test]
fn a_start_that_cannot_be_has_its_exit_code_unheard() {
    let status = Command::new(tidemill_binary())
        .args(["server", "--listen", "nowhere"])
        .env_clear()
        .stderr(full_disk())
        .status()
        .expect("the binary starts");
    assert_eq!(status.code(), Some(1));
}
