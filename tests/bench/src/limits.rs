//! The limits: bare librdkafka that reads (L3), and that reads and writes again (L1), and the engine's own log between
//! the two, without any query.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tidemill_engine::log::kafka::bare::{BareConsumer, BareProducer};
use tidemill_engine::log::{ArrivedBatch, Batch, Commit, Log, LogReader, Offset, OutRecord, Subscription, TopicPartition};
use tidemill_engine::state::StateBatch;

use crate::cpu::Process;
use crate::input::{BIDS, Input, PARTITIONS, text};
use crate::workload::{Goal, Measurement, Workload};

/// Nothing may take longer than this, seconds.
const PATIENCE_S: u64 = 300;
/// The buffer of each partition's reader, bytes.
const BUFFER_BYTES: usize = 4 << 20;
/// The engine's interval between commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(2);

fn measure(input: &Input, work: impl FnOnce() -> Result<u64, String>) -> Result<Measurement, String> {
    let meters = input.meters(Process::own());
    let (before, began) = (meters.used(), Instant::now());
    let output = work()?;
    Ok(Measurement { records: input.bids, output, wall: began.elapsed(), cpu: meters.used().since(before) })
}

/// Reads all bids and does nothing with them.
pub struct BareConsume;

impl Workload for BareConsume {
    fn name(&self) -> &'static str {
        "L3"
    }

    fn describe(&self) -> &'static str {
        "bare librdkafka: consume"
    }

    fn run(&mut self, input: &Input, _run: usize) -> Result<Measurement, String> {
        measure(input, || {
            let mut consumer = BareConsumer::new(input.bootstrap()?, &input.properties, BIDS, PARTITIONS as i32, 0).map_err(text)?;
            let mut read = 0;
            while read < input.bids {
                let batch = consumer.next(Duration::from_secs(PATIENCE_S)).map_err(text)?.ok_or("no more bids came")?;
                // Look at each record, as anybody who reads them does.
                read += (0..batch.len()).filter(|index| batch.record(*index).value.is_some()).count() as u64;
            }
            Ok(0)
        })
    }
}

/// Reads all bids and writes the same bytes again.
pub struct BareCopy;

impl Workload for BareCopy {
    fn name(&self) -> &'static str {
        "L1"
    }

    fn describe(&self) -> &'static str {
        "bare librdkafka: consume, produce the same bytes"
    }

    fn run(&mut self, input: &Input, run: usize) -> Result<Measurement, String> {
        let topic = format!("l1-{}-{run}", std::process::id());
        input.create(&topic)?;
        let measured = measure(input, || {
            let mut consumer = BareConsumer::new(input.bootstrap()?, &input.properties, BIDS, PARTITIONS as i32, 0).map_err(text)?;
            let producer = BareProducer::new(input.bootstrap()?, &input.properties, &topic).map_err(text)?;
            let mut read = 0;
            while read < input.bids {
                let batch = consumer.next(Duration::from_secs(PATIENCE_S)).map_err(text)?.ok_or("no more bids came")?;
                for index in 0..batch.len() {
                    let record = batch.record(index);
                    producer.send(batch.partition(index), record.key, record.value).map_err(text)?;
                }
                read += batch.len() as u64;
            }
            producer.flush(Duration::from_secs(PATIENCE_S)).map_err(text)?;
            Ok(read)
        })?;
        input.expect(&topic, input.bids)?;
        input.delete(&topic)?;
        Ok(measured)
    }
}

/// As L3, but by the engine's log, with one or several readers of the topic, each on a thread of its own.
pub struct LogRead {
    pub readers: u64,
}

impl Workload for LogRead {
    fn name(&self) -> &'static str {
        if self.readers == 1 { "read" } else { "readers" }
    }

    fn describe(&self) -> &'static str {
        if self.readers == 1 { "the engine's log: consume" } else { "the engine's log: ten readers of one topic" }
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal { limit: "L3", throughput: if self.readers == 1 { 0.9 } else { 0.5 }, cpu: None })
    }

    fn run(&mut self, input: &Input, _run: usize) -> Result<Measurement, String> {
        measure(input, || {
            std::thread::scope(|scope| {
                let read = || -> Result<u64, String> {
                    let mut waiting = Waiting::new(&*input.log, BIDS)?;
                    let mut read = 0;
                    while read < input.bids {
                        match waiting.poll()? {
                            Some(arrived) => {
                                let records = arrived.first..arrived.batch.len();
                                read += records.filter(|index| arrived.batch.record(*index).value.is_some()).count() as u64;
                            }
                            None => waiting.sleep(Duration::from_secs(PATIENCE_S))?,
                        }
                    }
                    Ok(0)
                };
                let threads: Vec<_> = (0..self.readers).map(|_| scope.spawn(read)).collect();
                threads.into_iter().try_fold(0, |_, thread| thread.join().map_err(|_| "a reader panicked")?)
            })
        })
    }
}

/// As L1, but by the engine's log: shared readers, timestamps, commits with offsets, woken and not polling.
pub struct LogCopy;

impl Workload for LogCopy {
    fn name(&self) -> &'static str {
        "log"
    }

    fn describe(&self) -> &'static str {
        "the engine's log: consume, produce the same bytes with their times, commit"
    }

    fn goal(&self) -> Option<Goal> {
        Some(Goal { limit: "L1", throughput: 0.85, cpu: Some(1.2) })
    }

    fn run(&mut self, input: &Input, run: usize) -> Result<Measurement, String> {
        let topic = format!("log-{}-{run}", std::process::id());
        input.create(&topic)?;
        let measured = measure(input, || {
            let (out, _) = input.log.topic(&topic).map_err(text)?;
            let mut writer = input.log.writer().map_err(text)?;
            let mut waiting = Waiting::new(&*input.log, BIDS)?;
            let group: Arc<str> = topic.as_str().into();
            let mut next = vec![Offset(0); PARTITIONS as usize];
            let (mut read, mut committed) = (0, Instant::now());
            while read < input.bids {
                let Some(arrived) = waiting.poll()? else {
                    writer.hint_idle();
                    waiting.sleep(Duration::from_secs(PATIENCE_S))?;
                    continue;
                };
                for index in arrived.first..arrived.batch.len() {
                    let record = arrived.batch.record(index);
                    let (key, value, timestamp) = (record.key, record.value, record.timestamp);
                    writer.send(out, OutRecord { partition: arrived.source as i32, timestamp, key, value, headers: &[] }).map_err(text)?;
                    next[arrived.source] = Offset(record.offset.0 + 1);
                    read += 1;
                }
                if committed.elapsed() > COMMIT_INTERVAL {
                    writer.commit(commit(&group, &next)).map_err(text)?;
                    committed = Instant::now();
                }
            }
            writer.commit(commit(&group, &next)).map_err(text)?;
            Ok(read)
        })?;
        input.expect(&topic, input.bids)?;
        input.delete(&topic)?;
        Ok(measured)
    }
}

fn commit(group: &Arc<str>, next: &[Offset]) -> Commit {
    let offsets = next.iter().zip(0..).map(|(offset, partition)| (TopicPartition { topic: BIDS.into(), partition }, *offset)).collect();
    Commit { offsets: vec![(Arc::clone(group), offsets)], state: StateBatch::default() }
}

/// CPU time that one waiting reader costs while nothing comes, milliseconds a second.
///
/// # Errors
/// What the log says.
pub fn idle_cpu(input: &Input, seconds: u64) -> Result<f64, String> {
    input.create("idle")?;
    let mut waiting = Waiting::new(&*input.log, "idle")?;
    let own = Process::own();
    let (cpu, began) = (own.cpu(), Instant::now());
    while let Some(left) = Duration::from_secs(seconds).checked_sub(began.elapsed()) {
        let _ = waiting.sleep(left);
        if waiting.poll()?.is_some() {
            return Err("something came to an empty topic".into());
        }
    }
    let used = own.cpu().saturating_sub(cpu);
    drop(waiting);
    input.delete("idle")?;
    Ok(used.as_secs_f64() * 1e3 / seconds as f64)
}

/// A reader of a whole topic whose thread sleeps until it is woken.
pub struct Waiting {
    reader: Box<dyn LogReader>,
    rung: Arc<AtomicBool>,
}

impl Waiting {
    /// # Errors
    /// What the log says.
    pub fn new(log: &dyn Log, topic: &str) -> Result<Waiting, String> {
        let partitions = (0..PARTITIONS as i32).map(|partition| (TopicPartition { topic: topic.into(), partition }, Offset(0))).collect();
        let rung = Arc::new(AtomicBool::new(false));
        let (flag, thread): (Arc<AtomicBool>, Thread) = (Arc::clone(&rung), std::thread::current());
        let wake = Arc::new(move || {
            if !flag.swap(true, Ordering::AcqRel) {
                thread.unpark();
            }
        });
        let reader = log.subscribe(Subscription { partitions, wake, max_buffered_bytes: BUFFER_BYTES }).map_err(text)?;
        Ok(Waiting { reader, rung })
    }

    /// # Errors
    /// What the log says.
    pub fn poll(&mut self) -> Result<Option<ArrivedBatch>, String> {
        self.reader.poll().map_err(text)
    }

    /// Until woken.
    ///
    /// # Errors
    /// Where nobody wakes it in time.
    pub fn sleep(&self, timeout: Duration) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        while !self.rung.swap(false, Ordering::AcqRel) {
            let left = deadline.checked_duration_since(Instant::now()).ok_or("nothing more came")?;
            std::thread::park_timeout(left);
        }
        Ok(())
    }
}
