//! `make demo`'s script: runs to its end and shows rows that move.

use std::path::Path;
use std::process::{Command, Stdio};

use tidemill_tests::server::tidemill_binary;

#[test]
fn the_demo_shows_live_tables() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql-examples/demo/run.sh");
    let output = Command::new("bash").arg(script).arg(tidemill_binary()).stdin(Stdio::null()).output().expect("bash runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let paid: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| paid |"))
        .filter_map(|rest| rest.trim_matches([' ', '|']).parse().ok())
        .collect();
    assert!(paid.len() >= 2 && paid.is_sorted() && paid.first() < paid.last(), "the table changes as records arrive: {paid:?}\n{text}");
    assert!(text.contains("|Page_"), "the push query gave rows:\n{text}");
    assert!(text.contains("Now yourself"), "{text}");
}
