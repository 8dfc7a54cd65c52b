//! What all endpoints share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use parking_lot::Mutex;
use tidemill_engine::engine::Engine;
use tidemill_query::{QueryService, Settings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::blocking::Blocking;
use crate::cluster::HttpPeers;
use crate::config::ServerConfig;
use crate::connect::Connect;
use crate::entities::CommandStatus;
use crate::error::{ApiError, ErrorCode};
use crate::health::Health;
use crate::limits::Limits;
use crate::metrics::{Lags, Requests};
use crate::net::OpenConnections;
use crate::pages::Pages;
use crate::query::KnownLookUps;

/// Statuses of commands that are remembered for `GET /status`; the oldest go first.
const MAX_STATUSES: usize = 10_000;

/// A running server, seen from an endpoint.
pub struct App {
    pub engine: Arc<Engine>,
    pub config: ServerConfig,
    /// `host:port` that clients are told.
    pub host: String,
    /// Of the log, for clients.
    pub cluster_id: String,
    pub started: Instant,
    /// Where work goes that may wait.
    pub blocking: Blocking,
    pub health: Arc<Health>,
    /// Keeps web pages out that have no business here.
    pub pages: Pages,
    /// Patterns of topics that SHOW TOPICS leaves out.
    pub hidden_topics: Vec<regex::Regex>,
    /// Of pull queries and statements.
    pub limits: Arc<Limits>,
    /// For GET /metrics.
    pub requests: Requests,
    pub lags: Lags,
    pub connections: OpenConnections,
    /// Answers what the dialect's pull queries can't say.
    pub queries: QueryService,
    /// Key look-ups that were asked for before.
    pub known: KnownLookUps,
    /// Where there is one.
    pub connect: Option<Connect>,
    /// The way to the servers that share the service, where any may.
    pub peers: Option<Arc<HttpPeers>>,
    /// One for each push query and PRINT that may still begin.
    push_permits: Arc<Semaphore>,
    statuses: Mutex<IndexMap<String, CommandStatus>>,
    /// Set once the service was ended by `/ksql/terminate`, or the process is told to end.
    closing: watch::Sender<bool>,
    last_query_ms: Mutex<i64>,
    /// Whether somebody sees to it that scans of other servers are forgotten in time.
    pub forgets_scans: AtomicBool,
}

/// Topics of services, hidden whatever `ksql.hidden.topics` says, as in ksqlDB.
const INTERNAL_TOPICS: &str = "_confluent-ksql-.*";

impl App {
    pub fn new(engine: Arc<Engine>, config: ServerConfig, connect: Option<Connect>, host: String, connections: OpenConnections) -> Self {
        let patterns = config.value("ksql.hidden.topics").unwrap_or_default();
        let hidden_topics =
            patterns.split(',').chain([INTERNAL_TOPICS]).filter_map(|p| regex::Regex::new(&format!("^(?:{})$", p.trim())).ok()).collect();
        let push_permits = Arc::new(Semaphore::new(config.max_push_queries.min(Semaphore::MAX_PERMITS)));
        let limits = Arc::new(Limits::new(&config));
        let cluster_id = engine.log().cluster_id();
        let pages = Pages::new(&config, &host);
        let settings = Settings {
            memory_bytes: config.number("tidemill.query.memory.bytes"),
            timeout: Duration::from_millis(u64::try_from(config.number("tidemill.query.timeout.ms")).unwrap_or(u64::MAX)),
            spill_folder: engine.config().data_dir.join("query-spill"),
        };
        let queries = QueryService::new(engine.clone(), settings);
        App {
            cluster_id,
            engine,
            config,
            host,
            started: Instant::now(),
            blocking: Blocking::default(),
            health: Arc::default(),
            pages,
            hidden_topics,
            limits,
            requests: Requests::default(),
            lags: Lags::default(),
            connections,
            queries,
            known: KnownLookUps::default(),
            connect,
            peers: None,
            push_permits,
            statuses: Mutex::default(),
            closing: watch::Sender::new(false),
            last_query_ms: Mutex::new(0),
            forgets_scans: AtomicBool::new(false),
        }
    }

    /// With a way to the servers that share the service.
    pub fn among(self, peers: Option<Arc<HttpPeers>>) -> Self {
        if let Some(peers) = &peers {
            self.queries.set_peers(peers.clone());
        }
        App { peers, ..self }
    }

    /// Remembers what became of a command.
    pub fn note_status(&self, command_id: &str, status: CommandStatus) {
        let mut statuses = self.statuses.lock();
        statuses.shift_remove(command_id);
        if statuses.len() >= MAX_STATUSES {
            statuses.shift_remove_index(0);
        }
        statuses.insert(command_id.to_owned(), status);
    }

    pub fn status(&self, command_id: &str) -> Option<CommandStatus> {
        self.statuses.lock().get(command_id).cloned()
    }

    /// Every remembered command with its status.
    pub fn statuses(&self) -> IndexMap<String, &'static str> {
        self.statuses.lock().iter().map(|(id, status)| (id.clone(), status.status)).collect()
    }

    /// Leave to stream rows to a client for as long as it is held.
    ///
    /// # Errors
    /// There are as many streams as there may be.
    pub fn push_permit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.push_permits.clone().try_acquire_owned().map_err(|_| {
            ApiError::generic(
                ErrorCode::TOO_MANY_PUSH_QUERIES,
                format!(
                    "Maximum number of push queries exceeded: {} run, as many as ksql.max.push.queries allows. Close one first",
                    self.config.max_push_queries
                ),
            )
        })
    }

    /// Whether a file says what runs here, so that clients may only read.
    pub fn reads_only(&self) -> bool {
        self.config.queries_file.is_some()
    }

    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Tells when the end has come.
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// `query_<milliseconds>`, never twice the same.
    pub fn next_query_id(&self) -> String {
        let now = self.engine.clock().now_ms();
        let mut last = self.last_query_ms.lock();
        *last = now.max(last.saturating_add(1));
        format!("query_{last}")
    }
}
