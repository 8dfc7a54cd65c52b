//! Public client libraries, unmodified, as clients from outside: a virtual environment of Python, a folder of npm's and a program of
//! a crate's in the cache folder, each made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::broker::{BrokerError, cache_folder};

/// The oldest Python that all libraries take, and the oldest that all but jetblack-ksql-dbapi take.
const PYTHONS: [(u32, u32); 2] = [(3, 12), (3, 10)];

/// A language's libraries, as they were installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Libraries {
    /// The interpreter of an environment that has them.
    Python(PathBuf),
    /// A folder with `node_modules`.
    Node(PathBuf),
    /// A program that has the library in it.
    Rust(PathBuf),
}

impl Libraries {
    /// # Errors
    /// `Missing` without a Python that is new enough, its venv module, or the package index.
    pub fn python() -> Result<Self, BrokerError> {
        let folder = cache_folder().join("clients").join("python");
        let python = folder.join("bin/python");
        if !is_installed(&folder, "requirements.txt", &python)? {
            let found = PYTHONS.into_iter().find_map(new_enough);
            let found = found.ok_or_else(|| BrokerError::Missing("needs Python 3.10 with venv".to_owned()))?;
            let _ = fs::remove_dir_all(&folder);
            run(Command::new(found).args(["-m", "venv"]).arg(&folder))?;
            let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"];
            run(Command::new(&python).args(install).arg(source("requirements.txt")))?;
            note_installed(&folder, "requirements.txt")?;
        }
        Ok(Libraries::Python(python))
    }

    /// # Errors
    /// `Missing` without npm, or the package registry.
    pub fn node() -> Result<Self, BrokerError> {
        let folder = cache_folder().join("clients").join("node");
        if !is_installed(&folder, "package.json", &folder.join("node_modules"))? {
            fs::create_dir_all(&folder).map_err(failed)?;
            fs::copy(source("package.json"), folder.join("package.json")).map_err(failed)?;
            // Nothing of what they install is run.
            let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
            run(Command::new("npm").args(install).current_dir(&folder))?;
            note_installed(&folder, "package.json")?;
        }
        Ok(Libraries::Node(folder))
    }

    /// # Errors
    /// `Missing` without the crates, or where they can't be built.
    pub fn rust() -> Result<Self, BrokerError> {
        let folder = cache_folder().join("clients").join("rust");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(source("rust/Cargo.toml"));
        // The workspace's own settings are none of the library's.
        build.arg("--target-dir").arg(&folder).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let has_openssl = Command::new("pkg-config").args(["--exists", "openssl"]).stdin(Stdio::null()).output();
        if has_openssl.is_ok_and(|output| output.status.success()) {
            build.env("OPENSSL_NO_VENDOR", "1");
        }
        run(&mut build)?;
        Ok(Libraries::Rust(folder.join("debug").join("ksqldb-client")))
    }

    /// Whether a client's library is there: one of PyPI's takes newer Pythons only.
    pub fn has(&self, client: &str) -> bool {
        match self {
            Libraries::Python(python) if client == "jetblack-ksql-dbapi" => {
                let check = ["-c", "import jetblack_ksql_dbapi"];
                Command::new(python).args(check).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
            }
            _ => true,
        }
    }

    /// What became of each call of a client.
    ///
    /// # Errors
    /// `Failed` with what the script says.
    pub fn drive(&self, client: &str, url: &str) -> Result<Json, BrokerError> {
        let output = match self {
            Libraries::Python(python) => Command::new(python).arg(source("python_clients.py")).args([client, url]).output(),
            Libraries::Node(folder) => Command::new("node")
                .arg(source("node_clients.js"))
                .args([client, url])
                .env("NODE_PATH", folder.join("node_modules"))
                .output(),
            Libraries::Rust(program) => Command::new(program).arg(url).output(),
        };
        let output = output.map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().rev().find(|line| line.starts_with('{'));
        last.and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(|| BrokerError::Failed(format!("{client}: {said}{}", String::from_utf8_lossy(&output.stderr))))
    }
}

/// A version of Python for which not all clients are made.
const TOO_NEW: (u32, u32) = (3, 13);

/// The first interpreter that is new enough and not too new: of the path, then of pyenv's versions.
fn new_enough(version: (u32, u32)) -> Option<PathBuf> {
    let home = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = home.and_then(|home| fs::read_dir(home.join("versions")).ok()).into_iter().flatten().flatten();
    let of_pyenv = versions.map(|version| version.path().join("bin/python"));
    ["python3", "python3.12"].into_iter().map(PathBuf::from).chain(of_pyenv).find(|python| {
        let check = format!("import sys, venv, ensurepip; sys.exit(not {version:?} <= sys.version_info[:2] < {TOO_NEW:?})");
        Command::new(python).args(["-c", &check]).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    })
}

/// Whether what is there was made by the list as it is.
fn is_installed(folder: &Path, list: &str, made: &Path) -> Result<bool, BrokerError> {
    let wanted = fs::read_to_string(source(list)).map_err(failed)?;
    Ok(made.exists() && fs::read_to_string(folder.join("installed.txt")).is_ok_and(|done| done == wanted))
}

fn note_installed(folder: &Path, list: &str) -> Result<(), BrokerError> {
    fs::copy(source(list), folder.join("installed.txt")).map(|_| ()).map_err(failed)
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("libraries").join(name)
}

fn failed(error: std::io::Error) -> BrokerError {
    BrokerError::Failed(error.to_string())
}

fn run(command: &mut Command) -> Result<(), BrokerError> {
    let shown = format!("{:?}", command.get_program());
    let output = command.stdin(Stdio::null()).output().map_err(|error| BrokerError::Missing(format!("needs {shown}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(BrokerError::Missing(format!("{shown} can't install the clients: {}", said.lines().last().unwrap_or("no message"))))
}
