//! The server's configuration: a properties file with ksqlDB's names, environment variables over it, flags over both.
//!
//! Whatever is unknown or invalid is named and stops the start; what is known but has no effect here warns once.

mod file;
mod kafka_client;
mod kind;
mod overrides;
pub mod streams;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tidemill_engine::engine::{EngineConfig, LogChoice};

pub use kind::Kind;
pub use overrides::{OverrideError, OverrideRules, near};
pub use table::{PROPERTIES, Property, Role, property};

/// Why the server can't start as it is configured. One line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Environment variables that begin so are properties: `TIDEMILL_KSQL_SERVICE_ID` is `ksql.service.id`.
const ENV_PREFIX: &str = "TIDEMILL_";
/// Those that are not: the log's filter, and the shell's server.
const ENV_RESERVED: [&str; 2] = ["TIDEMILL_LOG", "TIDEMILL_SERVER"];
/// Prefixes of names that Java's server hands to its plug-ins and neighbours.
const INERT_PREFIXES: [&str; 5] = ["confluent.", "ksql.schema.registry.", "ksql.connect.", "ksql.internal.", "metrics."];

/// A configuration in the making: later values replace earlier ones.
#[derive(Debug, Clone, Default)]
pub struct ConfigBuilder {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl ConfigBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the properties of a file.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn file(mut self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        let entries = file::parse(&text).map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        for entry in entries {
            self.take(&entry.name, &entry.value, &format!("{} line {}", path.display(), entry.line));
        }
        Ok(self)
    }

    /// Takes environment variables; others than `TIDEMILL_…` are left alone.
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(ENV_PREFIX).filter(|_| !ENV_RESERVED.contains(&variable.as_str())) else { continue };
            let meant = |known: &str| known.to_ascii_uppercase().replace(['.', '-'], "_") == name;
            let of_table = PROPERTIES.iter().map(|p| p.name.to_owned()).find(|n| meant(n));
            let name = of_table
                .or_else(|| PROPERTIES.iter().map(|p| p.name).find(|n| n.strip_prefix("tidemill.").is_some_and(meant)).map(str::to_owned))
                .or_else(|| streams::STREAMS.iter().map(|p| format!("{}{}", streams::PREFIX, p.name)).find(|n| meant(n)))
                .or_else(|| streams::STREAMS.iter().map(|p| p.name.to_owned()).find(|n| meant(n)));
            match name {
                Some(name) => self.take(&name, &value, &variable),
                None => self.problems.push(format!("{variable}: no property has this name")),
            }
        }
        self
    }

    /// Takes one property; `origin` names it in messages (`--listen`).
    pub fn set(mut self, name: &str, value: &str, origin: &str) -> Self {
        self.take(name, value, origin);
        self
    }

    fn take(&mut self, name: &str, value: &str, origin: &str) {
        match judge(name, value) {
            Ok(warning) => {
                self.warnings.extend(warning.map(|w| format!("{origin}: {name} {w}")));
                self.values.insert(name.to_owned(), value.to_owned());
            }
            Err(problem) => self.problems.push(format!("{origin}: {problem}")),
        }
    }

    /// # Errors
    /// Everything that was wrong, in one line.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError(self.problems.join("; ")));
        }
        ServerConfig::from_values(self.values, self.warnings)
    }
}

/// Whether a property may be configured so: a warning, or nothing, or what is wrong.
fn judge(name: &str, value: &str) -> Result<Option<String>, String> {
    let (kind, role, doc, default) = match (property(name), streams::find(name)) {
        (Some(p), _) => (p.kind, p.role, p.doc, p.default),
        (None, Some(p)) => (p.kind, p.role, "", p.listed),
        (None, None) if name.starts_with(streams::PREFIX) || INERT_PREFIXES.iter().any(|p| name.starts_with(p)) => {
            return Ok(Some("has no effect here".to_owned()));
        }
        (None, None) if name.starts_with("ksql.functions.") => return Ok(None),
        (None, None) => return Err(format!("unknown property '{name}'{}", near(name))),
    };
    if !value.is_empty() || default.is_some_and(|d| !d.is_empty()) {
        kind.check(value).map_err(|reason| format!("invalid value '{value}' of {name}: {reason}"))?;
    }
    match role {
        Role::Refused if Some(value) != default => Err(format!("{name} can't be used: {}", if doc.is_empty() { REFUSED } else { doc })),
        Role::Inert if Some(value) != default => {
            Ok(Some(if doc.is_empty() { "has no effect here".to_owned() } else { format!("has no effect here: {doc}") }))
        }
        _ => Ok(None),
    }
}

const REFUSED: &str = "Java's key stores can't be read; give PEM files with ssl.ca.location, ssl.certificate.location, ssl.key.location";

/// Everything that a server is started with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What was set, by the names that were used.
    pub values: BTreeMap<String, String>,
    /// `host:port`, at least one.
    pub listen: Vec<String>,
    /// The URL that clients are told; `None`: the first address.
    pub advertised: Option<String>,
    pub queries_file: Option<PathBuf>,
    pub engine: EngineConfig,
    pub overrides: OverrideRules,
    pub max_connections: usize,
    pub max_body_bytes: usize,
    /// Push queries and PRINTs at a time.
    pub max_push_queries: usize,
    /// What has no effect, to be said once.
    pub warnings: Vec<String>,
}

impl ServerConfig {
    fn from_values(values: BTreeMap<String, String>, warnings: Vec<String>) -> Result<Self, ConfigError> {
        let read = Values(&values);
        let listen = read.text("listeners").split(',').map(listener).collect::<Result<Vec<_>, _>>()?;
        let allowlist = (read.text("ksql.properties.overrides.validation.mode") == "allowlist")
            .then(|| read.text("ksql.properties.overrides.allowlist"));
        Ok(ServerConfig {
            listen,
            advertised: read.some("ksql.advertised.listener"),
            queries_file: read.some("ksql.queries.file").map(PathBuf::from),
            engine: read.engine()?,
            overrides: OverrideRules::new(&read.text("ksql.properties.overrides.denylist"), allowlist.as_deref()),
            max_connections: read.number("tidemill.http.max.connections"),
            max_body_bytes: read.number("tidemill.http.max.body.bytes"),
            max_push_queries: read.number("ksql.max.push.queries"),
            warnings,
            values,
        })
    }

    /// The value of a property: what was set, else its default.
    pub fn value(&self, name: &str) -> Option<String> {
        Values(&self.values).some(name)
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

    fn flag(&self, name: &str) -> bool {
        self.text(name).trim().eq_ignore_ascii_case("true")
    }

    /// A property of Kafka Streams or of a client, under any of its names; the longest name wins.
    fn streams(&self, bare: &str) -> Option<String> {
        let mut found: Vec<_> = self.0.iter().filter(|(name, _)| streams::bare(name) == bare).collect();
        found.sort_by_key(|(name, _)| name.len());
        found.pop().map(|(_, value)| value.clone())
    }

    fn engine(&self) -> Result<EngineConfig, ConfigError> {
        let mut engine = EngineConfig::new(self.text("tidemill.data.dir")).with_service_id(&self.text("ksql.service.id"));
        if let Some(servers) = self.streams("bootstrap.servers").filter(|s| !s.is_empty()) {
            let client_properties = kafka_client::client_properties(|name| self.streams(name)).map_err(ConfigError)?;
            engine.log = LogChoice::Kafka { bootstrap_servers: servers, client_properties };
        }
        let parsed = |name: &str| self.streams(name).and_then(|v| v.trim().parse::<u64>().ok());
        if let Some(ms) = parsed("commit.interval.ms") {
            engine.commit_interval_ms = ms;
        }
        if let Some(ms) = parsed("max.task.idle.ms") {
            engine.max_task_idle_ms = ms;
        }
        if let Some(replicas) = parsed("replication.factor").and_then(|r| u16::try_from(r).ok()) {
            engine.replicas = replicas.max(1);
        }
        if let workers @ 1.. = self.number("tidemill.workers") {
            engine.workers = workers;
        }
        engine.state_cache_bytes = self.number("tidemill.state.cache.bytes");
        engine.state_overlay_bytes = self.number("tidemill.state.overlay.bytes");
        if let Some(topic) = self.some("ksql.logging.processing.topic.name") {
            engine.processing_log_topic = Some(topic);
        }
        if !self.flag("ksql.logging.processing.topic.auto.create") {
            engine.processing_log_topic = None;
        }
        engine.processing_log_stream = self.flag("ksql.logging.processing.stream.auto.create");
        engine.processing_log_include_rows = self.flag("ksql.logging.processing.rows.include");
        for (name, value) in self.0 {
            let own = property(name).is_some_and(|p| matches!(p.role, Role::Session | Role::Server)) || name.starts_with("ksql.functions.");
            match streams::find(name) {
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

/// `http://host:port` or `host:port` as `host:port`.
fn listener(text: &str) -> Result<String, ConfigError> {
    let text = text.trim();
    let wrong = |what: &str| ConfigError(format!("listeners: '{text}' {what}, e.g. http://127.0.0.1:8088"));
    if text.starts_with("https://") {
        return Err(wrong("asks for TLS, which is not built yet; use http behind a proxy"));
    }
    let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    match address.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() => Ok(address.to_owned()),
        _ => Err(wrong("is not an address with a port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(properties: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
        properties.iter().fold(ConfigBuilder::new(), |b, (n, v)| b.set(n, v, "test")).build()
    }

    #[test]
    fn a_ksqldb_file_works() {
        let config = built(&[
            ("listeners", "http://0.0.0.0:8088"),
            ("ksql.service.id", "rec_"),
            ("bootstrap.servers", "kafka:9092"),
            ("ksql.streams.commit.interval.ms", "100"),
            ("ksql.streams.auto.offset.reset", "earliest"),
            ("ksql.streams.producer.delivery.timeout.ms", "2147483647"),
            ("ksql.connect.url", "http://127.0.0.1:18083"),
        ])
        .expect("valid");
        assert_eq!(config.listen, ["0.0.0.0:8088"]);
        assert_eq!((config.engine.service_id.as_str(), config.engine.commit_interval_ms), ("rec_", 100));
        assert!(matches!(&config.engine.log, LogChoice::Kafka { bootstrap_servers, .. } if bootstrap_servers == "kafka:9092"));
        assert_eq!(config.engine.session_defaults.get("ksql.streams.auto.offset.reset").map(String::as_str), Some("earliest"));
        assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value, expected) in [
            ("ksql.servce.id", "x", "test: unknown property 'ksql.servce.id'. Did you mean 'ksql.service.id'?"),
            ("ksql.streams.commit.interval.ms", "soon", "invalid value 'soon' of ksql.streams.commit.interval.ms"),
            ("authentication.method", "BASIC", "authentication.method can't be used"),
            ("ssl.truststore.location", "x.jks", "PEM files"),
            ("listeners", "https://0.0.0.0:8088", "TLS"),
            ("listeners", "0.0.0.0", "is not an address"),
        ] {
            let error = built(&[(name, value)]).expect_err(name).0;
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_environment_stands_over_the_file() {
        let variables = [
            ("TIDEMILL_KSQL_SERVICE_ID", "env_"),
            ("TIDEMILL_DATA_DIR", "/somewhere"),
            ("TIDEMILL_LISTENERS", "http://127.0.0.1:1"),
            ("TIDEMILL_KSQL_STREAMS_COMMIT_INTERVAL_MS", "7"),
            ("TIDEMILL_LOG", "debug"),
            ("PATH", "x"),
        ];
        let own = |v: &[(&str, &str)]| v.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        let builder = ConfigBuilder::new().set("ksql.service.id", "file_", "f").env(own(&variables)).set("listeners", "h:2", "--listen");
        let config = builder.build().expect("valid");
        assert_eq!((config.engine.service_id.as_str(), config.engine.commit_interval_ms), ("env_", 7));
        assert_eq!(config.listen, ["h:2"]);
        assert_eq!(config.engine.data_dir, PathBuf::from("/somewhere"));
        assert!(ConfigBuilder::new().env(own(&[("TIDEMILL_NO_SUCH", "1")])).build().is_err());
    }
}
