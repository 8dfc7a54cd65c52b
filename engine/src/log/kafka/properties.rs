//! Client properties: what was configured, by librdkafka's names, made into the configuration of each kind of client, over
//! defaults that were measured. Java's names are translated by the server, before they come here.

use std::collections::BTreeMap;

use super::prefetch::Share;
use crate::log::LogError;

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Consumer,
    Producer,
    Admin,
}

impl Role {
    fn prefix(self) -> &'static str {
        match self {
            Role::Consumer => "consumer.",
            Role::Producer => "producer.",
            Role::Admin => "admin.",
        }
    }
}

/// See [`COMMON`]; milliseconds.
const SOCKET_TIMEOUT_MS: &str = "15000";

/// Defaults of every client. Reconnects quickly: a broker that returns should be noticed within a second or two. The fast
/// interval is what the first record to a topic waits for, 100 ms by default. An answer that does not come, because half of a
/// connection is gone, is waited for by all that is to be sent behind it: librdkafka gives it up after a minute.
const COMMON: &[(&str, &str)] = &[
    ("client.id", "tidemill"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    ("socket.timeout.ms", SOCKET_TIMEOUT_MS),
    ("topic.metadata.refresh.interval.ms", "60000"),
    ("topic.metadata.refresh.fast.interval.ms", "10"),
];

/// What no property changes. Topics are made here, with their settings, or by whoever owns them: never by a broker because a
/// client asked for one that has gone.
const FIXED: &[(&str, &str)] = &[("allow.auto.create.topics", "false")];

/// `fetch.queue.backoff.ms` is 1 s by default and stalls a partition whose queue was full for a moment.
/// `fetch.wait.max.ms` bounds how long a partition that begins, seeks or was full waits behind the long poll of idle
/// ones on the same connection. Each partition has its own queue, so the two queue limits are per partition. How far ahead is
/// fetched is said for the first partitions; with many of them others get less (see `prefetch`).
const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Said rather than mended in silence: see `partition`.
    ("auto.offset.reset", "error"),
    // Nobody sees what a transaction wrote before it is committed.
    ("isolation.level", "read_committed"),
    ("fetch.wait.max.ms", "20"),
    ("fetch.queue.backoff.ms", "2"),
    ("fetch.error.backoff.ms", "50"),
    ("fetch.max.bytes", "8388608"),
    ("fetch.message.max.bytes", "1048576"),
    ("queued.min.messages", "20000"),
    ("queued.max.messages.kbytes", "4096"),
];

/// See [`PRODUCER`]; milliseconds.
const LINGER_MS: &str = "5";

/// Idempotent: retries neither duplicate nor reorder, so a key's changes stay in order. Successes are not reported;
/// failures are.
///
/// Records linger for up to 5 ms while their worker has more to do, so that they go in large batches: librdkafka's threads
/// take half of the CPU of a simple query when it hands them records one by one (`tidemill-bench` q1: 2.7 µs a record
/// against 3.6 without). A worker that runs out of work lets them go at once (`writer`), so a lone record does not wait.
///
/// One request at a time: an idempotent partition has one batch on its way, and while others may go beside it librdkafka's
/// thread waits for the acknowledgement in a busy loop (`tidemill-bench` q1: 3.3 µs a record with two, 2.5 with one).
const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("delivery.report.only.error", "true"),
    ("linger.ms", LINGER_MS),
    ("max.in.flight.requests.per.connection", "1"),
    ("batch.num.messages", "10000"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "65536"),
    ("message.timeout.ms", "120000"),
    // As Java's `max.request.size`.
    ("message.max.bytes", "1048576"),
];

/// What differs for a producer of transactions, unless it is configured, milliseconds. A transaction must not end while a large
/// commit is being sent; and an answer that does not come (half of a connection is gone) is given up before it would.
const TRANSACTION_TIMEOUT_MS: u64 = 60_000;
const TRANSACTION_SOCKET_TIMEOUT_MS: u64 = 10_000;

/// How long a statement waits until its record is durable, milliseconds.
pub(super) const APPEND_TIMEOUT_MS: u64 = 10_000;

/// What differs for the client that writes records which statements wait for, whatever is configured: each record's fate is
/// reported, none lingers, none is tried for longer than a statement waits. A topic that was deleted is given up soon.
const APPENDS: &[(&str, &str)] = &[
    ("delivery.report.only.error", "false"),
    ("linger.ms", "0"),
    ("message.timeout.ms", "10000"),
    ("topic.metadata.propagation.max.ms", "2000"),
];

/// The group is never joined. It makes brokers create their topic of offsets, and librdkafka dereferences null where a
/// broker refuses a look at offsets and the asking client has no group (2.12.1, `rd_kafka_handle_OffsetFetch`).
const ADMIN: &[(&str, &str)] = &[("group.id", "tidemill-admin"), ("enable.auto.commit", "false")];

/// The mechanism of logins by tokens.
pub(super) const TOKENS: &str = "OAUTHBEARER";

/// Java properties that name key stores in Java's format, with what to set instead.
const REFUSED: &[(&str, &str)] = &[
    ("ssl.truststore.location", "set ssl.ca.location to a file of PEM certificates"),
    ("ssl.truststore.password", "set ssl.ca.location to a file of PEM certificates"),
    ("ssl.truststore.type", "set ssl.ca.location to a file of PEM certificates"),
];

/// The user's client properties, checked.
#[derive(Clone)]
pub(super) struct ClientProperties {
    bootstrap: String,
    user: BTreeMap<String, String>,
}

impl std::fmt::Debug for ClientProperties {
    /// Without the values, among which are passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientProperties").field("bootstrap", &self.bootstrap).field("set", &self.user.keys()).finish()
    }
}

impl ClientProperties {
    /// Takes the bootstrap servers and the user's properties; a property may be meant for one kind of client only, by
    /// the prefix `consumer.`, `producer.` or `admin.`.
    ///
    /// # Errors
    /// `Fatal`, naming the property and what to set instead.
    pub(super) fn new(bootstrap: &str, user: &BTreeMap<String, String>) -> Result<ClientProperties, LogError> {
        if bootstrap.trim().is_empty() {
            return Err(LogError::Fatal("bootstrap.servers is empty: give HOST:PORT[,HOST:PORT…]".into()));
        }
        for name in user.keys() {
            let bare = [Role::Consumer, Role::Producer, Role::Admin].iter().find_map(|role| name.strip_prefix(role.prefix()));
            let bare = bare.unwrap_or(name);
            if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == bare) {
                return Err(LogError::Fatal(format!("property '{name}': Java key stores cannot be read here; {instead}")));
            }
        }
        Ok(ClientProperties { bootstrap: bootstrap.trim().to_owned(), user: user.clone() })
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// librdkafka's configuration for one kind of client: common defaults, the role's, the user's common ones, the
    /// user's for the role.
    pub(super) fn for_role(&self, role: Role) -> BTreeMap<String, String> {
        let defaults: &[(&str, &str)] = match role {
            Role::Consumer => CONSUMER,
            Role::Producer => PRODUCER,
            Role::Admin => ADMIN,
        };
        let mut config: BTreeMap<String, String> =
            COMMON.iter().chain(defaults).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        config.insert("bootstrap.servers".into(), self.bootstrap.clone());
        let others = [Role::Consumer, Role::Producer, Role::Admin].map(Role::prefix);
        for (name, value) in &self.user {
            if !others.iter().any(|prefix| name.starts_with(prefix)) {
                set(&mut config, name, value);
            }
        }
        for (name, value) in &self.user {
            if let Some(bare) = name.strip_prefix(role.prefix()) {
                set(&mut config, bare, value);
            }
        }
        config.extend(FIXED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        config
    }

    /// Whether clients of a role log in by tokens.
    pub(super) fn wants_tokens(&self, role: Role) -> bool {
        let config = self.for_role(role);
        let mechanism = config.get("sasl.mechanism").or(config.get("sasl.mechanisms"));
        let has_login = config.get("security.protocol").is_some_and(|protocol| protocol.to_ascii_uppercase().starts_with("SASL"));
        has_login && mechanism.is_some_and(|mechanism| mechanism.eq_ignore_ascii_case(TOKENS))
    }

    /// A consumer's configuration for partitions with this share of what may be fetched ahead; what the user says goes before.
    pub(super) fn for_reading(&self, share: &Share) -> BTreeMap<String, String> {
        let mut config = self.for_role(Role::Consumer);
        for (name, value) in share.properties() {
            let is_ours = CONSUMER.iter().any(|(ours, default)| *ours == name && config.get(name).is_some_and(|value| value == default));
            if is_ours {
                config.insert(name.to_owned(), value);
            }
        }
        config
    }

    /// A producer's configuration, for the transactions of an id.
    pub(super) fn for_transactions(&self, id: &str) -> BTreeMap<String, String> {
        let mut config = self.for_role(Role::Producer);
        let number = |config: &BTreeMap<String, String>, name: &str| config.get(name).and_then(|value| value.parse::<u64>().ok());
        let timeout_ms = number(&config, "transaction.timeout.ms").unwrap_or(TRANSACTION_TIMEOUT_MS);
        // No record may take longer than its transaction.
        let message_ms = number(&config, "message.timeout.ms").unwrap_or(timeout_ms).min(timeout_ms);
        let asked = ["producer.socket.timeout.ms", "socket.timeout.ms"].iter().find_map(|name| self.user.get(*name));
        let socket_ms = asked.and_then(|value| value.parse().ok()).unwrap_or(TRANSACTION_SOCKET_TIMEOUT_MS);
        let socket_ms = socket_ms.min(timeout_ms.saturating_sub(100)).max(1);
        config.insert("transactional.id".into(), id.to_owned());
        config.insert("transaction.timeout.ms".into(), timeout_ms.to_string());
        config.insert("message.timeout.ms".into(), message_ms.to_string());
        config.insert("socket.timeout.ms".into(), socket_ms.to_string());
        config
    }

    /// A producer's configuration, for records that statements wait for.
    pub(super) fn for_appends(&self) -> BTreeMap<String, String> {
        let mut config = self.for_role(Role::Producer);
        config.extend(APPENDS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        config
    }
}

fn set(config: &mut BTreeMap<String, String>, name: &str, value: &str) {
    if !matches!(name, "bootstrap.servers" | "auto.offset.reset") {
        config.insert(name.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::prefetch::SHARES;
    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> ClientProperties {
        let user = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ClientProperties::new("localhost:9092", &user).expect("good properties")
    }

    #[test]
    fn a_role_sees_its_own_and_the_common_properties() {
        let all = properties(&[
            ("linger.ms", "7"),
            ("producer.linger.ms", "9"),
            ("consumer.fetch.wait.max.ms", "3"),
            ("security.protocol", "SSL"),
        ]);
        let producer = all.for_role(Role::Producer);
        assert_eq!(producer["linger.ms"], "9");
        assert_eq!(producer["security.protocol"], "SSL");
        assert!(!producer.contains_key("fetch.wait.max.ms"));
        assert_eq!(all.for_role(Role::Consumer)["fetch.wait.max.ms"], "3");
        assert_eq!(all.for_role(Role::Admin)["bootstrap.servers"], "localhost:9092");
        let asked = properties(&[("allow.auto.create.topics", "true"), ("producer.allow.auto.create.topics", "true")]);
        assert!([Role::Producer, Role::Consumer, Role::Admin].iter().all(|r| asked.for_role(*r)["allow.auto.create.topics"] == "false"));
    }

    #[test]
    fn less_is_fetched_ahead_unless_the_user_says_how_much() {
        let [first, .., last] = &SHARES;
        let ours = properties(&[]);
        assert_eq!(ours.for_reading(first), ours.for_role(Role::Consumer));
        assert_eq!(ours.for_reading(last)["queued.max.messages.kbytes"], "64");
        let theirs = properties(&[("consumer.queued.max.messages.kbytes", "9000")]);
        assert_eq!(theirs.for_reading(last)["queued.max.messages.kbytes"], "9000");
        assert_eq!(theirs.for_reading(last)["fetch.max.bytes"], "1048576");
    }

    #[test]
    fn statements_wait_no_longer_than_they_say() {
        let all = properties(&[("linger.ms", "500"), ("producer.message.timeout.ms", "900000"), ("security.protocol", "SSL")]);
        let appends = all.for_appends();
        assert_eq!(appends["message.timeout.ms"], APPEND_TIMEOUT_MS.to_string());
        assert_eq!((&*appends["linger.ms"], &*appends["delivery.report.only.error"]), ("0", "false"));
        assert_eq!(appends["security.protocol"], "SSL");
    }

    #[test]
    fn no_record_takes_longer_than_its_transaction() {
        let all = properties(&[]).for_transactions("id");
        assert_eq!((&*all["transactional.id"], &*all["transaction.timeout.ms"], &*all["message.timeout.ms"]), ("id", "60000", "60000"));
        let short = properties(&[("producer.transaction.timeout.ms", "5000"), ("producer.message.timeout.ms", "900000")]);
        let short = short.for_transactions("id");
        assert_eq!((&*short["message.timeout.ms"], &*short["socket.timeout.ms"]), ("5000", "4900"));
    }

    #[test]
    fn key_stores_are_refused_by_name() {
        let user = BTreeMap::from([("consumer.ssl.truststore.location".to_owned(), "/x.jks".to_owned())]);
        let error = ClientProperties::new("h:1", &user).expect_err("refused").to_string();
        assert!(error.contains("consumer.ssl.truststore.location") && error.contains("ssl.ca.location"), "{error}");
        assert!(ClientProperties::new("  ", &BTreeMap::new()).is_err());
    }
}
