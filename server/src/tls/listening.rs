//! TLS of the server's own listeners: `ssl.keystore.…` says who the server is, `ssl.client.authentication` whether clients say so,
//! too, `ssl.truststore.…` whom of them to trust. Files are read again when they change ([`crate::reload`]); what can't be used then
//! leaves what was read before.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_rustls::TlsAcceptor;

use super::given::Given;
use super::validity::warnings;
use super::{TlsProperties, Trusted, identity, trusted, versions};
use crate::reload::Reloadable;

/// Spoken on a connection, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How listeners encrypt.
pub struct Listening {
    /// Those that have to do with TLS.
    values: BTreeMap<String, String>,
    current: RwLock<Arc<ServerConfig>>,
    /// What is to be said of the dates of its certificates.
    warnings: Vec<String>,
}

impl Listening {
    /// # Errors
    /// A file that can't be read, or what can't be used; a sentence that names the property.
    pub fn new(values: &BTreeMap<String, String>) -> Result<Self, String> {
        let values: BTreeMap<_, _> =
            values.iter().filter(|(name, _)| name.starts_with("ssl.")).map(|(name, value)| (name.clone(), value.clone())).collect();
        let (current, warnings) = read(&values)?;
        Ok(Listening { values, current: RwLock::new(current), warnings })
    }

    /// Of the certificates that it began with: those that are not valid, or soon are not.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.read().clone())
    }

    /// For the next connection of a port where another protocol is spoken than HTTP.
    pub fn acceptor_of(&self, protocol: &[u8]) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.current.read());
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl std::fmt::Debug for Listening {
    /// Without the values, among which are passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

impl Reloadable for Listening {
    fn what(&self) -> &'static str {
        "certificates of the listeners"
    }

    fn files(&self) -> Vec<PathBuf> {
        let set = |name: &str| self.values.get(name).filter(|path| !path.trim().is_empty()).map(|path| PathBuf::from(path.trim()));
        [set("ssl.keystore.location"), set("ssl.truststore.location")].into_iter().flatten().collect()
    }

    fn reload(&self) -> Result<(), String> {
        let (config, warnings) = read(&self.values)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        *self.current.write() = config;
        Ok(())
    }
}

/// With what is to be said of the dates of the certificates.
fn read(values: &BTreeMap<String, String>) -> Result<(Arc<ServerConfig>, Vec<String>), String> {
    let properties = TlsProperties { values, prefix: "" };
    if let Some((name, _)) = properties.get("ssl.cipher.suites") {
        return Err(format!("{name} can't be used with https listeners: which ciphers are spoken there can't be chosen"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(&properties)?)
        .map_err(|error| format!("ssl.enabled.protocols: {error}"))?;
    let Some((property, (chain, key))) = identity(&properties)? else {
        return Err("listeners: https needs a key and a certificate: ssl.keystore.location, a PEM file or a PKCS12 store (and \
                    ssl.keystore.password)"
            .to_owned());
    };
    let warnings = warnings(&property, &chain, UnixTime::now());
    let builder = match client_verifier(&properties, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| super::unusable(&property, &error))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok((Arc::new(config), warnings))
}

/// Who looks at clients' certificates; `None`: nobody asks for one.
fn client_verifier(
    properties: &TlsProperties<'_>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let older = properties.get("ssl.client.auth").filter(|(_, value)| value.eq_ignore_ascii_case("true"));
    let (name, is_required) = match (properties.get("ssl.client.authentication"), older) {
        (Some((name, value)), _) if value.eq_ignore_ascii_case("REQUIRED") => (name, true),
        (Some((name, value)), Some((older, _))) => {
            return Err(format!(
                "{name}={value} contradicts {older}=true. Keep {name}: REQUIRED, if every client has to show a certificate"
            ));
        }
        (Some((name, value)), None) if value.eq_ignore_ascii_case("REQUESTED") => (name, false),
        (None, Some((name, _))) => (name, true),
        (_, None) => return Ok(None),
    };
    let Some(Trusted { property, roots, certificates }) = trusted(properties)? else {
        return Err(format!("{name} asks clients for certificates: say whose are trusted by ssl.truststore.location"));
    };
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    let verifier: Arc<dyn ClientCertVerifier> = builder.build().map_err(|error| format!("{property}: {error}"))?;
    Ok(Some(Arc::new(Given::new(certificates, verifier))))
}
