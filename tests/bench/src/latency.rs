//! From produce to output at a fixed rate: a record is written to one topic, somebody copies it to another, and it is
//! read there. Bare Kafka (no copy: one hop), bare librdkafka as the copier, and the engine's log as the copier.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidemill_engine::log::kafka::bare::{BareConsumer, BareProducer};
use tidemill_engine::log::{Batch, Log, OutRecord};

use crate::input::{Input, PARTITIONS, text};
use crate::limits::Waiting;

/// Names of the measurements that the goal compares.
pub const KAFKA: &str = "bare Kafka, one hop";
pub const FILTER: &str = "a filter of Tidemill, two hops";
pub const FILTER_ONCE: &str = "a filter with exactly once, committed each 100 ms";
/// The time between commits of that, milliseconds, and what may be added to it at the median.
pub const ONCE_COMMIT_MS: u64 = 100;
pub const ONCE_GOAL_MS: f64 = 10.0;
/// Records a second.
pub const RATE: u32 = 1_000;
/// Before this nothing is counted, milliseconds: connections, first requests.
const WARM_UP_MS: u64 = 1_500;
/// How long the last records may take, milliseconds: longer than any commit interval that is measured.
const LAST_MS: u64 = 3_000;
/// How long a wait may take before the threads look whether they should end, milliseconds.
const LOOK_MS: u64 = 50;

/// Who carries a record from the first topic to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copier {
    /// Nobody: the reader reads the first topic.
    None,
    Bare,
    Log,
    /// A query that was started by others between these topics.
    Query,
}

/// Percentiles, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub records: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// Measures for so many seconds.
///
/// # Errors
/// What the broker says, or that too few records came through.
pub fn measure(input: &Input, copier: Copier, seconds: u64) -> Result<Latency, String> {
    let (from, to) = (format!("{copier:?}-in"), format!("{copier:?}-out"));
    input.create(&from)?;
    input.create(&to)?;
    let latency = between(input.bootstrap()?, Some(&*input.log), copier, &from, &to, seconds, RATE)?;
    input.delete(&from)?;
    input.delete(&to)?;
    Ok(latency)
}

/// As [`measure`], over topics that exist, with so many records a second.
///
/// # Errors
/// As there.
pub fn between(
    bootstrap: &str,
    log: Option<&dyn Log>,
    copier: Copier,
    from: &str,
    to: &str,
    seconds: u64,
    rate: u32,
) -> Result<Latency, String> {
    let low = BTreeMap::from([("producer.linger.ms".to_owned(), "0".to_owned())]);
    let partitions = PARTITIONS as i32;
    let clock = Instant::now();
    let done = AtomicBool::new(false);
    let last = if copier == Copier::None { from } else { to };
    let mut samples = std::thread::scope(|scope| -> Result<Vec<f64>, String> {
        let reader = scope.spawn(|| -> Result<Vec<f64>, String> {
            let mut consumer = BareConsumer::new(bootstrap, &low, last, partitions, 0).map_err(text)?;
            let mut samples = Vec::new();
            while !done.load(Ordering::Acquire) {
                let Some(batch) = consumer.next(Duration::from_millis(LOOK_MS)).map_err(text)? else { continue };
                let now = clock.elapsed();
                for index in 0..batch.len() {
                    let sent = batch.record(index).value.and_then(sent_at).ok_or("a record without its time")?;
                    if sent > Duration::from_millis(WARM_UP_MS) {
                        samples.push((now.saturating_sub(sent)).as_secs_f64() * 1e3);
                    }
                }
            }
            Ok(samples)
        });
        let copying = match copier {
            Copier::None | Copier::Query => None,
            Copier::Bare => Some(scope.spawn(|| bare_copy(bootstrap, &low, from, to, &done))),
            Copier::Log => Some(scope.spawn(|| log_copy(log.ok_or("no log")?, from, to, &done))),
        };
        let produced = produce(bootstrap, &low, from, &clock, seconds, rate);
        std::thread::sleep(Duration::from_millis(LAST_MS));
        done.store(true, Ordering::Release);
        produced?;
        if let Some(copying) = copying {
            copying.join().map_err(|_| "the copier panicked")??;
        }
        reader.join().map_err(|_| "the reader panicked")?
    })?;
    let wanted = (seconds * u64::from(rate)).saturating_sub(WARM_UP_MS * u64::from(rate) / 1_000) as usize;
    if samples.len() + samples.len() / 50 < wanted {
        return Err(format!("only {} of about {wanted} records came through", samples.len()));
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples.get(((samples.len() as f64 * share) as usize).min(samples.len() - 1)).copied().unwrap_or(0.0);
    Ok(Latency { records: samples.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) })
}

/// One record each interval, at its own time whatever the ones before took.
fn produce(
    bootstrap: &str,
    properties: &BTreeMap<String, String>,
    topic: &str,
    clock: &Instant,
    seconds: u64,
    rate: u32,
) -> Result<(), String> {
    let producer = BareProducer::new(bootstrap, properties, topic).map_err(text)?;
    let began = Instant::now();
    for number in 0..rate * seconds as u32 {
        let due = Duration::from_secs(1) / rate * number;
        if let Some(early) = due.checked_sub(began.elapsed()) {
            std::thread::sleep(early);
        }
        let value = format!(r#"{{"sent":{},"number":{number},"price":17}}"#, clock.elapsed().as_nanos());
        producer.send((number % PARTITIONS) as i32, None, Some(value.as_bytes())).map_err(text)?;
    }
    producer.flush(Duration::from_secs(10)).map_err(text)
}

fn sent_at(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    let from = text.to_ascii_lowercase().find("\"sent\":")? + 7;
    let digits = text.get(from..)?.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_nanos)
}

fn bare_copy(bootstrap: &str, properties: &BTreeMap<String, String>, from: &str, to: &str, done: &AtomicBool) -> Result<(), String> {
    let mut consumer = BareConsumer::new(bootstrap, properties, from, PARTITIONS as i32, 0).map_err(text)?;
    let producer = BareProducer::new(bootstrap, properties, to).map_err(text)?;
    while !done.load(Ordering::Acquire) {
        let Some(batch) = consumer.next(Duration::from_millis(LOOK_MS)).map_err(text)? else { continue };
        for index in 0..batch.len() {
            producer.send(batch.partition(index), batch.record(index).key, batch.record(index).value).map_err(text)?;
        }
    }
    producer.flush(Duration::from_secs(10)).map_err(text)
}

fn log_copy(log: &dyn Log, from: &str, to: &str, done: &AtomicBool) -> Result<(), String> {
    let (out, _) = log.topic(to).map_err(text)?;
    let mut writer = log.writer().map_err(text)?;
    let mut waiting = Waiting::new(log, from)?;
    while !done.load(Ordering::Acquire) {
        let Some(arrived) = waiting.poll()? else {
            writer.hint_idle();
            let _ = waiting.sleep(Duration::from_millis(LOOK_MS));
            continue;
        };
        for index in arrived.first..arrived.batch.len() {
            let record = arrived.batch.record(index);
            let (key, value, timestamp) = (record.key, record.value, record.timestamp);
            writer.send(out, OutRecord { partition: arrived.source as i32, timestamp, key, value, headers: &[] }).map_err(text)?;
        }
    }
    Ok(())
}

/// The rate in words, for the report.
pub fn rate() -> String {
    format!("{RATE} records a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_found_whatever_the_case_of_the_name() {
        assert_eq!(sent_at(br#"{"SENT":15,"number":3}"#), Some(Duration::from_nanos(15)));
        assert_eq!(sent_at(b"{}"), None);
    }
}
