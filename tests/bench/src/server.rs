//! A server process for one run: started on a free port with a folder and a service id of its own, and killed by its pid.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Connection;
use crate::input::text;

/// How long the server may take to answer, seconds.
const START_TIMEOUT_S: u64 = 30;
/// Lines of its log that an error quotes.
const LOG_LINES: usize = 5;

pub struct Server {
    child: Option<Child>,
    folder: PathBuf,
    /// Where it has a folder for itself.
    _own: Option<tempfile::TempDir>,
    pub address: SocketAddr,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
}

impl Server {
    /// Starts the binary beside this one. Without a bootstrap address it runs on the embedded log.
    ///
    /// # Errors
    /// Where it does not answer, with the end of its log.
    pub fn start(bootstrap: Option<&str>, service: &str) -> Result<Server, String> {
        Self::start_with(bootstrap, service, None)
    }

    /// As [`Self::start`], with a commit so often.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(bootstrap: Option<&str>, service: &str, commit_ms: Option<u64>) -> Result<Server, String> {
        let own = tempfile::Builder::new().prefix("tidemill-bench-").tempdir().map_err(text)?;
        let rhythm = commit_ms.map(|ms| format!("ksql.streams.commit.interval.ms={ms}\n")).unwrap_or_default();
        let mut server = Server::start_configured(own.path(), bootstrap, service, &rhythm)?;
        server._own = Some(own);
        Ok(server)
    }

    /// As [`Self::start`], on what is in a folder.
    ///
    /// # Errors
    /// As there.
    pub fn start_in(folder: &Path, bootstrap: Option<&str>, service: &str) -> Result<Server, String> {
        Self::start_configured(folder, bootstrap, service, "")
    }

    /// As [`Self::start_in`], with more lines of configuration.
    ///
    /// # Errors
    /// As there.
    pub fn start_configured(folder: &Path, bootstrap: Option<&str>, service: &str, more: &str) -> Result<Server, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|held| held.local_addr()).map_err(text)?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let config = folder.join("server.properties");
        fs::write(&config, format!("ksql.service.id={service}\n{more}")).map_err(text)?;
        let log = fs::File::create(folder.join("log")).map_err(text)?;
        let mut command = Command::new(binary()?);
        command.arg("server").arg("--config").arg(&config).args(["--listen", &address.to_string()]);
        command.arg("--data-dir").arg(folder.join("data"));
        if let Some(bootstrap) = bootstrap {
            command.args(["--bootstrap-servers", bootstrap]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(text)?).stderr(log);
        let began = Instant::now();
        let child = command.spawn().map_err(text)?;
        let mut server = Server { child: Some(child), folder: folder.to_owned(), _own: None, address, started_in: Duration::ZERO };
        loop {
            if Connection::open(address).and_then(|mut connection| connection.get("/info")).is_ok_and(|answer| answer.status == 200) {
                server.started_in = began.elapsed();
                return Ok(server);
            }
            if !server.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
                || began.elapsed() > Duration::from_secs(START_TIMEOUT_S)
            {
                return Err(format!("the server does not answer: {}", server.log_tail()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Runs statements with properties.
    ///
    /// # Errors
    /// The server's message.
    pub fn post(&self, sql: &str, properties: &[(&str, &str)]) -> Result<(), String> {
        let properties: serde_json::Map<String, Value> =
            properties.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let body = json!({ "ksql": sql, "streamsProperties": properties }).to_string();
        let answer = Connection::open(self.address)?.post("/ksql", &body)?;
        if answer.status == 200 {
            return Ok(());
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Err(format!("{}: {}", answer.status, said.get("message").and_then(Value::as_str).unwrap_or("no message")))
    }

    /// How many rows a stream or table has.
    ///
    /// # Errors
    /// The server's message.
    pub fn count(&self, name: &str) -> Result<u64, String> {
        let body = json!({ "sql": format!("SELECT COUNT(*) FROM {name};") }).to_string();
        let answer = Connection::open(self.address)?.post("/query-stream", &body)?;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        let row = said.lines().nth(1).and_then(|line| serde_json::from_str::<Vec<u64>>(line).ok());
        row.and_then(|row| row.first().copied()).ok_or(said)
    }

    /// Ends it in order, and waits for that.
    ///
    /// # Errors
    /// It does not end, or not in order.
    pub fn end(mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().map_err(text)?;
        let ended = child.wait().map_err(text)?;
        if told.success() && ended.success() { Ok(()) } else { Err(format!("it ended with {ended}: {}", self.log_tail())) }
    }

    /// Kills it.
    pub fn kill(self) {
        drop(self);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn binary() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(text)?;
    let path = own.with_file_name("tidemill");
    if path.is_file() { Ok(path) } else { Err(format!("{} is not built", path.display())) }
}
