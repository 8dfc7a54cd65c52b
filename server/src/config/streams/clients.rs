//! Properties of Kafka's consumers, producers and administrating clients, but for their security.

use super::{COUNT, Client, Kind, MS, Role, StreamsProperty, Takers, inert, property, refused};

/// A result depends on it.
const fn client(name: &'static str, kind: Kind, to: Client, doc: &'static str) -> StreamsProperty {
    StreamsProperty { name, kind, role: Role::Client, listed: None, doc, client: Some(to) }
}

/// Only speed and memory depend on it.
const fn tuning(name: &'static str, kind: Kind, to: Client, doc: &'static str) -> StreamsProperty {
    StreamsProperty { name, kind, role: Role::Tuning, listed: None, doc, client: Some(to) }
}

const fn to(takers: Takers, names: &'static [&'static str]) -> Client {
    Client { names, takers, range: None, divisor: 1 }
}

const fn within(takers: Takers, names: &'static [&'static str], least: i64, most: i64) -> Client {
    Client { names, takers, range: Some((least, most)), divisor: 1 }
}

use Takers::{All, Consumers, Producers};

const HOUR_MS: i64 = 3_600_000;
const GB: i64 = 1_000_000_000;
const INT_MAX: i64 = 2_147_483_647;
/// Between librdkafka's `message.max.bytes` and its `receive.message.max.bytes`, less the head of an answer.
const LEAST_FETCH: i64 = 1_000_000;
const MOST_FETCH: i64 = 100_000_000 - 512;
const ANY: Kind = Kind::Int { min: -1 };

const NO_GROUP: &str = "Partitions are assigned without a group's protocol.";
const NO_COMMIT: &str = "Offsets are committed with the state.";
const NO_CLASS: &str = "Java classes can't be loaded.";

pub static PROPERTIES: &[StreamsProperty] = &[
    client("client.id", Kind::Text, to(All, &["client.id"]), "Begins the names under which brokers see the clients."),
    client("client.rack", Kind::Text, to(All, &["client.rack"]), "Where the server stands, so that near copies are read."),
    client(
        "client.dns.lookup",
        Kind::OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]),
        to(All, &["client.dns.lookup"]),
        "How names of brokers are resolved.",
    ),
    tuning(
        "connections.max.idle.ms",
        Kind::Long { min: -1 },
        within(All, &["connections.max.idle.ms"], 0, INT_MAX),
        "When idle connections are closed.",
    ),
    tuning(
        "metadata.max.age.ms",
        MS,
        within(All, &["topic.metadata.refresh.interval.ms"], 10, HOUR_MS),
        "How often topics are looked at anew.",
    ),
    tuning(
        "receive.buffer.bytes",
        ANY,
        within(All, &["socket.receive.buffer.bytes"], 0, 100_000_000),
        "The socket's buffer; -1: the system's.",
    ),
    tuning("send.buffer.bytes", ANY, within(All, &["socket.send.buffer.bytes"], 0, 100_000_000), "The socket's buffer; -1: the system's."),
    tuning("reconnect.backoff.ms", MS, within(All, &["reconnect.backoff.ms"], 0, HOUR_MS), "Pause before a lost broker is tried again."),
    tuning("reconnect.backoff.max.ms", MS, within(All, &["reconnect.backoff.max.ms"], 0, HOUR_MS), "The longest such pause."),
    tuning("retry.backoff.ms", MS, within(All, &["retry.backoff.ms"], 1, 300_000), "Pause before a request is tried again."),
    tuning("retry.backoff.max.ms", MS, within(All, &["retry.backoff.max.ms"], 1, 300_000), "The longest such pause."),
    tuning(
        "socket.connection.setup.timeout.ms",
        MS,
        within(All, &["socket.connection.setup.timeout.ms"], 1_000, INT_MAX),
        "How long a connection may take.",
    ),
    inert("socket.connection.setup.timeout.max.ms", MS, "One time limit holds for all tries."),
    client(
        "request.timeout.ms",
        COUNT,
        within(All, &["socket.timeout.ms"], 10, 300_000),
        "How long an answer of a broker may take; at most 300000.",
    ),
    inert("default.api.timeout.ms", COUNT, "Each request has its own time limit."),
    inert("metadata.recovery.strategy", Kind::Text, "Brokers are looked up anew where all are lost."),
    inert("metadata.recovery.rebootstrap.trigger.ms", MS, "Brokers are looked up anew where all are lost."),
    inert("bootstrap.controllers", Kind::Text, "Topics are made by way of the brokers."),
    // Producers.
    client(
        "acks",
        Kind::OneOf(&["all", "-1", "0", "1"]),
        to(Producers, &["acks"]),
        "Who must have a record for it to count as written. Below all, records may be lost and come twice.",
    ),
    tuning("batch.size", COUNT, within(Producers, &["batch.size"], 1, INT_MAX), "Bytes that go together at most."),
    tuning(
        "linger.ms",
        MS,
        within(Producers, &["linger.ms"], 0, 900_000),
        "How long records wait for company; a worker without more work lets them go at once.",
    ),
    tuning(
        "buffer.memory",
        MS,
        Client { names: &["queue.buffering.max.kbytes"], takers: Producers, range: Some((1, INT_MAX)), divisor: 1024 },
        "Bytes that may wait to be sent.",
    ),
    client(
        "compression.type",
        Kind::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]),
        to(Producers, &["compression.type"]),
        "How batches are compressed.",
    ),
    client(
        "max.request.size",
        COUNT,
        within(Producers, &["message.max.bytes"], 1_000, GB),
        "The largest record that may be written, bytes; topics have a limit of their own.",
    ),
    client(
        "delivery.timeout.ms",
        COUNT,
        to(Producers, &["message.timeout.ms"]),
        "How long a record may take to be written before its query fails.",
    ),
    client("retries", COUNT, to(Producers, &["retries"]), "How often a write is tried again."),
    client("enable.idempotence", Kind::Bool, to(Producers, &["enable.idempotence"]), "Whether retries neither double nor reorder."),
    tuning(
        "max.in.flight.requests.per.connection",
        Kind::Int { min: 1 },
        within(Producers, &["max.in.flight.requests.per.connection"], 1, 5),
        "Requests under way to one broker; at most 5.",
    ),
    inert("max.block.ms", MS, "Whoever writes waits while the queue is full, for as long as delivery.timeout.ms lets records wait."),
    inert("compression.gzip.level", Kind::Int { min: -1 }, "Each kind of compression has its usual level."),
    inert("compression.lz4.level", Kind::Int { min: -1 }, "Each kind of compression has its usual level."),
    inert("compression.zstd.level", Kind::Int { min: i32::MIN }, "Each kind of compression has its usual level."),
    inert("metadata.max.idle.ms", MS, "Topics that are not written are forgotten."),
    inert("partitioner.adaptive.partitioning.enable", Kind::Bool, "Records without a key go round all partitions."),
    inert("partitioner.availability.timeout.ms", MS, "Records without a key go round all partitions."),
    refused(
        "partitioner.class",
        Kind::Text,
        "A record's partition follows from its key as Kafka's own clients have it; classes can't be loaded.",
    ),
    refused("partitioner.ignore.keys", Kind::Bool, "A record's partition follows from its key."),
    refused("transactional.id", Kind::Text, "Ids are named after `ksql.service.id` and the worker."),
    client(
        "transaction.timeout.ms",
        COUNT,
        within(Producers, &["transaction.timeout.ms"], 1_000, INT_MAX),
        "With exactly once: how long a transaction may take, and how long readers wait at most for one whose server has died. By default \
         60000; brokers set a limit (their transaction.max.timeout.ms).",
    ),
    inert("transaction.two.phase.commit.enable", Kind::Bool, "Nobody else takes part in a transaction."),
    inert("key.serializer", Kind::Text, NO_CLASS),
    inert("value.serializer", Kind::Text, NO_CLASS),
    // Consumers.
    tuning("fetch.max.bytes", COUNT, within(Consumers, &["fetch.max.bytes"], LEAST_FETCH, MOST_FETCH), "Bytes of one answer at most."),
    tuning(
        "fetch.max.wait.ms",
        COUNT,
        within(Consumers, &["fetch.wait.max.ms"], 0, 300_000),
        "How long a broker waits for fetch.min.bytes.",
    ),
    tuning("fetch.min.bytes", COUNT, within(Consumers, &["fetch.min.bytes"], 1, 100_000_000), "Bytes of one answer at least."),
    tuning(
        "max.partition.fetch.bytes",
        COUNT,
        within(Consumers, &["max.partition.fetch.bytes"], 1, GB),
        "Bytes of one partition in an answer.",
    ),
    client("check.crcs", Kind::Bool, to(Consumers, &["check.crcs"]), "Whether checksums of records are tested."),
    client(
        "isolation.level",
        Kind::OneOf(&["read_committed"]),
        to(Consumers, &["isolation.level"]),
        "Records of open and broken off transactions are never read.",
    ),
    inert("allow.auto.create.topics", Kind::Bool, "Reading never makes a topic."),
    inert("auto.commit.interval.ms", COUNT, NO_COMMIT),
    inert("enable.auto.commit", Kind::Bool, NO_COMMIT),
    inert("exclude.internal.topics", Kind::Bool, "Topics are read by name."),
    inert("group.id", Kind::Text, "Groups are named after `ksql.service.id` and the query."),
    inert("group.instance.id", Kind::Text, NO_GROUP),
    inert("group.protocol", Kind::Text, NO_GROUP),
    inert("group.remote.assignor", Kind::Text, NO_GROUP),
    inert("heartbeat.interval.ms", COUNT, NO_GROUP),
    inert("session.timeout.ms", COUNT, NO_GROUP),
    inert("max.poll.interval.ms", Kind::Int { min: 1 }, NO_GROUP),
    inert("max.poll.records", Kind::Int { min: 1 }, "Records are taken as they come; what waits is bounded in bytes."),
    inert("partition.assignment.strategy", Kind::Text, NO_GROUP),
    inert("interceptor.classes", Kind::Text, NO_CLASS),
    inert("key.deserializer", Kind::Text, NO_CLASS),
    inert("value.deserializer", Kind::Text, NO_CLASS),
    property(
        "config.providers",
        Kind::List,
        Role::Server,
        "Names of providers of values that stand elsewhere; `config.providers.NAME.class` is one of the three that are built in.",
    ),
];
