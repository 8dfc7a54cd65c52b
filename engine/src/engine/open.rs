//! Opening an engine: log, state, runtime, then the command log replayed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};

use super::command::{Action, Command};
use super::command_log::{self, CommandLog, Opened};
use super::insert::Inserter;
use super::queries::{QueryKind, QueryRegistry};
use super::readonly::ReadonlyTopics;
use super::servers::Servers;
use super::supervise::{Ending, Supervisor};
use super::{CommandState, Engine, EngineConfig, EngineError, LogChoice, RegistryChoice, SessionProperties};
use crate::catalog::{Catalog, QueryLinks};
use crate::clock::{Clock, SystemClock};
use crate::log::embedded::EmbeddedLog;
use crate::log::kafka::{KafkaLog, StateSink};
use crate::log::{AlwaysHeld, Claim, ClaimRequest, Log, LogError, TopicSpec};
use crate::plan::QueryPlan;
use crate::points::{self, Point};
use crate::processing_log::{NoProcessingLog, ProcessingLog, ProcessingLogWriter, stream_columns};
use crate::registry::own::OwnRegistry;
use crate::registry::{NoRegistry, SchemaRegistry};
use crate::runtime::{QueryState, Runtime, RuntimeConfig, RuntimeParts, Share, Slots};
use crate::state::StateDb;

/// How long the start waits for a log that is away, how long for one answer, and how long between two questions.
const LOG_PATIENCE: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(1);
const PING_PAUSE: Duration = Duration::from_millis(100);
/// How often queries look whether others have written to their changelogs, milliseconds.
const LOOK_INTERVAL_MS: u64 = 10_000;
/// How often it is said again what is waited for.
const REMINDER: Duration = Duration::from_secs(60);

/// A query that the command log says should run.
struct Pending {
    plan: Arc<QueryPlan>,
    kind: QueryKind,
    session: SessionProperties,
    paused: bool,
}

/// What a change of the catalog means for queries: done at once, or gathered while the command log is replayed.
enum Mode<'a> {
    Live,
    Replay(&'a mut IndexMap<String, Pending>),
}

impl Engine {
    /// Opens the data folder and the log, replays the command log and starts what it says should run.
    ///
    /// # Errors
    /// The folder is in use or can't be written, the log is away, or the command log can't be read.
    pub fn open(config: EngineConfig) -> Result<Arc<Self>, EngineError> {
        Self::open_patiently(config, Some(LOG_PATIENCE), &mut |_| {})
    }

    /// As [`Self::open`], waiting for the log for so long, or without end. `waiting` is told why, whenever that changes, and
    /// `None` once it goes on.
    ///
    /// # Errors
    /// As there.
    pub fn open_patiently(
        config: EngineConfig,
        patience: Option<Duration>,
        waiting: &mut dyn FnMut(Option<&str>),
    ) -> Result<Arc<Self>, EngineError> {
        points::reach(Point::OpenBegin);
        let state = match &config.log {
            // The topics lie there as well.
            LogChoice::Embedded => StateDb::open(&config.data_dir, config.state_limits())?,
            LogChoice::Kafka { .. } => StateDb::open_or_begin_anew(&config.data_dir, config.state_limits())?,
        };
        points::reach(Point::OpenState);
        let log: Arc<dyn Log> = match &config.log {
            LogChoice::Embedded => Arc::new(EmbeddedLog::open(state.clone(), Arc::new(SystemClock))?),
            LogChoice::Kafka { bootstrap_servers, client_properties } => {
                // Once the changelogs have it, the state here may follow.
                let later = state.clone();
                let sink: StateSink = Arc::new(move |batch| later.write_later(batch));
                let log = KafkaLog::connect_with(bootstrap_servers, client_properties, config.kafka_tokens.clone(), sink)?;
                wait_for(&log, patience, waiting)?;
                Arc::new(log)
            }
        };
        points::reach(Point::OpenLog);
        let claim = claim(&config, &*log, &state, waiting)?;
        points::reach(Point::OpenClaimed);
        Self::put_together(config, log, state, Arc::new(SystemClock), claim)
    }

    /// Puts an engine together from its parts; tests give simulated ones.
    pub fn assemble(config: EngineConfig, log: Arc<dyn Log>, state: StateDb, clock: Arc<dyn Clock>) -> Result<Arc<Self>, EngineError> {
        Self::put_together(config, log, state, clock, Box::new(AlwaysHeld))
    }

    /// The same, with a claim on the service.
    pub fn put_together(
        config: EngineConfig,
        log: Arc<dyn Log>,
        state: StateDb,
        clock: Arc<dyn Clock>,
        claim: Box<dyn Claim>,
    ) -> Result<Arc<Self>, EngineError> {
        let own_registry = open_own_registry(&config, &log, &clock)?;
        let registry: Arc<dyn SchemaRegistry> = match (&own_registry, &config.registry) {
            (Some(own), _) => own.clone(),
            (None, RegistryChoice::Given(given)) => given.clone(),
            (None, _) => Arc::new(NoRegistry),
        };
        let processing_log = open_processing_log(&config, &log, &clock)?;
        let server = state.identity()?;
        let parts = RuntimeParts { log: log.clone(), state, clock: clock.clone(), processing_log, registry: registry.clone() };
        let runtime_config = RuntimeConfig {
            workers: config.workers,
            commit_interval_ms: config.commit_interval_ms,
            min_commit_interval_ms: config.min_commit_interval_ms,
            max_task_idle_ms: config.max_task_idle_ms,
            max_buffered_bytes: config.max_buffered_bytes,
            internal_prefix: config.internal_prefix.clone(),
            replicas: config.replicas,
            max_rows_per_record: crate::pace::MAX_ROWS_PER_RECORD,
            look_interval_ms: LOOK_INTERVAL_MS,
            slots: Slots::new(config.slots),
            server,
            is_shared: claim.shared().is_some(),
        };
        let runtime = Runtime::start(parts, runtime_config).map_err(|e| EngineError::internal(format!("worker threads: {e}")))?;
        let mut share = None;
        if let Some(claim) = claim.shared() {
            super::servers::announce(&config, &*log, &*clock, &runtime.config().server)?;
            share = Some(Share::begin(&runtime, claim)?);
        }
        let Opened { log: command_log, commands } = CommandLog::open(log.clone(), &runtime.parts().state, &config, clock.clone())?;
        points::reach(Point::OpenCommands);
        let engine = Arc::new(Engine {
            inserts: Inserter::new(log.clone()),
            registry,
            own_registry,
            log,
            clock,
            runtime,
            catalog: RwLock::new(Arc::new(Catalog::default())),
            queries: QueryRegistry::default(),
            readonly_topics: ReadonlyTopics::new(&config.readonly_topics)?,
            carried_out: AtomicUsize::new(command_log.count()),
            command_problem: Mutex::new(command_log.problem()),
            commands: Mutex::new(CommandState { log: command_log, given: String::new(), deleted: None, was_overtaken: false }),
            replays: Mutex::default(),
            supervisor: Supervisor::default(),
            claim,
            servers: Servers::default(),
            peers: OnceLock::new(),
            share,
            slots_topic: Default::default(),
            following: Mutex::default(),
            deposed: OnceLock::new(),
            is_unsure: AtomicBool::new(false),
            config,
        });
        engine.replay(commands)?;
        points::reach(Point::OpenReplayed);
        engine.clear_leftovers();
        engine.declare_processing_log()?;
        engine.declare_letters()?;
        let supervised = engine.supervisor.start(Arc::downgrade(&engine), engine.share.is_some());
        supervised.map_err(|e| EngineError::internal(format!("a thread for supervision: {e}")))?;
        Ok(engine)
    }

    fn replay(self: &Arc<Self>, commands: Vec<Command>) -> Result<(), EngineError> {
        let mut pending = IndexMap::new();
        for command in commands {
            let session = SessionProperties(command.properties);
            self.apply(command.action, &session, &mut Mode::Replay(&mut pending))?;
        }
        let started = std::time::Instant::now();
        let count = pending.len();
        for (_, query) in pending {
            self.start_persistent(query.plan, query.kind, &query.session, query.paused);
        }
        if count > 0 {
            tracing::info!(queries = count, elapsed_ms = started.elapsed().as_millis() as u64, "queries started again");
        }
        Ok(())
    }

    /// Appends a command and carries it out. Returns the sequence number that clients are told.
    pub(super) fn append_and_apply(
        self: &Arc<Self>,
        commands: &mut CommandState,
        statement: &str,
        session: &SessionProperties,
        action: Action,
    ) -> Result<i64, EngineError> {
        let number = self.append(commands, statement, session, action.clone())?;
        let applied = self.apply(action, session, &mut Mode::Live);
        self.carried_out.store(commands.count(), Ordering::Release);
        points::reach(Point::CommandApplied);
        applied.map(|()| number)
    }

    /// Looks at the command topic, which may have been deleted or written to by others: heals it where that can be.
    ///
    /// # Errors
    /// The log does not answer.
    pub(super) fn check_command_log(&self, commands: &mut CommandState) -> Result<(), EngineError> {
        let checked = commands.log.check();
        self.note_command_log(commands);
        checked
    }

    fn note_command_log(&self, commands: &CommandState) {
        *self.command_problem.lock() = commands.log.problem();
    }

    /// Carries out what other servers have written to the command log, and what was written though its append failed: whoever asked
    /// for it was told that this may be so. A restart would do the same.
    pub(super) fn catch_up(self: &Arc<Self>, commands: &mut CommandState) -> Result<(), EngineError> {
        if !commands.log.is_uncertain() {
            return Ok(());
        }
        let new = commands.log.read_new();
        self.note_command_log(commands);
        for command in new? {
            tracing::info!(
                statement = command.statement,
                "carrying out a statement that another server wrote, or that was written when the log went away"
            );
            let applied = self.apply(command.action, &SessionProperties(command.properties), &mut Mode::Live);
            self.carried_out.store(commands.count(), Ordering::Release);
            applied?;
        }
        Ok(())
    }

    /// Carries a command out.
    fn apply(self: &Arc<Self>, action: Action, session: &SessionProperties, mode: &mut Mode<'_>) -> Result<(), EngineError> {
        let catalog = self.catalog();
        match action {
            Action::Nothing => {}
            Action::PutSource(source, query) => {
                let name = source.name.clone();
                let mut catalog = catalog.with_replaced_source(*source);
                if let Some(plan) = &query {
                    let links = QueryLinks { query_id: plan.query_id.clone(), reads: vec![name], writes: None };
                    catalog = catalog.with_query(links);
                }
                self.set_catalog(catalog);
                if let Some(plan) = query {
                    self.launch(plan, QueryKind::SourceTable, session, mode);
                }
            }
            Action::StartQuery { plan, sink, replaces } => {
                let links = QueryLinks { query_id: plan.query_id.clone(), reads: plan.sources.clone(), writes: plan.sink.clone() };
                let kind = match (&sink, plan.query_id.starts_with("CTAS_")) {
                    (None, _) => QueryKind::Insert,
                    (Some(_), true) => QueryKind::CreateTableAs,
                    (Some(_), false) => QueryKind::CreateStreamAs,
                };
                if let Some(replaced) = replaces {
                    self.end_query(&replaced, false, mode);
                }
                let catalog = match sink {
                    Some(sink) => catalog.with_replaced_source(*sink),
                    None => catalog.as_ref().clone(),
                };
                self.set_catalog(catalog.with_query(links));
                self.launch(plan, kind, session, mode);
            }
            Action::DropSource { name } => {
                if let Some(query) = catalog.source(&name).and_then(|s| s.created_by.clone()) {
                    self.end_query(&query, true, mode);
                }
                self.set_catalog(self.catalog().without_source(&name)?);
            }
            Action::Terminate { queries } => {
                for query in queries {
                    self.end_query(&query, true, mode);
                }
            }
            Action::Pause { queries } => self.set_paused(&queries, true, mode),
            Action::Resume { queries } => self.set_paused(&queries, false, mode),
            Action::PutType { name, sql_type } => self.set_catalog(catalog.with_type(&name, sql_type)?),
            Action::DropType { name } => self.set_catalog(catalog.without_type(&name)?),
        }
        Ok(())
    }

    fn launch(&self, plan: Arc<QueryPlan>, kind: QueryKind, session: &SessionProperties, mode: &mut Mode<'_>) {
        match mode {
            Mode::Live => self.start_persistent(plan, kind, session, false),
            Mode::Replay(pending) => {
                pending.insert(plan.query_id.clone(), Pending { plan, kind, session: session.clone(), paused: false });
            }
        }
    }

    /// Ends a query; `forget`: for good, with its state and internal topics.
    fn end_query(&self, id: &str, forget: bool, mode: &mut Mode<'_>) {
        self.set_catalog(self.catalog().without_query(id));
        match mode {
            Mode::Replay(pending) => {
                pending.shift_remove(id);
            }
            Mode::Live => {
                let Some(query) = self.queries.remove(id) else { return };
                let ending = if forget { Ending::Dropped } else { Ending::Replaced };
                if query.care.end(ending) {
                    self.clear_up(&query, ending);
                }
            }
        }
    }

    fn set_paused(&self, queries: &[String], paused: bool, mode: &mut Mode<'_>) {
        for id in queries {
            match mode {
                Mode::Replay(pending) => {
                    if let Some(query) = pending.get_mut(id) {
                        query.paused = paused;
                    }
                }
                Mode::Live => {
                    let query = self.queries.get(id);
                    if let Some(query) = &query {
                        query.care.set_paused(paused);
                    }
                    match query {
                        _ if paused => self.runtime.pause(id),
                        Some(query) => match query.state() {
                            QueryState::Failed(failure) => {
                                query.care.accept(failure.swapped);
                                query.care.ask();
                                self.supervisor.kick();
                            }
                            _ => self.runtime.resume(id),
                        },
                        None => self.runtime.resume(id),
                    }
                }
            }
        }
    }

    /// Declares the stream over the processing log at the first start.
    fn declare_processing_log(self: &Arc<Self>) -> Result<(), EngineError> {
        let Some(topic) = &self.config.processing_log_topic else { return Ok(()) };
        let Some(stream) = &self.config.processing_log_stream else { return Ok(()) };
        if self.commands.lock().count() > 0 || self.command_log_problem().is_some() || self.catalog().source(stream).is_some() {
            return Ok(());
        }
        let text = format!("CREATE STREAM `{stream}` ({}) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');", stream_columns());
        let statement = tidemill_parser::parse_statement(&text)?;
        // Its format is not the user's to choose.
        let mut session = self.session(&Default::default());
        session.0.retain(|name, _| !name.starts_with("ksql.persistence."));
        self.execute(&statement, &session)?;
        Ok(())
    }
}

fn open_own_registry(config: &EngineConfig, log: &Arc<dyn Log>, clock: &Arc<dyn Clock>) -> Result<Option<Arc<OwnRegistry>>, EngineError> {
    let RegistryChoice::Own { topic } = &config.registry else { return Ok(None) };
    let topic = topic.clone().unwrap_or_else(|| config.schema_topic());
    Ok(Some(Arc::new(OwnRegistry::open(log.clone(), clock.clone(), &topic, config.command_topic_replicas)?)))
}

/// Waits for a log that may be starting as well.
fn wait_for(log: &dyn Log, patience: Option<Duration>, waiting: &mut dyn FnMut(Option<&str>)) -> Result<(), EngineError> {
    let began = Instant::now();
    let mut said: Option<(String, Instant)> = None;
    loop {
        // It may answer a moment before it is known to be back: until then requests are refused.
        let answer = log.ping(PING_TIMEOUT).and_then(|()| log.outage().map_or(Ok(()), |outage| Err(LogError::Retriable(outage))));
        match answer {
            Ok(()) => {
                if said.is_some() {
                    waiting(None);
                }
                return Ok(());
            }
            Err(LogError::Retriable(reason)) if patience.is_none_or(|patience| began.elapsed() < patience) => {
                if said.as_ref().is_none_or(|(last, at)| *last != reason || at.elapsed() > REMINDER) {
                    tracing::warn!("waiting for the log: {reason}");
                    waiting(Some(&reason));
                    said = Some((reason, Instant::now()));
                }
                std::thread::sleep(PING_PAUSE);
            }
            Err(LogError::Retriable(reason)) => {
                return Err(LogError::Retriable(format!("no answer within {} s: {reason}", began.elapsed().as_secs())).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sees to it that no other server runs the service.
fn claim(
    config: &EngineConfig,
    log: &dyn Log,
    state: &StateDb,
    waiting: &mut dyn FnMut(Option<&str>),
) -> Result<Box<dyn Claim>, EngineError> {
    let (topic, group, instance) = (config.command_topic(), config.server_group(), state.identity()?);

    if log.is_atomic() {
        if config.is_shared {
            return Err(EngineError::user(
                "tidemill.cluster.enabled=true: servers share a service on Kafka only, and the embedded log is this server's alone. \
                 Name brokers (bootstrap.servers), or set it to false",
            ));
        }
        // Nobody else can reach it.
        return Ok(Box::new(AlwaysHeld));
    }
    command_log::ensure_topic(log, config)?;
    let is_shared = config.is_shared;
    let topic = if is_shared { super::slots_topic::ensure(config, log)? } else { topic };
    let request = ClaimRequest { service: &config.service_id, group: &group, topic: &topic, instance: &instance, is_shared };
    let mut last = String::new();
    let claim = log.claim(&request, &mut |reason| {
        if last != reason {
            tracing::warn!("{reason}");
            waiting(Some(reason));
            reason.clone_into(&mut last);
        }
    })?;
    if !last.is_empty() {
        waiting(None);
    }
    Ok(claim)
}

fn open_processing_log(config: &EngineConfig, log: &Arc<dyn Log>, clock: &Arc<dyn Clock>) -> Result<Arc<dyn ProcessingLog>, EngineError> {
    let Some(topic) = &config.processing_log_topic else { return Ok(Arc::new(NoProcessingLog)) };
    if log.describe_topic(topic)?.is_none() {
        let spec = TopicSpec {
            name: topic.clone(),
            partitions: config.processing_log_partitions,
            replicas: config.processing_log_replicas,
            config: Default::default(),
        };
        match log.create_topic(&spec) {
            Ok(()) | Err(LogError::TopicExists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Arc::new(ProcessingLogWriter::start(log.clone(), topic, config.processing_log_include_rows, clock.clone())?))
}
