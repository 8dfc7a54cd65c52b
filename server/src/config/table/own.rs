//! Properties that ksqlDB does not have.

use super::{Kind, MOST_TOPIC, MS, Property, server, session, unset};

/// Bytes that no machine is expected to lend: a TiB.
const MOST_MEMORY: i64 = 1 << 40;

pub static PROPERTIES: &[Property] = &[
    server(
        "tidemill.data.dir",
        "tidemill-data",
        Kind::Text,
        "Folder of the state and of the embedded log. Where it is not set, `ksql.streams.state.dir` names the folder.",
    )
    .hidden(),
    server("tidemill.workers", "0", Kind::Within { min: 0, max: 1_024 }, "Threads that process records; 0: one for each core.").hidden(),
    server(
        "tidemill.commit.min.interval.ms",
        "-1",
        Kind::Within { min: -1, max: 3_600_000 },
        "With exactly once on Kafka a worker that has nothing more to do commits at once, but not sooner after its last commit, milliseconds; -1: a tenth of `commit.interval.ms`, and behind one of more than 500 tasks at least half a millisecond for each of the others, up to half of the interval.",
    )
    .hidden(),
    server(
        "tidemill.state.cache.bytes",
        "33554432",
        Kind::Within { min: 1 << 20, max: MOST_MEMORY },
        "Block cache of all state together, bytes.",
    )
    .hidden(),
    server(
        "tidemill.state.overlay.bytes",
        "268435456",
        Kind::Within { min: 0, max: MOST_MEMORY },
        "Changes that wait in memory for a commit, all state together, bytes.",
    )
    .hidden(),
    server(
        "tidemill.cluster.enabled",
        "false",
        Kind::Bool,
        "Whether other servers with the same `ksql.service.id` share the work of the service, on Kafka; the same for all of them.",
    )
    .hidden(),
    server(
        "tidemill.cluster.leave.on.close",
        "true",
        Kind::Bool,
        "Whether a server that ends in order gives its share of the service to the others at once. Where not, they wait for its session \
         to be over, and a restart within six seconds moves nothing.",
    )
    .hidden(),
    unset(server(
        "tidemill.cluster.basic.auth.user.info",
        "",
        Kind::Secret,
        "Name and password, `name:password`, of the user as whom servers that share the service ask each other; one who may read.",
    ))
    .hidden(),
    unset(server("tidemill.cluster.bearer.auth.token", "", Kind::Secret, "The same as a token.")).hidden(),
    server(
        "tidemill.slots",
        "64",
        Kind::Within { min: 1, max: 4_096 },
        "Shares into which the work is cut where servers share it; no more servers than that have work. Fixed by the first of them.",
    )
    .hidden(),
    unset(server(
        "tidemill.rack",
        "",
        Kind::Label,
        "What the server shares its fate with (a machine, a room), where servers share the service: standbys are on another one first.",
    ))
    .hidden(),
    server(
        "tidemill.query.memory.bytes",
        "268435456",
        Kind::Within { min: 1 << 20, max: MOST_MEMORY },
        "Memory that queries beyond key look-ups (joins, groups, orders) share, bytes; what does not fit goes to disk, or ends the query.",
    )
    .hidden(),
    server(
        "tidemill.query.timeout.ms",
        "600000",
        Kind::Within { min: 1, max: 31_536_000_000 },
        "How long such a query may take, until its last row was sent, milliseconds.",
    )
    .hidden(),
    server(
        "tidemill.rest.any.sql",
        "true",
        Kind::Bool,
        "Whether the REST API answers SELECTs that are more than pull queries (joins, groups, orders); else they are refused as in ksqlDB.",
    )
    .hidden(),
    session(
        "tidemill.consistency.positions",
        "",
        Kind::Text,
        "Records that queries of tables wait for, as topic:partition:offset by commas. Who writes with it, even an empty one, is given one.",
    )
    .hidden(),
    session("tidemill.consistency.timeout.ms", "10000", MS, "How long such a query waits on the server that is asked, milliseconds.").hidden(),
    session(
        "tidemill.push.snapshot",
        "false",
        Kind::Bool,
        "Whether a push query over a table begins with the rows that the table holds, one for each key.",
    )
    .hidden(),
    server(
        "tidemill.push.stall.timeout.ms",
        "300000",
        Kind::Within { min: 1_000, max: 31_536_000_000 },
        "How long the client of a query may take none of the rows that wait for it, milliseconds; then its query is closed, and it is told so.",
    )
    .hidden(),
    unset(server(
        "tidemill.postgres.listen",
        "",
        Kind::Text,
        "Where PostgreSQL's protocol is spoken, host:port: psql, drivers, JDBC. Not spoken unless this is set; encrypted where a listener is https.",
    ))
    .hidden(),
    unset(server(
        "tidemill.flight.sql.listen",
        "",
        Kind::Text,
        "Where Arrow Flight SQL is spoken, host:port: ADBC, pandas, polars. Not spoken unless this is set; encrypted where a listener is https.",
    ))
    .hidden(),
    server(
        "tidemill.schema.registry.enabled",
        "true",
        Kind::Bool,
        "Whether the server is a schema registry itself, at its own address; never where `ksql.schema.registry.url` names another.",
    )
    .hidden(),
    unset(server(
        "tidemill.schema.registry.topic",
        "",
        Kind::TopicPart { most: MOST_TOPIC },
        "Topic of the server's own schema registry, in the format of Confluent's `_schemas`; by default it is named after the service.",
    ))
    .hidden(),
    unset(server(
        "tidemill.auth.users.file",
        "",
        Kind::Text,
        "Users, their passwords and roles, as PropertyFileLoginModule has them or made by 'tidemill user add'; for authentication.method=BASIC.",
    ))
    .hidden(),
    unset(server("tidemill.auth.tokens.file", "", Kind::Text, "Bearer tokens and their roles, made by 'tidemill user token'.")).hidden(),
    unset(server(
        "tidemill.auth.jwt.key.file",
        "",
        Kind::Text,
        "The public key (PEM) of whoever makes JWTs, or a secret that is shared with it.",
    ))
    .hidden(),
    unset(server("tidemill.auth.jwt.jwks.file", "", Kind::Text, "As tidemill.auth.jwt.key.file, a set of public keys (JWKS).")).hidden(),
    unset(server("tidemill.auth.jwt.audience", "", Kind::List, "The name that JWTs for this server bear as `aud`; needed with a key."))
        .hidden(),
    unset(server("tidemill.auth.jwt.issuer", "", Kind::Text, "The name that JWTs bear as `iss`, where it matters.")).hidden(),
    server("tidemill.auth.jwt.roles.claim", "roles", Kind::Text, "The claim that lists roles; dots lead into objects: realm_access.roles.")
        .hidden(),
    server("tidemill.http.max.connections", "10000", Kind::Within { min: 1, max: 1_000_000 }, "Connections at a time; more wait.").hidden(),
    server("tidemill.http.max.body.bytes", "10485760", Kind::Within { min: 1_024, max: 1 << 30 }, "Bytes of a request's body at most.")
        .hidden(),
];
