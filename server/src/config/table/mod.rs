//! Every property of ksqlDB and of our own, as data. The configuration file, environment variables, SET,
//! `streamsProperties`, SHOW PROPERTIES and `docs/configuration.md` are all served from these tables; properties of Kafka
//! Streams and of Kafka's clients stand in [`super::streams`].

mod connect;
mod engine;
mod limits;
mod neighbours;
mod own;
mod registry;
mod rest;

use super::kind::Kind;

/// What a property does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read at the start.
    Server,
    /// The server's value is a default that a session may change.
    Session,
    /// Read at the start by the clients of Kafka, which all queries share: a session can't change it.
    Client,
    /// As [`Role::Client`]; no result depends on it, so a session may ask for it in vain.
    Tuning,
    /// Known, without meaning here and without a difference that a user could see: setting it warns once.
    Inert,
    /// Any other value than the default would promise something that is not there: it stops the start.
    Refused,
}

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    pub name: &'static str,
    pub default: Option<&'static str>,
    pub kind: Kind,
    pub role: Role,
    /// Whether SHOW PROPERTIES lists it.
    pub listed: bool,
    /// A sentence: what it does, or why it does nothing or is refused.
    pub doc: &'static str,
}

impl Property {
    const fn hidden(mut self) -> Self {
        self.listed = false;
        self
    }

    /// Whether a value says no more than the default does.
    pub fn is_default(&self, value: &str) -> bool {
        let (value, default) = (value.trim(), self.default.unwrap_or_default());
        value.is_empty() || value.eq_ignore_ascii_case(default)
    }
}

const fn server(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Property {
    Property { name, default: Some(default), kind, role: Role::Server, listed: true, doc }
}

const fn session(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Property {
    Property { name, default: Some(default), kind, role: Role::Session, listed: true, doc }
}

const fn inert(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Property {
    Property { name, default: Some(default), kind, role: Role::Inert, listed: true, doc }
}

const fn refused(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Property {
    Property { name, default: Some(default), kind, role: Role::Refused, listed: true, doc }
}

/// Without a default.
const fn unset(property: Property) -> Property {
    Property { default: None, ..property }
}

/// Characters of a topic's name at most.
const MOST_TOPIC: usize = 249;
const COUNT: Kind = Kind::Int { min: 0 };
const MS: Kind = Kind::Long { min: 0 };
const ANY_LONG: Kind = Kind::Long { min: i64::MIN };
/// The largest INT: no limit.
const NO_LIMIT: &str = "2147483647";

/// Parts of the table, with their headings.
pub static GROUPS: &[(&str, &[Property])] = &[
    ("Tidemill's own", own::PROPERTIES),
    ("The REST server", rest::PROPERTIES),
    ("The engine", engine::PROPERTIES),
    ("Limits", limits::PROPERTIES),
    ("The schema registry", registry::PROPERTIES),
    ("Kafka Connect", connect::PROPERTIES),
    ("Neighbours and plug-ins of ksqlDB", neighbours::PROPERTIES),
];

/// All of them.
pub fn properties() -> impl Iterator<Item = &'static Property> {
    GROUPS.iter().flat_map(|(_, properties)| properties.iter())
}

/// The property of that name.
pub fn property(name: &str) -> Option<&'static Property> {
    properties().find(|p| p.name == name)
}

/// Beginnings of names that Java's server hands to plug-ins and neighbours, with what is said of them.
pub static PREFIXES: &[(&str, Role, &str)] = &[
    ("ksql.functions.", Role::Session, "Settings of functions."),
    ("confluent.", Role::Inert, "Confluent's plug-ins are Java."),
    ("metrics.context.", Role::Inert, "Metrics have the labels that they have."),
    ("ksql.connect.", Role::Inert, "Requests to Kafka Connect know no property of this name."),
    ("ksql.error.classifier.regex", Role::Inert, "An error says itself whose it is."),
    ("ksql.internal.", Role::Inert, "Servers that share a service call each other where clients do."),
    ("ksql.server.command.", Role::Inert, "The command topic is written and read by the same clients as all others."),
];

/// What is said of a name that is in no table.
pub fn prefix(name: &str) -> Option<(Role, &'static str)> {
    PREFIXES.iter().find(|(prefix, ..)| name.starts_with(prefix)).map(|(_, role, doc)| (*role, *doc))
}

/// Whether a property's value must not be shown: by its kind, or where it is in no table by its name.
pub fn is_secret(name: &str) -> bool {
    // Settings of functions may be anything; ksqlDB hides them as well.
    names_secret(name) || name.to_ascii_lowercase().starts_with("ksql.functions.")
}

/// Whether a property is known to hold a secret, by its name or because its value has a password in it.
pub fn holds_secret(name: &str, value: &str) -> bool {
    names_secret(name) || holds_login(name, value)
}

fn names_secret(name: &str) -> bool {
    let by_kind = property(name).map(|p| p.kind).or_else(|| super::streams::find(name).map(|p| p.kind)) == Some(Kind::Secret);
    by_kind || tidemill_parser::names_secret(name)
}

/// Shown in the place of a secret.
pub const HIDDEN: &str = "[hidden]";

/// A value as it may be shown. A URL may hold a name and a password.
pub fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) || holds_login(name, value) { HIDDEN } else { value }
}

fn holds_login(name: &str, value: &str) -> bool {
    name.ends_with(".url") && value.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let mut names = std::collections::BTreeSet::new();
        for p in properties() {
            assert!(names.insert(p.name), "{} stands twice", p.name);
            assert!(p.doc.ends_with('.'), "{} has a sentence", p.name);
            if let Some(default) = p.default.filter(|d| !d.is_empty()) {
                assert_eq!(p.kind.check(default), Ok(()), "the default of {}", p.name);
            }
        }
    }

    #[test]
    fn secrets_are_known_by_kind_or_name() {
        for name in [
            "ksql.streams.sasl.jaas.config",
            "ssl.keystore.password",
            "ksql.schema.registry.basic.auth.user.info",
            "ksql.streams.producer.confluent.monitoring.interceptor.sasl.jaas.config",
            "ksql.functions.my_udf.key",
            "confluent.license",
        ] {
            assert_eq!(shown(name, "s3cret"), HIDDEN, "{name}");
        }
        for name in ["listeners", "ksql.query.push.v2.continuation.tokens.enabled", "ksql.connect.basic.auth.credentials.source"] {
            assert_eq!(shown(name, "x"), "x", "{name}");
        }
        assert_eq!(shown("ksql.schema.registry.url", "http://a:1,http://b:2"), "http://a:1,http://b:2");
        assert_eq!(shown("ksql.schema.registry.url", "http://a:1,http://u:pw@b:2"), HIDDEN);
    }
}
