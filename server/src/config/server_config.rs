//! Everything that a server is started with, read from the properties that were set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidemill_engine::engine::{Backoff, EngineConfig, LogChoice, RegistryChoice};

use super::guarantee::broken_promise;
use super::overrides::OverrideRules;
use super::standing::standing;
use super::table::{Role, property};
use super::{ConfigError, client, streams};
use crate::access::Access;
use crate::connect::ConnectConfig;
use crate::kafka_login::TokenLogin;
use crate::schema_registry::{self, RegistryClient};
use crate::tls::Listening;

/// How many other servers follow a task's state.
const STANDBYS: &str = "num.standby.replicas";

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// `host:port`.
    pub address: String,
    /// Whether TLS is spoken there.
    pub secure: bool,
}

/// What a server is started with.
#[derive(Clone)]
pub struct ServerConfig {
    /// What was set, by the names that were used. Not for the eyes of users: see [`super::shown`].
    pub values: BTreeMap<String, String>,
    /// Those whose values stand elsewhere (`${file:…}`).
    provided: BTreeSet<String>,
    /// Where to listen, at least one.
    pub listen: Vec<Listen>,
    /// Where PostgreSQL's protocol is spoken, `host:port`; encrypted where `tls` says how.
    pub postgres: Option<String>,
    /// Where Arrow Flight SQL is spoken, `host:port`; encrypted where `tls` says how.
    pub flight_sql: Option<String>,
    /// How listeners encrypt; where one of them is to.
    pub tls: Option<Arc<Listening>>,
    /// Who may ask; `None`: everybody.
    pub access: Option<Arc<Access>>,
    /// The URL that clients are told; `None`: the first address.
    pub advertised: Option<String>,
    pub queries_file: Option<PathBuf>,
    pub engine: EngineConfig,
    pub overrides: OverrideRules,
    /// Kafka Connect; `None` where nobody said that there is one and topics are not in Kafka.
    pub connect: Option<ConnectConfig>,
    pub max_connections: usize,
    pub max_body_bytes: usize,
    /// A connection without a request is closed after this long; `None`: it stays.
    pub idle_timeout: Option<Duration>,
    /// Push queries and PRINTs at a time.
    pub max_push_queries: usize,
    /// What has no effect, to be said once.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for ServerConfig {
    /// Without the values, among which are passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.values.keys().collect();
        f.debug_struct("ServerConfig").field("set", &names).field("listen", &self.listen).field("warnings", &self.warnings).finish()
    }
}

impl ServerConfig {
    pub(super) fn from_values(
        values: BTreeMap<String, String>,
        provided: BTreeSet<String>,
        mut warnings: Vec<String>,
    ) -> Result<Self, ConfigError> {
        let read = Values(&values);
        let listen = read.text("listeners").split(',').map(listener).collect::<Result<Vec<_>, _>>()?;
        check_ports(&[
            ("listeners", listen.iter().map(|listen| listen.address.clone()).collect()),
            ("tidemill.postgres.listen", read.some("tidemill.postgres.listen").into_iter().collect()),
            ("tidemill.flight.sql.listen", read.some("tidemill.flight.sql.listen").into_iter().collect()),
        ])?;
        let allowlist = (read.text("ksql.properties.overrides.validation.mode") == "allowlist")
            .then(|| read.text("ksql.properties.overrides.allowlist"));
        let mut engine = read.engine(&provided)?;
        if let Some(settings) = schema_registry::Settings::from_properties(&values).map_err(ConfigError)? {
            engine.registry = RegistryChoice::Given(Arc::new(RegistryClient::new(settings).map_err(ConfigError)?));
        } else if let Some(names) = schema_registry::in_vain(&values) {
            warnings.push(format!("no effect here: {names}. They are for a schema registry, and ksql.schema.registry.url is not set."));
        }
        let on_kafka = matches!(engine.log, LogChoice::Kafka { .. });
        if on_kafka && let Some(settings) = client::tokens(&values).map_err(ConfigError)? {
            let login = TokenLogin::new(settings).map_err(ConfigError)?;
            if login.is_unsecured() {
                warnings.push(
                    "sasl.jaas.config: tokens are made here without a signature. A broker that takes them takes anybody's; set \
                     sasl.oauthbearer.token.endpoint.url"
                        .to_owned(),
                );
            }
            engine.kafka_tokens = Some(Arc::new(login));
        }
        if !engine.is_shared {
            let set = [(STANDBYS, engine.standbys > 0), ("tidemill.rack", engine.rack.is_some())];
            let in_vain: Vec<&str> = set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
            if !in_vain.is_empty() {
                let names = in_vain.join(", ");
                warnings.push(format!("{names}: for servers that share a service, and tidemill.cluster.enabled is not set"));
            }
        }
        let broken: Vec<String> = values.iter().filter_map(|(name, value)| broken_promise(name, value, on_kafka)).collect();
        if !broken.is_empty() {
            return Err(ConfigError(broken.join("; ")));
        }
        let (copies, in_sync) = (engine.command_topic_replicas, engine.command_topic_min_insync_replicas);
        if in_sync > copies {
            return Err(ConfigError(format!(
                "ksql.internal.topic.min.insync.replicas={in_sync} is more than ksql.internal.topic.replicas={copies}: no statement would ever be taken"
            )));
        }
        for list in ["ksql.properties.overrides.denylist", "ksql.properties.overrides.allowlist"] {
            let unknown: Vec<String> = read.list(list).into_iter().filter(|name| standing(name).is_none()).collect();
            if !unknown.is_empty() {
                warnings.push(format!("{list}: no property is called {}; nothing is matched by it", unknown.join(", ")));
            }
        }
        let is_secure = listen.iter().any(|listen: &Listen| listen.secure);
        let tls = if is_secure { Some(Arc::new(Listening::new(&values).map_err(ConfigError)?)) } else { None };
        warnings.extend(tls.iter().flat_map(|tls: &Arc<Listening>| tls.warnings().to_vec()));
        let asks_for_certificates = ["ssl.client.authentication", "ssl.client.auth"]
            .into_iter()
            .find(|name| !matches!(read.text(name).to_ascii_uppercase().as_str(), "NONE" | "FALSE" | ""));
        if let Some(name) = asks_for_certificates.filter(|_| !is_secure) {
            return Err(ConfigError(format!("{name} asks clients for certificates, and no listener is https: see listeners")));
        }
        let access = Access::from_properties(&values).map_err(ConfigError)?;
        warnings.extend(access.iter().flat_map(|access| access.warnings()));
        let mut for_kafka = client::names_for_kafka(&values);
        for_kafka.retain(|name| !is_secure || !name.starts_with("ssl."));
        if !on_kafka && !for_kafka.is_empty() {
            warnings.push(format!("no effect here: {}. They are for Kafka, and bootstrap.servers is not set.", for_kafka.join(", ")));
        }
        // ksqlDB looks for Connect on the same machine. Beside the embedded log there is none, unless somebody says so.
        let connect = if on_kafka || values.keys().any(|name| name.starts_with("ksql.connect.")) {
            Some(ConnectConfig::read(&values, |name| read.some(name)).map_err(ConfigError)?)
        } else {
            None
        };
        if let Some(names) = connect.as_ref().and_then(|connect| connect.in_vain(&values)) {
            warnings.push(format!("no effect here: {names}. ksql.connect.url asks for no TLS."));
        }
        if connect.is_some() && !on_kafka {
            warnings.push(
                "ksql.connect.url: connectors read and write topics of Kafka, but this server's topics are in the embedded log; set \
                 bootstrap.servers"
                    .to_owned(),
            );
        }
        Ok(ServerConfig {
            postgres: read.some("tidemill.postgres.listen").map(|text| address("tidemill.postgres.listen", &text)).transpose()?,
            flight_sql: read.some("tidemill.flight.sql.listen").map(|text| address("tidemill.flight.sql.listen", &text)).transpose()?,
            listen,
            tls,
            access,
            advertised: read.some("ksql.advertised.listener"),
            queries_file: read.some("ksql.queries.file").map(PathBuf::from),
            engine,
            overrides: OverrideRules::new(&read.text("ksql.properties.overrides.denylist"), allowlist.as_deref()).over(&values, on_kafka),
            connect,
            max_connections: read.number("tidemill.http.max.connections"),
            max_body_bytes: read.number("tidemill.http.max.body.bytes"),
            idle_timeout: read.seconds("ksql.idle.connection.timeout.seconds"),
            max_push_queries: read.number("ksql.max.push.queries"),
            warnings,
            values,
            provided,
        })
    }

    /// The value of a property: what was set, else its default.
    pub fn value(&self, name: &str) -> Option<String> {
        Values(&self.values).some(name)
    }

    /// A value of the configuration as it may be shown: what was fetched from elsewhere is not, whoever may set the property.
    pub fn shown<'a>(&self, name: &str, value: &'a str) -> &'a str {
        if self.is_provided(name) { super::table::HIDDEN } else { super::table::shown(name, value) }
    }

    /// Whether a property's value was fetched from elsewhere, under any of its names.
    pub fn is_provided(&self, name: &str) -> bool {
        let meant = streams::parted(name);
        self.provided.iter().any(|set| set == name || (streams::find(set).is_some() && streams::parted(set) == meant))
    }

    /// Where to listen, `host:port`.
    pub fn addresses(&self) -> Vec<&str> {
        self.listen.iter().map(|listen| listen.address.as_str()).collect()
    }

    /// A number, which was checked when it was set.
    pub fn number(&self, name: &str) -> usize {
        Values(&self.values).number(name)
    }

    /// Whether a property is `true`.
    pub fn flag(&self, name: &str) -> bool {
        Values(&self.values).flag(name)
    }
}

/// Reads what was set, with defaults from the table.
struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    /// Set and not empty, else the default unless it is empty.
    fn some(&self, name: &str) -> Option<String> {
        let set = self.0.get(name).map(String::as_str);
        set.or_else(|| property(name).and_then(|p| p.default)).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    fn text(&self, name: &str) -> String {
        self.some(name).unwrap_or_default()
    }

    /// A number that was checked when it was taken.
    fn number(&self, name: &str) -> usize {
        self.text(name).trim().parse().unwrap_or_default()
    }

    /// A time; 0 is none.
    fn seconds(&self, name: &str) -> Option<Duration> {
        self.text(name).trim().parse().ok().filter(|s| *s > 0).map(Duration::from_secs)
    }

    /// Copies of a topic.
    fn copies(&self, name: &str) -> u16 {
        u16::try_from(self.number(name)).unwrap_or(u16::MAX).max(1)
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name).trim().eq_ignore_ascii_case("true")
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.text(name).split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A property of Kafka Streams or of all clients, under any of its names; the longest name wins.
    fn streams(&self, bare: &str) -> Option<String> {
        let mut found: Vec<_> = self.0.iter().filter(|(name, _)| streams::parted(name) == (streams::Scope::All, bare)).collect();
        found.sort_by_key(|(name, _)| name.len());
        found.pop().map(|(_, value)| value.clone())
    }

    /// The folder of the state, by our name or by Kafka Streams'.
    fn data_dir(&self) -> String {
        let theirs = || self.streams("state.dir").filter(|dir| !dir.is_empty());
        let own = self.0.get("tidemill.data.dir").filter(|dir| !dir.is_empty()).cloned();
        own.or_else(theirs).unwrap_or_else(|| self.text("tidemill.data.dir"))
    }

    fn engine(&self, provided: &BTreeSet<String>) -> Result<EngineConfig, ConfigError> {
        let mut engine = EngineConfig::new(self.data_dir()).with_service_id(&self.text("ksql.service.id"));
        if let Some(servers) = self.streams("bootstrap.servers").filter(|s| !s.trim().is_empty()) {
            let client_properties = client::client_properties(self.0).map_err(ConfigError)?;
            engine.log = LogChoice::Kafka { bootstrap_servers: brokers(&servers), client_properties };
        }
        let parsed = |name: &str| self.streams(name).and_then(|v| v.trim().parse::<u64>().ok());
        if let Some(ms) = parsed("commit.interval.ms") {
            engine.commit_interval_ms = ms;
        }
        engine.min_commit_interval_ms = self.text("tidemill.commit.min.interval.ms").trim().parse().ok();
        engine.push_stall_timeout_ms = u64::try_from(self.number("tidemill.push.stall.timeout.ms")).unwrap_or(u64::MAX);
        engine.is_shared = self.flag("tidemill.cluster.enabled");
        engine.leaves_at_end = self.flag("tidemill.cluster.leave.on.close");
        engine.slots = u16::try_from(self.number("tidemill.slots")).unwrap_or(engine.slots);
        engine.standbys = parsed(STANDBYS).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        engine.rack = self.some("tidemill.rack");
        if let Some(ms) = parsed("metadata.max.age.ms") {
            engine.metadata_max_age_ms = ms;
        }
        let ms = |name: &str| self.text(name).trim().parse().unwrap_or_default();
        engine.query_retry =
            Backoff { initial_ms: ms("ksql.query.retry.backoff.initial.ms"), max_ms: ms("ksql.query.retry.backoff.max.ms") };
        if let Some(ms) = parsed("max.task.idle.ms") {
            engine.max_task_idle_ms = ms;
        }
        let on_kafka = matches!(engine.log, LogChoice::Kafka { .. });
        if self.flag("tidemill.schema.registry.enabled") && self.some("ksql.schema.registry.url").is_none() {
            engine.registry = RegistryChoice::Own { topic: self.some("tidemill.schema.registry.topic") };
        }
        engine.replicas = match self.streams("replication.factor").and_then(|v| v.trim().parse::<i64>().ok()) {
            Some(-1) if on_kafka => 0,
            Some(copies) => u16::try_from(copies).unwrap_or(1).max(1),
            None => 1,
        };
        engine.command_topic_replicas = self.copies("ksql.internal.topic.replicas");
        engine.command_topic_min_insync_replicas = self.copies("ksql.internal.topic.min.insync.replicas");
        if let workers @ 1.. = self.number("tidemill.workers") {
            engine.workers = workers;
        }
        engine.state_cache_bytes = self.number("tidemill.state.cache.bytes");
        engine.state_overlay_bytes = self.number("tidemill.state.overlay.bytes");
        engine.max_persistent_queries = self.number("ksql.query.persistent.active.limit");
        engine.readonly_topics = self.list("ksql.readonly.topics");
        if let Some(topic) = self.some("ksql.logging.processing.topic.name") {
            engine.processing_log_topic = Some(topic);
        }
        if !self.flag("ksql.logging.processing.topic.auto.create") {
            engine.processing_log_topic = None;
        }
        engine.processing_log_partitions = u32::try_from(self.number("ksql.logging.processing.topic.partitions")).unwrap_or(1).max(1);
        engine.processing_log_replicas = self.copies("ksql.logging.processing.topic.replication.factor");
        let declares = self.flag("ksql.logging.processing.stream.auto.create");
        engine.processing_log_stream = self.some("ksql.logging.processing.stream.name").filter(|_| declares);
        engine.processing_log_include_rows = self.flag("ksql.logging.processing.rows.include");
        for (name, value) in self.0 {
            let own = property(name).is_some_and(|p| matches!(p.role, Role::Session | Role::Server)) || name.starts_with("ksql.functions.");
            // What sessions have goes into the command topic. They have no use for these, which may hold secrets.
            let is_neighbours = name.starts_with("ksql.schema.registry.") || name.starts_with("ksql.connect.");
            let is_sessions = property(name).is_some_and(|p| p.role == Role::Session);
            let is_secret = super::table::holds_secret(name, value) || (provided.contains(name) && !is_sessions);
            let own = own && !is_neighbours && !is_secret;
            match streams::find(name) {
                // A query keeps what its session has; what the server says of this holds for all others as well.
                Some(p) if p.name == STANDBYS => None,
                _ if own => engine.session_defaults.insert(name.clone(), value.clone()),
                Some(p) if p.role == Role::Session => {
                    engine.session_defaults.insert(format!("{}{}", streams::PREFIX, p.name), value.clone())
                }
                _ => None,
            };
        }
        Ok(engine)
    }
}

/// `PLAINTEXT://host:port` as `host:port`: which protocol is spoken is said by security.protocol.
fn brokers(servers: &str) -> String {
    let bare = |server: &str| server.rsplit_once("://").map_or(server, |(_, rest)| rest).trim().to_owned();
    servers.split(',').map(|server| bare(server.trim())).filter(|server| !server.is_empty()).collect::<Vec<_>>().join(",")
}

/// `host:port`.
fn address(name: &str, text: &str) -> Result<String, ConfigError> {
    match text.trim().rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() && !host.contains("//") => Ok(text.trim().to_owned()),
        _ => Err(ConfigError(format!("{name}: '{text}' is not an address with a port, e.g. 127.0.0.1:5432"))),
    }
}

/// Whether everything that listens can: no port of an address is taken by another.
fn check_ports(listening: &[(&str, Vec<String>)]) -> Result<(), ConfigError> {
    let parted = |address: &str| {
        let (host, port) = address.trim().rsplit_once(':')?;
        let host = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
        // Port 0 is one that is free.
        Some((host.to_owned(), port.parse::<u16>().ok().filter(|port| *port > 0)?))
    };
    let is_any = |host: &str| matches!(host, "0.0.0.0" | "[::]");
    let mut taken: Vec<(&str, &str, (String, u16))> = Vec::new();
    for (name, address) in listening.iter().flat_map(|(name, addresses)| addresses.iter().map(move |address| (*name, address.as_str()))) {
        let Some((host, port)) = parted(address) else { continue };
        let other = taken.iter().find(|(.., (of, at))| *at == port && (*of == host || is_any(of) || is_any(&host)));
        if let Some((of, first, _)) = other {
            let by = if *of == name { String::new() } else { format!(" of {of}") };
            return Err(ConfigError(format!("{name}: '{address}' can't be listened on beside '{first}'{by}: both have port {port}")));
        }
        taken.push((name, address, (host, port)));
    }
    Ok(())
}

/// `http://host:port`, `https://host:port` or `host:port`.
fn listener(text: &str) -> Result<Listen, ConfigError> {
    let text = text.trim();
    let (secure, address) = match text.split_once("://") {
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("https") => (true, address),
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("http") => (false, address),
        _ => (false, text),
    };
    let address = address.trim_end_matches('/');
    match address.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() => Ok(Listen { address: address.to_owned(), secure }),
        _ => Err(ConfigError(format!("listeners: '{text}' is not an address with a port, e.g. http://127.0.0.1:8088"))),
    }
}
