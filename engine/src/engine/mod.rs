//! The engine: one object that takes statements and queries and keeps everything running. The server, `tidemill run` and
//! embedded uses stand on this; nothing here knows of HTTP.
//!
//! Statements that change something go one at a time: checked against the catalog, appended to the command log, then
//! carried out. Reading never waits for them: the catalog is an immutable snapshot behind an `Arc`.

mod cluster;
mod command;
mod command_log;
mod config;
mod ddl;
pub mod doctor;
mod drop;
mod error;
mod explain;
mod failures;
mod flow;
mod freshness;
#[cfg(test)]
mod golden_tests;
mod insert;
mod inserting;
#[cfg(test)]
mod inserting_tests;
mod json_row;
mod leftovers;
#[cfg(test)]
mod leftovers_tests;
mod letters;
mod open;
mod outbox;
pub mod peers;
mod persistent;
mod pull;
mod pull_rows;
mod push;
mod push_row;
mod push_snapshot;
mod queries;
mod readable;
mod readonly;
mod remote;
#[cfg(test)]
mod remote_tests;
mod replay;
mod row_encoder;
mod servers;
mod settle;
mod slots_topic;
mod standbys;
mod store_lags;
pub(crate) mod stream_scan;
mod supervise;
mod tombstone;
mod topic_name;
mod versions;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::analyze::{AnalysisContext, AnalysisError, TopicInfo};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::letters::{Kinds, LETTER_STREAM, LetterBox};
use crate::log::{Claim, Log, LogError, OffsetSpec};
use crate::plan::TopicFormat;
use crate::points::{self, Point};
use crate::registry::SchemaRegistry;
use crate::registry::own::OwnRegistry;
use crate::runtime::Guarantee;
use crate::runtime::Runtime;
use crate::runtime::Share;
use crate::task::RecordPolicy;

pub use command::CommandOutcome;
use command::{Action, COMMAND_VERSION, Command};
use command_log::{Appended, CommandLog};
pub use config::{EngineConfig, LogChoice, RegistryChoice};
pub use error::{Blame, EngineError};
pub use explain::Explained;
pub use failures::Failures;
pub use freshness::{TOKEN, Token};
pub use insert::{EncodedInsert, encode as encode_insert};
pub use inserting::{Inserting, Unwritten};
pub use json_row::{converted as json_value, json_column_value};
pub use peers::{NotAnswered, Page, Peers, Position, Question};
pub use pull::PlannedLookUp;
pub use pull_rows::{CHUNK_BYTES, PullResult, PullRows};
pub use push::PushQuery;
pub use push_row::PushRow;
pub use queries::{PersistentQuery, PushQueryInfo, QueryKind, QueryRegistry};
pub use replay::{FoundLetter, Replayed};
pub use servers::ServerInfo;
pub use store_lags::StoreLag;
pub use supervise::Backoff;
pub use versions::Understanding;

/// How long a server that ends waits until the group has let it go.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// A running engine. Cheap to share; [`Engine::shutdown`] ends it cleanly.
pub struct Engine {
    config: EngineConfig,
    log: Arc<dyn Log>,
    registry: Arc<dyn SchemaRegistry>,
    /// The same, where it is this server's own.
    own_registry: Option<Arc<OwnRegistry>>,
    clock: Arc<dyn Clock>,
    runtime: Arc<Runtime>,
    catalog: RwLock<Arc<Catalog>>,
    queries: QueryRegistry,
    readonly_topics: readonly::ReadonlyTopics,
    /// Held while a statement changes something.
    commands: Mutex<CommandState>,
    /// What is wrong with the command log; read without the lock above.
    command_problem: Mutex<Option<String>>,
    /// Commands that were carried out; read without the lock, which a statement may hold for as long as the log is away.
    carried_out: AtomicUsize,
    inserts: insert::Inserter,
    /// Held while dead letters are sent through a query again.
    replays: Mutex<()>,
    supervisor: supervise::Supervisor,
    /// Says whether another server runs the service.
    claim: Box<dyn Claim>,
    /// The others, where there are any.
    servers: servers::Servers,
    /// The way to them, once it is there.
    peers: OnceLock<Arc<dyn Peers>>,
    /// This one's share of the slots, where there may be others.
    share: Option<Share>,
    /// The topic that they are partitions of.
    slots_topic: slots_topic::SlotsTopic,
    /// What is followed of others' slots.
    following: Mutex<standbys::Following>,
    /// Another does, and why that is known: this one runs nothing any more.
    deposed: OnceLock<String>,
    /// It is not known whether another does.
    is_unsure: AtomicBool,
}

/// The command log, and what it is needed for now.
struct CommandState {
    log: CommandLog,
    /// The statement that is being carried out, in its author's words.
    given: String,
    /// The topic that it deleted.
    deleted: Option<TopicFormat>,
    /// Another server's statement came before it.
    was_overtaken: bool,
}

impl CommandState {
    /// How many commands there were.
    fn count(&self) -> usize {
        self.log.count()
    }
}

/// Properties that hold for one statement: the engine's defaults, then the session's, by name without the
/// `ksql.streams.` prefix as well.
#[derive(Debug, Clone, Default)]
pub struct SessionProperties(pub BTreeMap<String, String>);

impl SessionProperties {
    /// A property by its bare name (`auto.offset.reset`), however it was spelled.
    pub fn get(&self, name: &str) -> Option<&str> {
        [format!("ksql.streams.{name}"), name.to_owned(), format!("ksql.{name}")]
            .iter()
            .find_map(|spelling| self.0.get(spelling))
            .map(String::as_str)
    }

    /// What single records that can't be read or written do to a query.
    pub fn record_policy(&self) -> RecordPolicy {
        let or = |name: &str, default: bool| self.get(name).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"));
        let default = RecordPolicy::default();
        RecordPolicy {
            ends_at_unreadable: or("fail.on.deserialization.error", default.ends_at_unreadable),
            ends_at_unsendable: or("fail.on.production.error", default.ends_at_unsendable),
        }
    }

    /// What a query is promised of its output: `processing.guarantee`, at least once by default.
    pub fn guarantee(&self) -> Guarantee {
        self.get("processing.guarantee").and_then(Guarantee::named).unwrap_or_default()
    }

    /// How many other servers follow a query's state: `num.standby.replicas`; `None`: as many as the server says.
    pub fn standbys(&self) -> Option<usize> {
        self.get("num.standby.replicas")?.trim().parse().ok()
    }

    /// Whether pull queries may be answered from standbys where owners do not answer (`ksql.query.pull.enable.standby.reads`), and how
    /// many offsets these may be behind (`ksql.query.pull.max.allowed.offset.lag`).
    pub fn standby_reads(&self) -> Option<u64> {
        let is_on = self.get("query.pull.enable.standby.reads").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let most = self.get("query.pull.max.allowed.offset.lag").and_then(|most| most.trim().parse().ok());
        is_on.then(|| most.unwrap_or(u64::MAX))
    }

    /// Where the records go that a query can't decode or process: `ksql.dead.letter.topic`, and which by
    /// `ksql.dead.letter.kinds`; `None`: they are counted only.
    pub fn letter_box(&self) -> Option<LetterBox> {
        let topic = self.get("dead.letter.topic").map(str::trim).filter(|topic| !topic.is_empty())?;
        let kinds = self.get("dead.letter.kinds").map_or(Ok(Kinds::default()), Kinds::parse).unwrap_or_default();
        Some(LetterBox { topic: topic.to_owned(), kinds })
    }

    /// Where a query without committed offsets begins: `auto.offset.reset`, `latest` by default.
    pub fn offset_reset(&self) -> OffsetSpec {
        match self.get("auto.offset.reset") {
            Some(value) if value.eq_ignore_ascii_case("earliest") => OffsetSpec::Earliest,
            _ => OffsetSpec::Latest,
        }
    }
}

/// Why the log could not say whether a topic exists.
#[derive(Default)]
struct LogAway(Cell<Option<LogError>>);

impl LogAway {
    /// A statement that was refused while the log was away may be right: say that instead.
    fn or<T>(&self, result: Result<T, AnalysisError>) -> Result<T, EngineError> {
        result.map_err(|error| self.0.take().map_or_else(|| error.into(), EngineError::from))
    }
}

impl Engine {
    /// The catalog as it stands.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().clone()
    }

    /// The persistent and push queries that run.
    pub fn queries(&self) -> &QueryRegistry {
        &self.queries
    }

    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// Who keeps the schemas of formats that have them.
    pub fn registry(&self) -> &Arc<dyn SchemaRegistry> {
        &self.registry
    }

    /// The server's own registry, where that keeps the schemas.
    pub fn own_registry(&self) -> Option<&Arc<OwnRegistry>> {
        self.own_registry.as_ref()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The number of the last command that was carried out, as clients were told it; -1: there was none. Never waits.
    pub fn last_sequence_number(&self) -> i64 {
        match self.carried_out.load(Ordering::Acquire) {
            0 => -1,
            count => command::sequence_number(count - 1),
        }
    }

    /// The defaults of the configuration with a session's properties over them.
    pub fn session(&self, overrides: &BTreeMap<String, String>) -> SessionProperties {
        let mut all = self.config.session_defaults.clone();
        all.extend(overrides.iter().map(|(k, v)| (k.clone(), v.clone())));
        SessionProperties(all)
    }

    /// Commits everything, ends all queries and threads. Calls after that fail.
    pub fn shutdown(&self) {
        points::reach(Point::CloseBegin);
        self.queries.close_push_queries();
        self.log.closing();
        // Both may wait for a broker: at the same time, not one after the other.
        self.supervisor.end_soon();
        self.runtime.shutdown();
        self.leave_group();
        self.supervisor.join();
        points::reach(Point::CloseEnd);
    }

    /// Nothing runs here any more: the others need not wait for this server's session to be over.
    fn leave_group(&self) {
        let Some(claim) = self.claim.shared().filter(|_| self.config.leaves_at_end) else { return };
        if self.deposed.get().is_none() && self.log.outage().is_none() && claim.leave(LEAVE_PATIENCE) {
            tracing::info!("the slots of this server were given to the others");
        }
    }

    /// What analysis may ask about topics.
    fn topic_lookup(&self) -> impl Fn(&str) -> Option<TopicInfo> + '_ {
        self.topic_lookup_unless(None)
    }

    /// As [`Self::topic_lookup`]; where the log can't answer, the reason goes to `away`.
    fn topic_lookup_unless<'a>(&'a self, away: Option<&'a LogAway>) -> impl Fn(&str) -> Option<TopicInfo> + 'a {
        move |name| {
            // There can't be one; the log would take the question itself for a mistake.
            topic_name::check_topic_name(name).ok()?;
            let found = self.log.describe_topic(name);
            let info = found.map_err(|error| away.map(|away| away.0.set(Some(error)))).ok().flatten()?;
            let retention_ms = info.config.get("retention.ms").and_then(|v| v.parse().ok());
            Some(TopicInfo { partitions: info.partitions, replicas: info.replicas, retention_ms })
        }
    }

    /// What analysis may know: the catalog, the session and the log's topics.
    fn context<'a>(
        &'a self,
        catalog: &'a Catalog,
        session: &'a SessionProperties,
        topic: &'a dyn Fn(&str) -> Option<TopicInfo>,
    ) -> AnalysisContext<'a> {
        self.context_with(&*self.registry, catalog, session, topic)
    }

    /// As [`Self::context`], with a registry that answers at once.
    fn context_with<'a>(
        &'a self,
        registry: &'a dyn SchemaRegistry,
        catalog: &'a Catalog,
        session: &'a SessionProperties,
        topic: &'a dyn Fn(&str) -> Option<TopicInfo>,
    ) -> AnalysisContext<'a> {
        AnalysisContext { catalog, properties: &session.0, service_id: &self.config.service_id, topic, registry }
    }

    /// Appends a command; whatever it says then happens. Returns the sequence number that clients are told.
    fn append(
        &self,
        commands: &mut CommandState,
        statement: &str,
        session: &SessionProperties,
        action: Action,
    ) -> Result<i64, EngineError> {
        self.check_understood(Understanding::of(COMMAND_VERSION, &action))?;
        let given = Some(std::mem::take(&mut commands.given)).filter(|given| given != statement && !given.is_empty());
        let (statement, properties) = (statement.to_owned(), session.0.clone());
        let command = Command { version: COMMAND_VERSION, statement, properties, given, turn: None, action };
        let number = command::sequence_number(commands.count());
        match commands.log.append(command) {
            Ok(Appended::Next) => Ok(number),
            Ok(Appended::Overtaken) => {
                commands.was_overtaken = true;
                Err(EngineError::external("Other servers keep changing what this statement is about. Nothing was done; try again."))
            }
            Err(error) if error.blame == Blame::External => Err(EngineError::external(format!(
                "{}. If the statement was written to the command topic before that, it is carried out once the log is back; else nothing \
                 of it was done",
                error.message
            ))),
            Err(error) => Err(error),
        }
    }

    /// The statements that the command log holds, first to last, in their authors' words; but for those that declare the
    /// streams over the processing log and the dead letters.
    ///
    /// # Errors
    /// The log is away.
    pub fn past_statements(&self) -> Result<Vec<String>, EngineError> {
        let past = self.commands.lock().log.past()?;
        let stream = self.config.processing_log_stream.as_ref();
        let skipped = usize::from(past.first().is_some_and(|first| first.declares.is_some() && first.declares.as_ref() == stream));
        Ok(past
            .into_iter()
            .skip(skipped)
            .filter(|statement| statement.declares.as_deref() != Some(LETTER_STREAM))
            .map(|statement| statement.given)
            .collect())
    }

    /// What is wrong with the command log, what that means and the way out; `None`: nothing. Statements that change something are
    /// refused where something is.
    pub fn command_log_problem(&self) -> Option<String> {
        self.command_problem.lock().clone()
    }

    /// Keeps a statement in the command log that changed nothing there.
    ///
    /// # Errors
    /// The log is away.
    pub fn remember_statement(self: &Arc<Self>, text: &str) -> Result<(), EngineError> {
        let mut commands = self.commands.lock();
        commands.given.clear();
        loop {
            self.catch_up(&mut commands)?;
            commands.was_overtaken = false;
            let appended = self.append(&mut commands, text, &SessionProperties::default(), Action::Nothing);
            if appended.is_ok() || !commands.was_overtaken {
                return appended.map(|_| ());
            }
        }
    }

    fn set_catalog(&self, catalog: Catalog) {
        *self.catalog.write() = Arc::new(catalog);
    }
}
