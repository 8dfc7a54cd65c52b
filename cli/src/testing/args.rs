//! The flags of `tidemill test`: those of users, and apart from them those of who maintains Tidemill.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::find::Format;
use crate::conformance::world::RunOptions;
use crate::shell::{LoginArgs, definition};
use crate::sqltest::RemoteOptions;

/// Above the flags of the maintainers.
const MAINTAINERS: &str = "For conformance cases";
/// Above the flags of tests on a server.
const ON_A_SERVER: &str = "SQL tests on a server";
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
    #[arg(required_unless_present_any = ["sql_file", "test_directory"], conflicts_with = "sql_file", value_name = "FILE|DIR")]
    pub(super) paths: Vec<PathBuf>,
    /// A folder of SQL tests, as run-ksql-test takes it
    #[arg(long, value_name = "DIR", conflicts_with = "sql_file", hide = true)]
    pub(super) test_directory: Option<PathBuf>,
    /// run-ksql-test's: nothing is written here
    #[arg(long, value_name = "DIR", requires = "test_directory", hide = true)]
    temp_folder: Option<PathBuf>,
    /// What they hold
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(super) format: Format,
    /// Only tests whose file or name contains this
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    /// Write the results as JUnit XML, which CI systems show
    #[arg(long, value_name = "FILE.xml")]
    pub(super) junit: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(super) report: Option<PathBuf>,
    /// Defines a variable of SQL tests, as DEFINE does
    #[arg(short = 'd', long = "define", value_name = "NAME=VALUE")]
    pub(super) define: Vec<String>,
    /// Tell only what fails
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Run SQL tests on this server, under names of their own that are dropped afterwards
    #[arg(long, value_name = "URL", conflicts_with = "sql_file", help_heading = ON_A_SERVER)]
    pub(super) server: Option<String>,
    #[command(flatten, next_help_heading = ON_A_SERVER)]
    pub(super) login: LoginArgs,
    /// How long an assertion waits for its record, seconds
    #[arg(long, value_name = "S", default_value_t = 10, requires = "server", help_heading = ON_A_SERVER)]
    pub(super) timeout: u64,
    /// How long queries get to work on inserted rows, and how long ASSERT NO VALUES looks, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300, requires = "server", help_heading = ON_A_SERVER)]
    pub(super) settle: u64,
    /// The statements
    #[arg(short, long, value_name = "FILE.sql", requires = "output_file", help_heading = THREE_FILES)]
    pub(super) sql_file: Option<PathBuf>,
    /// The records that go in; without it, INSERT VALUES among the statements
    #[arg(short, long, value_name = "FILE.json", requires = "sql_file", help_heading = THREE_FILES)]
    pub(super) input_file: Option<PathBuf>,
    /// The records that must come out
    #[arg(short, long, value_name = "FILE.json", requires = "sql_file", help_heading = THREE_FILES)]
    pub(super) output_file: Option<PathBuf>,
    /// A folder of functions in Java, which must be empty: they are not run
    #[arg(short, long, value_name = "DIR", requires = "sql_file", help_heading = THREE_FILES)]
    pub(super) extension_dir: Option<PathBuf>,
    /// How many records a chunk holds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), hide_short_help = true, help_heading = MAINTAINERS)]
    pub(super) chunk: u64,
    /// Stop each query after so many inputs, restore it, go on
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = MAINTAINERS)]
    pub(super) restore_at: Option<u64>,
    /// Cases where we differ on purpose, with reasons; counted apart
    #[arg(long, value_name = "FILE.json", hide_short_help = true, help_heading = MAINTAINERS)]
    pub(super) differences: Option<PathBuf>,
    /// Fail if fewer pass, and only then
    #[arg(long, value_name = "N", hide_short_help = true, help_heading = MAINTAINERS)]
    pub(super) at_least: Option<usize>,
    /// One line for each kind of failure, with its count
    #[arg(long, hide_short_help = true, help_heading = MAINTAINERS)]
    pub(super) reasons: bool,
}

impl TestArgs {
    pub(super) fn options(&self) -> RunOptions {
        RunOptions { chunk: self.chunk, restore_at: self.restore_at }
    }

    /// The variables that SQL tests begin with.
    pub(super) fn variables(&self) -> Result<BTreeMap<String, String>, String> {
        self.define.iter().map(|text| definition(text)).collect()
    }

    /// The server that tests run on.
    pub(super) fn remote(&self) -> Result<Option<RemoteOptions>, String> {
        let Some(url) = &self.server else { return Ok(None) };
        let client = self.login.client(url, &[]).map_err(|e| e.to_string())?;
        let (patience, settle) = (Duration::from_secs(self.timeout), Duration::from_millis(self.settle));
        Ok(Some(RemoteOptions { client, patience, settle }))
    }
}
