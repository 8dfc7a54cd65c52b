//! TLS: of the server's listeners ([`Listening`]), and towards a neighbour (the schema registry, Kafka Connect): whom the client trusts, and how it says who it is, by
//! `<prefix>ssl.…`, and where that says nothing by `ssl.…`, as ksqlDB has it.

#[macro_use]
mod signatures;

mod given;
mod keystores;
mod listening;
#[cfg(test)]
mod tests;
mod validity;

use std::collections::BTreeMap;
use std::sync::Arc;

use given::Given;
pub use listening::Listening;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore, SupportedProtocolVersion};

/// What was set.
pub struct TlsProperties<'a> {
    pub values: &'a BTreeMap<String, String>,
    /// Of the neighbour's own properties: `ksql.connect.`.
    pub prefix: &'static str,
}

impl<'a> TlsProperties<'a> {
    /// The neighbour's own name of a property.
    fn name(&self, bare: &str) -> String {
        format!("{}{bare}", self.prefix)
    }

    /// The value of a property with the name that it was set by; an empty one counts.
    fn set(&self, bare: &str) -> Option<(String, &'a str)> {
        let own = self.name(bare);
        match (self.values.get(&own), self.values.get(bare)) {
            (Some(value), _) => Some((own, value.trim())),
            (None, Some(value)) => Some((bare.to_owned(), value.trim())),
            (None, None) => None,
        }
    }

    fn get(&self, bare: &str) -> Option<(String, &'a str)> {
        self.set(bare).filter(|(_, value)| !value.is_empty())
    }

    fn value(&self, bare: &str) -> Option<&'a str> {
        self.get(bare).map(|(_, value)| value)
    }
}

/// TLS as it was set.
///
/// # Errors
/// A file that can't be read, or what can't be used; a sentence that names the property.
pub fn client_config(properties: &TlsProperties<'_>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = versions(properties)?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| format!("{}: {error}", properties.name("ssl.enabled.protocols")))?;
    let verifier = verifier(properties, provider)?;
    let verifier = match properties.set("ssl.endpoint.identification.algorithm") {
        None => verifier,
        Some((_, algorithm)) if algorithm.eq_ignore_ascii_case("https") => verifier,
        Some((_, "")) => Arc::new(AnyName(verifier)),
        Some((name, other)) => return Err(format!("{name}={other} can't be used: https, or nothing")),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let identity = identity(properties)?;
    let Some((property, (chain, key))) = identity else { return Ok(builder.with_no_client_auth()) };
    builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&property, &error))
}

/// Why a key and its certificates can't be used, with what to do.
fn unusable(property: &str, error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    // What is wrong within a certificate has no name of its own in the library.
    let is_version = |error: &CertificateError| format!("{error:?}").contains("UnsupportedCertVersion");
    match error {
        Error::InconsistentKeys(_) => format!("{property}: the private key is not that of the first certificate"),
        Error::InvalidCertificate(wrong) if is_version(wrong) => format!(
            "{property}: the certificate is of X.509's version 1, and version 3 is spoken: have it made again with an extension \
             (openssl x509 -req … -extfile FILE, where the file says subjectAltName=DNS:… or extendedKeyUsage=clientAuth)"
        ),
        other => format!("{property}: the key and the certificate can't be used: {other}"),
    }
}

/// TLS of a client of a server, by the names without a prefix.
///
/// # Errors
/// A file that can't be read, or what can't be used; a sentence that names the property.
pub fn for_client(values: &BTreeMap<String, String>) -> Result<ClientConfig, String> {
    client_config(&TlsProperties { values, prefix: "" })
}

/// For a client that never uses TLS.
pub fn trusting_nobody() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn versions(properties: &TlsProperties<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let Some((name, protocols)) = properties.get("ssl.enabled.protocols") else { return Ok(rustls::ALL_VERSIONS.to_vec()) };
    let named = |wanted: &str| protocols.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case(wanted));
    let mut versions = Vec::new();
    if named("TLSv1.3") {
        versions.push(&rustls::version::TLS13);
    }
    if named("TLSv1.2") {
        versions.push(&rustls::version::TLS12);
    }
    if versions.is_empty() {
        return Err(format!("{name}={protocols} can't be used: TLSv1.2 and TLSv1.3 are spoken"));
    }
    Ok(versions)
}

/// Whom the client trusts: the certificates that were set, else those of the system.
fn verifier(properties: &TlsProperties<'_>, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let Some(Trusted { property, roots, certificates }) = trusted(properties)? else {
        let system = rustls_platform_verifier::Verifier::new(provider);
        let system = system.map_err(|error| {
            let unset = properties.name("ssl.truststore.location");
            format!("{unset} is not set, and the system's certificates can't be used: {error}")
        })?;
        return Ok(Arc::new(system));
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier: Arc<dyn ServerCertVerifier> = verifier.map_err(|error| format!("{property}: {error}"))?;
    Ok(Arc::new(Given::new(certificates, verifier)))
}

/// The certificates that were set to be trusted.
struct Trusted {
    /// By which property, and where they stand.
    property: String,
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

/// `None`: none were set.
fn trusted(properties: &TlsProperties<'_>) -> Result<Option<Trusted>, String> {
    let (property, certificates) = match (properties.get("ssl.truststore.location"), properties.get("ssl.truststore.certificates")) {
        (Some((property, path)), _) => {
            let password = properties.value("ssl.truststore.password");
            let found = keystores::trusted(&property, path, properties.value("ssl.truststore.type"), password)?;
            (format!("{property}: {path}"), found)
        }
        (None, Some((property, text))) => {
            let found = keystores::pem_certificates(&property, text.as_bytes())?;
            (property, found)
        }
        (None, None) => return Ok(None),
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(format!("{property}: no certificate in it can be used"));
    }
    Ok(Some(Trusted { property, roots, certificates }))
}

fn identity(properties: &TlsProperties<'_>) -> Result<Option<(String, keystores::Identity)>, String> {
    let key_password = properties.value("ssl.key.password");
    if let Some((property, path)) = properties.get("ssl.keystore.location") {
        let (declared, password) = (properties.value("ssl.keystore.type"), properties.value("ssl.keystore.password"));
        let found = keystores::identity(&property, path, declared, password, key_password)?;
        return Ok(Some((format!("{property}: {path}"), found)));
    }
    match (properties.get("ssl.keystore.key"), properties.get("ssl.keystore.certificate.chain")) {
        (Some((property, key)), Some((of_chain, chain))) => {
            let chain = keystores::pem_certificates(&of_chain, chain.as_bytes())?;
            let key = keystores::pem_key(&property, key.as_bytes(), key_password)?;
            Ok(Some((property, (chain, key))))
        }
        (None, None) => Ok(None),
        (Some((property, _)), None) => Err(format!("{property} is set, and ssl.keystore.certificate.chain is not")),
        (None, Some((property, _))) => Err(format!("{property} is set, and ssl.keystore.key is not")),
    }
}

/// Takes a certificate that is trusted whatever name it bears (`ssl.endpoint.identification.algorithm` empty).
#[derive(Debug)]
struct AnyName(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: all else was in order.
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    signatures_by!(0);
}
