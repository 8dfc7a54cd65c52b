//! A schema registry that is not ours: Apicurio Registry, in memory, on a free loopback port. It speaks Confluent's API.
//!
//! The archive comes from Maven Central once and stays unpacked in the cache folder.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::broker::{BrokerError, cache_folder, failed, unavailable};
use crate::supervised::{Supervised, free_ports, tail};

/// The last version that runs on Java 17.
pub const APICURIO_VERSION: &str = "2.6.13.Final";
/// Where Confluent's API stands below the server's root.
const API: &str = "/apis/ccompat/v7";
/// How long it may take to answer after its start, seconds. It takes 5 on an idle machine.
const START_TIMEOUT_S: u64 = 180;
/// Starts that fail because another process took the port meanwhile are tried again this often.
const START_ATTEMPTS: u32 = 3;

/// A running (or stopped) registry. Dropping it kills it; what it knew is gone whenever it ends.
pub struct Apicurio {
    program: PathBuf,
    data: PathBuf,
    port: u16,
    running: Option<Supervised>,
}

impl Apicurio {
    /// Fetches Apicurio if that was not done before, and starts it.
    ///
    /// # Errors
    /// `Missing` without java or mvn, `Failed` where it does not come up.
    pub fn start() -> Result<Apicurio, BrokerError> {
        let program = program()?;
        let mut last = BrokerError::Failed(String::new());
        for _ in 0..START_ATTEMPTS {
            let data = tempfile::Builder::new().prefix("tidemill-apicurio-").tempdir().map_err(failed("temporary folder"))?.keep();
            let ports = free_ports(1).map_err(failed("free ports"))?;
            let [port] = ports[..] else { return Err(BrokerError::Failed("no free port".into())) };
            let mut registry = Apicurio { program: program.clone(), data, port, running: None };
            match registry.start_again() {
                Ok(()) => return Ok(registry),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What goes into `ksql.schema.registry.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// The port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as `kill -9` does, with all that it knows. Its port stays.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts it on the same port, empty, and waits until it answers.
    ///
    /// # Errors
    /// `Failed` with the end of its log where it does not come up.
    pub fn start_again(&mut self) -> Result<(), BrokerError> {
        let log = self.data.join("registry.log");
        let jar = format!("apicurio-registry-app-{APICURIO_VERSION}-runner.jar");
        let port = self.port.to_string();
        let environment = [("QUARKUS_HTTP_PORT", port.as_str()), ("QUARKUS_HTTP_HOST", "127.0.0.1"), ("LOG_LEVEL", "WARN")];
        let command = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-jar", &jar];
        let running = Supervised::start(&self.data, &log, &self.program, &environment, &command).map_err(failed("the registry"))?;
        self.running = Some(running);
        let deadline = Instant::now() + Duration::from_secs(START_TIMEOUT_S);
        while !self.answers() {
            if self.running.as_mut().is_none_or(Supervised::has_ended) || Instant::now() > deadline {
                self.kill();
                return Err(BrokerError::Failed(format!(
                    "the registry did not come up on port {}; its log ends:\n{}",
                    self.port,
                    tail(&log)
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Whether the API lists its subjects.
    fn answers(&self) -> bool {
        self.get("/subjects").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {API}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Apicurio {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// The URL of the one registry that all tests of this process share, or `None` after saying on stderr that the test is
/// skipped. Subjects are told apart by the test's own topic names.
///
/// # Panics
/// Where the registry should have come up and did not.
#[must_use]
pub fn shared(test: &str) -> Option<String> {
    static SHARED: OnceLock<Result<Apicurio, BrokerError>> = OnceLock::new();
    match SHARED.get_or_init(Apicurio::start) {
        Ok(registry) => Some(registry.url()),
        Err(error) => unavailable(test, error),
    }
}

/// A registry of the test's own, or `None` after saying that the test is skipped.
///
/// # Panics
/// Where the registry should have come up and did not.
#[must_use]
pub fn own(test: &str) -> Option<Apicurio> {
    match Apicurio::start() {
        Ok(registry) => Some(registry),
        Err(error) => unavailable(test, &error),
    }
}

/// The folder of the unpacked program, fetched if it is not there.
fn program() -> Result<PathBuf, BrokerError> {
    let folder = cache_folder().join(format!("apicurio-{APICURIO_VERSION}"));
    let runs = |tool: &str| Command::new(tool).arg("-version").stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    let needed: &[&str] = if folder.is_dir() { &["java"] } else { &["java", "mvn"] };
    if let Some(tool) = needed.iter().find(|tool| !runs(tool)) {
        return Err(BrokerError::Missing(format!("needs Apicurio Registry, and '{tool}' was not found or does not run")));
    }
    if !folder.is_dir() {
        fetch(&folder)?;
    }
    Ok(folder)
}

/// Downloads and unpacks into a folder of this process and moves it into place, so that two processes do not meet.
fn fetch(folder: &Path) -> Result<(), BrokerError> {
    let parent = cache_folder();
    fs::create_dir_all(&parent).map_err(failed("cache folder"))?;
    let staging = tempfile::Builder::new().prefix("apicurio-fetch-").tempdir_in(&parent).map_err(failed("cache folder"))?;
    let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{APICURIO_VERSION}:tar.gz:all");
    let downloaded = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy", &artifact, "-DoutputDirectory=."])
        .current_dir(staging.path())
        .stdin(Stdio::null())
        .output()
        .map_err(failed("mvn"))?;
    if !downloaded.status.success() {
        let said = String::from_utf8_lossy(&downloaded.stdout);
        let first = said.lines().next().unwrap_or("mvn failed");
        return Err(BrokerError::Missing(format!("Apicurio Registry could not be fetched from Maven Central: {first}")));
    }
    let unpacked = staging.path().join("unpacked");
    fs::create_dir(&unpacked).map_err(failed("cache folder"))?;
    let done = Command::new("tar")
        .arg("xzf")
        .arg(format!("apicurio-registry-app-{APICURIO_VERSION}-all.tar.gz"))
        .args(["-C", "unpacked"])
        .current_dir(staging.path())
        .stdin(Stdio::null())
        .output()
        .map_err(failed("tar"))?;
    if !done.status.success() {
        return Err(BrokerError::Failed(format!("tar: {}", String::from_utf8_lossy(&done.stderr))));
    }
    match fs::rename(&unpacked, folder) {
        Ok(()) => Ok(()),
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) => Err(BrokerError::Failed(format!("{}: {error}", folder.display()))),
    }
}
