//! Properties of Kafka Connect, which statements about connectors ask: [`crate::connect`] carries them out.

use super::{Kind, MS, Property, inert, refused, server, unset};

const PROVIDED: &str = "TLS is rustls'; Java's classes have no part in it.";
const STORES: Kind = Kind::OneOf(&["PEM", "JKS", "PKCS12", "BCFKS"]);

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
    server(
        "tidemill.connect.request.headers.file",
        "",
        Kind::Text,
        "A properties file of headers that are sent with each request to Kafka Connect, for example `Authorization: Bearer …`.",
    )
    .hidden(),
    unset(server(
        "ksql.connect.ssl.truststore.location",
        "",
        Kind::Text,
        "Certificates that are trusted: a PEM file or a PKCS12 store; else the system's. JKS is refused, with how to convert it.",
    ))
    .hidden(),
    unset(server("ksql.connect.ssl.truststore.password", "", Kind::Secret, "Opens a PKCS12 store.")).hidden(),
    unset(server("ksql.connect.ssl.truststore.type", "", STORES, "What the file is, where it does not tell.")).hidden(),
    unset(server("ksql.connect.ssl.truststore.certificates", "", Kind::Text, "PEM certificates that are trusted, as text.")).hidden(),
    unset(server(
        "ksql.connect.ssl.keystore.location",
        "",
        Kind::Text,
        "Key and certificates that say who the server is: a PEM file or a PKCS12 store. JKS is refused, with how to convert it.",
    ))
    .hidden(),
    unset(server("ksql.connect.ssl.keystore.password", "", Kind::Secret, "Opens a PKCS12 store.")).hidden(),
    unset(server("ksql.connect.ssl.keystore.type", "", STORES, "What the file is, where it does not tell.")).hidden(),
    unset(server("ksql.connect.ssl.keystore.key", "", Kind::Secret, "The key, as PEM text.")).hidden(),
    unset(server("ksql.connect.ssl.keystore.certificate.chain", "", Kind::Text, "Its certificates, as PEM text.")).hidden(),
    unset(server("ksql.connect.ssl.key.password", "", Kind::Secret, "Opens the key of a PEM file.")).hidden(),
    unset(server(
        "ksql.connect.ssl.endpoint.identification.algorithm",
        "",
        Kind::Text,
        "https, as where nothing is said: the certificate must bear Kafka Connect's name; empty: it need not.",
    ))
    .hidden(),
    unset(server("ksql.connect.ssl.enabled.protocols", "", Kind::List, "TLSv1.2, TLSv1.3 or both.")).hidden(),
    inert("ksql.connect.ssl.protocol", "TLSv1.3", Kind::Text, PROVIDED).hidden(),
    unset(inert("ksql.connect.ssl.provider", "", Kind::Text, PROVIDED)).hidden(),
    inert("ksql.connect.ssl.keymanager.algorithm", "SunX509", Kind::Text, PROVIDED).hidden(),
    inert("ksql.connect.ssl.trustmanager.algorithm", "PKIX", Kind::Text, PROVIDED).hidden(),
    unset(inert("ksql.connect.ssl.secure.random.implementation", "", Kind::Text, PROVIDED)).hidden(),
    unset(refused("ksql.connect.ssl.cipher.suites", "", Kind::List, "Which ciphers are spoken can't be chosen.")).hidden(),
    unset(refused("ksql.connect.ssl.engine.factory.class", "", Kind::Text, PROVIDED)).hidden(),
];
