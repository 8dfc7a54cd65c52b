//! One test of three files, as ksql-test-runner takes it.

use std::path::Path;
use std::time::Instant;

use super::args::TestArgs;
use super::report::{CaseResult, Verdict};
use super::runner::{Problem, RunnerTest};
use super::teller::say;
use super::{junit, parallel};

/// One test of three files, with the words and exit codes of ksql-test-runner.
pub(super) fn run(args: &TestArgs, statements: &Path, output: &Path) -> i32 {
    if let Some(folder) = &args.extension_dir {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries.count(),
            Err(error) => {
                crate::logging::say(&format!("Invalid arguments: {}: {error}", folder.display()));
                return 1;
            }
        };
        if entries > 0 {
            crate::logging::say(&format!(
                "Invalid arguments: {} holds functions of yours. Tidemill runs no Java: leave --extension-dir out, and the functions too",
                folder.display()
            ));
            return 1;
        }
    }
    let test =
        RunnerTest { statements: statements.to_owned(), input: args.input_file.clone(), output: output.to_owned(), must_fail: false };
    let started = Instant::now();
    let done = parallel::caught(|| test.run(args.options()));
    let (code, verdict) = match done {
        Ok(()) => {
            say("\t >>> Test passed!");
            (0, Verdict::Passed)
        }
        Err(Problem::Invalid(reason)) => {
            crate::logging::say(&format!("Invalid arguments: {reason}"));
            (1, Verdict::Failed(reason))
        }
        Err(Problem::Failed(reason)) => {
            crate::logging::say(&format!("\t>>>>> Test failed: {reason}"));
            (1, Verdict::Failed(reason))
        }
    };
    let Some(path) = &args.junit else { return code };
    let file = statements.display().to_string();
    let result =
        CaseResult { name: file.clone(), file, line: None, is_rejection: false, seconds: started.elapsed().as_secs_f64(), verdict };
    match junit::write(path, &[result]) {
        Ok(()) => code,
        Err(reason) => {
            crate::logging::say(&reason);
            1
        }
    }
}
