//! More of everything than anybody needs, at once: ten thousand connections, a thousand heads that don't end, bodies without end
//! and of a gigabyte, JSON a hundred thousand deep, half handshakes. Meanwhile the server keeps its memory, and /healthcheck
//! answers at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_tests::certificates::Authority;
use tidemill_tests::server::ServerProcess;

const CONNECTIONS: usize = 10_000;
const SLOW_HEADS: usize = 1_000;
const DEPTH: usize = 100_000;
/// Memory that all of it may take, and so many connections of the costliest kind.
const MAX_GROWTH_KB: u64 = 64 << 10;
const MAX_GROWTH_OF_ONE_KIND_KB: u64 = 96 << 10;
const REQUEST: &[u8] = b"GET /info HTTP/1.1\r\nhost: h\r\n\r\n";
const SLOW_HEAD: &[u8] = b"POST /ksql HTTP/1.1\r\nhost: h\r\nx-slow: ";
/// The beginning of a TLS handshake, which is nothing at a port for plain HTTP.
const HALF_HANDSHAKE: &[u8] = b"\x16\x03\x01\x02\x00\x01";
/// How long 99 of 100 answers of /healthcheck may take; on a machine that is busy with other things, longer by what it takes
/// without any flood.
const QUICK: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets this process, and the server that it starts, have as many files as the system allows; how many that is.
fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a valid structure.
    #[allow(unsafe_code)]
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
    limit.rlim_cur
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

/// Asks again and again until it is told to end; how long each answer took, the shortest first.
fn watch(server: &ServerProcess, done: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let (status, body) = server.request("GET", "/healthcheck", None).expect("an answer");
        assert!(status == 200 && body.contains("\"isHealthy\":true"), "{status} {body}");
        took.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    took.sort();
    took
}

fn p99(took: &[Duration]) -> Duration {
    took.get(took.len() * 99 / 100).or(took.last()).copied().unwrap_or_default()
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Sends a body until the server has had enough; how many bytes that were, and what it says.
fn pour(address: SocketAddr, head: &str, chunk: &[u8], most: usize) -> (usize, String) {
    let Some(mut stream) = connect(address) else { return (0, String::new()) };
    let _ = stream.write_all(head.as_bytes());
    let mut sent = 0;
    while sent < most {
        match stream.write(chunk) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let mut answer = Vec::new();
    // What was reset has said what it had to say.
    let _ = stream.read_to_end(&mut answer);
    (sent, String::from_utf8_lossy(&answer).into_owned())
}

/// Connections of one kind, each of which says the same and then nothing.
fn opened(address: SocketAddr, connections: usize, says: &[u8]) -> Vec<TcpStream> {
    let say = |_| {
        // Beyond the limit idle ones are closed for others; whoever is not let in at once is no matter here.
        let mut stream = connect(address)?;
        let _ = stream.write_all(says);
        Some(stream)
    };
    (0..connections).filter_map(say).collect()
}

/// What a flood does to a server: how much more memory it takes, kB, and how long /healthcheck takes. What the flood gives is held
/// until both are known.
fn suffered<T>(server: &ServerProcess, what: &str, max_growth_kb: u64, flood: impl FnOnce() -> T) {
    let quiet = AtomicBool::new(false);
    let baseline = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(server, &quiet));
        std::thread::sleep(Duration::from_secs(1));
        quiet.store(true, Ordering::Relaxed);
        p99(&watching.join().expect("no panic"))
    });
    let before = resident_kb(server.pid());
    let done = AtomicBool::new(false);
    let (took, most) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(server, &done));
        let held = flood();
        let most = resident_kb(server.pid());
        std::thread::sleep(Duration::from_secs(1));
        done.store(true, Ordering::Relaxed);
        let most = most.max(resident_kb(server.pid()));
        drop(held);
        (watching.join().expect("no panic"), most)
    });
    let (slow, growth) = (p99(&took), most.saturating_sub(before));
    eprintln!("{what}: {growth} kB more than {before} kB; /healthcheck p99 {slow:?} of {} ({baseline:?} without)", took.len());
    assert!(growth <= max_growth_kb, "{what}: {growth} kB more than {before} kB");
    assert!(slow <= QUICK + 4 * baseline, "{what}: p99 {slow:?}, {baseline:?} without a flood");
}

/// One flood at a time: each takes half of the files that the process may have.
static ALONE: Mutex<()> = Mutex::new(());

/// As many as are asked for, or as the system gives files for. The other tests of this process have some open as well.
fn connections() -> usize {
    let files = usize::try_from(raise_file_limit()).unwrap_or(usize::MAX);
    CONNECTIONS.min(files.saturating_sub(2_000) / 2)
}

#[test]
fn floods_take_little_memory_and_keep_nobody_waiting() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let connections = connections();
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let address = server.address();
    let pouring = move || {
        let chunk = vec![b'x'; 1 << 20];
        let gigabyte = format!("POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", 1 << 30);
        let (sent, answer) = pour(address, &gigabyte, &chunk, 1 << 30);
        assert!(sent < 1 << 30 && (answer.is_empty() || answer.starts_with("HTTP/1.1 413")), "{sent} bytes: {answer}");
        let endless = "POST /query HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut framed = b"100000\r\n".to_vec();
        framed.extend_from_slice(&chunk);
        framed.extend_from_slice(b"\r\n");
        let (sent, answer) = pour(address, endless, &framed, 1 << 30);
        assert!(sent < 1 << 30 && (answer.is_empty() || answer.starts_with("HTTP/1.1 413")), "{sent} bytes: {answer}");
        for nested in ["[".repeat(DEPTH), format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH))] {
            let head = format!("POST /ksql HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", nested.len());
            let (_, answer) = pour(address, &head, nested.as_bytes(), nested.len());
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
    };
    suffered(&server, "connections, heads and bodies", MAX_GROWTH_KB, || {
        let bodies = std::thread::spawn(pouring);
        let mut held = Vec::new();
        for says in [REQUEST, HALF_HANDSHAKE, b""] {
            held.extend(opened(address, connections / 3, says));
        }
        held.extend(opened(address, SLOW_HEADS, SLOW_HEAD));
        bodies.join().expect("no panic");
        held
    });
    server.ksql("INSERT INTO s (k, n) VALUES ('a', 1);");
    assert_eq!(server.pull("SELECT n FROM s;"), [json!([1])]);
}

/// All of one kind, of the costly ones: of each the server keeps only so many as it has memory for.
#[test]
fn floods_of_one_kind_take_no_more() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let connections = connections();
    let folder = tempfile::tempdir().expect("a folder");
    // Settings that say nothing, and GET /info.
    let http2 = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
        &[0, 0, 12, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x04, 5],
        b"/info",
        &[1, 1, b'h'],
    ];
    let http2 = http2.concat();
    for (what, says) in [("requests", REQUEST), ("streams of HTTP 2", &http2)] {
        let server = ServerProcess::start(&folder.path().join(what), &[]);
        // More than there are places.
        suffered(&server, what, MAX_GROWTH_OF_ONE_KIND_KB, || opened(server.address(), connections + SLOW_HEADS, says));
    }
    let Some(authority) = Authority::new(folder.path()) else { return };
    let (secure_data, configured) = (folder.path().join("secure"), folder.path().join("secure.properties"));
    authority.sign("server", "subjectAltName=IP:127.0.0.1");
    std::fs::write(&configured, format!("ssl.keystore.location={}\n", authority.path("server.both.pem").display())).expect("written");
    let (server, secure) = ServerProcess::start_secure(&secure_data, &["--config", &configured.display().to_string()]);
    suffered(&server, "half handshakes", MAX_GROWTH_OF_ONE_KIND_KB, || opened(secure, connections, HALF_HANDSHAKE));
}
