//! The parser as its users see it: what parses, what is printed, what is said of errors, and what nasty input costs.

mod errors;
mod expressions;
mod nasty;
mod print;
mod roundtrip;
mod scripts;
mod transcripts;

/// Says past the test harness's capture that a test did not run: one line that begins with `SKIPPED: `, which CI greps for.
fn skipped(test: &str, reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {test}: {reason}");
}
