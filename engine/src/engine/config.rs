//! What an engine is opened with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::supervise::Backoff;
use crate::log::kafka::TokenSource;
use crate::registry::SchemaRegistry;
use crate::runtime::Slots;

/// Where topics live.
#[derive(Clone, PartialEq, Eq)]
pub enum LogChoice {
    /// In the data folder.
    Embedded,
    /// In Kafka: `host:port,…` and further properties of the client (security, timeouts) by librdkafka's names.
    Kafka { bootstrap_servers: String, client_properties: BTreeMap<String, String> },
}

impl std::fmt::Debug for LogChoice {
    /// Without the client's properties, among which are passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogChoice::Embedded => f.write_str("Embedded"),
            LogChoice::Kafka { bootstrap_servers, .. } => write!(f, "Kafka({bootstrap_servers})"),
        }
    }
}

/// Who keeps the schemas of formats that have them.
#[derive(Clone)]
pub enum RegistryChoice {
    /// Nobody: such formats are refused.
    None,
    /// This server: schemas live in a topic, which is named after the service where no name is given.
    Own { topic: Option<String> },
    /// Another program, or whatever the caller has.
    Given(Arc<dyn SchemaRegistry>),
}

impl std::fmt::Debug for RegistryChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RegistryChoice::None => "None",
            RegistryChoice::Own { .. } => "Own",
            RegistryChoice::Given(_) => "Given",
        })
    }
}

/// Settings of an engine. [`EngineConfig::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Servers with the same id share a command topic (`ksql.service.id`).
    pub service_id: String,
    /// Begins the names of internal topics and persistent consumer groups.
    pub internal_prefix: String,
    /// State, and the topics of the embedded log.
    pub data_dir: PathBuf,
    pub log: LogChoice,
    /// Where the tokens come from that clients of Kafka log in with, where its brokers want some.
    pub kafka_tokens: Option<Arc<dyn TokenSource>>,
    pub registry: RegistryChoice,
    /// Threads that process records.
    pub workers: usize,
    /// On Kafka: milliseconds between commits (`ksql.streams.commit.interval.ms`).
    pub commit_interval_ms: u64,
    /// On Kafka, with exactly once: an idle worker commits at once, but not sooner after its last commit, milliseconds
    /// (`tidemill.commit.min.interval.ms`); `None`: a tenth of the interval, so that a trickle of records costs brokers ten times
    /// what a stream of them does at most, and where that commit had more than 500 tasks, half a
    /// millisecond for each of the others, up to half of the interval.
    pub min_commit_interval_ms: Option<u64>,
    /// How long a task waits for an empty partition that may still bring older records, milliseconds.
    pub max_task_idle_ms: u64,
    /// Bytes that may wait unread in one partition of one task.
    pub max_buffered_bytes: usize,
    /// RocksDB's block cache for all state together, bytes.
    pub state_cache_bytes: usize,
    /// Changes that wait in memory for a commit, all stores together, bytes.
    pub state_overlay_bytes: usize,
    /// Pauses before a failed query is tried again (`ksql.query.retry.backoff.initial.ms` and `.max.ms`).
    pub query_retry: Backoff,
    /// How often topics are looked at for new partitions, milliseconds (`metadata.max.age.ms`).
    pub metadata_max_age_ms: u64,
    /// Copies of the internal topics of queries; 0, on Kafka: as many as the broker makes by itself.
    pub replicas: u16,
    /// Copies of the command topic, and how many of them must be in sync for a statement to be taken.
    pub command_topic_replicas: u16,
    pub command_topic_min_insync_replicas: u16,
    /// Persistent queries at a time.
    pub max_persistent_queries: usize,
    /// Patterns of topics that nothing may be written to.
    pub readonly_topics: Vec<String>,
    /// Topic of the processing log; `None`: failures are only counted and logged.
    pub processing_log_topic: Option<String>,
    /// Partitions and copies of that topic.
    pub processing_log_partitions: u32,
    pub processing_log_replicas: u16,
    /// The stream over the processing log that the first start declares; `None`: it declares none.
    pub processing_log_stream: Option<String>,
    /// Whether failed rows may stand in the processing log.
    pub processing_log_include_rows: bool,
    /// How long the client of a push query may take nothing of what waits for it, milliseconds (`tidemill.push.stall.timeout.ms`).
    pub push_stall_timeout_ms: u64,
    /// Other servers with this service id share its work (`tidemill.cluster.enabled`); on Kafka.
    pub is_shared: bool,
    /// Whether they get this server's slots at once where it ends in order (`tidemill.cluster.leave.on.close`); else its place is kept
    /// until its session is over.
    pub leaves_at_end: bool,
    /// Where those reach this one (`ksql.advertised.listener`), a URL.
    pub advertised: Option<String>,
    /// Shares into which the work is cut (`tidemill.slots`); fixed by the first server that shares it.
    pub slots: u16,
    /// How many other servers follow a task's state, unless its query says otherwise (`num.standby.replicas`).
    pub standbys: usize,
    /// What this server shares its fate with (`tidemill.rack`): a machine, a room.
    pub rack: Option<String>,
    /// Defaults of session properties (`ksql.streams.auto.offset.reset`).
    pub session_defaults: BTreeMap<String, String>,
}

impl EngineConfig {
    /// Defaults for a data folder: embedded log, service id `default_`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let service_id = "default_".to_owned();
        EngineConfig {
            internal_prefix: format!("_confluent-ksql-{service_id}"),
            processing_log_topic: Some(format!("{service_id}ksql_processing_log")),
            service_id,
            data_dir: data_dir.into(),
            log: LogChoice::Embedded,
            kafka_tokens: None,
            registry: RegistryChoice::None,
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            commit_interval_ms: 2_000,
            min_commit_interval_ms: None,
            max_task_idle_ms: 500,
            max_buffered_bytes: 8 << 20,
            state_cache_bytes: 32 << 20,
            state_overlay_bytes: 256 << 20,
            query_retry: Backoff { initial_ms: 15_000, max_ms: 900_000 },
            metadata_max_age_ms: 10_000,
            replicas: 1,
            command_topic_replicas: 1,
            command_topic_min_insync_replicas: 1,
            max_persistent_queries: usize::MAX,
            readonly_topics: Vec::new(),
            processing_log_partitions: 1,
            processing_log_replicas: 1,
            processing_log_stream: Some(crate::processing_log::LOG_STREAM.to_owned()),
            processing_log_include_rows: false,
            push_stall_timeout_ms: 300_000,
            is_shared: false,
            leaves_at_end: true,
            advertised: None,
            slots: Slots::DEFAULT_COUNT,
            standbys: 0,
            rack: None,
            session_defaults: BTreeMap::new(),
        }
    }

    /// Sets the service id and the names that follow from it.
    pub fn with_service_id(mut self, service_id: &str) -> Self {
        self.internal_prefix = format!("_confluent-ksql-{service_id}");
        self.processing_log_topic = self.processing_log_topic.map(|_| format!("{service_id}ksql_processing_log"));
        self.service_id = service_id.to_owned();
        self
    }

    /// Limits of the state, as its database takes them.
    pub(crate) fn state_limits(&self) -> crate::state::StateLimits {
        crate::state::StateLimits {
            block_cache_bytes: self.state_cache_bytes,
            overlay_bytes: self.state_overlay_bytes,
            ..crate::state::StateLimits::default()
        }
    }

    /// The topic whose partitions are the service's slots, where servers share it.
    pub fn slots_topic(&self) -> String {
        format!("{}_slots", self.internal_prefix)
    }

    /// The consumer group of the service's servers.
    pub fn server_group(&self) -> String {
        format!("{}servers", self.internal_prefix)
    }

    /// The topic that holds the schemas of the server's own registry, where none is named.
    pub fn schema_topic(&self) -> String {
        format!("{}_schemas", self.internal_prefix)
    }

    /// The topic that holds every statement that changed something.
    pub fn command_topic(&self) -> String {
        format!("{}_command_topic", self.internal_prefix)
    }
}
