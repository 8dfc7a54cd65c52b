//! A Tidemill server as a process of its own, driven over HTTP: for tests that kill it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

/// How long a server may take to answer `/info`.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
    address: SocketAddr,
    /// From the start of the process to the first answer.
    pub started_in: Duration,
}

/// The binary that was built with the tests.
pub fn tidemill_binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("tests stand in target/<profile>/deps");
    let binary = folder.join("tidemill");
    assert!(binary.exists(), "{} is missing: build it first (cargo build --release --workspace --bins)", binary.display());
    binary
}

/// The same server with the engine's named points armed (`tests/faulty`).
pub fn faulty_binary() -> PathBuf {
    let binary = tidemill_binary().with_file_name("tidemill-faulty");
    assert!(binary.exists(), "{} is missing: build it first (cargo build --release --workspace --bins)", binary.display());
    binary
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has a free port").port()
}

impl ServerProcess {
    /// Starts a server on a free port and waits until it takes statements.
    pub fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_in(data_dir, arguments, &[])
    }

    /// As [`ServerProcess::start`], listening at another port as well, where TLS is spoken.
    pub fn start_secure(data_dir: &Path, arguments: &[&str]) -> (Self, SocketAddr) {
        let secure: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        (Self::start_secure_at(data_dir, arguments, secure), secure)
    }

    /// As [`ServerProcess::start_secure`], encrypted at an address that is known before.
    pub fn start_secure_at(data_dir: &Path, arguments: &[&str], secure: SocketAddr) -> Self {
        let started = Instant::now();
        let mut server = Self::spawn_at(&tidemill_binary(), data_dir, arguments, &[], None, Some(secure));
        server.wait_for("/chc/ready", started);
        server
    }

    /// As [`ServerProcess::start`], listening at every address of the machine.
    pub fn start_everywhere(data_dir: &Path, arguments: &[&str]) -> Self {
        let started = Instant::now();
        let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let listeners = format!("0.0.0.0:{}", address.port());
        let mut server = Self::spawn_listening(&tidemill_binary(), data_dir, arguments, &[], None, address, &listeners);
        server.wait_for("/chc/ready", started);
        server
    }

    /// As [`ServerProcess::start_refused`], of a server that is to speak TLS at another port as well.
    pub fn start_secure_refused(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let secure: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        Self::spawn_at(&tidemill_binary(), data_dir, arguments, &[], None, Some(secure)).wait_for_end()
    }

    /// As [`ServerProcess::start`], with variables in its environment.
    pub fn start_in(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_until(data_dir, arguments, environment, "/chc/ready")
    }

    /// Starts a server and waits until it listens, whether it takes statements yet or not.
    pub fn start_listening(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_until(data_dir, arguments, &[], "/info")
    }

    /// Whether somebody answers there with 200, within the time that a server may take to start.
    pub fn answers_at(address: SocketAddr, path: &str) -> bool {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            if exchange(address, "GET", path, &[], b"").is_ok_and(|answer| answer.status == 200) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Starts a server that is to end by itself: its exit code, and what it said.
    pub fn start_refused(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        Self::spawn(data_dir, arguments, &[]).wait_for_end()
    }

    fn wait_for_end(mut self) -> (Option<i32>, String) {
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return (status.code(), self.log());
            }
            assert!(started.elapsed() < START_TIMEOUT, "the server does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a server whose log goes nowhere that takes it: with `Stdio::piped()` the pipe's other end is closed at once.
    pub fn start_unheard(data_dir: &Path, stderr: Stdio, environment: &[(&str, &str)]) -> Self {
        let started = Instant::now();
        let mut server = Self::spawn_saying(data_dir, &[], environment, Some(stderr));
        drop(server.child.stderr.take());
        server.wait_for("/chc/ready", started);
        server
    }

    /// Starts the server of `tests/faulty`, which fails at named points as `failpoints` says, and does not wait for anything.
    pub fn begin_faulty(data_dir: &Path, arguments: &[&str], failpoints: &str) -> Self {
        Self::spawn_at(&faulty_binary(), data_dir, arguments, &[("FAILPOINTS", failpoints)], None, None)
    }

    /// Starts a server and does not wait for anything.
    pub fn begin(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::spawn(data_dir, arguments, &[])
    }

    /// As [`ServerProcess::begin`], with variables in its environment.
    pub fn begin_in(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn(data_dir, arguments, environment)
    }

    /// Waits until a server that was begun takes statements; false: it has ended instead.
    ///
    /// # Panics
    /// Where neither happens in time.
    pub fn is_up(&mut self, timeout: Duration) -> bool {
        let started = Instant::now();
        while !self.request("GET", "/chc/ready", None).is_ok_and(|(status, _)| status == 200) {
            if self.has_ended() {
                return false;
            }
            assert!(started.elapsed() < timeout, "the server does not answer within {timeout:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.started_in = started.elapsed();
        true
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal: SIGSTOP and SIGCONT among them.
    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid");
        // SAFETY: sends a signal to a process that this object started and has not waited for.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(pid, signal);
        }
    }

    fn start_until(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)], path: &str) -> Self {
        let started = Instant::now();
        let mut server = Self::spawn(data_dir, arguments, environment);
        server.wait_for(path, started);
        server
    }

    fn wait_for(&mut self, path: &str, started: Instant) {
        // A server that wants to know who asks is ready as well.
        while !self.request("GET", path, None).is_ok_and(|(status, _)| matches!(status, 200 | 401)) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            assert!(started.elapsed() < START_TIMEOUT, "the server does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.started_in = started.elapsed();
    }

    fn spawn(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn_saying(data_dir, arguments, environment, None)
    }

    /// `stderr`: in the place of the log file.
    fn spawn_saying(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)], stderr: Option<Stdio>) -> Self {
        Self::spawn_at(&tidemill_binary(), data_dir, arguments, environment, stderr, None)
    }

    fn spawn_at(
        binary: &Path,
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        stderr: Option<Stdio>,
        secure: Option<SocketAddr>,
    ) -> Self {
        let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let listeners = secure.map_or_else(|| address.to_string(), |secure| format!("http://{address},https://{secure}"));
        Self::spawn_listening(binary, data_dir, arguments, environment, stderr, address, &listeners)
    }

    fn spawn_listening(
        binary: &Path,
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        stderr: Option<Stdio>,
        address: SocketAddr,
        listeners: &str,
    ) -> Self {
        let path = data_dir.with_extension("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("a log file");
        let child = Command::new(binary)
            .arg("server")
            .args(["--listen", listeners, "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(stderr.unwrap_or_else(|| Stdio::from(log)))
            .spawn()
            .expect("the binary starts");
        ServerProcess { child, log: path, address, started_in: Duration::ZERO }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the server has said so far, its predecessors on the same data folder included.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it says so.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("a killed server ends");
    }

    /// SIGHUP: files are read again.
    pub fn hang_up(&self) {
        self.signal(libc::SIGHUP);
    }

    /// SIGTERM; returns the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal(libc::SIGTERM);
        self.child.wait().expect("a terminated server ends").code()
    }

    /// Statements that must succeed.
    pub fn ksql(&self, sql: &str) -> Json {
        let body = json!({"ksql": sql, "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}});
        let answer = self.request("POST", "/ksql", Some(&body));
        let (status, text) = answer.unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()));
        assert_eq!(status, 200, "{sql}\n{text}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// The ids of all persistent queries, sorted.
    ///
    /// # Panics
    /// Where one does not run.
    pub fn running_queries(&self) -> Vec<String> {
        let answer = self.ksql("SHOW QUERIES;");
        let mut ids: Vec<String> = answer[0]["queries"]
            .as_array()
            .into_iter()
            .flatten()
            // Those that somebody watches come and go.
            .filter(|query| query["queryType"] == "PERSISTENT")
            .map(|query| {
                assert_eq!(query["state"], "RUNNING", "{query}");
                query["id"].as_str().unwrap_or_default().to_owned()
            })
            .collect();
        ids.sort();
        ids
    }

    /// Whether all persistent queries run.
    pub fn all_run(&self) -> bool {
        let answer = self.ksql("SHOW QUERIES;");
        answer[0]["queries"].as_array().into_iter().flatten().all(|query| query["state"] == "RUNNING")
    }

    /// Rows of a pull query.
    pub fn pull(&self, sql: &str) -> Vec<Json> {
        self.pull_restored(sql).unwrap_or_else(|text| panic!("{sql}\n{text}"))
    }

    /// Rows of a pull query, or why there are none yet: large state comes back from its changelogs while the server is up, and servers
    /// may be about to agree on who has a part of it.
    ///
    /// # Panics
    /// Where the query fails for another reason.
    fn pull_restored(&self, sql: &str) -> Result<Vec<Json>, String> {
        let answer = self.request("POST", "/query-stream", Some(&json!({"sql": sql})));
        let (status, text) = answer.unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()));
        if status == 503 && (text.contains("is being restored") || text.contains("Try again later")) {
            return Err(text);
        }
        assert_eq!(status, 200, "{sql}\n{text}");
        Ok(text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect())
    }

    /// Repeats a pull query until the whole table is there and the rows satisfy a condition.
    pub fn pull_until(&self, sql: &str, timeout: Duration, done: impl Fn(&[Json]) -> bool) -> Vec<Json> {
        let started = Instant::now();
        loop {
            let rows = self.pull_restored(sql);
            match rows {
                Ok(rows) if done(&rows) => return rows,
                rows => assert!(started.elapsed() < timeout, "{sql} still gives {rows:?}\n{}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// One HTTP/1.1 request on a connection of its own: status and body.
    pub fn request(&self, method: &str, path: &str, body: Option<&Json>) -> std::io::Result<(u16, String)> {
        self.raw(method, path, body.map(Json::to_string).unwrap_or_default().as_bytes())
    }

    /// As [`ServerProcess::request`], with whatever body.
    pub fn raw(&self, method: &str, path: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
        exchange(self.address, method, path, &[], body).map(|answer| (answer.status, answer.body))
    }
}

/// What came back of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    pub body: String,
}

/// One HTTP/1.1 request on a connection of its own.
pub fn exchange(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<HttpAnswer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    exchange_over(&mut stream, method, path, headers, body)
}

/// One HTTP/1.1 request on a connection that is closed behind it.
pub fn exchange_over(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<HttpAnswer> {
    let length = body.len();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: tidemill\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n"
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    // A server may refuse a body before it was sent as a whole.
    let _ = stream.write_all(body);
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    reader.read_line(&mut head)?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| std::io::Error::other("no status line"))?;
    let mut chunked = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        chunked |= line.to_ascii_lowercase().starts_with("transfer-encoding: chunked");
        head += &line;
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(&mut reader, &mut body)?;
    } else if let Err(error) = reader.read_to_end(&mut body)
        // A TLS connection whose end was not announced; the length says whether all came.
        && error.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return Err(error);
    }
    Ok(HttpAnswer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        line.clear();
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Already dead after `kill` or `terminate`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
