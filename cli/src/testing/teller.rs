//! What is said while tests run.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::report::{CaseResult, Verdict};

/// The exit code where nobody reads the output any more.
const UNREAD_CODE: i32 = 128 + 13;

/// Prints a line. Where nobody reads any more, nothing is left to do.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(UNREAD_CODE);
    }
}

/// Says how each test went, and how far it has come.
pub(super) struct Teller {
    count: usize,
    quiet: bool,
    /// Whether somebody sees how far it has come.
    is_watched: bool,
    done: AtomicUsize,
}

impl Teller {
    pub(super) fn new(count: usize, quiet: bool) -> Self {
        Teller { count, quiet, is_watched: std::io::stderr().is_terminal(), done: Default::default() }
    }

    pub(super) fn tell(&self, result: &CaseResult) {
        self.wipe();
        match &result.verdict {
            Verdict::Passed if self.quiet => {}
            verdict => {
                let place = result.line.map(|line| format!(":{line}")).unwrap_or_default();
                let name = if result.name.is_empty() { String::new() } else { format!(": {}", result.name) };
                match verdict {
                    Verdict::Failed(reason) => {
                        say(&format!("FAILED {}{place}{name}\n  {}\n", result.file, reason.trim_end().replace('\n', "\n  ")));
                    }
                    _ => say(&format!("passed {}{place}{name}", result.file)),
                }
            }
        }
        self.count();
    }

    /// Another one is done.
    pub(super) fn count(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is_watched {
            let mut err = std::io::stderr();
            // Nobody needs it.
            let _ = write!(err, "\r\x1b[K{done} of {}", self.count).and_then(|()| err.flush());
        }
    }

    fn wipe(&self) {
        if self.is_watched {
            let mut err = std::io::stderr();
            let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
        }
    }

    pub(super) fn end(&self) {
        self.wipe();
    }
}
