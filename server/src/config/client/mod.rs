//! What was configured for Kafka's clients, by Java's names, turned into what the clients here take: librdkafka's names,
//! with `consumer.`, `producer.` or `admin.` before those that one kind of client is meant to have.

mod jaas;
mod oauth;
mod stores;

use std::collections::BTreeMap;

use super::streams::{self, Client, Scope, StreamsProperty, Takers};
use super::table::Role;
use crate::kafka_login::Settings;

pub use stores::{Store, kind_of_store};

/// The clients' properties from everything that was set.
///
/// # Errors
/// A login or a key store that can't be used; the text names the property and says what would be right.
pub fn client_properties(values: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    // A name that says more stands over one that says less: `ksql.streams.producer.x`, `ksql.streams.x`, `x`.
    let mut set: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
    set.sort_by_key(|(name, _)| name.len());
    for (name, value) in &set {
        let (scope, bare) = streams::parted(name);
        let takers_and_names = match streams::find(name) {
            Some(StreamsProperty { client: Some(client), .. }) => Some((client.takers, client.names)),
            Some(_) => None,
            None if streams::is_librdkafka(name) => Some((Takers::All, std::slice::from_ref(&bare))),
            None => None,
        };
        let Some((takers, names)) = takers_and_names else { continue };
        let value = streams::find(name).and_then(|p| p.client).map_or_else(|| (*value).to_owned(), |client| converted(&client, value));
        for their in names {
            found.extend(addressed(scope, takers, their).map(|key| (key, value.clone())));
        }
        // Less than all acknowledgements and idempotence exclude each other; Java gives up the latter unless it was asked for.
        if bare == "acks" && matches!(value.as_str(), "0" | "1") && !is_set(&set, "enable.idempotence") {
            found.extend(addressed(scope, takers, "enable.idempotence").map(|key| (key, "false".to_owned())));
        }
    }
    for scope in [Scope::All, Scope::Consumer, Scope::Producer, Scope::Admin] {
        let own = in_scope(&set, scope);
        if scope != Scope::All && !own.keys().any(|name| is_security(name)) {
            continue;
        }
        let mut all = in_scope(&set, Scope::All);
        all.extend(own);
        let secured = stores::tls(&all)?.into_iter().chain(jaas::login(&all)?);
        found.extend(secured.filter_map(|(name, value)| addressed(scope, Takers::All, name).map(|key| (key, value))));
    }
    Ok(found)
}

/// Where tokens for Kafka come from, if its clients log in by some.
///
/// # Errors
/// As for [`client_properties`].
pub fn tokens(values: &BTreeMap<String, String>) -> Result<Option<Settings>, String> {
    let set: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
    let all = in_scope(&set, Scope::All);
    let shared = oauth::settings(&all)?;
    for (scope, prefix) in [(Scope::Consumer, "consumer"), (Scope::Producer, "producer"), (Scope::Admin, "admin")] {
        let own = in_scope(&set, scope);
        if let Some((name, _)) = own.iter().find(|(name, _)| is_security(name)) {
            let mut seen = all.clone();
            seen.extend(&own);
            if oauth::settings(&seen)? != shared {
                return Err(format!(
                    "{prefix}.{name}: one login by tokens serves all of Kafka's clients, so it can't be set for some of them alone; set \
                     sasl.mechanism=OAUTHBEARER and what belongs to it without '{prefix}.'"
                ));
            }
        }
    }
    Ok(shared)
}

/// Whether anything was set that only Kafka's clients heed; the names, for a warning where there are none.
pub fn names_for_kafka(values: &BTreeMap<String, String>) -> Vec<&str> {
    let heeded = |name: &str| match streams::find(name) {
        Some(property) => matches!(property.role, Role::Client | Role::Tuning),
        None => streams::is_librdkafka(name),
    };
    values.keys().map(String::as_str).filter(|name| super::table::property(name).is_none() && heeded(name)).collect()
}

/// The name under which the engine hands a property to those who are meant and have a use for it; `None`: nobody.
fn addressed(scope: Scope, takers: Takers, name: &str) -> Option<String> {
    match (scope, takers) {
        (Scope::All, Takers::All) => Some(name.to_owned()),
        (Scope::All | Scope::Consumer, Takers::Consumers) | (Scope::Consumer, Takers::All) => Some(format!("consumer.{name}")),
        (Scope::All | Scope::Producer, Takers::Producers) | (Scope::Producer, Takers::All) => Some(format!("producer.{name}")),
        (Scope::Admin, Takers::All) => Some(format!("admin.{name}")),
        _ => None,
    }
}

/// A value in the unit and the range that the clients here have.
fn converted(client: &Client, value: &str) -> String {
    match (client.range, value.parse::<i64>()) {
        (Some((least, most)), Ok(number)) => (number / client.divisor).clamp(least, most).to_string(),
        _ => value.to_owned(),
    }
}

fn is_set(set: &[(&str, &str)], bare: &str) -> bool {
    set.iter().any(|(name, _)| streams::bare(name) == bare)
}

/// What was set for a scope, by bare name.
fn in_scope<'a>(set: &[(&'a str, &'a str)], scope: Scope) -> BTreeMap<&'a str, &'a str> {
    let parted = set.iter().map(|(name, value)| (streams::parted(name), *value));
    parted.filter(|((s, _), _)| *s == scope).map(|((_, bare), value)| (bare, value)).collect()
}

fn is_security(bare: &str) -> bool {
    bare.starts_with("ssl.") || bare.starts_with("sasl.") || matches!(bare, "security.protocol" | "https.ca.location")
}

/// Whether the connection is asked to be encrypted.
fn uses_tls(set: &BTreeMap<&str, &str>) -> bool {
    set.get("security.protocol").is_some_and(|protocol| protocol.to_ascii_uppercase().ends_with("SSL"))
}

/// Whether the connection is asked to begin with a login.
fn uses_sasl(set: &BTreeMap<&str, &str>) -> bool {
    set.get("security.protocol").is_some_and(|protocol| protocol.to_ascii_uppercase().starts_with("SASL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let values = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        client_properties(&values).expect("good properties")
    }

    #[test]
    fn java_names_reach_the_clients_that_have_a_use_for_them() {
        for (name, value, expected) in [
            ("ksql.streams.producer.linger.ms", "50", ("producer.linger.ms", "50")),
            ("linger.ms", "50", ("producer.linger.ms", "50")),
            ("ksql.streams.linger.ms", "50", ("producer.linger.ms", "50")),
            ("producer.compression.type", "zstd", ("producer.compression.type", "zstd")),
            ("ksql.streams.producer.batch.size", "0", ("producer.batch.size", "1")),
            ("ksql.streams.producer.buffer.memory", "67108864", ("producer.queue.buffering.max.kbytes", "65536")),
            ("ksql.streams.producer.max.request.size", "5242880", ("producer.message.max.bytes", "5242880")),
            ("ksql.streams.producer.delivery.timeout.ms", "2147483647", ("producer.message.timeout.ms", "2147483647")),
            ("ksql.streams.consumer.fetch.max.wait.ms", "100", ("consumer.fetch.wait.max.ms", "100")),
            ("ksql.streams.main.consumer.isolation.level", "read_uncommitted", ("consumer.isolation.level", "read_uncommitted")),
            ("ksql.streams.request.timeout.ms", "2147483647", ("socket.timeout.ms", "300000")),
            ("ksql.streams.admin.request.timeout.ms", "9000", ("admin.socket.timeout.ms", "9000")),
            ("metadata.max.age.ms", "5000", ("topic.metadata.refresh.interval.ms", "5000")),
            ("ksql.streams.send.buffer.bytes", "-1", ("socket.send.buffer.bytes", "0")),
            ("ksql.streams.consumer.queued.min.messages", "10", ("consumer.queued.min.messages", "10")),
            ("security.protocol", "PLAINTEXT", ("security.protocol", "PLAINTEXT")),
        ] {
            let found = translated(&[(name, value)]);
            assert_eq!(found.get(expected.0).map(String::as_str), Some(expected.1), "{name}: {found:?}");
            assert_eq!(found.len(), 1, "{name}: {found:?}");
        }
        for name in ["ksql.streams.consumer.linger.ms", "ksql.streams.restore.consumer.fetch.min.bytes", "ksql.service.id", "max.block.ms"]
        {
            assert_eq!(translated(&[(name, "7")]), BTreeMap::new(), "{name}");
        }
    }

    #[test]
    fn a_name_that_says_more_stands_over_one_that_says_less() {
        let found = translated(&[("linger.ms", "1"), ("ksql.streams.producer.linger.ms", "3"), ("ksql.streams.linger.ms", "2")]);
        assert_eq!(found, BTreeMap::from([("producer.linger.ms".to_owned(), "3".to_owned())]));
    }

    #[test]
    fn fewer_acknowledgements_give_up_idempotence() {
        assert_eq!(translated(&[("acks", "all")]).len(), 1);
        let found = translated(&[("ksql.streams.producer.acks", "1")]);
        assert_eq!(found.get("producer.enable.idempotence").map(String::as_str), Some("false"));
    }

    #[test]
    fn one_login_by_tokens_serves_all_clients() {
        let login = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=me clientSecret=hush;";
        let of = |pairs: &[(&str, &str)]| tokens(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        let mut pairs = vec![
            ("ksql.streams.security.protocol", "SASL_SSL"),
            ("ksql.streams.sasl.mechanism", "oauthbearer"),
            ("ksql.streams.sasl.jaas.config", login),
            ("sasl.oauthbearer.token.endpoint.url", "https://id.example.com/token"),
        ];
        assert!(of(&pairs).is_ok_and(|tokens| tokens.is_some()));
        let found = translated(&pairs);
        assert_eq!(found.get("sasl.mechanism").map(String::as_str), Some("OAUTHBEARER"));
        assert!(!found.values().any(|value| value.contains("hush")), "{found:?}");
        // Said again, as many do, it is the same login.
        pairs.push(("ksql.streams.producer.sasl.jaas.config", login));
        assert!(of(&pairs).is_ok_and(|tokens| tokens.is_some()));
        pairs.push(("ksql.streams.consumer.sasl.oauthbearer.scope", "other"));
        let error = of(&pairs).err().expect("a login of its own");
        assert!(error.starts_with("consumer.sasl.oauthbearer.scope") && !error.contains("hush"), "{error}");
        assert!(of(&[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")]).is_ok_and(|tokens| tokens.is_none()));
    }

    #[test]
    fn a_login_of_one_kind_of_client_is_its_own() {
        let plain =
            |user: &str| format!("org.apache.kafka.common.security.plain.PlainLoginModule required username='{user}' password='p';");
        let found = translated(&[
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", &plain("all")),
            ("ksql.streams.producer.sasl.jaas.config", &plain("writer")),
        ]);
        assert_eq!(found.get("sasl.username").map(String::as_str), Some("all"));
        assert_eq!(found.get("producer.sasl.username").map(String::as_str), Some("writer"));
        assert!(!found.contains_key("consumer.sasl.username"));
    }
}
