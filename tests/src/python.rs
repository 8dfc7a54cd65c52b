//! Python's confluent-kafka as a client from outside: a virtual environment in the cache folder, made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::broker::{BrokerError, cache_folder};

/// The environment's interpreter, with what `python/requirements.txt` names.
///
/// # Errors
/// `Missing` without Python 3, its venv module, or the package index.
pub fn interpreter() -> Result<PathBuf, BrokerError> {
    // Two tests that install at the same time would get in each other's way.
    static FOUND: OnceLock<Result<PathBuf, BrokerError>> = OnceLock::new();
    FOUND.get_or_init(install).clone()
}

fn install() -> Result<PathBuf, BrokerError> {
    let requirements = source("requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(|error| BrokerError::Failed(format!("{}: {error}", requirements.display())))?;
    let folder = cache_folder().join("python");
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    if python.is_file() && fs::read_to_string(&installed).is_ok_and(|done| done == wanted) {
        return Ok(python);
    }
    fs::create_dir_all(cache_folder()).map_err(|error| BrokerError::Failed(error.to_string()))?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    run(Command::new(&python).args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"]).arg(&requirements))?;
    fs::write(&installed, wanted).map_err(|error| BrokerError::Failed(error.to_string()))?;
    Ok(python)
}

/// Runs `python/drive.py` against a server: produces with confluent-kafka, reads the server's sink topics with it, and
/// compares. The script's last line.
///
/// # Errors
/// `Failed` with what the script says was wrong.
pub fn drive(bootstrap: &str, server_url: &str) -> Result<String, BrokerError> {
    script("drive.py", &["--bootstrap", bootstrap, "--server", server_url])
}

/// Runs `python/formats.py` against a server and a registry: Confluent's serializers write each format, the server turns each
/// into each, Confluent's deserializers read what came of it. The script's last line.
///
/// # Errors
/// `Failed` with what the script says was wrong.
pub fn formats(bootstrap: &str, server_url: &str, registry: &str, formats: &[&str], prefix: &str) -> Result<String, BrokerError> {
    let formats = formats.join(",");
    let arguments = ["--bootstrap", bootstrap, "--server", server_url, "--registry", registry, "--formats", &formats, "--prefix", prefix];
    script("formats.py", &arguments)
}

fn script(name: &str, arguments: &[&str]) -> Result<String, BrokerError> {
    let output = Command::new(interpreter()?)
        .arg(source(name))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BrokerError::Failed(error.to_string()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(BrokerError::Failed(said(&output.stderr))) }
}

/// Runs a script of `python/`. Its last words.
///
/// # Errors
/// `Failed` with what the script says was wrong.
pub fn run_script(name: &str, arguments: &[&str]) -> Result<String, BrokerError> {
    let mut command = Command::new(interpreter()?);
    let output = command.arg(source(name)).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| BrokerError::Failed(error.to_string()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(BrokerError::Failed(said(&output.stderr))) }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

fn run(command: &mut Command) -> Result<(), BrokerError> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| BrokerError::Missing(format!("needs Python 3: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(BrokerError::Missing(format!("needs Python with venv and confluent-kafka: {}", said.lines().last().unwrap_or("no message"))))
}
