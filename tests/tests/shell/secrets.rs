//! What somebody logs in by stands in no list of processes, in nothing that the shell says, and not in the history.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::World;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn secrets_of_flags_stand_in_no_list_of_processes() {
    let world = World::new();
    for arguments in [&["-u", "ann", "-p", "Pl4nted-flag"][..], &["-u", "ann", "--password=Pl4nted-flag"], &["--token", "Pl4nted-flag"]] {
        let mut command = world.shell(arguments);
        command.env("TIDEMILL_LOG", "trace").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let began = Instant::now();
        let listed = loop {
            let listed = std::fs::read(format!("/proc/{}/cmdline", child.id())).expect("the shell runs");
            let listed = String::from_utf8_lossy(&listed).replace('\0', " ");
            if listed.contains("[hidden]") {
                break listed;
            }
            assert!(began.elapsed() < PATIENCE, "{listed}");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(listed.contains("shell") && !listed.contains("Pl4nted"), "{listed}");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"SHOW STREAMS;\nSHOW PROPERTIES;\nSELEC nonsense;\n").expect("written");
        drop(input);
        let mut said = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        child.wait().expect("it ends");
        assert!(said.contains("Streams") || said.contains("Stream Name") || said.contains("stream"), "{said}");
        assert!(!said.contains("Pl4nted"), "{said}");
    }
}

#[test]
fn secrets_that_are_typed_are_not_kept() {
    let world = World::new();
    let mut terminal = world.terminal(&[], 160, 50);
    for statement in [
        "SET 'ksql.streams.sasl.password'='Pl4nted-typed';",
        "DEFINE password = 'Pl4nted-typed';",
        "CREATE SINK CONNECTOR c WITH ('connector.class'='X', 'connection.password'='Pl4nted-typed');",
        "SHOW STREAMS;",
    ] {
        terminal.send(&format!("{statement}\r"));
        terminal.wait_for("tidemill> ");
    }
    terminal.send("history\r");
    terminal.wait_for("1  SHOW STREAMS;");
    terminal.kill();
    let history = std::fs::read_to_string(world.path().join(".tidemill").join("history")).expect("the history");
    assert!(history.contains("SHOW STREAMS;") && !history.contains("Pl4nted"), "{history}");
}
