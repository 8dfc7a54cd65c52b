//! Properties of the schema registry that AVRO, PROTOBUF and JSON_SR ask: [`crate::schema_registry`] carries them out.

use super::{COUNT, Kind, MS, Property, inert, refused, server, unset};

const PATIENT: &str = "A statement tries again until tidemill.schema.registry.timeout.ms has passed, a query without end.";
const NO_TOKENS: &str = "Tokens are not fetched from anywhere: give one by ksql.schema.registry.bearer.auth.token.";
const PROVIDED: &str = "TLS is rustls'; Java's classes have no part in it.";
const REMEMBERED: &str = "What the registry does not know is asked for again after 30 seconds.";
const STORES: Kind = Kind::OneOf(&["PEM", "JKS", "PKCS12", "BCFKS"]);

pub static PROPERTIES: &[Property] = &[
    server(
        "ksql.schema.registry.url",
        "",
        Kind::Text,
        "Where the schema registry answers. Several URLs, parted by commas, are tried in turn; the one that answered last goes first.",
    ),
    server(
        "tidemill.schema.registry.timeout.ms",
        "10000",
        Kind::Within { min: 100, max: 600_000 },
        "How long a statement waits for the registry, milliseconds.",
    )
    .hidden(),
    server(
        "ksql.schema.registry.http.connect.timeout.ms",
        "2000",
        Kind::Within { min: 1, max: 600_000 },
        "How long a connection may take, milliseconds.",
    )
    .hidden(),
    server(
        "ksql.schema.registry.http.read.timeout.ms",
        "5000",
        Kind::Within { min: 1, max: 600_000 },
        "How long one request may take, milliseconds.",
    )
    .hidden(),
    unset(server(
        "ksql.schema.registry.basic.auth.credentials.source",
        "",
        Kind::OneOf(&["URL", "USER_INFO"]),
        "Where name and password stand: in the URL (http://name:password@host), or in basic.auth.user.info.",
    ))
    .hidden(),
    unset(server("ksql.schema.registry.basic.auth.user.info", "", Kind::Secret, "Name and password, a colon between them.")).hidden(),
    unset(server("ksql.schema.registry.bearer.auth.credentials.source", "", Kind::OneOf(&["STATIC_TOKEN"]), "Where the token stands."))
        .hidden(),
    unset(server("ksql.schema.registry.bearer.auth.token", "", Kind::Secret, "A token that goes with every request.")).hidden(),
    unset(server("ksql.schema.registry.bearer.auth.logical.cluster", "", Kind::Text, "Goes with every request as target-sr-cluster."))
        .hidden(),
    unset(server(
        "ksql.schema.registry.bearer.auth.identity.pool.id",
        "",
        Kind::Text,
        "Goes with every request as Confluent-Identity-Pool-Id.",
    ))
    .hidden(),
    unset(server("ksql.schema.registry.proxy.host", "", Kind::Text, "A proxy that requests go through.")).hidden(),
    unset(server("ksql.schema.registry.proxy.port", "", Kind::Within { min: 1, max: 65_535 }, "Its port.")).hidden(),
    unset(server(
        "ksql.schema.registry.ssl.truststore.location",
        "",
        Kind::Text,
        "Certificates that are trusted: a PEM file or a PKCS12 store; else the system's. JKS is refused, with how to convert it.",
    ))
    .hidden(),
    unset(server("ksql.schema.registry.ssl.truststore.password", "", Kind::Secret, "Opens a PKCS12 store.")).hidden(),
    unset(server("ksql.schema.registry.ssl.truststore.type", "", STORES, "What the file is, where it does not tell.")).hidden(),
    unset(server("ksql.schema.registry.ssl.truststore.certificates", "", Kind::Text, "PEM certificates that are trusted, as text."))
        .hidden(),
    unset(server(
        "ksql.schema.registry.ssl.keystore.location",
        "",
        Kind::Text,
        "Key and certificates that say who the server is: a PEM file or a PKCS12 store. JKS is refused, with how to convert it.",
    ))
    .hidden(),
    unset(server("ksql.schema.registry.ssl.keystore.password", "", Kind::Secret, "Opens a PKCS12 store.")).hidden(),
    unset(server("ksql.schema.registry.ssl.keystore.type", "", STORES, "What the file is, where it does not tell.")).hidden(),
    unset(server("ksql.schema.registry.ssl.keystore.key", "", Kind::Secret, "The key, as PEM text.")).hidden(),
    unset(server("ksql.schema.registry.ssl.keystore.certificate.chain", "", Kind::Text, "Its certificates, as PEM text.")).hidden(),
    unset(server("ksql.schema.registry.ssl.key.password", "", Kind::Secret, "Opens the key of a PEM file.")).hidden(),
    unset(server(
        "ksql.schema.registry.ssl.endpoint.identification.algorithm",
        "",
        Kind::Text,
        "https, as where nothing is said: the certificate must bear the registry's name; empty: it need not.",
    ))
    .hidden(),
    unset(server("ksql.schema.registry.ssl.enabled.protocols", "", Kind::List, "TLSv1.2, TLSv1.3 or both.")).hidden(),
    // What Confluent's client has besides.
    inert("ksql.schema.registry.max.retries", "3", COUNT, PATIENT).hidden(),
    inert("ksql.schema.registry.retries.wait.ms", "1000", MS, PATIENT).hidden(),
    inert("ksql.schema.registry.retries.max.wait.ms", "20000", MS, PATIENT).hidden(),
    inert("ksql.schema.registry.missing.id.cache.ttl.sec", "0", MS, REMEMBERED).hidden(),
    inert("ksql.schema.registry.missing.version.cache.ttl.sec", "0", MS, REMEMBERED).hidden(),
    inert("ksql.schema.registry.missing.schema.cache.ttl.sec", "0", MS, REMEMBERED).hidden(),
    inert("ksql.schema.registry.missing.cache.size", "10000", COUNT, REMEMBERED).hidden(),
    inert("ksql.schema.registry.ssl.protocol", "TLSv1.3", Kind::Text, PROVIDED).hidden(),
    unset(inert("ksql.schema.registry.ssl.provider", "", Kind::Text, PROVIDED)).hidden(),
    inert("ksql.schema.registry.ssl.keymanager.algorithm", "SunX509", Kind::Text, PROVIDED).hidden(),
    inert("ksql.schema.registry.ssl.trustmanager.algorithm", "PKIX", Kind::Text, PROVIDED).hidden(),
    unset(inert("ksql.schema.registry.ssl.secure.random.implementation", "", Kind::Text, PROVIDED)).hidden(),
    unset(refused("ksql.schema.registry.ssl.cipher.suites", "", Kind::List, "Which ciphers are spoken can't be chosen.")).hidden(),
    unset(refused("ksql.schema.registry.ssl.engine.factory.class", "", Kind::Text, PROVIDED)).hidden(),
    unset(refused("ksql.schema.registry.bearer.auth.issuer.endpoint.url", "", Kind::Text, NO_TOKENS)).hidden(),
    unset(refused("ksql.schema.registry.bearer.auth.client.id", "", Kind::Text, NO_TOKENS)).hidden(),
    unset(refused("ksql.schema.registry.bearer.auth.client.secret", "", Kind::Secret, NO_TOKENS)).hidden(),
    unset(refused("ksql.schema.registry.bearer.auth.scope", "", Kind::Text, NO_TOKENS)).hidden(),
    unset(refused("ksql.schema.registry.bearer.auth.custom.provider.class", "", Kind::Text, NO_TOKENS)).hidden(),
    inert("ksql.json_sr.converter.deserializer.enabled", "true", Kind::Bool, "JSON_SR is read by its schema."),
];
