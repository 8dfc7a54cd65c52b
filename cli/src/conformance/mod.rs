//! `tidemill test`: runs cases in process, on the simulated log and a clock that stands still, many at once.

#[cfg(test)]
mod canary;
mod case;
mod codec;
mod compare;
mod differences;
mod post;
mod report;
mod world;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, ValueEnum};

use case::Case;
use differences::Differences;
use report::{CaseResult, Verdict};
use world::RunOptions;

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files or folders of cases
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What the files hold
    #[arg(long, value_enum, default_value_t = CaseFormat::Auto)]
    format: CaseFormat,
    /// Only cases whose file or name contains this
    #[arg(long)]
    filter: Option<String>,
    /// How many records a chunk holds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
    /// Stop each query after so many inputs, restore it, go on
    #[arg(long)]
    restore_at: Option<u64>,
    /// Write the results here as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Cases where we differ on purpose, with reasons; counted apart
    #[arg(long, value_name = "FILE.json")]
    differences: Option<PathBuf>,
    /// Fail if fewer cases pass
    #[arg(long)]
    at_least: Option<usize>,
    /// One line for each kind of failure, with its count
    #[arg(long)]
    reasons: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CaseFormat {
    Auto,
    Query,
}

/// Runs the cases; the exit code says whether all (or, with `--at-least`, enough) passed.
pub fn run(args: &TestArgs) -> i32 {
    match run_all(args) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            1
        }
    }
}

fn run_all(args: &TestArgs) -> Result<i32, String> {
    let differences = args.differences.as_deref().map(Differences::load).transpose()?.unwrap_or_default();
    let mut cases = Vec::new();
    for file in files(&args.paths)? {
        cases.extend(case::load(&file)?);
    }
    if let Some(filter) = &args.filter {
        cases.retain(|c| c.file.contains(filter.as_str()) || c.name.contains(filter.as_str()));
    }
    if cases.is_empty() {
        return Err("there is no case in the given paths".into());
    }
    let options = RunOptions { chunk: args.chunk, restore_at: args.restore_at };
    let results = run_parallel(&cases, options, &differences);
    if let Some(path) = &args.report {
        report::write(path, &results)?;
    }
    report::print(&results, args.reasons);
    let count = |verdict: fn(&Verdict) -> bool| results.iter().filter(|r| verdict(&r.verdict)).count();
    let (passed, failed) = (count(|v| *v == Verdict::Passed), count(|v| matches!(v, Verdict::Failed(_))));
    let different = count(|v| matches!(v, Verdict::Different(_)));
    if different > 0 {
        println!("{different} different on purpose");
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    Ok(match args.at_least {
        Some(least) if passed < least => {
            eprintln!("fewer than the committed {least} cases pass");
            1
        }
        Some(_) => 0,
        None => i32::from(failed > 0),
    })
}

/// The `.json` files at and below the paths, in order.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let mut inner: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
            inner.retain(|p| p.is_dir() || p.extension().is_some_and(|e| e == "json"));
            inner.sort();
            found.extend(files(&inner)?);
        } else if path.exists() {
            found.push(path.clone());
        } else {
            return Err(format!("{}: no such file or folder", path.display()));
        }
    }
    Ok(found)
}

/// Runs the cases on all cores; results in the order of the cases.
fn run_parallel(cases: &[Case], options: RunOptions, differences: &Differences) -> Vec<CaseResult> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<CaseResult>>> = Mutex::new(vec![None; cases.len()]);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { return };
                    let result = run_one(case, options, differences);
                    if let Ok(mut results) = results.lock() {
                        results[index] = Some(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default().into_iter().flatten().collect()
}

/// Runs a case; a panic is an error like any other.
fn caught(case: &Case, options: RunOptions) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world::run(case, options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("unknown")))
    })
}

/// Runs a case and judges it.
fn run_one(case: &Case, options: RunOptions, differences: &Differences) -> CaseResult {
    let verdict = match (caught(case, options), differences.of(case)) {
        (Ok(()), None) => Verdict::Passed,
        (Ok(()), Some(_)) => Verdict::Failed("is listed as different on purpose, but passes".to_owned()),
        (Err(reason), None) => Verdict::Failed(reason),
        (Err(_), Some(difference)) => match caught(&difference.apply(case), options) {
            Ok(()) => Verdict::Different(difference.reason.clone()),
            Err(reason) => Verdict::Failed(format!("differs on purpose, but not as listed: {reason}")),
        },
    };
    CaseResult { file: case.file.clone(), name: case.name.clone(), is_rejection: case.expected_error.is_some(), verdict }
}
