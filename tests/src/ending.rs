//! Rounds of starting a server, loading it fully and ending it by SIGTERM: it must end in order, whatever it is busy with.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{ServerProcess, tidemill_binary};
use crate::supervised::last_lines;

/// How long a server may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How long a client of a push query may wait for the end of its answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);

/// A client of a push query, which reads to the end of its answer.
pub struct PushClient(JoinHandle<String>);

impl PushClient {
    /// Asks; returns once the answer has begun.
    pub fn start(address: SocketAddr, sql: &str) -> PushClient {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(CLIENT_PATIENCE)).expect("a time limit");
        let body = json!({"ksql": sql, "streamsProperties": {}}).to_string();
        let length = body.len();
        let head = "Host: tidemill\r\nContent-Type: application/json\r\nConnection: close";
        write!(stream, "POST /query HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}").expect("a request");
        let mut first = [0_u8; 512];
        let count = stream.read(&mut first).expect("an answer");
        let mut text = String::from_utf8_lossy(first.get(..count).unwrap_or_default()).into_owned();
        PushClient(std::thread::spawn(move || {
            let mut rest = Vec::new();
            // What came until the connection broke off is looked at as well.
            let _ = stream.read_to_end(&mut rest);
            text.push_str(&String::from_utf8_lossy(&rest));
            text
        }))
    }

    /// All of the answer.
    pub fn answer(self) -> String {
        self.0.join().expect("the client reads to the end")
    }
}

/// Something that loads a server until it is told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Each thread does it again and again.
    pub fn start(threads: usize, work: impl Fn(usize) + Send + Sync + 'static) -> Load {
        let (stop, work) = (Arc::new(AtomicBool::new(false)), Arc::new(work));
        let spawn = |thread| {
            let (stop, work) = (stop.clone(), work.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    work(thread);
                }
            })
        };
        Load { threads: (0..threads).map(spawn).collect(), stop }
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            thread.join().expect("the load ends");
        }
    }
}

/// Ends a loaded server: with code 0 and in time; its client got a final message; `doctor` finds nothing to restore.
pub fn end_in_order(server: ServerProcess, load: Load, client: PushClient, data: &Path, arguments: &[&str]) {
    let wrong = end_of(server, client, data, arguments);
    load.stop();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Ends a server, whatever it is busy with; what was not as it should be.
///
/// # Panics
/// The server or the doctor can't be run.
pub fn end_of(server: ServerProcess, client: PushClient, data: &Path, arguments: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let began = Instant::now();
    let log = server.log_path();
    let code = server.terminate();
    let took = began.elapsed();
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    if code != Some(0) {
        wrong.push(format!("the server ended with {code:?}:\n{}", last_lines(&said, 40)));
    }
    if took >= END_WITHIN {
        wrong.push(format!("the server took {took:?} to end:\n{}", last_lines(&said, 40)));
    }
    let answer = client.answer();
    if !answer.contains("Server is shutting down") {
        wrong.push(format!("no final message: …{}", last_lines(&answer, 5)));
    }
    let doctor = std::process::Command::new(tidemill_binary()).args(["doctor", "--data-dir"]).arg(data).args(arguments).output();
    let doctor = doctor.expect("the binary runs");
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned() + &String::from_utf8_lossy(&doctor.stderr);
    if doctor.status.code() != Some(0) {
        wrong.push(format!("something is to be restored:\n{found}\n{}", last_lines(&said, 40)));
    }
    wrong
}
