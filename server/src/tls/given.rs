//! Certificates that were themselves given to be trusted. Who made one by `openssl req -x509` has one of an authority (`CA:TRUE`) that
//! signed itself, shows it as the server's own, and gives the very same file to clients. A chain of trust has no place for it, and
//! everybody else (OpenSSL, Java) takes it: what is shown is, byte for byte, what was given. Its dates, its purpose and its name count as
//! they do for all others, and that the other side has its key is proven by the handshake.

use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DistinguishedName, Error};

use super::validity::{Purpose, check};

/// Looks at certificates as `inner` does, and takes those that were given as well.
#[derive(Debug)]
pub(super) struct Given<V: ?Sized> {
    certificates: Vec<CertificateDer<'static>>,
    inner: Arc<V>,
}

impl<V: ?Sized> Given<V> {
    pub fn new(certificates: Vec<CertificateDer<'static>>, inner: Arc<V>) -> Self {
        Given { certificates, inner }
    }

    /// Whether a certificate that was found wrong for this reason was given, and the reason is only its place in a chain.
    fn excuses(&self, error: &Error, shown: &CertificateDer<'_>) -> bool {
        let is_of_place = match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
            // An error of rustls-webpki that rustls has no name for.
            Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string() == "CaUsedAsEndEntity",
            _ => false,
        };
        is_of_place && self.certificates.iter().any(|given| given.as_ref() == shown.as_ref())
    }
}

impl ServerCertVerifier for Given<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if self.excuses(&error, end_entity) => {
                check(end_entity, now, Purpose::Server)?;
                // The name last, as everywhere: there are those who do not ask for it.
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    signatures_by!(inner);
}

impl ClientCertVerifier for Given<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.inner.verify_client_cert(end_entity, intermediates, now) {
            Err(error) if self.excuses(&error, end_entity) => {
                check(end_entity, now, Purpose::Client)?;
                Ok(ClientCertVerified::assertion())
            }
            other => other,
        }
    }

    signatures_by!(inner);
}
