//! Properties of Kafka Streams and of Kafka's clients, which ksqlDB takes with the prefix `ksql.streams.` and, in sessions,
//! without it.

use super::kind::Kind;
use super::table::Role;

/// What `ksql.streams.` stands before.
pub const PREFIX: &str = "ksql.streams.";

/// One of them, by its bare name.
#[derive(Debug, Clone, Copy)]
pub struct StreamsProperty {
    pub name: &'static str,
    pub kind: Kind,
    pub role: Role,
    /// What SHOW PROPERTIES gives where nothing was set; `None`: it lists the property only where it was.
    pub listed: Option<&'static str>,
}

const fn property(name: &'static str, kind: Kind, role: Role) -> StreamsProperty {
    StreamsProperty { name, kind, role, listed: None }
}

const fn listed(name: &'static str, kind: Kind, role: Role, default: &'static str) -> StreamsProperty {
    StreamsProperty { name, kind, role, listed: Some(default) }
}

const MS: Kind = Kind::Long { min: 0 };
const COUNT: Kind = Kind::Int { min: 0 };

/// By bare name. What is not here, with the prefix before it, is taken and has no effect.
pub static STREAMS: &[StreamsProperty] = &[
    property("auto.offset.reset", Kind::OffsetReset, Role::Session),
    listed("cache.max.bytes.buffering", MS, Role::Session, "10000000"),
    property("statestore.cache.max.bytes", MS, Role::Session),
    listed("commit.interval.ms", MS, Role::Session, "2000"),
    property("processing.guarantee", Kind::OneOf(&["at_least_once", "exactly_once_v2"]), Role::Session),
    property("max.task.idle.ms", Kind::Long { min: -1 }, Role::Session),
    listed("replication.factor", Kind::Int { min: -1 }, Role::Server, "1"),
    listed("state.dir", Kind::Text, Role::Inert, ""),
    listed("bootstrap.servers", Kind::List, Role::Server, ""),
    listed("application.server", Kind::Text, Role::Inert, ""),
    listed("num.stream.threads", Kind::Int { min: 1 }, Role::Inert, "4"),
    listed("shutdown.timeout.ms", MS, Role::Inert, "300000"),
    listed("topology.optimization", Kind::Text, Role::Inert, "all"),
    listed("default.deserialization.exception.handler", Kind::Text, Role::Inert, "LogMetricAndContinue"),
    listed("default.production.exception.handler", Kind::Text, Role::Inert, "LogAndFail"),
    property("num.standby.replicas", COUNT, Role::Inert),
    property("acceptable.recovery.lag", MS, Role::Inert),
    property("application.id", Kind::Text, Role::Inert),
    property("buffered.records.per.partition", COUNT, Role::Inert),
    property("built.in.metrics.version", Kind::Text, Role::Inert),
    property("client.id", Kind::Text, Role::Inert),
    property("connections.max.idle.ms", Kind::Long { min: -1 }, Role::Inert),
    property("default.key.serde", Kind::Text, Role::Inert),
    property("default.timestamp.extractor", Kind::Text, Role::Inert),
    property("default.value.serde", Kind::Text, Role::Inert),
    property("max.warmup.replicas", COUNT, Role::Inert),
    property("metadata.max.age.ms", MS, Role::Inert),
    property("metric.reporters", Kind::Text, Role::Inert),
    property("metrics.num.samples", COUNT, Role::Inert),
    property("metrics.recording.level", Kind::Text, Role::Inert),
    property("metrics.sample.window.ms", MS, Role::Inert),
    property("poll.ms", MS, Role::Inert),
    property("probing.rebalance.interval.ms", MS, Role::Inert),
    property("producer.acks", Kind::Text, Role::Inert),
    property("receive.buffer.bytes", Kind::Int { min: -1 }, Role::Inert),
    property("reconnect.backoff.max.ms", MS, Role::Inert),
    property("reconnect.backoff.ms", MS, Role::Inert),
    property("request.timeout.ms", COUNT, Role::Inert),
    property("retries", COUNT, Role::Inert),
    property("retry.backoff.ms", MS, Role::Inert),
    property("rocksdb.config.setter", Kind::Text, Role::Inert),
    property("send.buffer.bytes", Kind::Int { min: -1 }, Role::Inert),
    property("state.cleanup.delay.ms", MS, Role::Inert),
    property("task.timeout.ms", MS, Role::Inert),
    property("upgrade.from", Kind::Text, Role::Inert),
    property("window.size.ms", MS, Role::Inert),
    property("windowstore.changelog.additional.retention.ms", MS, Role::Inert),
    // Consumer.
    property("allow.auto.create.topics", Kind::Bool, Role::Inert),
    property("auto.commit.interval.ms", COUNT, Role::Inert),
    property("check.crcs", Kind::Bool, Role::Inert),
    property("client.rack", Kind::Text, Role::Inert),
    property("default.api.timeout.ms", COUNT, Role::Inert),
    property("enable.auto.commit", Kind::Bool, Role::Inert),
    property("exclude.internal.topics", Kind::Bool, Role::Inert),
    property("fetch.max.bytes", COUNT, Role::Inert),
    property("fetch.max.wait.ms", COUNT, Role::Inert),
    property("fetch.min.bytes", COUNT, Role::Inert),
    property("group.id", Kind::Text, Role::Inert),
    property("group.instance.id", Kind::Text, Role::Inert),
    property("heartbeat.interval.ms", COUNT, Role::Inert),
    property("interceptor.classes", Kind::Text, Role::Inert),
    property("isolation.level", Kind::OneOf(&["read_committed", "read_uncommitted"]), Role::Inert),
    property("key.deserializer", Kind::Text, Role::Inert),
    property("max.partition.fetch.bytes", COUNT, Role::Inert),
    property("max.poll.interval.ms", Kind::Int { min: 1 }, Role::Inert),
    property("max.poll.records", Kind::Int { min: 1 }, Role::Inert),
    property("partition.assignment.strategy", Kind::Text, Role::Inert),
    property("session.timeout.ms", COUNT, Role::Inert),
    property("value.deserializer", Kind::Text, Role::Inert),
    // Producer.
    property("acks", Kind::OneOf(&["all", "-1", "0", "1"]), Role::Inert),
    property("batch.size", COUNT, Role::Inert),
    property("buffer.memory", MS, Role::Inert),
    property("compression.type", Kind::Text, Role::Inert),
    property("delivery.timeout.ms", COUNT, Role::Inert),
    property("enable.idempotence", Kind::Bool, Role::Inert),
    property("key.serializer", Kind::Text, Role::Inert),
    property("linger.ms", MS, Role::Inert),
    property("max.block.ms", MS, Role::Inert),
    property("max.in.flight.requests.per.connection", Kind::Int { min: 1 }, Role::Inert),
    property("max.request.size", COUNT, Role::Inert),
    property("partitioner.class", Kind::Text, Role::Inert),
    property("transaction.timeout.ms", COUNT, Role::Inert),
    property("transactional.id", Kind::Text, Role::Inert),
    property("value.serializer", Kind::Text, Role::Inert),
    // Security of the connection to Kafka; see `kafka_client`.
    property("security.protocol", Kind::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Role::Server),
    property("sasl.mechanism", Kind::Text, Role::Server),
    property("sasl.jaas.config", Kind::Secret, Role::Server),
    property("sasl.username", Kind::Text, Role::Server),
    property("sasl.password", Kind::Secret, Role::Server),
    property("ssl.ca.location", Kind::Text, Role::Server),
    property("ssl.certificate.location", Kind::Text, Role::Server),
    property("ssl.key.location", Kind::Text, Role::Server),
    property("ssl.key.password", Kind::Secret, Role::Server),
    property("ssl.endpoint.identification.algorithm", Kind::Text, Role::Server),
    property("ssl.truststore.location", Kind::Text, Role::Refused),
    property("ssl.keystore.location", Kind::Text, Role::Refused),
];

/// The bare name behind `ksql.streams.`, and behind `consumer.`, `producer.` and the like after it.
pub fn bare(name: &str) -> &str {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    ["main.consumer.", "restore.consumer.", "global.consumer.", "consumer.", "producer.", "admin."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// The property that a name, with or without prefixes, means.
pub fn find(name: &str) -> Option<&'static StreamsProperty> {
    let bare = bare(name);
    STREAMS.iter().find(|p| p.name == bare)
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
    }
}
