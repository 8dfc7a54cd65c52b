//! The prompt: what is open, what is typed ahead, what Ctrl-C does, and the history.

use tidemill_tests::terminal::{CTRL_C, CTRL_D};

use crate::support::World;

#[test]
fn the_prompt_shows_what_is_open() {
    let world = World::new();
    let mut terminal = world.terminal(&[], 80, 24);
    for (typed, prompt) in [
        ("SELECT (", "       (> "),
        ("'it", "       '> "),
        ("', `a", "       `> "),
        ("`) ARRAY[", "       [> "),
        ("1] /* x", "       *> "),
        ("*/ FROM", "       -> "),
    ] {
        terminal.send(&format!("{typed}\r"));
        terminal.wait_for(prompt);
    }
    // Ctrl-C drops the statement, not the shell.
    terminal.send(CTRL_C);
    terminal.wait_for("tidemill> ");
    terminal.send("version\r");
    terminal.wait_for("tidemill 0.");
    terminal.send("\\q\r");
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn commands_need_no_semicolon() {
    let world = World::new();
    for (leave, code) in [("exit\r", 0), ("quit;\r", 0), (CTRL_D, 0)] {
        let mut terminal = world.terminal(&[], 100, 50);
        terminal.send("help\r");
        terminal.wait_for("Ctrl-C cancels");
        terminal.send("history\r");
        terminal.wait_for("1  help");
        // Ctrl-D means the end only where a line is read.
        terminal.wait_for("tidemill> ");
        terminal.send(leave);
        assert_eq!(terminal.wait().code(), Some(code), "{leave:?}");
        std::fs::remove_dir_all(world.path().join(".tidemill")).expect("the history of this round");
    }
}

#[test]
fn what_is_typed_ahead_or_pasted_is_kept() {
    let world = World::new();
    let mut terminal = world.terminal(&[], 100, 50);
    // All at once, as a terminal without bracketed paste sends it.
    terminal.send("DEFINE one\r= '1';\rDEFINE two = '2'; DEFINE three = '3';\rDEFINE four = '4';\rversion\r");
    for name in ["one", "two", "three", "four"] {
        terminal.wait_for(&format!("${{{name}}} stands for"));
    }
    terminal.wait_for("tidemill 0.");
    // Bracketed, with an error in the middle: what follows runs.
    terminal.send("\x1b[200~DEFINE five = '5';\nSELECT * FROM nope;\nDEFINE six = '6';\x1b[201~\r");
    terminal.wait_for("${five} stands for");
    terminal.wait_for("NOPE does not exist");
    terminal.wait_for("${six} stands for");
    // While a request is under way.
    terminal.send("PRINT nope FROM BEGINNING;\rASSERT TOPIC nope TIMEOUT 1 SECOND;\r");
    terminal.send("DEFINE seven = '7';\r");
    terminal.wait_for("${seven} stands for");
}

#[test]
fn ctrl_c_cancels_the_request_and_not_the_shell() {
    let world = World::new();
    world.server.ksql("CREATE STREAM s (id INT KEY) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let mut terminal = world.terminal(&[], 100, 50);
    terminal.send("SELECT * FROM s EMIT CHANGES;\r");
    terminal.wait_for("+---");
    terminal.send(CTRL_C);
    terminal.wait_for("Query stopped.");
    terminal.wait_for("tidemill> ");
    terminal.send("PRINT s;\r");
    // Nothing is shown until a record comes, so the server is asked whether it listens.
    terminal.wait_for("PRINT s;\n");
    std::thread::sleep(std::time::Duration::from_millis(200));
    terminal.send(CTRL_C);
    terminal.wait_for("tidemill> ");
    // A statement that takes its time.
    terminal.send("ASSERT TOPIC nope TIMEOUT 50 SECONDS;\r");
    terminal.wait_for("SECONDS;\n");
    std::thread::sleep(std::time::Duration::from_millis(200));
    terminal.send(CTRL_C);
    terminal.wait_for("Cancelled.");
    terminal.wait_for("tidemill> ");
    terminal.send("version\r");
    terminal.wait_for("tidemill 0.");
    let queries = world.server.ksql("SHOW QUERIES;");
    assert_eq!(queries[0]["queries"].as_array().map(Vec::len), Some(0), "{queries}");
}

#[test]
fn the_history_is_written_as_it_is_typed() {
    let world = World::new();
    let mut terminal = world.terminal(&[], 100, 50);
    terminal.send("DEFINE a\r  = 'b';\r");
    terminal.wait_for("stands for");
    terminal.wait_for("tidemill> ");
    terminal.kill();
    let mut terminal = world.terminal(&[], 100, 50);
    terminal.send("history\r");
    terminal.wait_for("1  DEFINE a\n  = 'b';");
    // Up, twice: the whole statement is back.
    terminal.send("\x1b[A\x1b[A\r");
    terminal.wait_for("${a} stands for 'b'");
    terminal.send("SPOOL 'session.txt'\r");
    terminal.wait_for("as well");
    terminal.send("SHOW VARIABLES;\r");
    terminal.wait_for("└");
    terminal.send("SPOOL OFF\r");
    terminal.wait_for("Nothing more is written");
    let spooled = std::fs::read_to_string(world.path().join("session.txt")).expect("the spool file");
    assert!(spooled.contains("tidemill> SHOW VARIABLES;\n") && spooled.contains("Variable"), "{spooled}");
}
