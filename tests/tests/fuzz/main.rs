//! The targets of `tests/fuzz` with bytes from seeds, so that every build runs them, and the cases that fuzzing found.
//!
//! `TIDEMILL_FUZZ_SECONDS=60` runs each target that long from another seed each time, `TIDEMILL_FUZZ_SEED=N` from that seed
//! on: what fails says the seed that repeats it.

mod cases;

use std::path::Path;
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_fuzz::{analyze, decode, endpoints, infer, mutate, parse, registry};

/// Rounds of a target where no time is given.
const ROUNDS: u64 = 400;
/// Bytes of a round at most.
const MAX_BYTES: u64 = 2_048;
/// A round that takes a core for longer hangs. They take a millisecond.
const SLOW: Duration = Duration::from_secs(10);
/// What a process may grow by while it fuzzes, bytes.
const MAX_GROWTH: u64 = 1 << 30;

/// A small generator, so that a seed says everything.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// Says which seed failed, if its round panics.
struct Round(&'static str, u64);

impl Drop for Round {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the target '{}' failed; repeat it with TIDEMILL_FUZZ_SEED={}", self.0, self.1);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

/// Bytes of memory that the process holds.
fn held() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(4096)
}

/// What this thread has spent on a core: others may keep the machine busy.
fn spent() -> Duration {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|line| line.split(' ').next()?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Runs a target; `input` makes the bytes of a round.
fn fuzz(name: &'static str, target: fn(&[u8]), input: impl Fn(&mut Random) -> Vec<u8>) {
    let seconds = number("TIDEMILL_FUZZ_SECONDS");
    let by_clock = || u64::try_from(SystemClock.now_ms()).map_or(1, |ms| (ms / 1000).wrapping_mul(1_000_003));
    let first = number("TIDEMILL_FUZZ_SEED").unwrap_or_else(|| if seconds.is_some() { by_clock() } else { 1 });
    let (started, before) = (Instant::now(), held());
    let mut rounds = 0;
    while seconds.map_or(rounds < ROUNDS, |s| started.elapsed() < Duration::from_secs(s)) {
        let seed = first.wrapping_add(rounds);
        let round = Round(name, seed);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let data = input(&mut random);
        let before = spent();
        target(&data);
        let took = spent().saturating_sub(before);
        assert!(took < SLOW, "{took:?}");
        drop(round);
        rounds += 1;
    }
    let grown = held().saturating_sub(before);
    assert!(grown < MAX_GROWTH, "grown by {grown} bytes");
    if seconds.is_some() {
        eprintln!("{name}: {rounds} rounds from seed {first} in {:?}, grown by {} KiB", started.elapsed(), grown / 1024);
    }
}

fn any(random: &mut Random) -> Vec<u8> {
    let length = random.next() % MAX_BYTES;
    random.bytes(length)
}

#[test]
fn parser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql-examples");
    let mut scripts: Vec<String> = vec![analyze::SOURCES.to_owned()];
    let mut folders = vec![folder];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(path).expect("sql-examples").flatten().map(|entry| entry.path()) {
            match entry.extension() {
                _ if entry.is_dir() => folders.push(entry),
                Some(sql) if sql == "sql" => scripts.extend(std::fs::read_to_string(entry)),
                _ => {}
            }
        }
    }
    scripts.sort();
    // A script that was changed here and there, or any bytes.
    fuzz("parser", parse::parser, move |random| {
        if random.next() % 2 == 0 {
            return any(random);
        }
        let mut text = scripts[(random.next() % scripts.len() as u64) as usize].clone().into_bytes();
        let changes = random.bytes(256);
        mutate::mutate(&mut text, &mut Unstructured::new(&changes)).expect("bytes enough");
        text.insert(0, 1);
        text
    });
}

#[test]
fn analyzer() {
    fuzz("analyzer", analyze::analyzer, any);
}

#[test]
fn avro() {
    fuzz("avro", decode::avro, any);
}

#[test]
fn delimited() {
    fuzz("delimited", decode::delimited, any);
}

#[test]
fn json() {
    fuzz("json", decode::json, any);
}

#[test]
fn json_sr() {
    fuzz("json_sr", decode::json_sr, any);
}

#[test]
fn kafka() {
    fuzz("kafka", decode::kafka, any);
}

#[test]
fn protobuf() {
    fuzz("protobuf", decode::protobuf, any);
}

#[test]
fn protobuf_nosr() {
    fuzz("protobuf_nosr", decode::protobuf_nosr, any);
}

#[test]
fn registry() {
    fuzz("registry", registry::registry, any);
}

#[test]
fn endpoints() {
    fuzz("endpoints", endpoints::endpoints, any);
}

#[test]
fn infer() {
    fuzz("infer", infer::infer, any);
}
