//! One service under load: its broker, its topics and queries, the server that is killed and started again, and what the oracle
//! says in the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;
use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_engine::log::kafka::KafkaLog;
use tidemill_engine::log::{Log, TopicSpec};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker::{self, Broker};
use tidemill_tests::proxy::{Fault, Proxy};
use tidemill_tests::server::ServerProcess;

use super::check::{Guarantee, Haunt, Verdict, check, missing};
use super::load::{Load, Topics};
use super::model::{Expected, Sink, Steps, WINDOW_MS, expected};
use super::sinks::{Sinks, inputs};

/// Partitions of every topic.
const PARTITIONS: u32 = 2;
/// How often the server commits, milliseconds.
pub const COMMIT_MS: i64 = 100;
/// How long what must come may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing must come any more before the oracle speaks.
const QUIET: Duration = Duration::from_millis(600);
/// How much later than its end the broker may take what a server has sent, milliseconds.
const AFTERLIFE_MS: i64 = 1_000;

/// The one broker of this binary, with its proxy. Tests go one after the other: what they measure is a machine with one broker and
/// one server.
pub struct Ground {
    pub broker: Broker,
    pub proxy: Proxy,
}

/// A test's turn on the ground.
pub struct Turn(MutexGuard<'static, Option<Ground>>);

impl Turn {
    pub fn ground(&mut self) -> &mut Ground {
        self.0.as_mut().expect("the broker was started")
    }
}

/// Waits for the test's turn, and sees to it that the broker runs; `None` after saying why the test does not run.
pub fn turn(test: &str) -> Option<Turn> {
    static GROUND: Mutex<Option<Ground>> = Mutex::new(None);
    let mut ground = GROUND.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *ground {
        None => {
            let (broker, proxy) = broker::own_behind_proxy(test)?;
            *ground = Some(Ground { broker, proxy });
        }
        Some(Ground { broker, proxy }) => {
            // As a test that failed may have left them.
            proxy.set(Fault::None);
            if broker.pid().is_none() {
                broker.start_again().expect("the broker comes back");
            }
        }
    }
    Some(Turn(ground))
}

pub struct Arena {
    /// The address for the load and the oracle, past any proxy.
    bootstrap: String,
    /// The address for the server.
    pub servers: String,
    folder: TempDir,
    pub data: PathBuf,
    config: PathBuf,
    topics: Topics,
    prefix: String,
    exactly_once: bool,
    /// When servers that had been replaced went on; `None` where none is.
    haunts: Option<Vec<Haunt>>,
    started: Instant,
}

impl Arena {
    /// A service of its own, whose server speaks with the broker directly.
    pub fn new(test: &str, turn: &mut Turn, exactly_once: bool) -> Arena {
        let bootstrap = turn.ground().broker.bootstrap();
        Self::on(test, &bootstrap, &bootstrap, exactly_once)
    }

    /// The same, and the server goes through the proxy. The load and the oracle never do.
    pub fn behind_proxy(test: &str, turn: &mut Turn, exactly_once: bool) -> Arena {
        let (bootstrap, servers) = (turn.ground().broker.bootstrap(), turn.ground().proxy.bootstrap());
        Self::on(test, &bootstrap, &servers, exactly_once)
    }

    fn on(test: &str, bootstrap: &str, servers: &str, exactly_once: bool) -> Arena {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = |topic: &str| format!("{prefix}-{topic}");
        let topics = Topics { clicks: name("clicks"), replies: name("replies"), lefts: name("lefts"), rights: name("rights") };
        let log = KafkaLog::connect(bootstrap, &BTreeMap::new(), std::sync::Arc::new(|state: StateBatch| state.write())).expect("a log");
        for topic in [&topics.clicks, &topics.replies, &topics.lefts, &topics.rights] {
            create(&log, topic, "CreateTime");
        }
        for sink in Sink::ALL {
            // The broker's clock says when a record came: so it is known what came again of how long ago.
            create(&log, &name(sink.name()), "LogAppendTime");
        }
        let folder = tempfile::Builder::new().prefix("tidemill-chaos-").tempdir().expect("a temporary folder");
        let (data, config) = (folder.path().join("data"), folder.path().join("server.properties"));
        let guarantee = if exactly_once { "processing.guarantee=exactly_once_v2\n" } else { "" };
        let text = format!("ksql.service.id={prefix}_\nksql.streams.commit.interval.ms={COMMIT_MS}\n{guarantee}");
        std::fs::write(&config, text).expect("a configuration");
        Arena {
            bootstrap: bootstrap.to_owned(),
            servers: servers.to_owned(),
            folder,
            data,
            config,
            topics,
            prefix,
            exactly_once,
            haunts: None,
            started: Instant::now(),
        }
    }

    /// A server that has been replaced went on from a moment until now, when it was killed.
    pub fn haunted(&mut self, since_ms: i64) {
        self.haunts.get_or_insert_default().push(since_ms..=SystemClock.now_ms() + AFTERLIFE_MS);
    }

    fn guarantee(&self) -> Guarantee<'_> {
        match &self.haunts {
            _ if self.exactly_once => Guarantee::ExactlyOnce,
            Some(haunts) => Guarantee::BesideZombies { haunts },
            None => Guarantee::AtLeastOnce { interval_ms: COMMIT_MS },
        }
    }

    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A property more for servers that start from now on.
    pub fn configure(&self, line: &str) {
        let text = std::fs::read_to_string(&self.config).expect("a configuration");
        std::fs::write(&self.config, format!("{text}{line}\n")).expect("a configuration");
    }

    /// What servers on the data folder have said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }

    /// A folder that goes with the arena.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The partitions that the queries write.
    pub fn outputs(&self) -> Vec<(String, i32)> {
        let name = |sink: Sink| format!("{}-{}", self.prefix, sink.name());
        Sink::ALL.into_iter().flat_map(|sink| (0..PARTITIONS as i32).map(move |partition| (name(sink), partition))).collect()
    }

    /// What its servers are started with.
    pub fn arguments(&self) -> [&str; 4] {
        ["--bootstrap-servers", &self.servers, "--config", self.config.to_str().expect("a path")]
    }

    /// Starts a server and waits until it takes statements.
    pub fn start(&self) -> ServerProcess {
        let mut server = self.begin();
        assert!(server.is_up(PATIENCE), "the server does not start:\n{}", server.log());
        server
    }

    /// Starts a server and does not wait.
    pub fn begin(&self) -> ServerProcess {
        ServerProcess::begin(&self.data, &self.arguments())
    }

    /// Starts a server that fails at named points.
    pub fn begin_faulty(&self, failpoints: &str) -> ServerProcess {
        ServerProcess::begin_faulty(&self.data, &self.arguments(), failpoints)
    }

    /// The first statements: the queries.
    pub fn create_queries(&self, server: &ServerProcess) {
        let name = |topic: &str| format!("{}-{topic}", self.prefix);
        let Topics { clicks, replies, lefts, rights } = &self.topics;
        let sink = |sink: Sink| format!("WITH (KAFKA_TOPIC='{}', VALUE_FORMAT='JSON')", name(sink.name()));
        let seconds = WINDOW_MS / 1000;
        server.ksql(&format!(
            "CREATE STREAM clicks (k STRING KEY, id BIGINT, g STRING) WITH (KAFKA_TOPIC='{clicks}', VALUE_FORMAT='JSON');
             CREATE STREAM replies (k STRING KEY, ref BIGINT) WITH (KAFKA_TOPIC='{replies}', VALUE_FORMAT='JSON');
             CREATE TABLE lefts (k STRING PRIMARY KEY, v BIGINT) WITH (KAFKA_TOPIC='{lefts}', VALUE_FORMAT='JSON');
             CREATE TABLE rights (k STRING PRIMARY KEY, v BIGINT) WITH (KAFKA_TOPIC='{rights}', VALUE_FORMAT='JSON');
             CREATE STREAM passed {} AS SELECT k, AS_VALUE(k) AS who, id FROM clicks WHERE id % 2 = 0;
             CREATE TABLE counts {} AS SELECT k, AS_VALUE(k) AS who, COUNT(*) AS n FROM clicks GROUP BY k;
             CREATE TABLE groups {} AS SELECT g, AS_VALUE(g) AS who, COUNT(*) AS n FROM clicks GROUP BY g;
             CREATE TABLE windows {} AS SELECT k, AS_VALUE(k) AS who, WINDOWSTART AS ws, COUNT(*) AS n FROM clicks
                WINDOW TUMBLING (SIZE {seconds} SECONDS) GROUP BY k;
             CREATE STREAM pairs {} AS SELECT clicks.id AS id, AS_VALUE(clicks.id) AS who, ref AS other FROM clicks
                JOIN replies WITHIN 10 MINUTES GRACE PERIOD 1 HOUR ON clicks.id = replies.ref;
             CREATE TABLE joined {} AS SELECT lefts.k AS k, AS_VALUE(lefts.k) AS who, lefts.v AS l, rights.v AS r FROM lefts
                JOIN rights ON lefts.k = rights.k;",
            sink(Sink::Passed),
            sink(Sink::Counts),
            sink(Sink::Groups),
            sink(Sink::Windows),
            sink(Sink::Pairs),
            sink(Sink::Joined),
        ));
        assert_eq!(server.running_queries().len(), Sink::ALL.len());
    }

    pub fn load(&self) -> Load {
        Load::start(&self.bootstrap, &self.topics)
    }

    fn inputs(&self) -> super::model::Inputs {
        let Topics { clicks, replies, lefts, rights } = &self.topics;
        inputs(&self.bootstrap, [(clicks, PARTITIONS), (replies, PARTITIONS), (lefts, PARTITIONS), (rights, PARTITIONS)])
    }

    fn sinks(&self) -> Sinks {
        let topics = Sink::ALL.into_iter().map(|sink| (format!("{}-{}", self.prefix, sink.name()), sink)).collect();
        Sinks::follow(&self.bootstrap, topics, PARTITIONS)
    }

    /// Reads everything there is and is to come: what the oracle says of it.
    ///
    /// # Panics
    /// Never for what is wrong with the data: that is the verdict.
    pub fn verdict(&self, server: &ServerProcess) -> Verdict {
        let expected = expected(&self.inputs());
        let mut sinks = self.sinks();
        let began = Instant::now();
        let mut lacking = missing(&expected, &sinks.history);
        while lacking.is_some() && began.elapsed() < PATIENCE {
            if sinks.take(Duration::from_millis(300)) == 0 || began.elapsed() > PATIENCE / 2 {
                lacking = missing(&expected, &sinks.history);
            }
        }
        // What should not come may come later.
        while sinks.take(QUIET) > 0 && began.elapsed() < 2 * PATIENCE {}
        let mut verdict = check(&expected, &sinks.history, self.guarantee());
        verdict.wrong.extend(lacking.map(|lacking| format!("after {:?}: {lacking}", began.elapsed())));
        verdict.wrong.extend(self.tables(server, &expected));
        verdict
    }

    /// What pull queries answer of the tables.
    fn tables(&self, server: &ServerProcess, expected: &Expected) -> Vec<String> {
        let mut wrong = Vec::new();
        for (sink, table) in [(Sink::Counts, "counts"), (Sink::Groups, "groups"), (Sink::Joined, "joined")] {
            let columns = if sink == Sink::Joined { "who, l, r" } else { "who, n" };
            let rows = server.pull(&format!("SELECT {columns} FROM {table};"));
            let found: BTreeMap<String, Vec<i64>> = rows
                .iter()
                .filter_map(|row| Some((row[0].as_str()?.to_owned(), row.as_array()?[1..].iter().filter_map(Json::as_i64).collect())))
                .collect();
            let keys = expected.get(&sink).into_iter().flatten();
            let wanted: BTreeMap<String, Vec<i64>> = keys
                .map(|(key, steps)| match steps {
                    Steps::Exactly(steps) => (key.clone(), steps.last().copied().into_iter().collect()),
                    Steps::Rising(left, right) => (key.clone(), vec![*left, *right]),
                })
                .collect();
            if found != wanted {
                wrong.push(format!("the table {table} answers {found:?} instead of {wanted:?}"));
            }
        }
        wrong
    }
}

fn create(log: &dyn Log, topic: &str, timestamps: &str) {
    let config = [("retention.ms", "-1"), ("message.timestamp.type", timestamps)];
    let config = config.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    log.create_topic(&TopicSpec { name: topic.to_owned(), partitions: PARTITIONS, replicas: 1, config }).expect("a topic");
}
