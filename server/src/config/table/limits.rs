//! Properties that hold somebody back, or allow something.

use super::{COUNT, Kind, NO_LIMIT, Property, inert, refused, server, session};

const NO_SECOND_KIND: &str = "There is one kind of push query.";

pub static PROPERTIES: &[Property] = &[
    server("ksql.max.push.queries", "1000", COUNT, "Push queries and PRINTs at a time; more are refused.").hidden(),
    server("ksql.query.persistent.active.limit", NO_LIMIT, COUNT, "Persistent queries at a time; more are refused."),
    server("ksql.query.pull.max.qps", NO_LIMIT, COUNT, "Pull queries in a second; more are answered 429."),
    server("ksql.query.pull.max.concurrent.requests", NO_LIMIT, COUNT, "Pull queries at a time; more are answered 429."),
    server(
        "ksql.query.pull.max.hourly.bandwidth.megabytes",
        NO_LIMIT,
        COUNT,
        "Megabytes that pull queries may answer in an hour; then they are answered 429.",
    ),
    refused("ksql.query.push.v2.max.hourly.bandwidth.megabytes", NO_LIMIT, COUNT, "What push queries send is not limited."),
    server(
        "ksql.server.command.topic.rate.limit",
        "1.7976931348623157E308",
        Kind::Double,
        "Statements that change something in a second; more are answered 429.",
    )
    .hidden(),
    // What statements may do.
    server("ksql.pull.queries.enable", "true", Kind::Bool, "Whether pull queries may be used."),
    session("ksql.query.pull.table.scan.enabled", "true", Kind::Bool, "Whether a pull query may read a whole table."),
    session("ksql.query.pull.range.scan.enabled", "true", Kind::Bool, "Whether a pull query may read a range of keys."),
    session("ksql.query.pull.stream.enabled", "true", Kind::Bool, "Whether a pull query may read a stream."),
    server("ksql.query.pull.limit.clause.enabled", "true", Kind::Bool, "Whether a pull query may have a LIMIT."),
    server("ksql.insert.into.values.enabled", "true", Kind::Bool, "Whether INSERT INTO … VALUES may be used."),
    server("ksql.headers.columns.enabled", "true", Kind::Bool, "Whether columns may hold record headers."),
    server("ksql.create.or.replace.enabled", "true", Kind::Bool, "Whether CREATE OR REPLACE may be used."),
    server("ksql.source.table.materialization.enabled", "true", Kind::Bool, "Whether CREATE SOURCE may be used."),
    server("ksql.suppress.enabled", "true", Kind::Bool, "Whether EMIT FINAL may be used."),
    refused("ksql.lambdas.enabled", "true", Kind::Bool, "Lambdas can't be switched off."),
    session("ksql.variable.substitution.enable", "true", Kind::Bool, "Whether ${name} stands for a variable's value."),
    server("ksql.properties.overrides.denylist", "", Kind::List, "Properties that sessions may not set, however they are spelled."),
    server("ksql.properties.overrides.allowlist", "", Kind::List, "Properties that sessions may set, in the mode allowlist."),
    server(
        "ksql.properties.overrides.validation.mode",
        "denylist",
        Kind::OneOf(&["denylist", "allowlist"]),
        "Which of the two lists holds.",
    ),
    server("ksql.properties.overrides.log", "false", Kind::Bool, "Whether the names of what a session sets are logged."),
    // The second kind of push queries, and what pull queries need between servers.
    session(
        "ksql.query.push.v2.enabled",
        "false",
        Kind::Bool,
        "Whether push queries that ksqlDB serves by what another query writes are named as there, SCALABLE_PUSH_QUERY_…; they run as all do.",
    ),
    inert("ksql.query.push.v2.registry.installed", "false", Kind::Bool, NO_SECOND_KIND),
    inert("ksql.query.push.v2.alos.enabled", "true", Kind::Bool, NO_SECOND_KIND),
    inert("ksql.query.push.v2.catchup.consumer.msg.window", "50", COUNT, NO_SECOND_KIND),
    inert("ksql.query.push.v2.interpreter.enabled", "true", Kind::Bool, NO_SECOND_KIND),
    inert("ksql.query.push.v2.latest.reset.age.ms", "30000", super::MS, NO_SECOND_KIND),
    inert("ksql.query.push.v2.max.catchup.consumers", "5", COUNT, NO_SECOND_KIND),
    inert("ksql.query.push.v2.metrics.enabled", "true", Kind::Bool, NO_SECOND_KIND),
    inert("ksql.query.push.v2.new.latest.delay.ms", "5000", super::MS, NO_SECOND_KIND),
    refused("ksql.query.push.v2.continuation.tokens.enabled", "false", Kind::Bool, "Push queries send no continuation tokens."),
];
