//! Which files hold tests, and of which kind: by the flag, else by their names and what they hold.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::runner::{self, RunnerTest};
use crate::sqltest::file::holds_tests;

/// Kinds of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// By names and contents
    Auto,
    /// SQL test files (--@test: NAME)
    Sql,
    /// Folders of statements.sql, input.json, output.json
    Runner,
    /// JSON cases of statements and records
    Query,
    /// JSON cases of requests and responses
    Rest,
}

/// What was found, each kind in the order of its names.
#[derive(Debug, Default)]
pub struct Found {
    pub sql: Vec<PathBuf>,
    pub runner: Vec<RunnerTest>,
    pub query: Vec<PathBuf>,
    pub rest: Vec<PathBuf>,
    /// Files with SQL that hold no tests.
    pub without_tests: usize,
}

/// Looks through files and folders.
///
/// # Errors
/// A path that is not there or can't be read.
pub fn find(paths: &[PathBuf], format: Format) -> Result<Found, String> {
    let mut found = Found::default();
    for path in paths {
        if path.is_dir() {
            found.folder(path, format, false)?;
        } else if path.exists() {
            found.named(path, format)?;
        } else {
            return Err(format!("{}: no such file or folder", path.display()));
        }
    }
    Ok(found)
}

impl Found {
    /// A file that was named itself.
    fn named(&mut self, file: &Path, format: Format) -> Result<(), String> {
        let is_statements = file.file_name().is_some_and(|name| name == runner::STATEMENTS);
        match format {
            Format::Auto if has_ending(file, &["json"]) => self.query.push(file.to_owned()),
            Format::Query => self.query.push(file.to_owned()),
            Format::Rest => self.rest.push(file.to_owned()),
            Format::Runner if is_statements => self.runner.push(RunnerTest::in_folder(file.parent().unwrap_or(Path::new("")), false)),
            Format::Runner => return Err(format!("{}: name the folder that holds {}", file.display(), runner::STATEMENTS)),
            _ => self.sql.push(file.to_owned()),
        }
        Ok(())
    }

    /// `incorrect`: below a folder of that name, whose tests must fail.
    fn folder(&mut self, folder: &Path, format: Format, incorrect: bool) -> Result<(), String> {
        let wrong = |e: std::io::Error| format!("{}: {e}", folder.display());
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            entries.push(entry.map_err(wrong)?.path());
        }
        entries.sort();
        let has = |name: &str| entries.iter().any(|entry| entry.file_name().is_some_and(|found| found == name));
        let is_test = has(runner::STATEMENTS) && has(runner::OUTPUT);
        if is_test && matches!(format, Format::Auto | Format::Runner) {
            self.runner.push(RunnerTest::in_folder(folder, incorrect));
        }
        for entry in &entries {
            if entry.is_dir() {
                self.folder(entry, format, incorrect || entry.file_name().is_some_and(|name| name == "incorrect"))?;
            } else if has_ending(entry, &["json"]) {
                if format == Format::Rest {
                    self.rest.push(entry.clone());
                }
                if format == Format::Query || format == Format::Auto && !is_test && holds(entry, |text| text.contains("\"tests\"")) {
                    self.query.push(entry.clone());
                }
            } else if has_ending(entry, &["sql", "ksql"]) && (format == Format::Sql || format == Format::Auto && !is_test) {
                if format == Format::Sql || holds(entry, holds_tests) {
                    self.sql.push(entry.clone());
                } else {
                    self.without_tests += 1;
                }
            }
        }
        Ok(())
    }
}

fn has_ending(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Whether a file holds something; one that can't be read is said to, so that its error is told.
fn holds(file: &Path, what: impl FnOnce(&str) -> bool) -> bool {
    std::fs::read_to_string(file).map_or(true, |text| what(&text))
}
