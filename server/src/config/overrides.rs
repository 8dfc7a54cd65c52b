//! What a session may set: `streamsProperties` of a request, and SET and UNSET inside it.

use std::collections::{BTreeMap, BTreeSet};

use super::guarantee::broken_promise;
use super::kind::Kind;
use super::streams;
use super::table::{Role, is_secret, prefix, properties, property, shown};

/// Why a property can't be set in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverrideError {
    /// The server's configuration forbids these.
    Prohibited(Vec<String>),
    /// No such property.
    Unknown(String),
    /// Not a value of the property.
    Invalid { name: String, value: String, reason: String },
    /// Fixed at the start; with the value as it may be shown.
    Fixed { name: String, value: String },
    /// It asks for what is not there; with why.
    Refused(String),
}

impl OverrideError {
    /// The text for a request's properties.
    pub fn message(&self) -> String {
        match self {
            OverrideError::Prohibited(names) => format!(
                "One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their default \
                 value): [{}]",
                names.join(", ")
            ),
            OverrideError::Unknown(name) => {
                format!("Not recognizable as ksql, streams, consumer, or producer property: '{name}'{}", near(name))
            }
            OverrideError::Invalid { name, value, reason } => format!(
                "Failed to coerce type of value '{value}' for key '{name}'\nCaused by: Invalid value {value} for configuration {}: {reason}",
                streams::bare(name)
            ),
            OverrideError::Fixed { name, value } if value.is_empty() => {
                format!("Cannot override property '{name}': it is fixed when the server starts")
            }
            OverrideError::Fixed { name, value } => {
                format!("Cannot override property '{name}' with '{value}': it is fixed when the server starts")
            }
            OverrideError::Refused(why) => why.clone(),
        }
    }
}

/// `. Did you mean '…'?` where a known name is near.
pub fn near(name: &str) -> String {
    let bare = streams::bare(name);
    let prefix = name.strip_suffix(bare).unwrap_or_default();
    let own = tidemill_parser::did_you_mean(name, properties().map(|p| p.name)).filter(|_| !is_slip(name)).map(str::to_owned);
    let of_streams = || tidemill_parser::did_you_mean(bare, streams::properties().map(|p| p.name)).map(|found| format!("{prefix}{found}"));
    own.or_else(of_streams).map(|found| format!(". Did you mean '{found}'?")).unwrap_or_default()
}

/// Whether a name of no property is that of one but for a slip in one place, of two letters at most.
pub fn is_slip(name: &str) -> bool {
    let bare = streams::bare(name).as_bytes();
    streams::properties().map(|p| p.name.as_bytes()).any(|known| {
        let same = |(one, other): &(&u8, &u8)| one == other;
        let before = bare.iter().zip(known).take_while(same).count();
        let after = bare.iter().rev().zip(known.iter().rev()).take_while(same).count();
        bare.len().max(known.len()) <= before + after + 2
    })
}

/// Properties of the server that ksqlDB's sessions may set, and that have no effect there either.
const AS_IN_KSQLDB: [&str; 1] = ["ksql.insert.into.values.enabled"];
/// What a session may switch off for itself, but not on.
const ONLY_NARROWED: [&str; 3] =
    ["ksql.query.pull.table.scan.enabled", "ksql.query.pull.range.scan.enabled", "ksql.query.pull.stream.enabled"];

/// The configured rules.
#[derive(Debug, Clone, Default)]
pub struct OverrideRules {
    /// As [`one_spelling`] has them.
    denied: BTreeSet<String>,
    /// As the list has them.
    denied_as_written: BTreeSet<String>,
    /// In the mode `allowlist`: nothing else may be set.
    allowed: Option<BTreeSet<String>>,
    /// Whether topics live in Kafka, which some promises depend on.
    on_kafka: bool,
    /// What the server was started with.
    server: BTreeMap<String, String>,
}

impl OverrideRules {
    pub fn new(denylist: &str, allowlist: Option<&str>) -> Self {
        let written =
            |list: &str| -> BTreeSet<String> { list.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect() };
        let names = |list: &str| written(list).iter().map(|name| one_spelling(name).to_owned()).collect();
        let denied_as_written = written(denylist);
        OverrideRules { denied: names(denylist), denied_as_written, allowed: allowlist.map(names), ..OverrideRules::default() }
    }

    /// The same rules on a server that was started so, where topics live in Kafka or do not.
    pub fn over(self, server: &BTreeMap<String, String>, on_kafka: bool) -> Self {
        OverrideRules { on_kafka, server: server.clone(), ..self }
    }

    /// # Errors
    /// [`OverrideError::Prohibited`] with all names that may not be set.
    pub fn check_permitted<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), OverrideError> {
        let prohibited: Vec<String> =
            names.into_iter().filter(|name| self.prohibits(name, self.denied.contains(one_spelling(name)))).map(str::to_owned).collect();
        if prohibited.is_empty() { Ok(()) } else { Err(OverrideError::Prohibited(prohibited)) }
    }

    fn prohibits(&self, name: &str, is_denied: bool) -> bool {
        let identity = matches!(name, "ksql.service.id" | "listeners")
            || name.starts_with("tidemill.") && property(name).is_none_or(|p| !matches!(p.role, Role::Session))
            || name.starts_with("ksql.properties.overrides.");
        identity || is_denied || self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(one_spelling(name)))
    }

    /// Checks one property for a session.
    ///
    /// # Errors
    /// It is prohibited, unknown, fixed, the value is none of its values, or asks for what is not there.
    pub fn check(&self, name: &str, value: &str) -> Result<(), OverrideError> {
        self.check_permitted([name])?;
        if let Some(kind) = known(name, value)? {
            let invalid = |reason| OverrideError::Invalid { name: name.to_owned(), value: shown(name, value).to_owned(), reason };
            kind.check(value).map_err(invalid)?;
        }
        if let Some(why) = broken_promise(name, value, self.on_kafka) {
            return Err(OverrideError::Refused(why));
        }
        self.check_against_server(name, value)
    }

    /// What holds for the whole server can't be otherwise for one session, and what the server forbids no session allows.
    fn check_against_server(&self, name: &str, value: &str) -> Result<(), OverrideError> {
        let (role, default) = match (property(name), streams::find(name)) {
            (Some(p), _) => (p.role, p.default),
            (None, Some(p)) => (p.role, p.listed),
            (None, None) => return Ok(()),
        };
        let is_it = |set: &str| set == name || (property(name).is_none() && streams::bare(set) == streams::bare(name));
        let server = self.server.iter().find(|(set, _)| is_it(set)).map(|(_, v)| v.as_str()).or(default).unwrap_or_default();
        if value.trim().eq_ignore_ascii_case(server.trim()) {
            return Ok(());
        }
        let refused = |why: &str| Err(OverrideError::Refused(format!("Cannot override property '{name}': {why}")));
        match role {
            Role::Server if !AS_IN_KSQLDB.contains(&name) => refused("it holds for the whole server. Set it in the server's configuration"),
            Role::Session if ONLY_NARROWED.contains(&name) && server.eq_ignore_ascii_case("false") => {
                refused("the server's configuration switches it off")
            }
            _ => Ok(()),
        }
    }

    /// Whether a name is that of a property which a session may set. As in ksqlDB a list forbids the spelling that it has: that another
    /// one is forbidden with it is told to whoever sets it.
    ///
    /// # Errors
    /// It is prohibited, unknown or fixed.
    pub fn check_name(&self, name: &str) -> Result<(), OverrideError> {
        if self.prohibits(name, self.denied_as_written.contains(name)) {
            return Err(OverrideError::Prohibited(vec![name.to_owned()]));
        }
        known(name, "").map(|_| ())
    }

    /// The properties of a request that bear on its statements, each checked, by the names that the engine knows.
    ///
    /// # Errors
    /// See [`Self::check`].
    pub fn resolve(&self, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, OverrideError> {
        self.check_permitted(given.keys().map(String::as_str))?;
        for (name, value) in given {
            self.check(name, value)?;
        }
        Ok(given.iter().filter(|(name, _)| bears_on_statements(name)).map(|(n, v)| (full_name(n), v.clone())).collect())
    }

    /// The properties of a pull query. Those of Kafka Streams don't bear on it, so they are not looked at.
    ///
    /// # Errors
    /// A property is prohibited, or its value is none of its values.
    pub fn resolve_for_pull(&self, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, OverrideError> {
        self.check_permitted(given.keys().map(String::as_str))?;
        let own = || given.iter().filter(|(name, _)| property(name).is_some());
        for (name, value) in own() {
            self.check(name, value)?;
        }
        Ok(own().filter(|(name, _)| bears_on_statements(name)).map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// The values that a property takes; `None`: any.
fn known(name: &str, value: &str) -> Result<Option<Kind>, OverrideError> {
    let fixed = || Err(OverrideError::Fixed { name: name.to_owned(), value: shown(name, value).to_owned() });
    let refused = |doc: &str| Err(OverrideError::Refused(format!("Cannot override property '{name}': {doc}")));
    if let Some(property) = property(name) {
        return match property.role {
            _ if name == "bootstrap.servers" => fixed(),
            // What ksqlDB's sessions do not know either.
            Role::Refused if !name.starts_with("ksql.") => fixed(),
            Role::Refused if !property.is_default(value) => refused(property.doc),
            Role::Refused => Ok(None),
            _ => Ok(Some(property.kind)),
        };
    }
    if let Some(streams) = streams::find(name) {
        return match streams.role {
            _ if streams.name == "bootstrap.servers" => fixed(),
            Role::Client if value.is_empty() => Ok(None),
            Role::Client => refused("the clients of Kafka are shared by all queries. Set it in the server's configuration"),
            Role::Refused if !streams.is_default(value) => refused(streams.doc),
            Role::Refused => Ok(None),
            _ => Ok(Some(streams.kind)),
        };
    }
    if streams::is_librdkafka(name) {
        return if value.is_empty() { Ok(None) } else { refused("the clients of Kafka are shared by all queries") };
    }
    if (name.starts_with(streams::PREFIX) && !is_slip(name)) || prefix(name).is_some_and(|(role, _)| role == Role::Session) {
        return Ok(None);
    }
    Err(OverrideError::Unknown(name.to_owned()))
}

/// Whether a property's value in a session counts; that of a server's property does not. What does goes into the command topic, and is
/// shown with its query: of settings of functions only those that ours know, for others may be secrets.
fn bears_on_statements(name: &str) -> bool {
    match name.strip_prefix("ksql.functions.") {
        Some(setting) => setting.ends_with(".limit"),
        None => property(name).is_none_or(|p| p.role == Role::Session) && !is_secret(name),
    }
}

/// A property of Kafka Streams goes by several names (`ksql.streams.x`, `x`), and a list that has one of them means them all.
fn one_spelling(name: &str) -> &str {
    if property(name).is_some() { name } else { streams::bare(name) }
}

/// A property of Kafka Streams has one name from here on, so that a session's value stands over the server's however each
/// was spelled.
fn full_name(name: &str) -> String {
    match streams::find(name) {
        Some(p) if property(name).is_none() && p.role == Role::Session => format!("{}{}", streams::PREFIX, p.name),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_judged() {
        let rules = OverrideRules::new("ksql.streams.num.standby.replicas", None);
        assert_eq!(rules.check("auto.offset.reset", "earliest"), Ok(()));
        assert_eq!(rules.check("ksql.streams.no.such", "1"), Ok(()));
        assert_eq!(rules.check("num.stream.threads", "1"), Ok(()));
        for (name, value, expected) in [
            ("ksql.streams.num.standby.replicas", "1", "prohibited by the KSQL server"),
            ("num.standby.replicas", "1", "[num.standby.replicas]"),
            ("ksql.service.id", "x", "[ksql.service.id]"),
            ("no.such.thing", "1", "Not recognizable as ksql, streams, consumer, or producer property: 'no.such.thing'"),
            ("auto.ofset.reset", "1", "Did you mean 'auto.offset.reset'?"),
            ("ksql.streams.producer.ackss", "all", "Did you mean 'ksql.streams.producer.acks'?"),
            ("auto.offset.reset", "banana", "Failed to coerce type of value 'banana' for key 'auto.offset.reset'"),
            ("ksql.streams.num.stream.threads", "x", "for configuration num.stream.threads: Not a number of type INT"),
            ("bootstrap.servers", "x:1", "Cannot override property 'bootstrap.servers' with 'x:1'"),
            ("ssl.keystore.password", "hush", "annot override property 'ssl.keystore.password'"),
            ("ksql.nested.error.set.null", "false", "Cannot override property 'ksql.nested.error.set.null'"),
            ("authentication.method", "BASIC", "Cannot override property 'authentication.method'"),
            ("ksql.streams.producer.acks", "all", "shared by all queries"),
            ("sasl.jaas.config", "x password=\"hush\"", "shared by all queries"),
        ] {
            let message = rules.check(name, value).expect_err(name).message();
            assert!(message.contains(expected) && !message.contains("hush"), "{message}");
        }
        assert_eq!(rules.check_name("num.standby.replicas"), Ok(()));
        assert!(rules.check_name("ksql.streams.num.standby.replicas").is_err());
    }

    #[test]
    fn a_list_means_all_spellings() {
        let denied = OverrideRules::new("auto.offset.reset", None);
        let allowed = OverrideRules::new("", Some("ksql.streams.auto.offset.reset"));
        for name in ["auto.offset.reset", "ksql.streams.auto.offset.reset", "ksql.streams.consumer.auto.offset.reset"] {
            assert!(matches!(denied.check(name, "earliest"), Err(OverrideError::Prohibited(_))), "{name}");
            assert_eq!(allowed.check(name, "earliest"), Ok(()), "{name}");
        }
        assert!(matches!(allowed.check("ksql.streams.num.stream.threads", "1"), Err(OverrideError::Prohibited(_))));
    }

    #[test]
    fn what_is_not_kept_is_not_taken() {
        let kafka = OverrideRules::default().over(&BTreeMap::new(), true);
        for name in ["processing.guarantee", "ksql.streams.processing.guarantee"] {
            assert_eq!(kafka.check(name, "exactly_once_v2"), Ok(()));
            let message = kafka.check(name, "exactly_thrice").expect_err(name).message();
            assert!(message.contains("exactly_thrice") && message.contains("at_least_once, exactly_once,"), "{message}");
            assert_eq!(kafka.check_name(name), Ok(()));
        }
        // Saying what is so anyway, or what only speed depends on, is no harm.
        assert_eq!(kafka.check("ksql.nested.error.set.null", "true"), Ok(()));
        assert_eq!(kafka.check("ksql.streams.producer.linger.ms", "5"), Ok(()));
        assert!(kafka.check("ksql.streams.producer.linger.ms", "soon").is_err());
    }

    #[test]
    fn what_holds_for_the_server_holds_for_its_sessions() {
        let set = [("ksql.query.pull.table.scan.enabled", "false"), ("ksql.suppress.enabled", "FALSE")];
        let rules = OverrideRules::default().over(&set.map(|(n, v)| (n.to_owned(), v.to_owned())).into(), true);
        for (name, value) in [
            ("ksql.suppress.enabled", "false"),
            ("ksql.internal.topic.replicas", "1"),
            ("ksql.streams.replication.factor", "1"),
            ("ksql.query.pull.table.scan.enabled", "false"),
            ("ksql.query.pull.range.scan.enabled", "false"),
        ] {
            assert_eq!(rules.check(name, value), Ok(()), "{name}={value}");
        }
        for (name, value) in [
            ("ksql.suppress.enabled", "true"),
            ("ksql.internal.topic.replicas", "3"),
            ("ksql.streams.replication.factor", "3"),
            ("replication.factor", "3"),
            ("ksql.query.persistent.active.limit", "1"),
            ("ksql.query.pull.table.scan.enabled", "true"),
        ] {
            let message = rules.check(name, value).expect_err(name).message();
            assert!(message.contains("server's configuration"), "{message}");
        }
    }

    #[test]
    fn a_session_stands_over_the_server_however_each_was_spelled() {
        let given = BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]);
        let resolved = OverrideRules::default().resolve(&given).expect("taken");
        assert_eq!(resolved, BTreeMap::from([("ksql.streams.auto.offset.reset".to_owned(), "earliest".to_owned())]));
    }

    #[test]
    fn a_pull_query_looks_only_at_its_own() {
        let rules = OverrideRules::default();
        let given = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(rules.resolve_for_pull(&given("auto.offset.reset", "banana")), Ok(BTreeMap::new()));
        assert!(rules.resolve_for_pull(&given("ksql.query.pull.table.scan.enabled", "banana")).is_err());
        assert!(rules.resolve_for_pull(&given("ksql.query.pull.max.qps", "5")).is_err());
        assert_eq!(rules.resolve_for_pull(&given("ksql.insert.into.values.enabled", "false")), Ok(BTreeMap::new()));
        let only = OverrideRules::new("", Some("auto.offset.reset"));
        assert!(only.check("commit.interval.ms", "5").is_err());
    }
}
