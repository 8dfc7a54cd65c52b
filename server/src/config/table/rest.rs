//! Properties of ksqlDB's REST server and of its processing log.

use super::{COUNT, Kind, MOST_TOPIC, MS, Property, inert, refused, server, unset};

const NO_PLUGIN: &str = "Java classes can't be loaded; authentication.method says how users are known.";
const NO_INTERNAL: &str = "Servers that share a service call each other where clients do (ksql.advertised.listener).";
const READ_AGAIN: &str = "Certificates are read again whenever their files change, and at SIGHUP.";
const NO_PEERS: &str = "A group of Kafka's tells which servers are there.";
const NO_THREADS: &str = "Network threads are chosen by the runtime.";
const NO_JAVA: &str = "Java classes can't be loaded.";

pub static PROPERTIES: &[Property] = &[
    server("listeners", "http://127.0.0.1:8088", Kind::List, "Addresses to listen on: http://…, https://…, or several, by commas.")
        .hidden(),
    unset(server("ksql.advertised.listener", "", Kind::Reached, "Address that other servers and clients are told.")).hidden(),
    unset(server("ksql.queries.file", "", Kind::Text, "Script of statements to run at the start; the REST API then only reads.")).hidden(),
    unset(server("bootstrap.servers", "", Kind::Brokers, "Kafka brokers; without them the embedded log is used.")).hidden(),
    // Who may ask.
    server(
        "authentication.method",
        "NONE",
        Kind::OneOf(&["NONE", "BASIC", "BEARER"]),
        "How users say who they are: BASIC by a name and a password (or a token), BEARER by a token only.",
    )
    .hidden(),
    server("authentication.roles", "*", Kind::List, "Roles that let somebody in; `*` and `**`: read, write and admin, by the user's file.")
        .hidden(),
    server("authentication.realm", "", Kind::Text, "What clients are told that they log in to.").hidden(),
    unset(refused("ksql.authentication.plugin.class", "", Kind::Text, NO_PLUGIN)).hidden(),
    unset(refused("rest.servlet.initializor.classes", "", Kind::Text, NO_PLUGIN)).hidden(),
    unset(refused("websocket.servlet.initializor.classes", "", Kind::Text, NO_PLUGIN)).hidden(),
    server("authentication.skip.paths", "", Kind::Paths, "Paths at which nobody is asked who it is; `*` stands for anything.").hidden(),
    server("access.control.allow.origin", "", Kind::Origins, "Origins whose pages a browser lets read answers, by commas; `*`: all.")
        .hidden(),
    server("access.control.allow.methods", "", Kind::Tokens, "Methods that a browser is told it may use for them.").hidden(),
    server("access.control.allow.headers", "", Kind::Tokens, "Headers that a browser is told it may send with them.").hidden(),
    refused("response.http.headers.config", "", Kind::Text, "Headers can't be added to answers. Put a proxy in front.").hidden(),
    refused("listeners.proxy.protocol", "", Kind::List, "The proxy protocol is not spoken.").hidden(),
    refused("ksql.proxy.protocol.local.mode.enabled", "false", Kind::Bool, "The proxy protocol is not spoken."),
    // TLS of the listeners; the key stores themselves are a matter of the clients as well, see `streams`.
    server("ssl.client.auth", "false", Kind::Bool, "The older name of ssl.client.authentication: true is REQUIRED.").hidden(),
    server(
        "ssl.client.authentication",
        "NONE",
        Kind::OneOf(&["NONE", "REQUESTED", "REQUIRED"]),
        "Whether clients of https listeners have to show a certificate that ssl.truststore.location trusts.",
    )
    .hidden(),
    refused("ksql.internal.ssl.client.authentication", "NONE", Kind::Text, NO_INTERNAL).hidden(),
    refused("ksql.server.sni.check.enable", "false", Kind::Bool, "The name of a TLS handshake is not compared with the header Host.")
        .hidden(),
    refused("ksql.ssl.keystore.alias.external", "", Kind::Text, "A key is not chosen by its alias: keep one key in the store.").hidden(),
    refused("ksql.ssl.keystore.alias.internal", "", Kind::Text, NO_INTERNAL).hidden(),
    inert("ssl.keystore.reload", "false", Kind::Bool, READ_AGAIN).hidden(),
    inert("ssl.keystore.watch.location", "", Kind::Text, READ_AGAIN).hidden(),
    // Several servers.
    server("ksql.heartbeat.enable", "false", Kind::Bool, "Whether /clusterStatus and /heartbeat are answered.").hidden(),
    inert("ksql.heartbeat.send.interval.ms", "100", MS, NO_PEERS).hidden(),
    inert("ksql.heartbeat.check.interval.ms", "200", MS, NO_PEERS).hidden(),
    inert("ksql.heartbeat.window.ms", "2000", MS, NO_PEERS).hidden(),
    inert("ksql.heartbeat.missed.threshold.ms", "3", MS, NO_PEERS).hidden(),
    inert("ksql.heartbeat.discover.interval.ms", "2000", MS, NO_PEERS).hidden(),
    inert("ksql.heartbeat.thread.pool.size", "3", COUNT, NO_PEERS).hidden(),
    server(
        "ksql.lag.reporting.enable",
        "false",
        Kind::Bool,
        "Whether /clusterStatus says how far stores are behind their changelogs, and /lag is answered, with ksql.heartbeat.enable.",
    )
    .hidden(),
    inert("ksql.lag.reporting.send.interval.ms", "5000", MS, NO_PEERS).hidden(),
    unset(inert("ksql.internal.listener", "", Kind::Text, NO_PEERS)).hidden(),
    inert("ksql.internal.http2.max.pool.size", "3000", COUNT, NO_PEERS).hidden(),
    inert("ksql.local.commands.location", "", Kind::Text, "What push queries keep is gone with them.").hidden(),
    // How it runs.
    inert("ksql.server.install.dir", "", Kind::Text, "There is nothing to install.").hidden(),
    inert("ksql.verticle.instances", "0", COUNT, NO_THREADS).hidden(),
    inert("ksql.worker.pool.size", "100", COUNT, NO_THREADS).hidden(),
    inert("ksql.server.websockets.num.threads", "5", COUNT, NO_THREADS).hidden(),
    inert("ksql.server.exception.uncaught.handler.enable", "false", Kind::Bool, "A fault ends one query, never the server.").hidden(),
    refused("ksql.server.preconditions", "", Kind::List, NO_JAVA).hidden(),
    inert("ksql.server.precondition.max.backoff.ms", "5000", MS, NO_JAVA).hidden(),
    unset(refused("ksql.server.error.messages", "", Kind::Text, NO_JAVA)).hidden(),
    unset(refused("ksql.resource.extension.class", "", Kind::Text, NO_JAVA)),
    inert("ksql.server.command.response.timeout.ms", "5000", MS, "Statements answer when they are done.").hidden(),
    inert("ksql.server.command.blocked.threshold.error.ms", "15000", MS, "Statements answer when they are done.").hidden(),
    refused("ksql.server.command.topic.migration.enabled", "NONE", Kind::Text, "The command topic can't be moved to another cluster.")
        .hidden(),
    inert("ksql.healthcheck.interval.ms", "5000", MS, "Each health check looks anew.").hidden(),
    inert("query.stream.disconnect.check", "1000", MS, "A client that hangs up is noticed at once.").hidden(),
    server("ksql.idle.connection.timeout.seconds", "86400", MS, "An idle connection is closed after this long; 0: never.").hidden(),
    inert(
        "ksql.websocket.connection.max.timeout.ms",
        "3600000",
        MS,
        "A WebSocket is open for as long as its query runs and its client listens.",
    ),
    inert("ksql.endpoint.migrate.query", "true", Kind::Bool, "/query and /query-stream share their code."),
    inert("ksql.logging.server.rate.limited.response.codes", "", Kind::Text, "Requests are not logged one by one.").hidden(),
    inert("ksql.logging.server.rate.limited.request.paths", "", Kind::Text, "Requests are not logged one by one.").hidden(),
    inert("ksql.endpoint.logging.log.queries", "false", Kind::Bool, "Requests are not logged one by one.").hidden(),
    inert("ksql.endpoint.logging.ignored.paths.regex", "", Kind::Text, "Requests are not logged one by one.").hidden(),
    inert("ui.enabled", "true", Kind::Bool, "There is no such interface.").hidden(),
    inert("ksql.server.ui.enabled", "true", Kind::Bool, "There is no such interface.").hidden(),
    inert("confluent.support.metrics.enable", "true", Kind::Bool, "Nothing is sent anywhere.").hidden(),
    // The processing log.
    server("ksql.logging.processing.topic.auto.create", "true", Kind::Bool, "Keep a topic of records that could not be processed.")
        .hidden(),
    unset(server("ksql.logging.processing.topic.name", "", Kind::TopicPart { most: MOST_TOPIC }, "Name of that topic.")).hidden(),
    server("ksql.logging.processing.topic.partitions", "1", Kind::Within { min: 1, max: 10_000 }, "Partitions of that topic.").hidden(),
    server("ksql.logging.processing.topic.replication.factor", "1", Kind::Copies { least: 1 }, "Copies of that topic.").hidden(),
    server("ksql.logging.processing.stream.auto.create", "true", Kind::Bool, "Declare a stream over that topic at the first start.")
        .hidden(),
    server("ksql.logging.processing.stream.name", "KSQL_PROCESSING_LOG", Kind::Source, "Name of that stream.").hidden(),
    server("ksql.logging.processing.rows.include", "false", Kind::Bool, "Whether failed rows may stand in the processing log.").hidden(),
];
