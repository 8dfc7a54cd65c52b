//! Every property of ksqlDB and of our own, as data. SHOW PROPERTIES, SET, `streamsProperties` and the configuration file
//! are all served from this table.

use super::kind::Kind;

/// What a property does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read at the start.
    Server,
    /// The server's value is a default that a session may change.
    Session,
    /// Known, without effect here: setting it warns once.
    Inert,
    /// Would promise something that is not there (authentication, TLS): setting it stops the start.
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
    pub doc: &'static str,
}

impl Property {
    const fn hidden(mut self) -> Self {
        self.listed = false;
        self
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

const fn refused(name: &'static str, default: &'static str, doc: &'static str) -> Property {
    Property { name, default: Some(default), kind: Kind::Text, role: Role::Refused, listed: false, doc }
}

/// Without a default.
const fn unset(property: Property) -> Property {
    Property { default: None, ..property }
}

const COUNT: Kind = Kind::Int { min: 0 };
const MS: Kind = Kind::Long { min: 0 };
const ANY_LONG: Kind = Kind::Long { min: i64::MIN };
const KAFKA_INTERNAL: &str = "_confluent.*,__confluent.*,_schemas,__consumer_offsets,__transaction_state,connect-configs,\
                              connect-offsets,connect-status,connect-statuses";

/// By name.
pub static PROPERTIES: &[Property] = &[
    // Ours.
    server("tidemill.data.dir", "tidemill-data", Kind::Text, "Folder of the state and of the embedded log.").hidden(),
    server("tidemill.workers", "0", COUNT, "Threads that process records; 0: one for each core.").hidden(),
    server("tidemill.state.cache.bytes", "33554432", MS, "Block cache of all state together, bytes.").hidden(),
    server("tidemill.state.overlay.bytes", "268435456", MS, "Changes that wait in memory for a commit, all state together, bytes.")
        .hidden(),
    server("tidemill.http.max.connections", "10000", Kind::Int { min: 1 }, "Connections at a time; more wait.").hidden(),
    server("tidemill.http.max.body.bytes", "10485760", Kind::Int { min: 1024 }, "Bytes of a request's body at most.").hidden(),
    // The REST server.
    server("listeners", "http://127.0.0.1:8088", Kind::List, "Addresses to listen on (http only).").hidden(),
    unset(server("ksql.advertised.listener", "", Kind::Text, "Address that other servers and clients are told.")).hidden(),
    unset(server("ksql.queries.file", "", Kind::Text, "Script of statements to run at the start; the REST API then only reads.")).hidden(),
    unset(server("bootstrap.servers", "", Kind::List, "Kafka brokers; without them the embedded log is used.")).hidden(),
    refused("authentication.method", "NONE", "Authentication of the REST API: not built yet, only NONE."),
    refused("authentication.roles", "*", "Authentication of the REST API: not built yet."),
    refused("authentication.realm", "", "Authentication of the REST API: not built yet."),
    refused("ssl.keystore.location", "", "TLS of the REST API: not built yet. Put a proxy in front, or listen on loopback."),
    refused("ksql.heartbeat.enable", "false", "Several servers: not built yet."),
    inert("ksql.lag.reporting.enable", "false", Kind::Bool, "Several servers: not built yet.").hidden(),
    inert("ksql.server.install.dir", "", Kind::Text, "There is nothing to install.").hidden(),
    inert("ksql.verticle.instances", "0", COUNT, "Network threads are chosen by the runtime.").hidden(),
    inert("ksql.worker.pool.size", "100", COUNT, "Network threads are chosen by the runtime.").hidden(),
    server("ksql.max.push.queries", "1000", COUNT, "Push queries and PRINTs at a time; more are refused.").hidden(),
    inert("ksql.server.command.response.timeout.ms", "5000", MS, "Statements answer when they are done.").hidden(),
    inert("ksql.idle.connection.timeout.seconds", "86400", MS, "Idle connections stay.").hidden(),
    inert("ksql.logging.server.rate.limited.response.codes", "", Kind::Text, "Requests are not logged one by one.").hidden(),
    inert("ui.enabled", "true", Kind::Bool, "There is no such interface.").hidden(),
    inert("confluent.support.metrics.enable", "true", Kind::Bool, "Nothing is sent anywhere.").hidden(),
    // The processing log.
    server("ksql.logging.processing.topic.auto.create", "true", Kind::Bool, "Keep a topic of records that could not be processed.")
        .hidden(),
    unset(server("ksql.logging.processing.topic.name", "", Kind::Text, "Name of that topic.")).hidden(),
    server("ksql.logging.processing.topic.partitions", "1", Kind::Int { min: 1 }, "Partitions of that topic.").hidden(),
    server("ksql.logging.processing.topic.replication.factor", "1", Kind::Int { min: 1 }, "Copies of that topic.").hidden(),
    server("ksql.logging.processing.stream.auto.create", "true", Kind::Bool, "Declare a stream over that topic at the first start.")
        .hidden(),
    server("ksql.logging.processing.stream.name", "KSQL_PROCESSING_LOG", Kind::OneOf(&["KSQL_PROCESSING_LOG"]), "Name of the stream.")
        .hidden(),
    server("ksql.logging.processing.rows.include", "false", Kind::Bool, "Whether failed rows may stand in the processing log.").hidden(),
    // The engine.
    server("ksql.service.id", "default_", Kind::Text, "Servers with the same id share a command topic and the work."),
    inert("ksql.persistent.prefix", "query_", Kind::Text, "Consumer groups and internal topics always bear it."),
    inert("ksql.transient.prefix", "transient_", Kind::Text, "Begins the names of push queries."),
    inert("ksql.output.topic.name.prefix", "", Kind::Text, "Begins the names of topics of CREATE … AS."),
    server("ksql.internal.topic.replicas", "1", Kind::Int { min: 1 }, "Copies of the command topic."),
    inert("ksql.internal.topic.min.insync.replicas", "1", COUNT, "Copies of the command topic that must be in sync."),
    session("ksql.persistence.default.format.key", "KAFKA", Kind::Text, "KEY_FORMAT where a statement names none."),
    unset(session("ksql.persistence.default.format.value", "", Kind::Text, "VALUE_FORMAT where a statement names none.")),
    unset(session("ksql.persistence.wrap.single.values", "", Kind::Bool, "WRAP_SINGLE_VALUE where a statement says nothing.")),
    server("ksql.properties.overrides.denylist", "", Kind::List, "Properties that sessions may not set."),
    server("ksql.properties.overrides.allowlist", "", Kind::List, "Properties that sessions may set, in the mode allowlist."),
    server(
        "ksql.properties.overrides.validation.mode",
        "denylist",
        Kind::OneOf(&["denylist", "allowlist"]),
        "Which of the two lists holds.",
    ),
    inert("ksql.properties.overrides.log", "false", Kind::Bool, "Log what sessions set."),
    server("ksql.headers.columns.enabled", "true", Kind::Bool, "Whether columns may hold record headers."),
    server("ksql.insert.into.values.enabled", "true", Kind::Bool, "Whether INSERT INTO … VALUES may be used."),
    server("ksql.pull.queries.enable", "true", Kind::Bool, "Whether pull queries may be used."),
    session("ksql.query.pull.table.scan.enabled", "true", Kind::Bool, "Whether a pull query may read a whole table."),
    server("ksql.query.pull.range.scan.enabled", "true", Kind::Bool, "Whether a pull query may read a range of keys."),
    session("ksql.query.pull.stream.enabled", "true", Kind::Bool, "Whether a pull query may read a stream."),
    inert("ksql.query.pull.limit.clause.enabled", "true", Kind::Bool, "LIMIT in pull queries always works."),
    session("ksql.variable.substitution.enable", "true", Kind::Bool, "Whether ${name} stands for a variable's value."),
    server("ksql.hidden.topics", KAFKA_INTERNAL, Kind::List, "Patterns of topics that SHOW TOPICS leaves out."),
    server("ksql.readonly.topics", KAFKA_INTERNAL, Kind::List, "Patterns of topics that nothing may be written to."),
    server("ksql.assert.topic.default.timeout.ms", "1000", MS, "How long ASSERT TOPIC waits, milliseconds."),
    inert("ksql.assert.schema.default.timeout.ms", "1000", MS, "How long ASSERT SCHEMA waits, milliseconds."),
    inert("ksql.cast.strings.preserve.nulls", "true", Kind::Bool, "CAST of null to STRING is null."),
    inert("ksql.nested.error.set.null", "true", Kind::Bool, "An expression that fails makes its column null."),
    inert("ksql.timestamp.throw.on.invalid", "false", Kind::Bool, "A row without a valid timestamp is dropped and logged."),
    inert("ksql.suppress.enabled", "true", Kind::Bool, "EMIT FINAL always works."),
    inert("ksql.suppress.buffer.size.bytes", "-1", ANY_LONG, "Held results are kept in the state, not in a buffer."),
    inert("ksql.lambdas.enabled", "true", Kind::Bool, "Lambdas always work."),
    inert("ksql.create.or.replace.enabled", "true", Kind::Bool, "CREATE OR REPLACE always works."),
    inert("ksql.source.table.materialization.enabled", "true", Kind::Bool, "Source tables are always kept in a store."),
    inert("ksql.new.query.planner.enabled", "false", Kind::Bool, "There is one planner."),
    inert("ksql.runtime.feature.shared.enabled", "false", Kind::Bool, "Queries always share the runtime."),
    inert("ksql.shared.runtimes.count", "2", COUNT, "Queries always share the runtime."),
    inert("ksql.query.persistent.active.limit", "2147483647", COUNT, "There is no limit."),
    inert("ksql.query.persistent.max.bytes.buffering.total", "-1", ANY_LONG, "Memory is bounded by tidemill.state.*."),
    inert("ksql.query.transient.max.bytes.buffering.total", "-1", ANY_LONG, "Memory is bounded by tidemill.state.*."),
    inert("ksql.query.error.max.queue.size", "10", COUNT, "A query keeps the error that ended it."),
    inert("ksql.query.retry.backoff.initial.ms", "15000", MS, "Queries are not started again by themselves."),
    inert("ksql.query.retry.backoff.max.ms", "900000", MS, "Queries are not started again by themselves."),
    inert("ksql.query.status.running.threshold.seconds", "300", MS, "A query's state is its own."),
    inert("ksql.query.cleanup.shutdown.timeout.ms", "30000", MS, "Clean-up is part of ending a query."),
    inert("ksql.transient.query.cleanup.service.enable", "true", Kind::Bool, "Clean-up is part of ending a query."),
    inert("ksql.transient.query.cleanup.service.initial.delay.seconds", "600", MS, "Clean-up is part of ending a query."),
    inert("ksql.transient.query.cleanup.service.period.seconds", "600", MS, "Clean-up is part of ending a query."),
    inert("ksql.sink.window.change.log.additional.retention", "1000000", MS, "Retention follows from the window."),
    inert("ksql.query.pull.enable.standby.reads", "false", Kind::Bool, "Several servers: not built yet."),
    inert("ksql.query.pull.forwarding.timeout.ms", "20000", MS, "Several servers: not built yet."),
    inert("ksql.query.pull.interpreter.enabled", "true", Kind::Bool, "There is one way of evaluating expressions."),
    inert("ksql.query.pull.max.allowed.offset.lag", "9223372036854775807", MS, "Several servers: not built yet."),
    inert("ksql.query.pull.max.concurrent.requests", "2147483647", COUNT, "There is no limit."),
    inert("ksql.query.pull.max.hourly.bandwidth.megabytes", "2147483647", COUNT, "There is no limit."),
    inert("ksql.query.pull.max.qps", "2147483647", COUNT, "There is no limit."),
    inert("ksql.query.pull.metrics.enabled", "true", Kind::Bool, "Metrics are not built yet."),
    inert("ksql.query.pull.router.thread.pool.size", "50", COUNT, "Pull queries need no threads of their own."),
    inert("ksql.query.pull.thread.pool.size", "50", COUNT, "Pull queries need no threads of their own."),
    inert("ksql.query.push.v2.alos.enabled", "true", Kind::Bool, "There is one kind of push query."),
    inert("ksql.query.push.v2.catchup.consumer.msg.window", "50", COUNT, "There is one kind of push query."),
    inert("ksql.query.push.v2.continuation.tokens.enabled", "false", Kind::Bool, "There is one kind of push query."),
    inert("ksql.query.push.v2.enabled", "false", Kind::Bool, "There is one kind of push query."),
    inert("ksql.query.push.v2.interpreter.enabled", "true", Kind::Bool, "There is one kind of push query."),
    inert("ksql.query.push.v2.latest.reset.age.ms", "30000", MS, "There is one kind of push query."),
    inert("ksql.query.push.v2.max.catchup.consumers", "5", COUNT, "There is one kind of push query."),
    inert("ksql.query.push.v2.max.hourly.bandwidth.megabytes", "2147483647", COUNT, "There is one kind of push query."),
    inert("ksql.query.push.v2.metrics.enabled", "true", Kind::Bool, "There is one kind of push query."),
    inert("ksql.query.push.v2.new.latest.delay.ms", "5000", MS, "There is one kind of push query."),
    inert("ksql.query.push.v2.registry.installed", "false", Kind::Bool, "There is one kind of push query."),
    inert("ksql.endpoint.migrate.query", "true", Kind::Bool, "/query and /query-stream share their code."),
    inert("ksql.fetch.remote.hosts.max.timeout.seconds", "10", MS, "Several servers: not built yet."),
    inert("ksql.websocket.connection.max.timeout.ms", "3600000", MS, "The WebSocket is not built yet."),
    // Neighbours of ksqlDB.
    inert("ksql.schema.registry.url", "", Kind::Text, "Formats with a schema registry are not built yet."),
    inert("ksql.json_sr.converter.deserializer.enabled", "true", Kind::Bool, "Formats with a schema registry are not built yet."),
    inert("ksql.connect.url", "http://localhost:8083", Kind::Text, "Connectors are not built yet."),
    inert("ksql.connect.worker.config", "", Kind::Text, "Connectors are not built yet."),
    inert("ksql.connect.request.timeout.ms", "5000", MS, "Connectors are not built yet."),
    unset(inert("ksql.connect.request.headers.plugin", "", Kind::Text, "Connectors are not built yet.")),
    inert("ksql.connect.basic.auth.credentials.source", "NONE", Kind::Text, "Connectors are not built yet."),
    inert("ksql.connect.basic.auth.credentials.file", "", Kind::Text, "Connectors are not built yet."),
    inert("ksql.connect.basic.auth.credentials.reload", "false", Kind::Bool, "Connectors are not built yet."),
    // Plug-ins of the Java server.
    inert("ksql.extension.dir", "ext", Kind::Text, "Java functions can't be loaded."),
    inert("ksql.udfs.enabled", "true", Kind::Bool, "Java functions can't be loaded."),
    inert("ksql.udf.collect.metrics", "false", Kind::Bool, "Java functions can't be loaded."),
    inert("ksql.udf.enable.security.manager", "false", Kind::Bool, "Java functions can't be loaded."),
    unset(inert("ksql.security.extension.class", "", Kind::Text, "Java classes can't be loaded.")),
    unset(inert("ksql.resource.extension.class", "", Kind::Text, "Java classes can't be loaded.")),
    unset(inert("ksql.metrics.extension", "", Kind::Text, "Java classes can't be loaded.")),
    inert("metric.reporters", "", Kind::Text, "Java classes can't be loaded."),
    inert("ksql.metrics.tags.custom", "", Kind::Text, "Metrics are not built yet."),
    inert("ksql.access.validator.enable", "auto", Kind::Text, "Kafka's own permissions hold."),
    inert("ksql.authorization.cache.expiry.time.secs", "30", MS, "Kafka's own permissions hold."),
    inert("ksql.authorization.cache.max.entries", "10000", MS, "Kafka's own permissions hold."),
    inert("ksql.client.ip_port.configuration.enabled", "false", Kind::Bool, "Clients are not told apart by address."),
    inert("ksql.deployment.type", "selfManaged", Kind::Text, "Clients are told that they run their server themselves."),
    inert("ksql.error.classifier.regex", "", Kind::Text, "An error says itself whose it is."),
    inert("ksql.metastore.backup.location", "", Kind::Text, "The command topic is the record of all statements."),
    inert("ksql.proxy.protocol.local.mode.enabled", "false", Kind::Bool, "The proxy protocol is not spoken."),
    unset(inert("ksql.queryanonymizer.cluster_namespace", "", Kind::Text, "Statements are not sent anywhere.")),
    inert("ksql.queryanonymizer.logs_enabled", "true", Kind::Bool, "Statements are not sent anywhere."),
    inert("enable.fips", "false", Kind::Bool, "Certified cryptography is not offered."),
];

/// The property of that name.
pub fn property(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|p| p.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let mut names = std::collections::BTreeSet::new();
        for p in PROPERTIES {
            assert!(names.insert(p.name), "{} stands twice", p.name);
            assert!(p.doc.ends_with('.'), "{} has a sentence", p.name);
            if let Some(default) = p.default {
                assert_eq!(p.kind.check(default), Ok(()), "the default of {}", p.name);
            }
        }
    }
}
