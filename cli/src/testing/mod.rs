//! `tidemill test`: SQL tests, the folders of ksql-test-runner, cases of records and of requests, many at once, in this process.

mod args;
pub mod find;
mod junit;
pub mod parallel;
pub mod report;
mod runner;
mod teller;
mod three_files;
mod work;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

pub use args::TestArgs;

use crate::conformance::differences::Differences;
use crate::conformance::{self, case};
use crate::sqltest::{self, INTERRUPTED};
use report::{CaseResult, Verdict};
use runner::RunnerTest;
use teller::{Teller, say};
use work::{INTERRUPTED_CODE, failed, folder_of, run_folder, run_remote_test, run_test, watch_interrupts};

/// Runs the tests; the exit code says whether all (or, with `--at-least`, enough) passed.
pub fn run(args: &TestArgs) -> i32 {
    let done = match (&args.sql_file, &args.output_file) {
        (Some(statements), Some(output)) => Ok(three_files::run(args, statements, output)),
        _ => run_all(args),
    };
    done.unwrap_or_else(|message| {
        crate::logging::say(&message);
        1
    })
}

fn run_all(args: &TestArgs) -> Result<i32, String> {
    let differences = args.differences.as_deref().map(Differences::load).transpose()?.unwrap_or_default();
    let paths: Vec<PathBuf> = args.paths.iter().chain(&args.test_directory).cloned().collect();
    let found = find::find(&paths, args.format)?;
    let options = args.options();
    let matches = |file: &str, name: &str| args.filter.as_ref().is_none_or(|filter| file.contains(filter) || name.contains(filter));

    let mut cases = Vec::new();
    for file in &found.query {
        cases.extend(case::load(file)?);
    }
    cases.retain(|c| matches(&c.file, &c.name));
    let mut asking = Vec::new();
    for file in &found.rest {
        asking.extend(conformance::rest::load(file)?);
    }
    asking.retain(|c| matches(&c.plain.file, &c.plain.name));
    let folders: Vec<&RunnerTest> = found.runner.iter().filter(|test| matches(&folder_of(test), "")).collect();
    let mut broken = Vec::new();
    let mut tests = Vec::new();
    for file in &found.sql {
        match sqltest::file::read(file) {
            Ok(file) => {
                file.warnings.iter().for_each(|warning| crate::logging::say(&format!("warning: {warning}")));
                tests.extend(file.tests);
            }
            Err(reason) => broken.push(failed(file, reason)),
        }
    }
    tests.retain(|test| matches(&test.file.display().to_string(), &test.name));
    let count = cases.len() + asking.len() + folders.len() + tests.len() + broken.len();
    if count == 0 {
        let unmatched = args.filter.as_ref().map(|filter| format!(" that contains '{filter}'")).unwrap_or_default();
        let hint = match found.without_tests {
            0 => String::new(),
            n => format!("; {n} files with SQL hold no --@test: NAME"),
        };
        return Err(format!("there is no test in the given paths{unmatched}{hint}"));
    }

    let (remote, variables) = (args.remote()?, args.variables()?);
    if remote.is_some() && count > tests.len() + broken.len() {
        return Err("only SQL tests can run on a server: leave --server out for the others, or name them with --format sql".to_owned());
    }
    let teller = Teller::new(count, args.quiet);
    broken.iter().for_each(|result| teller.tell(result));
    let mut results = parallel::run(&cases, |case| conformance::run_one(case, options, &differences), |_, _| teller.count());
    results.extend(parallel::run(&asking, |case| conformance::rest::run_one(case, &differences), |_, _| teller.count()));
    report::print_cases(&results);
    results.append(&mut broken);
    results.extend(parallel::run(&folders, |test| run_folder(test, options), |_, result| teller.tell(result)));
    match &remote {
        None => results.extend(parallel::run(&tests, |test| run_test(test, &variables), |_, result| teller.tell(result))),
        // One after the other: a server has other work, too.
        Some(options) => {
            watch_interrupts();
            for test in tests.iter().take_while(|_| !INTERRUPTED.load(Ordering::Relaxed)) {
                let result = run_remote_test(test, options, &variables);
                teller.tell(&result);
                results.push(result);
            }
        }
    }
    teller.end();
    let skipped = count.saturating_sub(results.len());

    if let Some(path) = &args.report {
        report::write(path, &results)?;
    }
    if let Some(path) = &args.junit {
        junit::write(path, &results)?;
    }
    Ok(conclude(args, &results, skipped))
}

/// Prints the totals.
fn conclude(args: &TestArgs, results: &[CaseResult], skipped: usize) -> i32 {
    report::print_totals(results, args.reasons);
    let count = |verdict: fn(&Verdict) -> bool| results.iter().filter(|r| verdict(&r.verdict)).count();
    let (passed, failed) = (count(|v| *v == Verdict::Passed), count(|v| matches!(v, Verdict::Failed(_))));
    let different = count(|v| matches!(v, Verdict::Different(_)));
    if different > 0 {
        say(&format!("{different} different on purpose"));
    }
    say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    match args.at_least {
        _ if INTERRUPTED.load(Ordering::Relaxed) => INTERRUPTED_CODE,
        Some(least) if passed < least => {
            crate::logging::say(&format!("fewer than the committed {least} cases pass"));
            1
        }
        Some(_) => 0,
        None => i32::from(failed > 0),
    }
}
