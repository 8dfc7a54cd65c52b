//! Starts that can't be: one line that says why, and exit code 1.

use std::net::TcpListener;
use std::process::Command;

use tidemill_tests::server::{ServerProcess, free_port, tidemill_binary};

/// Runs a server that must fail; its one line.
fn refused(arguments: &[&str]) -> String {
    let output = Command::new(tidemill_binary()).arg("server").args(arguments).env_clear().output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{arguments:?}: {text}");
    text
}

#[test]
fn a_start_that_cannot_be_says_why_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let data = path("data");
    let free = || format!("127.0.0.1:{}", free_port());

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let line = refused(&["--listen", &address, "--data-dir", &data]);
    assert!(line.contains("is taken") && line.contains("127.0.0.1"), "{line}");

    let running = ServerProcess::start(&folder.path().join("locked"), &[]);
    let line = refused(&["--listen", &free(), "--data-dir", &path("locked")]);
    assert!(line.contains("locked") && line.contains("in use by another process"), "{line}");
    assert_eq!(running.request("GET", "/info", None).expect("unharmed").0, 200);
    drop(running);

    std::fs::write(path("file"), "no folder").expect("a file");
    let line = refused(&["--listen", &free(), "--data-dir", &path("file")]);
    assert!(line.contains("can't be used"), "{line}");

    for (properties, expected) in [
        ("ksql.servce.id=x", "line 1: unknown property 'ksql.servce.id'. Did you mean 'ksql.service.id'?"),
        ("# fine\nksql.streams.commit.interval.ms=soon", "line 2: invalid value 'soon'"),
        ("ksql.service.id=x\\u00zz", "line 1: \\u needs four hexadecimal digits"),
        ("tidemill.workers=1000000", "line 1: invalid value '1000000' of tidemill.workers: Value must be a whole number from 0 to 1024"),
        ("tidemill.state.cache.bytes=9223372036854775807", "from 1048576 to 1099511627776"),
        ("listeners=https://0.0.0.0:8088", "https needs a key and a certificate: ssl.keystore.location"),
        ("listeners=nowhere", "is not an address with a port"),
    ] {
        std::fs::write(path("server.properties"), properties).expect("a file");
        let line = refused(&["--config", &path("server.properties"), "--data-dir", &data]);
        assert!(line.contains(expected), "{properties}: {line}");
    }
    let line = refused(&["--config", &path("nowhere.properties")]);
    assert!(line.contains("nowhere.properties"), "{line}");
    let line = refused(&["--listen", "nowhere", "--data-dir", &data]);
    assert!(line.contains("is not an address with a port"), "{line}");
}

#[test]
fn a_script_that_fails_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("queries.sql");
    std::fs::write(&script, "CREATE STREAM s AS SELECT * FROM nobody;").expect("a file");
    let (script, data) = (script.display().to_string(), folder.path().join("data").display().to_string());
    let line = refused(&["--listen", &format!("127.0.0.1:{}", free_port()), "--data-dir", &data, "--queries-file", &script]);
    assert!(line.contains("queries.sql") && line.contains("NOBODY"), "{line}");
}
