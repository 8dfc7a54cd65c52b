//! What all floods are measured by: the memory that they cost the server, and how long everybody else waits meanwhile.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidemill_tests::server::ServerProcess;

/// Memory that a flood may cost.
const MAX_GROWTH_KB: u64 = 64 << 10;
/// How long 99 of 100 answers of /healthcheck may take, where the machine has nothing else to do. Else it takes longer in proportion to
/// what others leave of its cores, and by what a server takes at the same time that nobody floods.
const QUICK: Duration = Duration::from_millis(250);
/// The least part of the cores that is counted on.
const LEAST_LEFT: f64 = 0.5;
/// A flood comes so often before it is said to keep others waiting: a machine may stand still for a moment. Memory counts in each.
const MAX_ROUNDS: usize = 3;
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
/// until both are known. Where only the time is missed it comes once more.
pub fn suffered<T>(server: &ServerProcess, what: &str, mut flood: impl FnMut() -> T) {
    let folder = tempfile::tempdir().expect("a folder");
    let unflooded = ServerProcess::start(&folder.path().join("data"), &[]);
    let before = resident_kb(server.pid());
    let mut missed = Vec::new();
    for round in 1..=MAX_ROUNDS {
        let Suffered { took, most, quiet, left } = round_of(server, &unflooded, &mut flood);
        let (slow, undisturbed, growth) = (p99(&took), p99(&quiet), most.saturating_sub(before));
        let limit = QUICK.div_f64(left) + undisturbed;
        let said = format!(
            "{what}, round {round}: {growth} kB more than {before} kB; /healthcheck p99 {slow:?} of {}, at most {limit:?} (another server \
             {undisturbed:?} of {}; {:.0} % of the cores)",
            took.len(),
            quiet.len(),
            left * 100.0
        );
        eprintln!("{said}");
        assert!(growth <= MAX_GROWTH_KB, "{said}");
        if slow <= limit {
            return;
        }
        missed.push(said);
    }
    panic!("{}", missed.join("\n"));
}

/// What one flood did.
struct Suffered {
    /// How long each answer took, the shortest first.
    took: Vec<Duration>,
    /// The most memory that the server had, kB.
    most: u64,
    /// As `took`, of the server that was not flooded.
    quiet: Vec<Duration>,
    /// The part of the cores that others left to this server and to who floods it.
    left: f64,
}

/// How busy the machine was since it began.
struct Busy {
    /// Of all cores, whatever they did.
    all: u64,
    /// What neither the server used nor this process nor nobody.
    others: u64,
}

impl Busy {
    fn with(server: &ServerProcess) -> Busy {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let numbers = |text: &str| text.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect::<Vec<u64>>();
        // What guests use is within the first of the ten.
        let cores: Vec<u64> = numbers(read("/proc/stat").lines().next().and_then(|line| line.strip_prefix("cpu ")).expect("all cores"));
        let all = cores.iter().take(8).sum();
        let idle = cores[3] + cores[4];
        let used = |process: &str| {
            let stat = read(&format!("/proc/{process}/stat"));
            // Behind the name, which may hold anything.
            let fields = numbers(stat.rsplit(')').next().expect("fields"));
            fields[11] + fields[12]
        };
        let ours = used("self") + used(&server.pid().to_string());
        Busy { all, others: u64::saturating_sub(all, idle + ours) }
    }

    /// The part of the cores that others left since then.
    fn left_until(&self, now: &Busy) -> f64 {
        let others = now.others.saturating_sub(self.others) as f64 / now.all.saturating_sub(self.all).max(1) as f64;
        (1.0 - others).clamp(LEAST_LEFT, 1.0)
    }
}

fn round_of<T>(server: &ServerProcess, unflooded: &ServerProcess, flood: impl FnOnce() -> T) -> Suffered {
    let (done, before) = (AtomicBool::new(false), Busy::with(server));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(server, &done));
        let comparing = scope.spawn(|| watch(unflooded, &done));
        // The watch ends, too, where the flood fails.
        let flooded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(flood));
        std::thread::sleep(Duration::from_secs(1));
        done.store(true, Ordering::Relaxed);
        let (took, most) = watching.join().expect("no panic");
        let (quiet, _) = comparing.join().expect("no panic");
        match flooded {
            Ok(held) => drop(held),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        Suffered { took, most, quiet, left: before.left_until(&Busy::with(server)) }
    })
}

static ALONE: Mutex<()> = Mutex::new(());

/// One flood at a time: each takes half of the files that the process may have, and the machine's cores.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
