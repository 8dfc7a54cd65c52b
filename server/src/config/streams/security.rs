//! Properties of the security of the connection to Kafka. How they reach the clients: [`super::super::client`].

use super::{COUNT, Kind, MS, Role, StreamsProperty, inert, property, refused};

const PROVIDED: &str = "TLS is OpenSSL's; Java's classes have no part in it.";
const BROKERS: &str = "It is the brokers that look into tokens; here only their end is read.";
const NO_ASSERTIONS: &str = "Assertions are not signed here: tokens are fetched by client credentials, or read from a file.";
const NO_KERBEROS: &str = "SASL/GSSAPI (Kerberos) is not built yet: PLAIN, SCRAM and OAUTHBEARER are.";

/// Read by [`super::super::client`], which turns several at a time into what the clients take.
const fn security(name: &'static str, kind: Kind, doc: &'static str) -> StreamsProperty {
    property(name, kind, Role::Client, doc)
}

pub static PROPERTIES: &[StreamsProperty] = &[
    security("security.protocol", Kind::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), "How brokers are spoken to."),
    security("sasl.mechanism", Kind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]), "How the server says who it is."),
    security("sasl.jaas.config", Kind::Secret, "A login in Java's form, of PlainLoginModule, ScramLoginModule or OAuthBearerLoginModule."),
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
    refused("sasl.client.callback.handler.class", Kind::Text, PROVIDED),
    refused("sasl.login.class", Kind::Text, PROVIDED),
    security(
        "sasl.login.callback.handler.class",
        Kind::Text,
        "Kafka's own of OAUTHBEARER (OAuthBearerLoginCallbackHandler, OAuthBearerUnsecuredLoginCallbackHandler); others stop the start.",
    ),
    security(
        "sasl.oauthbearer.token.endpoint.url",
        Kind::Text,
        "OAUTHBEARER: the token service (https, http), or a file that holds a token and is read again when it is due (file:/…).",
    ),
    security(
        "sasl.oauthbearer.client.credentials.client.id",
        Kind::Text,
        "OAUTHBEARER: who asks the token service, as clientId in sasl.jaas.config.",
    ),
    security(
        "sasl.oauthbearer.client.credentials.client.secret",
        Kind::Secret,
        "OAUTHBEARER: the client's secret, as clientSecret in sasl.jaas.config.",
    ),
    security("sasl.oauthbearer.scope", Kind::Text, "OAUTHBEARER: what is asked for, as scope in sasl.jaas.config."),
    security("sasl.oauthbearer.header.urlencode", Kind::Bool, "OAUTHBEARER: whether id and secret are encoded as in a form."),
    security("sasl.oauthbearer.sub.claim.name", Kind::Text, "OAUTHBEARER: the claim that says whose a token is; sub."),
    security(
        "sasl.oauthbearer.jwt.retriever.class",
        Kind::Text,
        "OAUTHBEARER: DefaultJwtRetriever, ClientCredentialsJwtRetriever or FileJwtRetriever of Kafka's; others stop the start.",
    ),
    security(
        "https.ca.location",
        Kind::Text,
        "librdkafka's name: PEM certificates that are trusted at the token service; else ssl.truststore.location within \
         sasl.jaas.config, else the system's.",
    ),
    security("sasl.login.connect.timeout.ms", MS, "OAUTHBEARER: how long a connection to the token service may take; 10000."),
    security("sasl.login.read.timeout.ms", MS, "OAUTHBEARER: how long its answer may take; 10000."),
    security("sasl.login.retry.backoff.ms", MS, "OAUTHBEARER: the first pause before it is asked again; 100. It doubles."),
    security("sasl.login.retry.backoff.max.ms", MS, "OAUTHBEARER: the longest such pause; 10000."),
    security("sasl.login.refresh.window.factor", Kind::Double, "OAUTHBEARER: the part of a token's life after which it is replaced; 0.8."),
    security("sasl.login.refresh.window.jitter", Kind::Double, "OAUTHBEARER: at most this part more, by chance; 0.05."),
    security(
        "sasl.login.refresh.min.period.seconds",
        COUNT,
        "OAUTHBEARER: a token is kept for so long at least; 60. Ignored, as the buffer, where a token holds for less than both.",
    ),
    security("sasl.login.refresh.buffer.seconds", COUNT, "OAUTHBEARER: it is replaced so long before its end; 300."),
    inert("sasl.oauthbearer.jwt.validator.class", Kind::Text, BROKERS),
    inert("sasl.oauthbearer.scope.claim.name", Kind::Text, BROKERS),
    inert("sasl.oauthbearer.expected.audience", Kind::Text, BROKERS),
    inert("sasl.oauthbearer.expected.issuer", Kind::Text, BROKERS),
    inert("sasl.oauthbearer.clock.skew.seconds", COUNT, BROKERS),
    inert("sasl.oauthbearer.jwks.endpoint.url", Kind::Text, BROKERS),
    inert("sasl.oauthbearer.jwks.endpoint.refresh.ms", MS, BROKERS),
    inert("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", MS, BROKERS),
    inert("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", MS, BROKERS),
    refused("sasl.oauthbearer.assertion.algorithm", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.claim.aud", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.claim.exp.seconds", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.claim.iss", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.claim.jti.include", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.claim.nbf.seconds", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.claim.sub", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.file", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.private.key.file", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.private.key.passphrase", Kind::Text, NO_ASSERTIONS),
    refused("sasl.oauthbearer.assertion.template.file", Kind::Text, NO_ASSERTIONS),
    inert("sasl.kerberos.service.name", Kind::Text, NO_KERBEROS),
    inert("sasl.kerberos.kinit.cmd", Kind::Text, NO_KERBEROS),
    inert("sasl.kerberos.min.time.before.relogin", MS, NO_KERBEROS),
    inert("sasl.kerberos.ticket.renew.jitter", Kind::Double, NO_KERBEROS),
    inert("sasl.kerberos.ticket.renew.window.factor", Kind::Double, NO_KERBEROS),
];
