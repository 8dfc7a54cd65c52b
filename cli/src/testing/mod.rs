//! `tidemill test`: SQL tests, the folders of ksql-test-runner and conformance cases, many at once, in this process.

pub mod find;
mod junit;
pub mod parallel;
pub mod report;
mod runner;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::conformance::differences::Differences;
use crate::conformance::world::RunOptions;
use crate::conformance::{self, case};
use crate::sqltest::{self, Bench, INTERRUPTED, Remote, RemoteOptions, SqlTest};
use find::Format;
use report::{CaseResult, Verdict};
use runner::{Problem, RunnerTest};

/// Above the flags of the maintainers.
const MAINTAINERS: &str = "For conformance cases";
/// Above the flags of tests on a server.
const ON_A_SERVER: &str = "SQL tests on a server";
/// Where a password may stand instead of on the command line, which others on the machine can read.
const PASSWORD_VARIABLE: &str = "TIDEMILL_PASSWORD";
/// The exit code after Ctrl-C.
const INTERRUPTED_CODE: i32 = 130;
/// Above the flags that name three files.
const THREE_FILES: &str = "One test of three files, as ksql-test-runner takes it";

#[derive(Debug, Args)]
#[command(after_help = "A test file holds tests like this one; docs/testing.md tells the rest:\n
  --@test: large orders go to their own stream
  CREATE STREAM orders (id INT KEY, amount DOUBLE) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
  CREATE STREAM large AS SELECT * FROM orders WHERE amount > 100;
  INSERT INTO orders (id, amount) VALUES (1, 5.0);
  INSERT INTO orders (id, amount) VALUES (2, 500.0);
  ASSERT VALUES large (id, amount) VALUES (2, 500.0);
  ASSERT NO VALUES large;\n
Exit code: 0 if all tests pass, 1 if one fails or none is found, 2 if the flags are wrong.")]
pub struct TestArgs {
    /// Files and folders of tests
    #[arg(required_unless_present = "sql_file", conflicts_with = "sql_file", value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// What they hold
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// Only tests whose file or name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write the results as JUnit XML, which CI systems show
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Tell only what fails
    #[arg(long, short)]
    quiet: bool,
    /// Run SQL tests on this server, under names of their own that are dropped afterwards
    #[arg(long, value_name = "URL", conflicts_with = "sql_file", help_heading = ON_A_SERVER)]
    server: Option<String>,
    /// Name to log in with (HTTP Basic); the password is $TIDEMILL_PASSWORD
    #[arg(long, value_name = "NAME", requires = "server", help_heading = ON_A_SERVER)]
    user: Option<String>,
    /// How long an assertion waits for its record, seconds
    #[arg(long, value_name = "S", default_value_t = 10, requires = "server", help_heading = ON_A_SERVER)]
    timeout: u64,
    /// How long queries get to work on inserted rows, and how long ASSERT NO VALUES looks, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300, requires = "server", help_heading = ON_A_SERVER)]
    settle: u64,
    /// The statements
    #[arg(short, long, value_name = "FILE.sql", requires = "output_file", help_heading = THREE_FILES)]
    sql_file: Option<PathBuf>,
    /// The records that go in; without it, INSERT VALUES among the statements
    #[arg(short, long, value_name = "FILE.json", requires = "sql_file", help_heading = THREE_FILES)]
    input_file: Option<PathBuf>,
    /// The records that must come out
    #[arg(short, long, value_name = "FILE.json", requires = "sql_file", help_heading = THREE_FILES)]
    output_file: Option<PathBuf>,
    /// A folder of functions in Java, which must be empty: they are not run
    #[arg(short, long, value_name = "DIR", requires = "sql_file", help_heading = THREE_FILES)]
    extension_dir: Option<PathBuf>,
    /// How many records a chunk holds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), hide_short_help = true, help_heading = MAINTAINERS)]
    chunk: u64,
    /// Stop each query after so many inputs, restore it, go on
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = MAINTAINERS)]
    restore_at: Option<u64>,
    /// Cases where we differ on purpose, with reasons; counted apart
    #[arg(long, value_name = "FILE.json", hide_short_help = true, help_heading = MAINTAINERS)]
    differences: Option<PathBuf>,
    /// Fail if fewer pass, and only then
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = MAINTAINERS)]
    at_least: Option<usize>,
    /// One line for each kind of failure, with its count
    #[arg(long, hide_short_help = true, help_heading = MAINTAINERS)]
    reasons: bool,
}

/// Runs the tests; the exit code says whether all (or, with `--at-least`, enough) passed.
pub fn run(args: &TestArgs) -> i32 {
    let done = match (&args.sql_file, &args.output_file) {
        (Some(statements), Some(output)) => Ok(run_three_files(args, statements, output)),
        _ => run_all(args),
    };
    done.unwrap_or_else(|message| {
        crate::logging::say(&message);
        1
    })
}

fn run_all(args: &TestArgs) -> Result<i32, String> {
    let differences = args.differences.as_deref().map(Differences::load).transpose()?.unwrap_or_default();
    let found = find::find(&args.paths, args.format)?;
    let options = args.options();
    let matches = |file: &str, name: &str| args.filter.as_ref().is_none_or(|filter| file.contains(filter) || name.contains(filter));

    let mut cases = Vec::new();
    for file in &found.query {
        cases.extend(case::load(file)?);
    }
    cases.retain(|c| matches(&c.file, &c.name));
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
    let count = cases.len() + folders.len() + tests.len() + broken.len();
    if count == 0 {
        let unmatched = args.filter.as_ref().map(|filter| format!(" that contains '{filter}'")).unwrap_or_default();
        let hint = match found.without_tests {
            0 => String::new(),
            n => format!("; {n} files with SQL hold no --@test: NAME"),
        };
        return Err(format!("there is no test in the given paths{unmatched}{hint}"));
    }

    let remote = args.remote()?;
    if remote.is_some() && count > tests.len() + broken.len() {
        return Err("only SQL tests can run on a server: leave --server out for the others, or name them with --format sql".to_owned());
    }
    let teller = Teller::new(count, args.quiet);
    broken.iter().for_each(|result| teller.tell(result));
    let mut results = parallel::run(&cases, |case| conformance::run_one(case, options, &differences), |_, _| teller.count());
    report::print_cases(&results);
    results.append(&mut broken);
    results.extend(parallel::run(&folders, |test| run_folder(test, options), |_, result| teller.tell(result)));
    match &remote {
        None => results.extend(parallel::run(&tests, run_test, |_, result| teller.tell(result))),
        // One after the other: a server has other work, too.
        Some(options) => {
            watch_interrupts();
            for test in tests.iter().take_while(|_| !INTERRUPTED.load(Ordering::Relaxed)) {
                let result = run_remote_test(test, options);
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
        println!("{different} different on purpose");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
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

impl TestArgs {
    fn options(&self) -> RunOptions {
        RunOptions { chunk: self.chunk, restore_at: self.restore_at }
    }

    /// The server that tests run on.
    fn remote(&self) -> Result<Option<RemoteOptions>, String> {
        let Some(url) = &self.server else { return Ok(None) };
        let mut client = Client::new(url).map_err(|e| e.to_string())?;
        if let Some(user) = &self.user {
            let password = std::env::var(PASSWORD_VARIABLE)
                .map_err(|_| format!("--user {user} needs a password in the variable {PASSWORD_VARIABLE}"))?;
            client = client.with_credentials(user, &password);
        }
        let (patience, settle) = (Duration::from_secs(self.timeout), Duration::from_millis(self.settle));
        Ok(Some(RemoteOptions { client, patience, settle }))
    }
}

/// One test of three files, with the words and exit codes of ksql-test-runner.
fn run_three_files(args: &TestArgs, statements: &Path, output: &Path) -> i32 {
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
            println!("\t >>> Test passed!");
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

fn folder_of(test: &RunnerTest) -> String {
    test.statements.parent().unwrap_or(Path::new(".")).display().to_string()
}

fn run_folder(test: &RunnerTest, options: RunOptions) -> CaseResult {
    let started = Instant::now();
    let verdict = match parallel::caught(|| test.judge(options)) {
        Ok(()) => Verdict::Passed,
        Err(reason) => Verdict::Failed(reason),
    };
    let file = folder_of(test);
    CaseResult { name: String::new(), file, line: None, is_rejection: false, seconds: started.elapsed().as_secs_f64(), verdict }
}

fn run_test(test: &SqlTest) -> CaseResult {
    let started = Instant::now();
    let done = parallel::caught(|| sqltest::run(test, &mut Bench::new()));
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

fn run_remote_test(test: &SqlTest, options: &RemoteOptions) -> CaseResult {
    let started = Instant::now();
    let done = Remote::new(options.clone()).and_then(|mut remote| {
        let done = sqltest::run(test, &mut remote);
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
fn watch_interrupts() {
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
fn failed(file: &Path, reason: String) -> CaseResult {
    let file = file.display().to_string();
    CaseResult { name: String::new(), file, line: None, is_rejection: false, seconds: 0.0, verdict: Verdict::Failed(reason) }
}

/// Says how each test went, and how far it has come.
struct Teller {
    count: usize,
    quiet: bool,
    /// Whether somebody sees how far it has come.
    is_watched: bool,
    done: AtomicUsize,
}

impl Teller {
    fn new(count: usize, quiet: bool) -> Self {
        Teller { count, quiet, is_watched: std::io::stderr().is_terminal(), done: Default::default() }
    }

    fn tell(&self, result: &CaseResult) {
        self.wipe();
        match &result.verdict {
            Verdict::Passed if self.quiet => {}
            verdict => {
                let place = result.line.map(|line| format!(":{line}")).unwrap_or_default();
                let name = if result.name.is_empty() { String::new() } else { format!(": {}", result.name) };
                match verdict {
                    Verdict::Failed(reason) => {
                        println!("FAILED {}{place}{name}\n  {}\n", result.file, reason.trim_end().replace('\n', "\n  "));
                    }
                    _ => println!("passed {}{place}{name}", result.file),
                }
            }
        }
        self.count();
    }

    /// Another one is done.
    fn count(&self) {
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

    fn end(&self) {
        self.wipe();
    }
}
