//! Every script in `sql-examples` prints what stands beside it.

use std::path::Path;
use std::process::{Command, Stdio};

use tidemill_tests::server::tidemill_binary;

/// Column widths depend on the terminal; the words don't. Rules between rows say nothing.
fn words(text: &str) -> Vec<String> {
    let is_rule = |line: &&str| !line.is_empty() && line.chars().all(|c| matches!(c, '|' | '-' | '+'));
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").replace(" |", "|");
    text.lines().filter(|line| !is_rule(line)).map(squeezed).collect()
}

#[test]
fn every_example_prints_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql-examples");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the examples are there") {
        let script = entry.expect("a folder that can be read").path();
        if script.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let expected = std::fs::read_to_string(script.with_extension("out")).expect("an example has its output beside it");
        let output = Command::new(tidemill_binary()).arg("run").arg(&script).stdin(Stdio::null()).output().expect("the binary runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {printed}{}", script.display(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(words(&printed), words(&expected), "{}", script.display());
        count += 1;
    }
    assert!(count >= 4, "only {count} examples were found");
}
