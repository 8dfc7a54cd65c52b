//! What all floods are measured by: the memory that they cost the server, and how long everybody else waits meanwhile.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidemill_tests::server::ServerProcess;

/// Memory that a flood may cost.
const MAX_GROWTH_KB: u64 = 64 << 10;
/// How long 99 of 100 answers of /healthcheck may take; on a machine that is busy with other things, longer by what it takes
/// without any flood.
const QUICK: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets this process, and the server that it starts, have as many files as the system allows; how many that is.
pub fn raise_file_limit() -> u64 {
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

/// Asks again and again until it is told to end; how long each answer took, the shortest first, and the most memory that the server had, kB.
fn watch(server: &ServerProcess, done: &AtomicBool) -> (Vec<Duration>, u64) {
    let (mut took, mut most) = (Vec::new(), 0);
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let (status, body) = server.request("GET", "/healthcheck", None).expect("an answer");
        assert!(status == 200 && body.contains("\"isHealthy\":true"), "{status} {body}");
        took.push(began.elapsed());
        most = most.max(resident_kb(server.pid()));
        std::thread::sleep(Duration::from_millis(10));
    }
    took.sort();
    (took, most)
}

fn p99(took: &[Duration]) -> Duration {
    took.get(took.len() * 99 / 100).or(took.last()).copied().unwrap_or_default()
}

pub fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Connections of one kind, each of which says the same and then nothing.
pub fn opened(address: SocketAddr, connections: usize, says: &[u8]) -> Vec<TcpStream> {
    let say = |_| {
        // Beyond the limit idle ones are closed for others; whoever is not let in at once is no matter here.
        let mut stream = connect(address)?;
        let _ = stream.write_all(says);
        Some(stream)
    };
    (0..connections).filter_map(say).collect()
}

/// What a flood does to a server: it has little more memory at any time, and /healthcheck answers soon. What the flood gives is held
/// until both are known.
pub fn suffered<T>(server: &ServerProcess, what: &str, flood: impl FnOnce() -> T) {
    let quiet = AtomicBool::new(false);
    let (baseline, before) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(server, &quiet));
        std::thread::sleep(Duration::from_secs(1));
        quiet.store(true, Ordering::Relaxed);
        let (took, before) = watching.join().expect("no panic");
        (p99(&took), before)
    });
    let done = AtomicBool::new(false);
    let (took, most) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(server, &done));
        // The watch ends, too, where the flood fails.
        let flooded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(flood));
        std::thread::sleep(Duration::from_secs(1));
        done.store(true, Ordering::Relaxed);
        let watched = watching.join().expect("no panic");
        match flooded {
            Ok(held) => drop(held),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        watched
    });
    let (slow, growth) = (p99(&took), most.saturating_sub(before));
    eprintln!("{what}: {growth} kB more than {before} kB; /healthcheck p99 {slow:?} of {} ({baseline:?} without)", took.len());
    assert!(growth <= MAX_GROWTH_KB, "{what}: {growth} kB more than {before} kB");
    assert!(slow <= QUICK + 4 * baseline, "{what}: p99 {slow:?}, {baseline:?} without a flood");
}

static ALONE: Mutex<()> = Mutex::new(());

/// One flood at a time: each takes half of the files that the process may have, and the machine's cores.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
