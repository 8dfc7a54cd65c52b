//! Properties of the security of the connection to Kafka. How they reach the clients: [`super::super::client`].

use super::{COUNT, Kind, MS, Role, StreamsProperty, inert, property, refused};

const PROVIDED: &str = "TLS is OpenSSL's; Java's classes have no part in it.";
const NO_OAUTH: &str = "SASL/OAUTHBEARER is not built yet: PLAIN and SCRAM are.";
const NO_KERBEROS: &str = "SASL/GSSAPI (Kerberos) is not built yet: PLAIN and SCRAM are.";

/// Read by [`super::super::client`], which turns several at a time into what the clients take.
const fn security(name: &'static str, kind: Kind, doc: &'static str) -> StreamsProperty {
    property(name, kind, Role::Client, doc)
}

pub static PROPERTIES: &[StreamsProperty] = &[
    security("security.protocol", Kind::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), "How brokers are spoken to."),
    security("sasl.mechanism", Kind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]), "How the server says who it is."),
    security("sasl.jaas.config", Kind::Secret, "A login in Java's form, of PlainLoginModule or ScramLoginModule."),
    security("sasl.username", Kind::Text, "The login's name, instead of sasl.jaas.config."),
    security("sasl.password", Kind::Secret, "The login's password, instead of sasl.jaas.config."),
    security(
        "ssl.truststore.location",
        Kind::Text,
        "A file of PEM certificates that are trusted. Java key stores are refused, with how to convert them.",
    ),
    security("ssl.truststore.certificates", Kind::Text, "PEM certificates that are trusted, as text."),
    security("ssl.truststore.type", Kind::OneOf(&["PEM", "JKS", "PKCS12", "BCFKS"]), "What the file is, where it does not tell."),
    security(
        "ssl.keystore.location",
        Kind::Text,
        "A PEM file of the server's key and certificates, or a PKCS12 store. JKS is refused, with how to convert it.",
    ),
    security("ssl.keystore.certificate.chain", Kind::Text, "The server's certificates, as PEM text."),
    security("ssl.keystore.key", Kind::Secret, "The server's key, as PEM text."),
    security("ssl.keystore.password", Kind::Secret, "Opens a PKCS12 store."),
    security("ssl.keystore.type", Kind::OneOf(&["PEM", "JKS", "PKCS12", "BCFKS"]), "What the file is, where it does not tell."),
    security("ssl.key.password", Kind::Secret, "Opens the key of a PEM file."),
    security("ssl.endpoint.identification.algorithm", Kind::Text, "https: a broker's certificate must bear its name; empty: it need not."),
    security("ssl.cipher.suites", Kind::Text, "Ciphers by OpenSSL's names, parted by colons."),
    security("ssl.enabled.protocols", Kind::List, "OpenSSL takes TLSv1.2 and TLSv1.3; a list without TLSv1.2 is refused."),
    security("ssl.ca.location", Kind::Text, "librdkafka's name: PEM certificates that are trusted."),
    security("ssl.certificate.location", Kind::Text, "librdkafka's name: the server's certificates, a PEM file."),
    security("ssl.key.location", Kind::Text, "librdkafka's name: the server's key, a PEM file."),
    security(
        "ssl.truststore.password",
        Kind::Secret,
        "Opens a PKCS12 store of https listeners, the registry and Connect; Kafka's clients take PEM.",
    ),
    inert("ssl.protocol", Kind::Text, PROVIDED),
    inert("ssl.provider", Kind::Text, PROVIDED),
    inert("ssl.keymanager.algorithm", Kind::Text, PROVIDED),
    inert("ssl.trustmanager.algorithm", Kind::Text, PROVIDED),
    inert("ssl.secure.random.implementation", Kind::Text, PROVIDED),
    refused("ssl.engine.factory.class", Kind::Text, PROVIDED),
    refused("security.providers", Kind::Text, PROVIDED),
    refused("sasl.login.callback.handler.class", Kind::Text, NO_OAUTH),
    refused("sasl.client.callback.handler.class", Kind::Text, NO_OAUTH),
    refused("sasl.login.class", Kind::Text, NO_OAUTH),
    refused("sasl.oauthbearer.token.endpoint.url", Kind::Text, NO_OAUTH),
    refused("sasl.oauthbearer.jwks.endpoint.url", Kind::Text, NO_OAUTH),
    inert("sasl.oauthbearer.scope.claim.name", Kind::Text, NO_OAUTH),
    inert("sasl.oauthbearer.sub.claim.name", Kind::Text, NO_OAUTH),
    inert("sasl.oauthbearer.expected.audience", Kind::Text, NO_OAUTH),
    inert("sasl.oauthbearer.expected.issuer", Kind::Text, NO_OAUTH),
    inert("sasl.oauthbearer.clock.skew.seconds", COUNT, NO_OAUTH),
    inert("sasl.oauthbearer.header.urlencode", Kind::Bool, NO_OAUTH),
    inert("sasl.oauthbearer.jwks.endpoint.refresh.ms", MS, NO_OAUTH),
    inert("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", MS, NO_OAUTH),
    inert("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", MS, NO_OAUTH),
    inert("sasl.login.connect.timeout.ms", COUNT, NO_OAUTH),
    inert("sasl.login.read.timeout.ms", COUNT, NO_OAUTH),
    inert("sasl.login.refresh.buffer.seconds", COUNT, NO_OAUTH),
    inert("sasl.login.refresh.min.period.seconds", COUNT, NO_OAUTH),
    inert("sasl.login.refresh.window.factor", Kind::Double, NO_OAUTH),
    inert("sasl.login.refresh.window.jitter", Kind::Double, NO_OAUTH),
    inert("sasl.login.retry.backoff.ms", MS, NO_OAUTH),
    inert("sasl.login.retry.backoff.max.ms", MS, NO_OAUTH),
    inert("sasl.kerberos.service.name", Kind::Text, NO_KERBEROS),
    inert("sasl.kerberos.kinit.cmd", Kind::Text, NO_KERBEROS),
    inert("sasl.kerberos.min.time.before.relogin", MS, NO_KERBEROS),
    inert("sasl.kerberos.ticket.renew.jitter", Kind::Double, NO_KERBEROS),
    inert("sasl.kerberos.ticket.renew.window.factor", Kind::Double, NO_KERBEROS),
];
