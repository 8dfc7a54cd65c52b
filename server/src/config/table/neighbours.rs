//! Properties of what ksqlDB talks to, and of what it can be extended by.

use super::{Kind, MS, Property, inert, refused, server, unset};

const NO_METRICS: &str = "Metrics are not built yet.";
const KAFKA_ALLOWS: &str = "What Kafka forbids is refused when it is tried.";

pub static PROPERTIES: &[Property] = &[
    server(
        "ksql.connect.url",
        "http://localhost:8083",
        Kind::Text,
        "Where Kafka Connect is, for statements about connectors. On the embedded log there is none unless this is set.",
    ),
    unset(refused(
        "ksql.connect.worker.config",
        "",
        Kind::Text,
        "No Connect worker can run within this server: start Kafka Connect on its own and set ksql.connect.url.",
    )),
    server("ksql.connect.request.timeout.ms", "5000", MS, "How long one request to Kafka Connect may take, all its tries together."),
    unset(refused(
        "ksql.connect.request.headers.plugin",
        "",
        Kind::Text,
        "Java classes can't be loaded; tidemill.connect.request.headers.file names headers to send.",
    )),
    server(
        "ksql.connect.basic.auth.credentials.source",
        "NONE",
        Kind::OneOf(&["NONE", "FILE"]),
        "FILE: Kafka Connect is asked with the user and password of a file; NONE: with what the client of the statement sent.",
    ),
    server("ksql.connect.basic.auth.credentials.file", "", Kind::Text, "That file: properties with `username` and `password`."),
    server("ksql.connect.basic.auth.credentials.reload", "false", Kind::Bool, "Whether the file is read again for each statement."),
    unset(refused(
        "ksql.security.extension.class",
        "",
        Kind::Text,
        "Who may do what is not checked here: authorization is not built yet, and Java classes can't be loaded.",
    )),
    inert("ksql.access.validator.enable", "auto", Kind::Text, KAFKA_ALLOWS),
    inert("ksql.authorization.cache.expiry.time.secs", "30", MS, KAFKA_ALLOWS),
    inert("ksql.authorization.cache.max.entries", "10000", MS, KAFKA_ALLOWS),
    unset(inert("ksql.metrics.extension", "", Kind::Text, NO_METRICS)),
    inert("metric.reporters", "", Kind::Text, NO_METRICS),
    inert("ksql.metrics.tags.custom", "", Kind::Text, NO_METRICS),
    unset(inert("ksql.queryanonymizer.cluster_namespace", "", Kind::Text, "Statements are not sent anywhere.")),
    inert("ksql.queryanonymizer.logs_enabled", "true", Kind::Bool, "Statements are not sent anywhere."),
];
