//! Properties of Kafka Streams and of Kafka's clients, which ksqlDB takes with the prefix `ksql.streams.` and without it,
//! and for one kind of client with `consumer.`, `producer.` or `admin.` before the name.

mod clients;
mod librdkafka;
mod security;
mod topology;

use super::kind::Kind;
use super::table::Role;

/// What `ksql.streams.` stands before.
pub const PREFIX: &str = "ksql.streams.";

/// What is said of a name behind [`PREFIX`] that is none of them.
pub const UNKNOWN: &str = "Neither Kafka Streams nor Kafka's clients have a property of this name.";

/// One of them, by its bare name.
#[derive(Debug, Clone, Copy)]
pub struct StreamsProperty {
    pub name: &'static str,
    pub kind: Kind,
    pub role: Role,
    /// What SHOW PROPERTIES gives where nothing was set; `None`: it lists the property only where it was.
    pub listed: Option<&'static str>,
    /// A sentence: what it does, or why it does nothing or is refused.
    pub doc: &'static str,
    /// What it is to Kafka's clients.
    pub client: Option<Client>,
}

/// A property as the clients here, librdkafka's, take it.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Its names there.
    pub names: &'static [&'static str],
    pub takers: Takers,
    /// The values that it may have there; what is outside is brought to the nearest.
    pub range: Option<(i64, i64)>,
    /// What a value is divided by.
    pub divisor: i64,
}

/// The clients that a property has a meaning for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takers {
    All,
    Consumers,
    Producers,
}

impl StreamsProperty {
    const fn listed(mut self, default: &'static str) -> Self {
        self.listed = Some(default);
        self
    }

    /// Whether a value says no more than nothing does.
    pub fn is_default(&self, value: &str) -> bool {
        value.trim().is_empty() || self.listed.is_some_and(|default| value.trim().eq_ignore_ascii_case(default))
    }
}

const fn property(name: &'static str, kind: Kind, role: Role, doc: &'static str) -> StreamsProperty {
    StreamsProperty { name, kind, role, listed: None, doc, client: None }
}

const fn inert(name: &'static str, kind: Kind, doc: &'static str) -> StreamsProperty {
    property(name, kind, Role::Inert, doc)
}

const fn refused(name: &'static str, kind: Kind, doc: &'static str) -> StreamsProperty {
    property(name, kind, Role::Refused, doc)
}

const MS: Kind = Kind::Long { min: 0 };
const COUNT: Kind = Kind::Int { min: 0 };

/// Parts of the table, with their headings.
pub static GROUPS: &[(&str, &[StreamsProperty])] = &[
    ("Kafka Streams", topology::PROPERTIES),
    ("Kafka's clients", clients::PROPERTIES),
    ("Security of the connection to Kafka", security::PROPERTIES),
];

/// All of them.
pub fn properties() -> impl Iterator<Item = &'static StreamsProperty> {
    GROUPS.iter().flat_map(|(_, properties)| properties.iter())
}

/// The clients that a name is meant for, by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    Consumer,
    Producer,
    Admin,
    /// Consumers that Kafka Streams has beside the main one, and that there are none of here.
    OtherConsumer,
}

const SCOPES: [(&str, Scope); 6] = [
    ("main.consumer.", Scope::Consumer),
    ("restore.consumer.", Scope::OtherConsumer),
    ("global.consumer.", Scope::OtherConsumer),
    ("consumer.", Scope::Consumer),
    ("producer.", Scope::Producer),
    ("admin.", Scope::Admin),
];

/// The scope and the bare name behind `ksql.streams.`, and behind `consumer.`, `producer.` and the like after it.
pub fn parted(name: &str) -> (Scope, &str) {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let found = SCOPES.iter().find_map(|(prefix, scope)| name.strip_prefix(prefix).map(|bare| (*scope, bare)));
    // `producer.acks` and its like are names of their own nowhere here.
    found.unwrap_or((Scope::All, name))
}

/// The bare name behind all prefixes.
pub fn bare(name: &str) -> &str {
    parted(name).1
}

/// The property that a name, with or without prefixes, means.
pub fn find(name: &str) -> Option<&'static StreamsProperty> {
    let bare = bare(name);
    properties().find(|p| p.name == bare)
}

/// Whether the clients here know a name that Java's don't.
pub fn is_librdkafka(name: &str) -> bool {
    librdkafka::NAMES.contains(&bare(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_seen_through() {
        for name in ["auto.offset.reset", "ksql.streams.auto.offset.reset", "ksql.streams.consumer.auto.offset.reset"] {
            assert_eq!(find(name).map(|p| p.name), Some("auto.offset.reset"), "{name}");
        }
        assert!(find("no.such").is_none());
        assert_eq!(parted("ksql.streams.restore.consumer.fetch.min.bytes"), (Scope::OtherConsumer, "fetch.min.bytes"));
        assert_eq!(parted("producer.linger.ms"), (Scope::Producer, "linger.ms"));
    }

    #[test]
    fn the_table_is_sound() {
        let mut names = std::collections::BTreeSet::new();
        for p in properties() {
            assert!(names.insert(p.name), "{} stands twice", p.name);
            assert!(p.doc.ends_with('.'), "{} has a sentence", p.name);
            assert!(!librdkafka::NAMES.contains(&p.name), "{} stands in both lists", p.name);
            if let Some(default) = p.listed.filter(|d| !d.is_empty()) {
                assert_eq!(p.kind.check(default), Ok(()), "the default of {}", p.name);
            }
        }
    }
}
