//! Properties of Kafka Streams itself.

use super::{COUNT, Kind, MS, Role, StreamsProperty, inert, property, refused};

const NO_THREADS: &str = "Queries share worker threads: one for each core, or `tidemill.workers`.";
const NO_WARMUP: &str = "Slots go where Kafka's group says, whatever state is where.";
const NO_TAGS: &str = "Standbys are on another `tidemill.rack` first.";
const NO_CLASS: &str = "Java classes can't be loaded; formats and timestamps are said by WITH.";
const NO_METRICS: &str = "Metrics are served at /metrics, for Prometheus.";
const OWN_LOOP: &str = "Workers are woken by what arrives.";

pub static PROPERTIES: &[StreamsProperty] = &[
    property("auto.offset.reset", Kind::OffsetReset, Role::Session, "Where a query without committed offsets begins."),
    property(
        "processing.guarantee",
        Kind::OneOf(&["at_least_once", "exactly_once", "exactly_once_beta", "exactly_once_v2"]),
        Role::Session,
        "What is promised of a query's output. The three names of exactly once mean the same; on the embedded log it always holds.",
    ),
    property("cache.max.bytes.buffering", MS, Role::Session, "Above 0: changes of one key are gathered until the commit.")
        .listed("10000000"),
    property("statestore.cache.max.bytes", MS, Role::Session, "Another name of cache.max.bytes.buffering."),
    property(
        "commit.interval.ms",
        MS,
        Role::Session,
        "How often is committed at most, while there is work. One rhythm holds for all queries: the server's.",
    )
    .listed("2000"),
    property(
        "max.task.idle.ms",
        Kind::Long { min: -1 },
        Role::Session,
        "How long a task waits for an empty partition that may still bring older records.",
    ),
    property(
        "replication.factor",
        Kind::Copies { least: -1 },
        Role::Server,
        "Copies of the internal topics of queries; -1: as many as the broker makes by itself. Those of other topics: WITH (REPLICAS=…).",
    )
    .listed("1"),
    property("state.dir", Kind::Text, Role::Server, "Folder of the state, where `tidemill.data.dir` is not set.").listed(""),
    property("bootstrap.servers", Kind::Brokers, Role::Server, "Kafka brokers; without them the embedded log is used.").listed(""),
    inert("application.server", Kind::Text, "No server answers for another yet: a table is asked where its state is.").listed(""),
    inert("num.stream.threads", Kind::Int { min: 1 }, NO_THREADS).listed("4"),
    inert("shutdown.timeout.ms", MS, "An end waits for the last commit.").listed("300000"),
    inert("topology.optimization", Kind::Text, "There is one way of planning; results are the same.").listed("all"),
    property(
        "default.deserialization.exception.handler",
        Kind::OneOf(&[
            "io.confluent.ksql.errors.LogMetricAndContinueExceptionHandler",
            "org.apache.kafka.streams.errors.LogAndContinueExceptionHandler",
        ]),
        Role::Inert,
        "A record that can't be read goes to the processing log, and its query goes on.",
    )
    .listed("io.confluent.ksql.errors.LogMetricAndContinueExceptionHandler"),
    property(
        "default.production.exception.handler",
        Kind::OneOf(&[
            "io.confluent.ksql.errors.ProductionExceptionHandlerUtil$LogAndFailProductionExceptionHandler",
            "org.apache.kafka.streams.errors.DefaultProductionExceptionHandler",
        ]),
        Role::Inert,
        "A record that can't be written ends its query.",
    )
    .listed("io.confluent.ksql.errors.ProductionExceptionHandlerUtil$LogAndFailProductionExceptionHandler"),
    property(
        "num.standby.replicas",
        COUNT,
        Role::Session,
        "How many other servers follow the state of a query's tasks, where servers share the service (`tidemill.cluster.enabled`); a query keeps what its session has set.",
    ),
    inert("max.warmup.replicas", COUNT, NO_WARMUP),
    inert("acceptable.recovery.lag", MS, NO_WARMUP),
    inert("probing.rebalance.interval.ms", MS, NO_WARMUP),
    inert("rack.aware.assignment.tags", Kind::Text, NO_TAGS),
    inert("rack.aware.assignment.strategy", Kind::Text, NO_TAGS),
    inert("application.id", Kind::Text, "Groups are named after `ksql.service.id` and the query."),
    inert("buffered.records.per.partition", COUNT, "What may wait unread is bounded in bytes."),
    inert("input.buffer.max.bytes", MS, "What may wait unread is bounded in bytes."),
    inert("built.in.metrics.version", Kind::Text, NO_METRICS),
    inert("metrics.num.samples", COUNT, NO_METRICS),
    inert("metrics.recording.level", Kind::Text, NO_METRICS),
    inert("metrics.sample.window.ms", MS, NO_METRICS),
    inert("metric.reporters", Kind::Text, NO_METRICS),
    inert("enable.metrics.push", Kind::Bool, NO_METRICS),
    inert("auto.include.jmx.reporter", Kind::Bool, NO_METRICS),
    inert("default.key.serde", Kind::Text, NO_CLASS),
    inert("default.value.serde", Kind::Text, NO_CLASS),
    inert("default.timestamp.extractor", Kind::Text, NO_CLASS),
    inert("default.list.key.serde.inner", Kind::Text, NO_CLASS),
    inert("default.list.key.serde.type", Kind::Text, NO_CLASS),
    inert("default.list.value.serde.inner", Kind::Text, NO_CLASS),
    inert("default.list.value.serde.type", Kind::Text, NO_CLASS),
    inert("default.client.supplier", Kind::Text, NO_CLASS),
    inert("default.dsl.store", Kind::Text, NO_CLASS),
    inert("dsl.store.suppliers.class", Kind::Text, NO_CLASS),
    inert("rocksdb.config.setter", Kind::Text, "The state's memory is set by tidemill.state.cache.bytes and tidemill.state.overlay.bytes."),
    inert("poll.ms", MS, OWN_LOOP),
    inert("repartition.purge.interval.ms", MS, "Repartition topics are emptied behind their query by the commit."),
    inert("state.cleanup.delay.ms", MS, "State goes with its query."),
    inert("task.timeout.ms", MS, "A query whose broker is away waits for it."),
    inert("task.assignor.class", Kind::Text, NO_WARMUP),
    inert("log.summary.interval.ms", MS, "There is no such summary."),
    inert("upgrade.from", Kind::Text, "There is nothing to upgrade from."),
    inert("window.size.ms", MS, "WINDOW says it."),
    inert("windowed.inner.class.serde", Kind::Text, NO_CLASS),
    inert("windowstore.changelog.additional.retention.ms", MS, "Changelogs keep windows for a day longer than they last."),
    refused("ensure.explicit.internal.resource.naming", Kind::Bool, "Internal topics are named as ksqlDB names them."),
];
