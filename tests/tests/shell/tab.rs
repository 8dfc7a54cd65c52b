//! What Tab offers, with names from a running server. Where each thing can stand is tested beside the code.

use std::time::{Duration, Instant};

use tidemill_tests::terminal::{CTRL_C, TAB, Terminal};

use crate::support::{SALES, World};

/// Types a line and Tab, and drops the line; what was shown.
fn tab(terminal: &mut Terminal, line: &str) -> String {
    terminal.send(line);
    terminal.send(TAB);
    terminal.send(CTRL_C);
    let shown = terminal.wait_for("leaves)");
    // Keys that come before the prompt is back would go to nobody.
    terminal.wait_for("tidemill> ");
    shown
}

/// Types a line and Tab; all of these must be listed.
fn listed(terminal: &mut Terminal, line: &str, expected: &[&str]) {
    let shown = tab(terminal, line);
    assert!(expected.iter().all(|text| shown.contains(text)), "{line}: not all of {expected:?} in\n{shown}");
}

#[test]
fn tab_lists_all_candidates() {
    let world = World::new();
    assert_eq!(world.execute(SALES).code, Some(0));
    let mut terminal = world.terminal(&[], 120, 50);
    listed(&mut terminal, "SHOW T", &["TABLES", "TOPICS", "TYPES"]);
    // Looked up in the background; asked again until it is there.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !tab(&mut terminal, "SELECT subst").contains("SUBSTRING(") {
        assert!(Instant::now() < deadline, "functions are never known");
    }
    listed(&mut terminal, "SELECT subst", &["SUBSTRING(", "STRING", "SUBSTRING("]);
    listed(&mut terminal, "SET 'ksql.query.pull", &["ksql.query.pull.", "ksql.query.pull."]);
    listed(&mut terminal, "TERMINATE ", &["ALL", "CTAS_SALES_"]);
    listed(
        &mut terminal,
        "SELECT o. FROM orders o\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D",
        &["AMOUNT", "ITEM"],
    );
    // One candidate is taken.
    terminal.send(&format!("DESCRIBE sal{TAB};\r"));
    terminal.wait_for("TABLE SALES");
}
