//! The log on Apache Kafka, through librdkafka.
//!
//! Clients are few and do not grow with the queries: one that reads for everybody (and at most two more while some
//! subscriber catches up), one producer for each writer, that is for each worker, one for what statements write (`append`),
//! one for what statements ask, and one for what nobody waits for. A broker answers the requests of a connection one after
//! another: so what a user waits for and what goes on in the background never share one.
//!
//! Reading is shared (`partition`) and of committed records only. Writing (`writer`) is at least once, or by transactions
//! (`transaction`): records are delivered, then the state is written, then the offsets go to each query's own consumer group, in
//! the background (`committer`). `health` reports an outage once.

mod append;
pub mod bare;
mod claim;
mod committer;
mod coordinators;

mod errors;
mod ffi;
mod groups;
mod health;
mod held;
mod hub;
mod kept;
mod login;
mod partition;
mod placement;
mod prefetch;
mod properties;
mod purge;
mod reader;
mod reports;
mod rules;
mod topics;
mod transaction;
mod transactional;
mod upkeep;
mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::{
    AppendError, Claim, ClaimRequest, GroupOffsets, Log, LogError, LogReader, LogWriter, Offset, OffsetSpec, Operation, OutRecord,
    Subscription, TopicHandle, TopicIdentity, TopicInfo, TopicPartition, TopicSpec, TransactionalId,
};
use crate::state::{StateBatch, StateError};
use append::Appender;
use claim::{KafkaClaim, KafkaCrew};
use committer::Committer;
use coordinators::Coordinators;
use ffi::{Client, admin};
use groups::{GroupCarrier, Groups};
use health::Health;
use hub::{Hub, Watch};
use login::Login;
use properties::{ClientProperties, Role, TOKENS};
use purge::Purger;
use reader::KafkaReader;
use rules::Rules;
use topics::Topics;
use transactional::TransactionalWriter;
use upkeep::Upkeep;
use writer::KafkaWriter;

pub use login::{Token, TokenSource};

/// Takes the state of a commit and makes it durable before it returns (or is known to be able to).
pub type StateSink = Arc<dyn Fn(StateBatch) -> Result<(), StateError> + Send + Sync>;

/// Transactional ids that are taken at once.
const TRANSACTIONAL_WRITERS_AT_ONCE: usize = 8;
/// How long to wait for the cluster's id, seconds.
const CLUSTER_ID_TIMEOUT_S: u64 = 10;

/// The log on a Kafka cluster.
pub struct KafkaLog {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    purger: Arc<Purger>,
    state: StateSink,
    cluster_id: OnceLock<String>,
    /// Ends when the log goes.
    _upkeep: Upkeep,
}

/// What readers, writers and requests have in common.
struct Shared {
    properties: ClientProperties,
    health: Arc<Health>,
    /// For what somebody waits for; never for what goes on in the background.
    admin: Arc<Client>,
    topics: Arc<Topics>,
    appender: Appender,
    rules: Rules,
    groups: Arc<Groups>,
    committer: Committer,
    /// See [`Log::gaps`].
    gaps: AtomicU64,
    /// The process is about to end.
    closing: AtomicBool,
    /// Made ahead of the next writer: a new idempotent producer needs half a second before it sends.
    next_producer: Mutex<Option<Arc<Client>>>,
}

impl Shared {
    /// The process ends and no broker answers: what is not delivered now never will be, and is read again after the start.
    fn gives_up(&self) -> bool {
        self.closing.load(Ordering::Acquire) && self.health.outage().is_some()
    }

    /// Producers that are made from now on keep to this size of a batch, the one that is ready already as well.
    fn limit_batches(&self, bytes: usize) {
        self.rules.limit_batches(bytes);
        *self.next_producer.lock() = None;
    }

    /// A producer's properties, with what topics allow a batch to have.
    fn with_batch_limit(&self, mut properties: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let batch_bytes = self.rules.batch_bytes();
        if batch_bytes != usize::MAX {
            properties.insert("batch.size".into(), batch_bytes.to_string());
        }
        properties
    }

    /// A client that writes, and another one made ready for the next that asks.
    fn producer(&self) -> Result<Arc<Client>, LogError> {
        let properties = self.with_batch_limit(self.properties.for_role(Role::Producer));
        let next = Client::producer(&properties, &self.health)?;
        Ok(self.next_producer.lock().replace(Arc::clone(&next)).unwrap_or(next))
    }
}

impl KafkaLog {
    /// Prepares the clients for `bootstrap` (`host:port`, several by commas). No connection is awaited: see
    /// [`Log::ping`]. Properties may carry Java's or librdkafka's names, and the prefixes `consumer.`, `producer.` and
    /// `admin.`. `state` takes the state of each commit.
    ///
    /// # Errors
    /// `Fatal` where a property is unknown or its value is not accepted; it is named.
    pub fn connect(bootstrap: &str, client_properties: &BTreeMap<String, String>, state: StateSink) -> Result<KafkaLog, LogError> {
        Self::connect_with(bootstrap, client_properties, None, state)
    }

    /// As [`Self::connect`], to brokers that want tokens.
    ///
    /// # Errors
    /// As there.
    pub fn connect_with(
        bootstrap: &str,
        client_properties: &BTreeMap<String, String>,
        tokens: Option<Arc<dyn TokenSource>>,
        state: StateSink,
    ) -> Result<KafkaLog, LogError> {
        let properties = ClientProperties::new(bootstrap, client_properties)?;
        let health = Health::new(properties.bootstrap());
        let want_tokens = [Role::Consumer, Role::Producer, Role::Admin].map(|role| properties.wants_tokens(role));
        match tokens {
            Some(tokens) if want_tokens == [true; 3] => health.log_in_by(Login::start(tokens, &health)?),
            None if want_tokens == [false; 3] => {}
            _ => return Err(LogError::Fatal(format!("sasl.mechanism={TOKENS} is for all clients or for none, with a source of tokens"))),
        }
        let admin = Client::consumer(&properties.for_role(Role::Admin), &health)?;
        let background = Client::consumer(&properties.for_role(Role::Admin), &health)?;
        let appender = Appender::new(Client::producer(&properties.for_appends(), &health)?);
        // A producer's and a consumer's properties are checked now rather than at the first query.
        let next_producer = Mutex::new(Some(Client::producer(&properties.for_role(Role::Producer), &health)?));
        let hub = Hub::new(properties.clone(), Arc::clone(&health))?;
        health.watch(Arc::new(Watch { admin: Arc::downgrade(&admin), hub: Arc::downgrade(&hub) }));
        let coordinators = Coordinators::new(Arc::clone(&admin));
        let (topics, groups) = (Arc::new(Topics::new(Arc::clone(&admin))), Arc::new(Groups::new(Arc::clone(&admin), coordinators)));
        let carrier = GroupCarrier::new(Arc::clone(&groups), Arc::clone(&background), properties.clone(), Arc::clone(&health));
        let committer = Committer::new(Arc::new(carrier))?;
        let purger = Arc::new(Purger::default());
        let upkeep = Upkeep::start(background, Arc::clone(&purger), Arc::clone(&topics))?;
        let closing = AtomicBool::new(false);
        let shared = Arc::new(Shared {
            properties,
            health,
            admin,
            topics,
            rules: Rules::default(),
            appender,
            groups,
            committer,
            gaps: AtomicU64::new(0),
            closing,
            next_producer,
        });
        Ok(KafkaLog { shared, hub, purger, state, cluster_id: OnceLock::new(), _upkeep: upkeep })
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.shared.health.unwatch();
        if let Some(login) = self.shared.health.login() {
            login.close();
        }
    }
}

impl Log for KafkaLog {
    fn is_atomic(&self) -> bool {
        false
    }

    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn cluster_id(&self) -> String {
        if let Some(known) = self.cluster_id.get() {
            return known.clone();
        }
        // Asked for outside of any lock: while no broker answers, each that asks waits for itself only.
        match admin::cluster_id(&self.shared.admin, Duration::from_secs(CLUSTER_ID_TIMEOUT_S)) {
            Some(id) => self.cluster_id.get_or_init(|| id).clone(),
            None => String::new(),
        }
    }

    fn gaps(&self) -> u64 {
        self.shared.gaps.load(Ordering::Acquire)
    }

    fn delete_before(&self, offsets: GroupOffsets) {
        self.purger.add(offsets);
    }

    fn closing(&self) {
        self.shared.closing.store(true, Ordering::Release);
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.shared.topics.create(spec)
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.purger.forget(name);
        self.shared.topics.delete(name)
    }

    fn describe_topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.shared.topics.describe(name)
    }

    fn identify(&self, names: &[&str]) -> Result<Vec<Option<TopicIdentity>>, LogError> {
        match self.shared.topics.identify(names) {
            // A broker that can't tell ids still tells what is there.
            Err(error @ LogError::Fatal(_)) => {
                tracing::warn!(%error, "topics can't be told apart by their ids");
                let identity =
                    |name: &&str| Ok(self.describe_topic(name)?.map(|info| TopicIdentity { id: None, partitions: info.partitions }));
                names.iter().map(identity).collect()
            }
            answer => answer,
        }
    }

    fn denied(&self, topic: &str, wanted: &[Operation]) -> Vec<Operation> {
        self.shared.topics.denied(topic, wanted)
    }

    fn list_topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.shared.topics.list()
    }

    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError> {
        self.shared.groups.offsets(partitions, spec)
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError> {
        let pending = self.shared.committer.pending(group, partitions);
        if pending.iter().all(Option::is_some) {
            return Ok(pending);
        }
        let committed = self.shared.groups.committed(group, partitions)?;
        Ok(pending.into_iter().zip(committed).map(|(pending, committed)| pending.or(committed)).collect())
    }

    fn begin_group(&self, group: &str, offsets: GroupOffsets) {
        self.shared.committer.begin(group, offsets);
    }

    fn delete_group(&self, group: &str) -> Result<(), LogError> {
        self.shared.committer.forget(group);
        self.shared.groups.delete(group)
    }

    fn topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        self.shared.topics.handle(name)
    }

    fn known_topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        self.shared.topics.known(name)
    }

    fn append(&self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        self.append_all(topic, &[record]).map_err(|failed| failed.error)
    }

    fn append_all(&self, topic: TopicHandle, records: &[OutRecord<'_>]) -> Result<(), AppendError> {
        self.shared.appender.append_all(&self.shared, topic, records)
    }

    fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn LogReader>, LogError> {
        let partitions: Vec<TopicPartition> = subscription.partitions.iter().map(|(partition, _)| partition.clone()).collect();
        // Who reads several partitions in the order of time must not take one for exhausted before it was ever fetched; for
        // others the first fetch tells soon enough.
        let ends = if partitions.len() > 1 { self.offsets(&partitions, OffsetSpec::Latest)? } else { Vec::new() };
        let reader = KafkaReader::new(Arc::clone(&self.hub), Arc::clone(&self.shared.health), subscription, &ends)?;
        Ok(Box::new(reader))
    }

    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        Ok(Box::new(KafkaWriter::new(Arc::clone(&self.shared), Arc::clone(&self.state))?))
    }

    fn transactional_writer(&self, id: &TransactionalId) -> Result<Box<dyn LogWriter>, LogError> {
        let (shared, hub, state) = (Arc::clone(&self.shared), Arc::clone(&self.hub), Arc::clone(&self.state));
        Ok(Box::new(TransactionalWriter::new(shared, hub, state, id)?))
    }

    fn transactional_writers(&self, ids: &[TransactionalId]) -> Result<Vec<Box<dyn LogWriter>>, LogError> {
        let mut writers = Vec::with_capacity(ids.len());
        // A query that starts waits for all of them.
        for ids in ids.chunks(TRANSACTIONAL_WRITERS_AT_ONCE) {
            let made: Vec<_> = std::thread::scope(|scope| {
                let making: Vec<_> = ids.iter().map(|id| scope.spawn(|| self.transactional_writer(id))).collect();
                let panicked = || Err(LogError::Fatal("making a transactional writer panicked".into()));
                making.into_iter().map(|made| made.join().unwrap_or_else(|_| panicked())).collect()
            });
            for writer in made {
                writers.push(writer?);
            }
        }
        Ok(writers)
    }

    fn outage(&self) -> Option<String> {
        self.shared.health.outage()
    }

    fn claim(&self, request: &ClaimRequest<'_>, waiting: &mut dyn FnMut(&str)) -> Result<Box<dyn Claim>, LogError> {
        let (properties, login) = (&self.shared.properties, self.shared.health.login());
        if request.is_shared {
            return Ok(Box::new(KafkaCrew::new(properties, login, request, waiting)?));
        }
        Ok(Box::new(KafkaClaim::new(properties, login, request, waiting)?))
    }

    fn ping(&self, timeout: Duration) -> Result<(), LogError> {
        admin::probe(&self.shared.admin, timeout).map_err(|failure| match self.shared.health.outage() {
            Some(outage) => LogError::Retriable(outage),
            None => failure.about(&format!("asking {}", self.shared.properties.bootstrap()), None),
        })
    }
}
