//! PostgreSQL's JDBC driver, from Maven Central, kept in the cache folder; and Java sources that are run with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker::{BrokerError, cache_folder, failed};

const VERSION: &str = "42.7.4";

/// Runs a source of `java/` with the driver. Its last words.
///
/// # Errors
/// `Missing` without java or mvn, `Failed` with what the program says was wrong.
pub fn run(source: &str, arguments: &[&str]) -> Result<String, BrokerError> {
    let driver = driver()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java").join(source);
    let mut command = Command::new("java");
    command.arg("-cp").arg(driver).arg(source).args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| BrokerError::Missing(format!("needs java: {error}")))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(BrokerError::Failed(said(&output.stderr))) }
}

/// The driver's jar, fetched if it is not there.
fn driver() -> Result<PathBuf, BrokerError> {
    let name = format!("postgresql-{VERSION}.jar");
    let jar = cache_folder().join(&name);
    if jar.is_file() {
        return Ok(jar);
    }
    let parent = cache_folder();
    fs::create_dir_all(&parent).map_err(failed("cache folder"))?;
    let staging = tempfile::Builder::new().prefix("jdbc-fetch-").tempdir_in(&parent).map_err(failed("cache folder"))?;
    let artifact = format!("-Dartifact=org.postgresql:postgresql:{VERSION}");
    let downloaded = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy", &artifact, "-DoutputDirectory=."])
        .current_dir(staging.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BrokerError::Missing(format!("needs mvn: {error}")))?;
    if !downloaded.status.success() {
        let said = String::from_utf8_lossy(&downloaded.stdout);
        let first = said.lines().next().unwrap_or("mvn failed");
        return Err(BrokerError::Missing(format!("the JDBC driver could not be fetched from Maven Central: {first}")));
    }
    // Of two processes that fetched it, either's is right.
    fs::rename(staging.path().join(&name), &jar).map_err(failed("the driver"))?;
    Ok(jar)
}
