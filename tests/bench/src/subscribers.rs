//! Many push queries over one stream, each with a filter of its own: the CPU time of the server without any, with one, and with
//! many, at a steady rate of records.
//!
//! What one costs is little beside what it costs to make the records, which is a little more or less each time. So rounds of a fixed
//! number of records take turns, none, one, many, and what is told is the median of the differences between neighbours, with the
//! least and the most. CPU time is the scheduler's of all of the server's threads, to the nanosecond.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cpu::Threads;
use crate::host::Host;
use crate::http::{Connection, request};
use crate::input::text;
use crate::report::mark;
use crate::server::Server;

/// Batches of records a second, and records in each.
const BATCHES_PER_SECOND: u32 = 5;
const BATCH: u64 = 10_000;
/// Keys that they bear in turn.
const KEYS: u64 = 1_000;
/// How long a subscriber may wait for its answer to begin, or for its rows.
const PATIENCE: Duration = Duration::from_secs(60);
/// Many may cost so many times what one costs.
const GOAL: f64 = 20.0;
/// Of a client's thread, bytes.
const STACK_BYTES: usize = 128 << 10;

/// Bytes of an answer that an error quotes.
const QUOTED_BYTES: usize = 300;
/// Rounds of one and none for each of many: the difference of the first two is the smaller.
const SMALL_ROUNDS: usize = 3;

/// What was measured, CPU time of the server in milliseconds a second.
pub struct Subscribed {
    pub many: u64,
    pub none: Spread,
    /// Beyond none.
    pub one: Spread,
    /// One that reads all of that from the beginning while nothing is made, at the same rate: nothing varies but itself.
    pub alone: Spread,
    /// Beyond none.
    pub all: Spread,
    /// Memory that one of the many takes, bytes.
    pub bytes_each: u64,
}

/// See the module.
///
/// # Errors
/// What the server says, or that a subscriber's rows are not those that it must get.
pub fn measure(many: u64, seconds: u64, turns: usize) -> Result<Subscribed, String> {
    let server = Server::start(None, "bench_subscribers_")?;
    server.execute(
        "CREATE STREAM seeds (seed BIGINT) WITH (KAFKA_TOPIC='seeds', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM ticks AS SELECT EXPLODE(GENERATE_SERIES(0, 9999)) AS n, seed, 'a text as long as such texts are' AS note FROM seeds EMIT CHANGES;
         CREATE STREAM keyed AS SELECT n % 1000 AS id, n, seed, note FROM ticks EMIT CHANGES;",
        &[],
    )?;
    // The first one warms up.
    let _ = round(&server, many.min(10), 1)?;
    let (mut nones, mut ones, mut alls, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for turn in 0..turns.max(1) {
        let mut none = 0.0;
        for small in 0..SMALL_ROUNDS {
            // Now this comes first and now that, so that what goes on in the server by itself falls on neither.
            let one;
            if (turn + small) % 2 == 0 {
                none = round(&server, 0, seconds)?.0;
                one = round(&server, 1, seconds)?.0;
            } else {
                one = round(&server, 1, seconds)?.0;
                none = round(&server, 0, seconds)?.0;
            }
            nones.push(none);
            ones.push(one - none);
        }
        let (all, memory) = round(&server, many, seconds)?;
        alls.push(all - none);
        bytes = bytes.max(memory);
    }
    let alones = (0..SMALL_ROUNDS).map(|_| alone(&server)).collect::<Result<_, _>>()?;
    let [none, one, alone, all] = [nones, ones, alones, alls].map(Spread::of);
    Ok(Subscribed { many, none, one, alone, all, bytes_each: bytes / many.max(1) })
}

/// The CPU time that one takes for all records from the beginning, as milliseconds a second at the rate of the rounds.
fn alone(server: &Server) -> Result<f64, String> {
    let records = server.count("keyed")?;
    let sql = format!("SELECT id, n, seed, note FROM keyed WHERE id = 0 EMIT CHANGES LIMIT {};", records / KEYS);
    let body = json!({ "sql": sql, "properties": { "auto.offset.reset": "earliest" } }).to_string();
    let before = server.process().threads();
    let answer = Connection::open(server.address)?.post("/query-stream", &body)?;
    let used = server.process().threads().since(&before);
    let rows = String::from_utf8_lossy(&answer.body).lines().filter(|line| line.starts_with('[')).count() as u64;
    if rows != records / KEYS {
        return Err(format!("{rows} rows of {}: {}", records / KEYS, end_of(&answer.body)));
    }
    let rate = u64::from(BATCHES_PER_SECOND) * BATCH;
    Ok(used.as_secs_f64() * 1e3 * rate as f64 / records as f64)
}

/// What several rounds gave.
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
    pub rounds: usize,
}

impl Spread {
    fn of(mut found: Vec<f64>) -> Self {
        found.sort_by(f64::total_cmp);
        let at = |index: usize| found.get(index).copied().unwrap_or_default();
        let rounds = found.len();
        Spread {
            median: (at(rounds / 2) + at(rounds.saturating_sub(1) / 2)) / 2.0,
            least: at(0),
            most: at(rounds.saturating_sub(1)),
            rounds,
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} | {:.1} to {:.1} in {}", self.median, self.least, self.most, self.rounds)
    }
}

/// The CPU time of the server a second with so many subscribers, milliseconds, and the memory that it takes beyond what it took
/// without them, bytes.
fn round(server: &Server, count: u64, seconds: u64) -> Result<(f64, u64), String> {
    // Of the rounds before.
    let written = server.count("keyed")?;
    let process = server.process();
    let before = process.resident_bytes();
    let (ready, is_over, batches) = (AtomicU64::new(0), AtomicBool::new(false), seconds * u64::from(BATCHES_PER_SECOND));
    let rows = batches * (BATCH / KEYS);
    std::thread::scope(|scope| {
        let (ready, is_over) = (&ready, &is_over);
        let client = |number: u64| move || subscribe(server.address, number % KEYS, rows, ready, is_over);
        let clients = (0..count).map(|number| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, client(number)));
        let clients = clients.collect::<Result<Vec<_>, _>>().map_err(text)?;
        let steady = || -> Result<(Threads, u64), String> {
            let began = Instant::now();
            while ready.load(Ordering::Acquire) < count {
                if began.elapsed() > PATIENCE || clients.iter().any(|client| client.is_finished()) {
                    return Err(format!("only {} of {count} subscribers began", ready.load(Ordering::Acquire)));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_secs(1));
            let (cpu, began) = (process.threads(), Instant::now());
            for (batch, number) in (0..batches).zip(0..) {
                server.execute(&format!("INSERT INTO seeds (seed) VALUES ({batch});"), &[])?;
                std::thread::sleep((Duration::from_secs(1) / BATCHES_PER_SECOND * (number + 1)).saturating_sub(began.elapsed()));
            }
            Ok((cpu, process.resident_bytes().saturating_sub(before)))
        };
        let measured = steady();
        if measured.is_err() {
            is_over.store(true, Ordering::Release);
        }
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        let (cpu_before, memory) = measured?;
        // By now all have their rows. Where nobody waits for them, they are written by then, or the round tells nothing.
        std::thread::sleep(Duration::from_secs(1));
        let used = process.threads().since(&cpu_before);
        let (found, made) = (server.count("keyed")?, written + batches * BATCH);
        if found != made {
            return Err(format!("{found} of {made} records were written a second after they were asked for: the machine is too busy"));
        }
        Ok((used.as_secs_f64() * 1e3 / seconds as f64, memory))
    })
}

/// Reads the rows of one key: a thousandth of each batch.
fn subscribe(address: SocketAddr, key: u64, wanted: u64, ready: &AtomicU64, is_over: &AtomicBool) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).map_err(text)?;
    let sql = format!("SELECT id, n, seed, note FROM keyed WHERE id = {key} EMIT CHANGES;");
    stream.write_all(request("/query-stream", &json!({ "sql": sql }).to_string()).as_bytes()).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_millis(500))).map_err(text)?;
    let (mut received, mut part, began) = (Vec::new(), [0; 4_096], Instant::now());
    let (mut is_ready, mut quiet_since, mut rows, mut seen) = (false, began, 0, 1);
    loop {
        match stream.read(&mut part) {
            Ok(0) => return Err(format!("the answer ended: {}", end_of(&received))),
            Ok(count) => {
                received.extend_from_slice(part.get(..count).unwrap_or_default());
                quiet_since = Instant::now();
                // Each row begins a line.
                rows += received.get(seen - 1..).unwrap_or_default().windows(2).filter(|pair| pair == b"\n[").count() as u64;
                seen = received.len();
            }
            Err(_) if is_over.load(Ordering::Acquire) => return Ok(()),
            Err(_) if quiet_since.elapsed() > PATIENCE => {
                return Err(format!("{} of {wanted} rows came: {}", rows, end_of(&received)));
            }
            Err(_) => {}
        }
        if !is_ready && received.windows(9).any(|window| window == b"\"queryId\"") {
            is_ready = true;
            ready.fetch_add(1, Ordering::AcqRel);
        }
        match rows {
            found if found > wanted => return Err(format!("{found} rows for {wanted}: {}", end_of(&received))),
            found if found == wanted => return Ok(()),
            _ => {}
        }
    }
}

/// What an answer ends with.
fn end_of(received: &[u8]) -> String {
    String::from_utf8_lossy(received.get(received.len().saturating_sub(QUOTED_BYTES)..).unwrap_or_default()).into_owned()
}

impl Subscribed {
    /// As a table.
    pub fn table(&self) -> String {
        let Subscribed { many, none, one, alone, all, bytes_each } = self;
        let times = all.median / one.median;
        format!(
            "| push queries, each for one of {KEYS} keys; {} records a second | CPU of the server, ms a second | from, to, rounds |\n\
             |---|---:|---:|\n| none: the records are made and written | {none} |\n| 1, beyond none | {one} |\n\
             | 1 from the beginning, while none are made | {alone} |\n| {many}, beyond none | {all} |\n\n\
             {many} take {times:.1} × the CPU of one beyond none (goal: {GOAL} {}), {:.1} × that of one from the beginning; each takes {} KB.\n",
            u64::from(BATCHES_PER_SECOND) * BATCH,
            mark(times <= GOAL),
            all.median / alone.median,
            bytes_each / 1_000,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.least, spread.most, spread.rounds), (2.5, 1.0, 4.0, 4));
        assert_eq!(Spread::of(vec![5.0, 1.0, 2.0]).median, 2.0);
    }
}
