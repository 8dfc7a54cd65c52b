//! Properties of what ksqlDB talks to, and of what it can be extended by.

use super::{Kind, MS, Property, inert, refused, unset};

const NO_METRICS: &str = "Metrics are served at /metrics, for Prometheus.";
const KAFKA_ALLOWS: &str = "What Kafka forbids is refused when it is tried.";

pub static PROPERTIES: &[Property] = &[
    unset(refused(
        "ksql.security.extension.class",
        "",
        Kind::Text,
        "Java classes can't be loaded; the roles of users say who may do what.",
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
