//! Piped input is a script: no banner, the first error ends it, and what can't be written is an error, never a panic.

use std::process::{Command, Stdio};

use tidemill_tests::server::tidemill_binary;

use crate::support::{World, piped};

#[test]
fn piped_input_is_a_script() {
    let world = World::new();
    let said = world.piped(&[], "SHOW STREAMS;\nversion\nSHOW TABLES");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(!said.out.contains("tidemill>") && !said.out.contains("Statements end with"), "no banner, no prompt: {}", said.out);
    // The last statement needs no semicolon.
    assert_eq!(said.out.matches("Windowed").count(), 2, "{}", said.out);
    assert!(!world.path().join(".tidemill").exists(), "nothing goes to the history");
    let said = world.piped(&[], "SHOW STREAMS;\nSELECT * FROM nope;\nSHOW TABLES;\n");
    assert_eq!((said.code, said.out.matches("Windowed").count()), (Some(1), 1), "{said:?}");
    assert!(said.err.starts_with("stdin:2:15: "), "{}", said.err);
    let said = world.piped(&[], "SHOW STREAMS;\nexit\nSELECT * FROM nope;\n");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn texts_and_files_run_in_the_order_given() {
    let world = World::new();
    world.write("b.sql", "DEFINE b = '2';");
    let said = world.piped(&["-e", "DEFINE a = '1';", "-f", "b.sql", "-f", "-", "-e", "DEFINE d = '4';"], "DEFINE c = '3';");
    let order: Vec<&str> = said.out.lines().map(|line| line.get(..4).unwrap_or(line)).collect();
    assert_eq!((said.code, order), (Some(0), vec!["${a}", "${b}", "${c}", "${d}"]), "{said:?}");
    let said = world.piped(&["-f", "missing.sql"], "");
    assert!(said.code == Some(1) && said.err.starts_with("missing.sql: "), "{said:?}");
}

#[test]
fn run_reads_standard_input() {
    let mut command = Command::new(tidemill_binary());
    command.args(["run", "-"]);
    let said = piped(command, "SHOW STREAMS;\nSHOW NOPE;");
    assert!(said.code == Some(1) && said.out.contains("Windowed") && said.err.starts_with("stdin:2:6: "), "{said:?}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let world = World::new();
    for command in ["shell", "run"] {
        let statements = "SHOW FUNCTIONS;\n".repeat(40);
        world.write("long.sql", &statements);
        let url = world.url();
        let shell = match command {
            "shell" => format!("shell {url} -f long.sql"),
            _ => format!("run long.sql --server {url}"),
        };
        let line = format!("{} {shell} | head -1; exit ${{PIPESTATUS[0]}}", tidemill_binary().display());
        let mut bash = Command::new("bash");
        bash.args(["-c", &line]).current_dir(world.path());
        let said = piped(bash, "");
        // As of a program that SIGPIPE ended.
        assert_eq!((said.code, said.err.as_str()), (Some(141), ""), "{command}: {said:?}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let world = World::new();
    world.write("long.sql", "SHOW FUNCTIONS;");
    for arguments in [["-e", "SHOW FUNCTIONS;"], ["-f", "long.sql"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
        let mut command = world.shell(&arguments);
        let output = command.stdin(Stdio::null()).stdout(full).output().expect("the binary runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && complaint.contains("No space left"), "{complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    }
}

#[test]
fn a_closed_error_output_is_no_panic() {
    let world = World::new();
    let line = format!("{} shell {} -e 'SELECT * FROM nope;' 2>&-", tidemill_binary().display(), world.url());
    let mut bash = Command::new("bash");
    bash.args(["-c", &line]);
    assert_eq!(piped(bash, "").code, Some(1));
}
