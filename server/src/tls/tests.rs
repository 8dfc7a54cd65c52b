//! Certificates that were given themselves (`openssl req -x509` with `CA:TRUE`): taken where all else is right. In `testdata`: `given` and
//! `other` are for here.example, with different keys; `clients` has the purpose of clients alone.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConnection, Error, ServerConfig, ServerConnection};

use super::validity::{Purpose, check, warnings};
use super::*;

const GIVEN: &str = include_str!("testdata/given.pem");
const GIVEN_KEY: &str = include_str!("testdata/given.key");
const OTHER: &str = include_str!("testdata/other.pem");
const OTHER_KEY: &str = include_str!("testdata/other.key");
const CLIENTS: &str = include_str!("testdata/clients.pem");

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

fn properties(set: &[(&str, &str)]) -> BTreeMap<String, String> {
    set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Shows a certificate, whosever key it has.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// What becomes of a handshake with a server that shows `pem` and has `key`, for a client that was given `given`.
fn shaken(given: &str, pem: &str, key: &str, name: &str, version: &str) -> Result<(), Error> {
    let set = properties(&[("ssl.truststore.certificates", given), ("ssl.enabled.protocols", version)]);
    let client = for_client(&set).expect("a client");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key that signs");
    let shows = Shows(Arc::new(CertifiedKey::new(vec![certificate(pem)], key)));
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let server = builder.with_no_client_auth().with_cert_resolver(Arc::new(shows));
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from(name.to_owned()).expect("a name")).expect("a client");
    while client.is_handshaking() || server.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).expect("written");
        }
        pass(&sent, |bytes| server.read_tls(bytes));
        server.process_new_packets()?;
        let mut answered = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answered).expect("written");
        }
        pass(&answered, |bytes| client.read_tls(bytes));
        client.process_new_packets()?;
    }
    client.writer().write_all(b"x").expect("taken");
    let mut sent = Vec::new();
    client.write_tls(&mut sent).expect("written");
    pass(&sent, |bytes| server.read_tls(bytes));
    server.process_new_packets()?;
    assert_eq!(server.reader().read(&mut [0; 1]).expect("a byte"), 1);
    Ok(())
}

fn pass(mut bytes: &[u8], mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>) {
    while !bytes.is_empty() {
        read(&mut bytes).expect("read");
    }
}

#[test]
fn a_certificate_that_was_given_is_taken_of_who_has_its_key_and_name() {
    for version in ["TLSv1.2", "TLSv1.3"] {
        let shaken = |given: &str, pem: &str, key: &str, name: &str| shaken(given, pem, key, name, version);
        assert_eq!(shaken(GIVEN, GIVEN, GIVEN_KEY, "here.example"), Ok(()));
        assert_eq!(shaken(&format!("{OTHER}{GIVEN}"), GIVEN, GIVEN_KEY, "here.example"), Ok(()));
        let name = shaken(GIVEN, GIVEN, GIVEN_KEY, "elsewhere.example").expect_err("another name");
        assert!(matches!(name, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })), "{name:?}");
        // It bears the same name, and was not given.
        let other = shaken(GIVEN, OTHER, OTHER_KEY, "here.example").expect_err("another certificate");
        assert!(matches!(other, Error::InvalidCertificate(_)), "{other:?}");
        // Anybody can show what is public.
        let key = shaken(GIVEN, GIVEN, OTHER_KEY, "here.example").expect_err("another's key");
        assert_eq!(key, Error::InvalidCertificate(CertificateError::BadSignature));
        let purpose = shaken(CLIENTS, CLIENTS, OTHER_KEY, "here.example").expect_err("not for servers");
        assert!(matches!(purpose, Error::InvalidCertificate(_)), "{purpose:?}");
    }
}

#[test]
fn dates_and_purposes_count() {
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let given = certificate(GIVEN);
    let name = ServerName::try_from("here.example").expect("a name");
    let set = properties(&[("ssl.truststore.certificates", GIVEN)]);
    let verifier = verifier(&TlsProperties { values: &set, prefix: "" }, Arc::new(rustls::crypto::ring::default_provider()));
    let verifier = verifier.expect("a verifier");
    assert!(verifier.verify_server_cert(&given, &[], &name, &[], UnixTime::now()).is_ok());
    for seconds in [0, 1 << 33] {
        let error = verifier.verify_server_cert(&given, &[], &name, &[], at(seconds)).expect_err("not in its time");
        assert_eq!(Some(error), check(&given, at(seconds), Purpose::Server).err());
    }
    let (now, clients) = (UnixTime::now(), certificate(CLIENTS));
    assert_eq!(check(&clients, now, Purpose::Client), Ok(()));
    assert_eq!(check(&clients, now, Purpose::Server), Err(CertificateError::InvalidPurpose.into()));
    assert_eq!(check(&CertificateDer::from(vec![1, 2, 3]), now, Purpose::Server), Err(CertificateError::BadEncoding.into()));
}

#[test]
fn certificates_that_are_not_valid_are_warned_about() {
    let der = certificate(GIVEN);
    let (_, read) = x509_parser::parse_x509_certificate(&der).expect("a certificate");
    let (begin, end) = (read.validity().not_before.timestamp() as u64, read.validity().not_after.timestamp() as u64);
    let day = 86_400;
    for (now, said) in [
        (begin - 1, Some("is not valid before")),
        (begin + day, None),
        (end - 40 * day, None),
        (end - 3 * day - 1, Some("in 3 days")),
        (end + 1, Some("expired on")),
    ] {
        let found = warnings("ssl.keystore.location: /f", &[certificate(GIVEN)], UnixTime::since_unix_epoch(Duration::from_secs(now)));
        match said {
            None => assert_eq!(found, [""; 0]),
            Some(said) => {
                let [warning] = found.as_slice() else { panic!("{found:?}") };
                assert!(
                    warning.starts_with("ssl.keystore.location: /f: the certificate of CN=here.example ") && warning.contains(said),
                    "{warning}"
                );
            }
        }
    }
}
