//! Properties of ksqlDB's engine: names, formats, topics, and how queries run.

use super::{ANY_LONG, COUNT, Kind, MOST_TOPIC, MS, Property, inert, refused, server, session, unset};

const KAFKA_INTERNAL: &str = "_confluent.*,__confluent.*,_schemas,__consumer_offsets,__transaction_state,connect-configs,\
                              connect-offsets,connect-status,connect-statuses";
const NO_PEERS: &str = "How long servers that share a service wait for each other is fixed.";
const BOUNDED: &str = "Memory is bounded by tidemill.state.cache.bytes and tidemill.state.overlay.bytes.";
const CLEANED: &str = "Clean-up is part of ending a query.";
const SHARED: &str = "Queries always share the runtime.";
const NO_POOL: &str = "Pull queries need no threads of their own.";
const NO_JAVA: &str = "Java functions can't be loaded.";
const SOURCE_DECIDES: &str = "As in ksqlDB since 0.6, a sink's topic takes after its source. Say it by WITH (PARTITIONS=…, REPLICAS=…).";

const FORMATS: Kind = Kind::OneOf(&["NONE", "KAFKA", "JSON", "JSON_SR", "AVRO", "PROTOBUF", "PROTOBUF_NOSR", "DELIMITED"]);

pub static PROPERTIES: &[Property] = &[
    server("ksql.service.id", "default_", Kind::TopicPart { most: 200 }, "Servers with the same id share a command topic and the work."),
    refused("ksql.persistent.prefix", "query_", Kind::Text, "Consumer groups and internal topics always bear it."),
    refused("ksql.transient.prefix", "transient_", Kind::Text, "The names of push queries always bear it."),
    session(
        "ksql.functions.collect_list.limit",
        "-1",
        ANY_LONG,
        "Values of a group that COLLECT_LIST keeps; later ones are left out. Below 0: all.",
    )
    .hidden(),
    session(
        "ksql.functions.collect_set.limit",
        "-1",
        ANY_LONG,
        "Different values of a group that COLLECT_SET keeps; later ones are left out. Below 0: all.",
    )
    .hidden(),
    session(
        "ksql.output.topic.name.prefix",
        "",
        Kind::TopicPart { most: 200 },
        "Begins the names of topics of CREATE … AS, where WITH gives none.",
    ),
    server("ksql.internal.topic.replicas", "1", Kind::Copies { least: 1 }, "Copies of the command topic."),
    server(
        "ksql.internal.topic.min.insync.replicas",
        "1",
        Kind::Copies { least: 1 },
        "Copies of the command topic that must be in sync for a statement to be taken.",
    ),
    inert("ksql.sink.partitions", "4", COUNT, SOURCE_DECIDES).hidden(),
    inert("ksql.sink.replicas", "1", COUNT, SOURCE_DECIDES).hidden(),
    inert("ksql.sink.topic.replication.factor", "1", COUNT, SOURCE_DECIDES).hidden(),
    inert("ksql.command.topic.replication.factor", "1", COUNT, "As in ksqlDB, ksql.internal.topic.replicas decides.").hidden(),
    session("ksql.persistence.default.format.key", "KAFKA", FORMATS, "KEY_FORMAT where a statement names none."),
    unset(session("ksql.persistence.default.format.value", "", FORMATS, "VALUE_FORMAT where a statement names none.")),
    unset(session("ksql.persistence.wrap.single.values", "", Kind::Bool, "WRAP_SINGLE_VALUE where a statement says nothing.")),
    server("ksql.hidden.topics", KAFKA_INTERNAL, Kind::Patterns, "Patterns of topics that SHOW TOPICS leaves out."),
    server("ksql.readonly.topics", KAFKA_INTERNAL, Kind::Patterns, "Patterns of topics that nothing may be written to."),
    server("ksql.assert.topic.default.timeout.ms", "1000", MS, "How long ASSERT TOPIC waits, milliseconds."),
    server("ksql.assert.schema.default.timeout.ms", "1000", MS, "How long ASSERT SCHEMA waits, milliseconds."),
    // What expressions give.
    refused("ksql.cast.strings.preserve.nulls", "true", Kind::Bool, "CAST of null to STRING is null, never the text 'null'."),
    refused("ksql.nested.error.set.null", "true", Kind::Bool, "An element that fails is null, the others stay."),
    session(
        "ksql.timestamp.throw.on.invalid",
        "false",
        Kind::Bool,
        "Whether a row without a valid timestamp ends the query, instead of being dropped and logged.",
    ),
    refused("ksql.functions.substring.legacy.args", "false", Kind::Bool, "SUBSTRING takes a position, counted from 1, and a length.")
        .hidden(),
    // How queries run.
    session(
        "ksql.fail.on.deserialization.error",
        "false",
        Kind::Bool,
        "Whether a record that can't be read ends its query, instead of being left out and logged.",
    )
    .hidden(),
    session(
        "ksql.fail.on.production.error",
        "true",
        Kind::Bool,
        "Whether a record that its topic does not take ends its query, instead of being left out and logged.",
    )
    .hidden(),
    unset(session(
        "ksql.dead.letter.topic",
        "",
        Kind::TopicPart { most: MOST_TOPIC },
        "Topic that takes the records which a query can't decode or process, as they were. It is made where it is not there.",
    ))
    .hidden(),
    session(
        "ksql.dead.letter.kinds",
        "undecodable,failed,unwritable",
        Kind::SomeOf(&["undecodable", "failed", "unwritable", "late", "null_key"]),
        "Which records go there. All are counted in any case.",
    )
    .hidden(),
    inert("ksql.suppress.buffer.size.bytes", "-1", ANY_LONG, "Held results are kept in the state, not in a buffer."),
    session("ksql.new.query.planner.enabled", "false", Kind::Bool, "Whether PARTITION BY may leave its column out of the SELECT."),
    inert("ksql.runtime.feature.shared.enabled", "false", Kind::Bool, SHARED),
    inert("ksql.shared.runtimes.count", "2", COUNT, SHARED),
    inert("ksql.query.persistent.max.bytes.buffering.total", "-1", ANY_LONG, BOUNDED),
    inert("ksql.query.transient.max.bytes.buffering.total", "-1", ANY_LONG, BOUNDED),
    inert("ksql.query.error.max.queue.size", "10", COUNT, "A query keeps the error that ended it."),
    server("ksql.query.retry.backoff.initial.ms", "15000", MS, "Pause before a failed query is tried again; doubled each time."),
    server("ksql.query.retry.backoff.max.ms", "900000", MS, "The longest of these pauses."),
    inert("ksql.query.status.running.threshold.seconds", "300", MS, "A query's state is its own."),
    inert("ksql.query.cleanup.shutdown.timeout.ms", "30000", MS, CLEANED),
    inert("ksql.transient.query.cleanup.service.enable", "true", Kind::Bool, CLEANED),
    inert("ksql.transient.query.cleanup.service.initial.delay.seconds", "600", MS, CLEANED),
    inert("ksql.transient.query.cleanup.service.period.seconds", "600", MS, CLEANED),
    inert("ksql.sink.window.change.log.additional.retention", "1000000", MS, "Changelogs keep windows for a day longer than they last."),
    session(
        "ksql.query.pull.enable.standby.reads",
        "false",
        Kind::Bool,
        "Whether a standby answers a pull query where the server that has the keys does not, with what it has followed.",
    ),
    inert("ksql.query.pull.forwarding.timeout.ms", "20000", MS, NO_PEERS),
    session(
        "ksql.query.pull.max.allowed.offset.lag",
        "9223372036854775807",
        MS,
        "How many offsets of its changelog a standby may be behind that answers. Who has the keys is never behind.",
    ),
    inert("ksql.fetch.remote.hosts.max.timeout.seconds", "10", MS, NO_PEERS),
    inert("ksql.query.pull.interpreter.enabled", "true", Kind::Bool, "There is one way of evaluating expressions."),
    inert("ksql.query.pull.metrics.enabled", "true", Kind::Bool, "Metrics are served at /metrics, for Prometheus."),
    inert("ksql.query.pull.router.thread.pool.size", "50", COUNT, NO_POOL),
    inert("ksql.query.pull.thread.pool.size", "50", COUNT, NO_POOL),
    // Functions in Java.
    inert("ksql.extension.dir", "ext", Kind::Text, NO_JAVA),
    inert("ksql.udfs.enabled", "true", Kind::Bool, NO_JAVA),
    inert("ksql.udf.collect.metrics", "false", Kind::Bool, NO_JAVA),
    inert("ksql.udf.enable.security.manager", "false", Kind::Bool, NO_JAVA),
    refused("enable.fips", "false", Kind::Bool, "Certified cryptography is not offered."),
    inert("ksql.client.ip_port.configuration.enabled", "false", Kind::Bool, "Clients are not told apart by address."),
    inert("ksql.deployment.type", "selfManaged", Kind::Text, "Clients are told that they run their server themselves."),
    refused("ksql.enable.metastore.backup", "false", Kind::Bool, "The command topic is not copied to a file. Copy the topic.").hidden(),
    refused("ksql.metastore.backup.location", "", Kind::Text, "The command topic is not copied to a file. Copy the topic."),
    inert("ksql.error.classifier.regex", "", Kind::Text, "An error says itself whose it is."),
];
