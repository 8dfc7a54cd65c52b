//! Runs a test, wherever it is to run, and makes a result of how it went.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::parallel;
use super::report::{CaseResult, Verdict};
use super::runner::RunnerTest;
use crate::conformance::world::RunOptions;
use crate::sqltest::{self, Bench, INTERRUPTED, Remote, RemoteOptions, SqlTest};

/// The exit code after Ctrl-C.
pub(super) const INTERRUPTED_CODE: i32 = 130;

pub(super) fn folder_of(test: &RunnerTest) -> String {
    test.statements.parent().unwrap_or(Path::new(".")).display().to_string()
}

pub(super) fn run_folder(test: &RunnerTest, options: RunOptions) -> CaseResult {
    let started = Instant::now();
    let verdict = match parallel::caught(|| test.judge(options)) {
        Ok(()) => Verdict::Passed,
        Err(reason) => Verdict::Failed(reason),
    };
    let file = folder_of(test);
    CaseResult { name: String::new(), file, line: None, is_rejection: false, seconds: started.elapsed().as_secs_f64(), verdict }
}

pub(super) fn run_test(test: &SqlTest, variables: &BTreeMap<String, String>) -> CaseResult {
    let started = Instant::now();
    let done = parallel::caught(|| sqltest::run(test, &mut Bench::new(), variables));
    result_of(test, started, done)
}

fn result_of(test: &SqlTest, started: Instant, done: Result<(), String>) -> CaseResult {
    CaseResult {
        file: test.file.display().to_string(),
        line: Some(test.line),
        name: test.name.clone(),
        is_rejection: false,
        seconds: started.elapsed().as_secs_f64(),
        verdict: match done {
            Ok(()) => Verdict::Passed,
            Err(reason) => Verdict::Failed(reason),
        },
    }
}

pub(super) fn run_remote_test(test: &SqlTest, options: &RemoteOptions, variables: &BTreeMap<String, String>) -> CaseResult {
    let started = Instant::now();
    let done = Remote::new(options.clone()).and_then(|mut remote| {
        let done = sqltest::run(test, &mut remote, variables);
        if let Err(reason) = remote.close() {
            crate::logging::say(&format!(
                "warning: {}:{}: what the test made could not be dropped: {reason}",
                test.file.display(),
                test.line
            ));
        }
        done
    });
    result_of(test, started, done)
}

/// Lets Ctrl-C end the test that runs, so that it clears up; a second one ends the program.
pub(super) fn watch_interrupts() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                INTERRUPTED.store(true, Ordering::Relaxed);
                crate::logging::say("interrupted: dropping what the test has made; once more to leave it");
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED_CODE);
            }
        });
    });
}

/// A file that holds no tests.
pub(super) fn failed(file: &Path, reason: String) -> CaseResult {
    let file = file.display().to_string();
    CaseResult { name: String::new(), file, line: None, is_rejection: false, seconds: 0.0, verdict: Verdict::Failed(reason) }
}
