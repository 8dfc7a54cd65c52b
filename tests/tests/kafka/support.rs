//! What the Kafka tests share: a log, topics of their own names, readers that wait.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tidemill_engine::log::kafka::KafkaLog;
use tidemill_engine::log::{
    Commit, Log, LogError, LogReader, LogWriter, Offset, OutRecord, Subscription, TopicHandle, TopicPartition, TopicSpec,
};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A log on the shared broker, or `None` after saying that the test is skipped.
pub fn shared_log(test: &str) -> Option<KafkaLog> {
    broker::shared(test).map(|bootstrap| log_on(&bootstrap))
}

pub fn log_on(bootstrap: &str) -> KafkaLog {
    KafkaLog::connect(bootstrap, &BTreeMap::new(), Arc::new(|state: StateBatch| state.write())).expect("a log")
}

/// Waits until a log has noticed that its broker is back.
pub fn wait_until_back(log: &dyn Log) {
    let began = Instant::now();
    while log.outage().is_some() || log.ping(Duration::from_secs(1)).is_err() {
        assert!(began.elapsed() < PATIENCE, "the broker does not come back");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Creates a topic with a name of its own.
pub fn new_topic(log: &dyn Log, name: &str, partitions: u32) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let config = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
    log.create_topic(&TopicSpec { name: name.clone(), partitions, replicas: 1, config }).expect("a new topic");
    name
}

pub fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// Kills a server again and again, each time after it has run so many milliseconds, and where it says so removes its data folder as
/// well; starts it again, with the same queries running. The load goes on meanwhile, until its flag says stop: what it returns.
pub fn killed_under_load<T: Send>(
    server: ServerProcess,
    kills: &[(u64, bool)],
    data: &Path,
    start: impl Fn() -> ServerProcess,
    load: impl FnOnce(&AtomicBool) -> T + Send,
) -> (ServerProcess, T) {
    let (queries, stop) = (server.running_queries(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut server = server;
        let loading = scope.spawn(|| load(&stop));
        for (ran_ms, wipe) in kills {
            std::thread::sleep(Duration::from_millis(*ran_ms));
            server.kill();
            if *wipe {
                std::fs::remove_dir_all(data).expect("the data folder can be removed");
            }
            server = start();
            println!("killed after {ran_ms} ms{}: back in {:?}", if *wipe { " and wiped" } else { "" }, server.started_in);
            assert_eq!(server.running_queries(), queries, "{}", server.log());
        }
        stop.store(true, Ordering::Release);
        (server, loading.join().expect("no panic"))
    })
}

/// Wakes a test's thread.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub source: usize,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// A reader that sleeps until it is woken, as a worker does: it never polls for nothing.
pub struct Waiting {
    pub reader: Box<dyn LogReader>,
    bell: Arc<Bell>,
    /// How far a test has read.
    pub seen: i64,
}

impl Waiting {
    pub fn new(log: &dyn Log, partitions: Vec<(TopicPartition, Offset)>) -> Waiting {
        Self::with_buffer(log, partitions, 1 << 20)
    }

    pub fn with_buffer(log: &dyn Log, partitions: Vec<(TopicPartition, Offset)>, max_buffered_bytes: usize) -> Waiting {
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        let wake = Arc::new(move || {
            *rung.rung.lock().expect("bell") = true;
            rung.changed.notify_all();
        });
        let reader = log.subscribe(Subscription { partitions, wake, max_buffered_bytes }).expect("a reader");
        Waiting { reader, bell, seen: 0 }
    }

    /// What the next batch adds, after waiting for it at most this long.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<Read>, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(arrived) = self.reader.poll()? {
                let read = |index| {
                    let record = arrived.batch.record(index);
                    Read {
                        source: arrived.source,
                        offset: record.offset.0,
                        timestamp: record.timestamp,
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                    }
                };
                return Ok((arrived.first..arrived.batch.len()).map(read).collect());
            }
            let mut rung = self.bell.rung.lock().expect("bell");
            while !*rung {
                let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Ok(Vec::new()) };
                rung = self.bell.changed.wait_timeout(rung, left).expect("bell").0;
            }
            *rung = false;
        }
    }

    /// Reads exactly so many records.
    pub fn take(&mut self, count: usize) -> Vec<Read> {
        let mut all = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while all.len() < count {
            let got = self.next(Duration::from_secs(5)).unwrap_or_default();
            all.extend(got);
            assert!(Instant::now() < deadline, "{} of {count} records came", all.len());
        }
        assert_eq!(all.len(), count);
        all
    }
}

pub fn handle(log: &dyn Log, topic: &str) -> TopicHandle {
    log.topic(topic).expect("a topic").0
}

pub fn commit(writer: &mut dyn LogWriter) {
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
}

/// Writes records numbered `from..to` into a partition and commits.
pub fn fill(log: &dyn Log, topic: &str, partition: i32, from: i64, to: i64) {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    for number in from..to {
        let text = number.to_string();
        let value = Some(text.as_bytes());
        writer.send(topic, OutRecord { partition, timestamp: 1_000 + number, key: None, value, headers: &[] }).expect("a send");
    }
    commit(&mut *writer);
}

/// Writes JSON records with the key `k` into a partition and commits.
pub fn fill_json(log: &dyn Log, topic: &str, partition: i32, values: impl Iterator<Item = serde_json::Value>) {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    for value in values {
        let text = value.to_string();
        let record = OutRecord { partition, timestamp: 1_000, key: Some(b"k"), value: Some(text.as_bytes()), headers: &[] };
        writer.send(topic, record).expect("a send");
    }
    commit(&mut *writer);
}
