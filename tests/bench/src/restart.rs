//! Starting again with much state: how long until a table answers, and how much is read for that. After an orderly end, after a
//! kill in the middle of work, and with the state's folder lost; the last beside a bare consumer of the same changelog.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_engine::log::{Commit, LogWriter, OffsetSpec, OutRecord, Subscription, TopicPartition, partition_for};
use tidemill_engine::state::StateBatch;

use crate::http::Connection;
use crate::input::{Input, PARTITIONS, text};
use crate::server::Server;

const SOURCE: &str = "restart_s";
const SINK: &str = "O";
const SQL: &str = "
    CREATE STREAM s (id BIGINT KEY, word STRING) WITH (KAFKA_TOPIC='restart_s', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE TABLE o AS SELECT id, COUNT(*) AS n, LATEST_BY_OFFSET(word) AS word FROM s GROUP BY id EMIT CHANGES;";
/// Bytes of a word: with its key about what an entry of state takes.
const WORD_BYTES: usize = 200;
/// What an entry takes with its key.
const ENTRY_BYTES: u64 = 240;
/// Records of one commit of the producer.
const COMMIT_RECORDS: u64 = 20_000;
/// So many records are under way when the server is killed.
const UNDER_WAY: u64 = 400_000;
/// How long anything may take, seconds.
const PATIENCE_S: u64 = 1_800;
/// One step of waiting, milliseconds.
const STEP_MS: u64 = 5;

/// Makes so many megabytes of state and starts again on them; the table of what it took.
///
/// # Errors
/// What the server or the broker says; an answer that is wrong.
pub fn run(input: &Input, megabytes: u64) -> Result<String, String> {
    let entries = megabytes * 1_000_000 / ENTRY_BYTES;
    for topic in [SOURCE, SINK] {
        if input.log.describe_topic(topic).map_err(text)?.is_some() {
            input.delete(topic)?;
        }
    }
    input.create(SOURCE)?;
    let service = format!("restart_{}_", std::process::id());
    let bootstrap = Some(input.bootstrap()?);
    let folder = tempfile::Builder::new().prefix("tidemill-bench-").tempdir().map_err(text)?;
    let server = Server::start_in(folder.path(), bootstrap, &service)?;
    server.post(SQL, &[("auto.offset.reset", "earliest")])?;
    let mut producer = Producer { input, writer: input.log.writer().map_err(text)? };
    let began = Instant::now();
    producer.send(0..entries, 1)?;
    wait_for("the state is not made", || Ok(input.count(SINK)? >= entries))?;
    let made_s = began.elapsed().as_secs_f64();
    answer(&server, entries - 1, 1)?;
    let mut table = format!(
        "{entries} entries, about {megabytes} MB of state ({:.0} MB on disk) in {PARTITIONS} partitions, made in {made_s:.0} s.\n\n\
         | | first answer, s | records of changelogs read | rows written again |\n|---|---:|---:|---:|\n",
        folder_bytes(&folder.path().join("data")) as f64 / 1e6
    );
    let mut row = |name: &str, folder: &Path, key: u64, count: u64| -> Result<Server, String> {
        let before = input.count(SINK)?;
        let began = Instant::now();
        let server = Server::start_in(folder, bootstrap, &service)?;
        answer(&server, key, count)?;
        let answered_s = began.elapsed().as_secs_f64();
        let read = records_read(&server.log())?;
        let again = input.count(SINK)?.saturating_sub(before);
        table += &format!("| {name} | {answered_s:.2} | {read} | {again} |\n");
        Ok(server)
    };
    server.end()?;
    let server = row("after an orderly end", folder.path(), 7, 1)?;
    // In the middle of work: not all of it is written.
    producer.send(0..UNDER_WAY.min(entries), 2)?;
    let now = input.count(SINK)?;
    wait_for("it does not go on", || Ok(input.count(SINK)? > now))?;
    server.kill();
    let server = row("after kill -9 in the middle of work", folder.path(), entries - 1, 1)?;
    let all = entries + UNDER_WAY.min(entries);
    wait_for("it does not come to its end", || Ok(input.count(SINK)? >= all))?;
    answer(&server, 0, 2)?;
    server.end()?;
    fs::remove_dir_all(folder.path().join("data")).map_err(text)?;
    let began = Instant::now();
    let server = row("with the folder lost", folder.path(), entries - 1, 1)?;
    let restored_s = began.elapsed().as_secs_f64();
    let read = records_read(&server.log())?;
    let changelog = changelog(input, &service)?;
    let (bare, bare_s) = consume(input, &changelog)?;
    table += &format!(
        "\nRestored: {:.0} k records a second, from the start of the process; a bare consumer of the changelog reads {:.0} k: {:.2} of it.\n",
        read as f64 / restored_s / 1e3,
        bare as f64 / bare_s / 1e3,
        (read as f64 / restored_s) / (bare as f64 / bare_s)
    );
    Ok(table)
}

struct Producer<'i> {
    input: &'i Input,
    writer: Box<dyn LogWriter>,
}

impl Producer<'_> {
    /// Writes a record for each key.
    fn send(&mut self, keys: std::ops::Range<u64>, round: u64) -> Result<(), String> {
        let (topic, _) = self.input.log.topic(SOURCE).map_err(text)?;
        for key in keys {
            let bytes = key.to_be_bytes();
            let partition = partition_for(Some(&bytes), PARTITIONS, &mut 0);
            let value = json!({ "word": word(key, round) }).to_string();
            let record = OutRecord { partition, timestamp: 1, key: Some(&bytes), value: Some(value.as_bytes()), headers: &[] };
            self.writer.send(topic, record).map_err(text)?;
            if key % COMMIT_RECORDS == COMMIT_RECORDS - 1 {
                self.commit()?;
            }
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), String> {
        self.writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).map_err(text)
    }
}

/// A word that does not compress to nothing.
fn word(key: u64, round: u64) -> String {
    let mut state = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round;
    let mut word = String::with_capacity(WORD_BYTES);
    while word.len() < WORD_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word += &format!("{state:016x}");
    }
    word.truncate(WORD_BYTES);
    word
}

/// Asks for a key until it is answered; the count must be at least this.
fn answer(server: &Server, key: u64, least: u64) -> Result<(), String> {
    let body = json!({ "ksql": format!("SELECT n FROM o WHERE id = {key};") }).to_string();
    wait_for("the table does not answer", || {
        let Ok(answer) = Connection::open(server.address).and_then(|mut connection| connection.post("/query", &body)) else {
            return Ok(false);
        };
        let said = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            return Ok(false);
        }
        let count =
            said.split("\"columns\":[").nth(1).and_then(|rest| rest.split(']').next()).and_then(|count| count.trim().parse::<u64>().ok());
        match count {
            Some(count) if count >= least => Ok(true),
            _ if least > 1 => Ok(false),
            _ => Err(format!("a wrong answer for {key}: {said}")),
        }
    })
}

fn wait_for(what: &str, mut holds: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE_S);
    while !holds()? {
        if Instant::now() > deadline {
            return Err(format!("{what} within {PATIENCE_S} s"));
        }
        std::thread::sleep(Duration::from_millis(STEP_MS));
    }
    Ok(())
}

/// What a server's log says that it has read of changelogs.
fn records_read(log: &str) -> Result<u64, String> {
    let restored = log.lines().filter(|line| line.contains("restored") && line.contains("entries"));
    let count = |line: &str| -> Option<u64> {
        let rest = line.split("entries").nth(1)?;
        let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    restored.map(|line| count(line).ok_or_else(|| format!("not understood: {line}"))).sum()
}

fn changelog(input: &Input, service: &str) -> Result<String, String> {
    let topics = input.log.list_topics().map_err(text)?.into_iter().map(|topic| topic.name);
    let mut own = topics.filter(|name| name.contains(service) && name.ends_with("-changelog"));
    own.next().ok_or_else(|| "there is no changelog".to_owned())
}

/// Reads a topic from its first record to its end, and does nothing with it: records, and the seconds that it took.
fn consume(input: &Input, topic: &str) -> Result<(u64, f64), String> {
    let partitions: Vec<TopicPartition> =
        (0..PARTITIONS as i32).map(|partition| TopicPartition { topic: topic.into(), partition }).collect();
    let firsts = input.log.offsets(&partitions, OffsetSpec::Earliest).map_err(text)?;
    let began = Instant::now();
    let subscription = Subscription {
        partitions: partitions.into_iter().zip(firsts).collect(),
        wake: std::sync::Arc::new(|| {}),
        max_buffered_bytes: 16 << 20,
    };
    let mut reader = input.log.subscribe(subscription).map_err(text)?;
    let mut records = 0;
    let mut last = Instant::now();
    let mut took = Duration::ZERO;
    loop {
        match reader.poll().map_err(text)? {
            Some(arrived) => {
                records += (arrived.batch.len() - arrived.first) as u64;
                last = Instant::now();
                took = began.elapsed();
            }
            None if (0..PARTITIONS as usize).all(|source| reader.caught_up(source)) && last.elapsed() > Duration::from_secs(1) => {
                return Ok((records, took.as_secs_f64()));
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder) else { return 0 };
    files
        .flatten()
        .map(|file| match file.metadata() {
            Ok(found) if found.is_dir() => folder_bytes(&file.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_taken_from_the_log() {
        let log = "INFO restored topic=a entries=12 expired=0\nINFO its state is restored\nWARN other entries=5\nINFO restored topic=b entries=30 owed=1";
        assert_eq!(records_read(log), Ok(42));
    }
}
