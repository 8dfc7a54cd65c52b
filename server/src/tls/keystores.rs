//! Certificates and keys of files and texts: PEM, or a PKCS12 store.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Reader, SliceReader};
use p12_keystore::Pkcs12Archive;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::{Store, kind_of_store};

/// The largest file of certificates and keys that is read, bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
const ENCRYPTED: (&str, &str) = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");

/// Who the client is: its certificates, its own first, and the key of its own.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificates of a file.
///
/// # Errors
/// The file can't be read, or holds none; a sentence that names the property.
pub(super) fn trusted(
    property: &str,
    path: &str,
    declared: Option<&str>,
    password: Option<&str>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let kind = kind_of_store(property, path, declared)?;
    let bytes = content(property, path)?;
    let found = match kind {
        Store::Pem => pem_certificates(&format!("{property}: {path}"), &bytes)?,
        Store::Pkcs12 => certificates_of(&archive(property, path, &bytes, password)?),
        Store::Jks => {
            return Err(format!(
                "{property}: {path} is a key store of Java's (JKS), which can't be read here. Convert it once: keytool -importkeystore \
                 -srckeystore {path} -destkeystore trust.p12 -deststoretype PKCS12, then set {property}=trust.p12"
            ));
        }
    };
    if found.is_empty() {
        return Err(format!("{property}: {path} holds no certificate"));
    }
    Ok(found)
}

/// The certificates of a PEM text.
pub(super) fn pem_certificates(property: &str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    refuse_encrypted_in_place(property, text)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    found.map_err(|error| match broken_section(text) {
        Some(line) => format!("{property}: line {line}: not PEM: {error}"),
        None => format!("{property}: not PEM: {error}"),
    })
}

/// Keys that OpenSSL encrypted before there was PKCS#8 (`BEGIN EC PRIVATE KEY`, `BEGIN RSA PRIVATE KEY`) have headers above their
/// base64, and a password that is stretched so little that it can be guessed.
fn refuse_encrypted_in_place(property: &str, text: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    let is_header = |line: &str| line.trim_start().strip_prefix("Proc-Type:").is_some_and(|kind| kind.contains("ENCRYPTED"));
    match text.lines().position(is_header) {
        Some(at) => Err(format!(
            "{property}: line {}: the key is encrypted in OpenSSL's old way (Proc-Type: 4,ENCRYPTED), which is not read here. Convert it \
             once: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW, and set ssl.key.password",
            at + 1
        )),
        None => Ok(()),
    }
}

/// The line, from 1 on, where the first section of a PEM text begins that can't be read.
fn broken_section(text: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(text);
    let begins = |line: &str| line.trim_start().starts_with("-----BEGIN");
    let lines: Vec<&str> = text.lines().collect();
    (0..lines.len()).filter(|at| lines.get(*at).is_some_and(|line| begins(line))).find_map(|at| {
        let section = lines.get(at..).unwrap_or_default();
        let length = section.iter().skip(1).position(|line| begins(line)).map_or(section.len(), |next| next + 1);
        let section = section.get(..length).unwrap_or_default().join("\n");
        let is_broken = CertificateDer::pem_slice_iter(section.as_bytes()).any(|read| read.is_err());
        is_broken.then_some(at + 1)
    })
}

/// The key and the certificates of a file. `store_password` opens a PKCS12 store, `key_password` the key of a PEM file.
///
/// # Errors
/// The file can't be read, or holds no key; a sentence that names the property.
pub(super) fn identity(
    property: &str,
    path: &str,
    declared: Option<&str>,
    store_password: Option<&str>,
    key_password: Option<&str>,
) -> Result<Identity, String> {
    let kind = kind_of_store(property, path, declared)?;
    let bytes = content(property, path)?;
    match kind {
        Store::Pem => {
            let place = format!("{property}: {path}");
            let chain = pem_certificates(&place, &bytes)?;
            if chain.is_empty() {
                return Err(format!("{place}: no certificate in it"));
            }
            Ok((chain, pem_key(&place, &bytes, key_password)?))
        }
        Store::Pkcs12 => of_archive(property, path, &archive(property, path, &bytes, store_password)?),
        Store::Jks => Err(format!(
            "{property}: {path} is a key store of Java's (JKS), which can't be read here. Convert it once: keytool -importkeystore \
             -srckeystore {path} -destkeystore keys.p12 -deststoretype PKCS12, then set {property}=keys.p12"
        )),
    }
}

/// The key of a PEM text.
pub(super) fn pem_key(property: &str, text: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    refuse_encrypted_in_place(property, text)?;
    let readable = String::from_utf8_lossy(text);
    if let Some((_, rest)) = readable.split_once(ENCRYPTED.0)
        && let Some((body, _)) = rest.split_once(ENCRYPTED.1)
    {
        let password = password.ok_or_else(|| format!("{property}: the key is encrypted, and ssl.key.password is not set"))?;
        return decrypted(body, password)
            .ok_or_else(|| format!("{property}: the key can't be decrypted: check ssl.key.password (keys of PKCS#8 with PBES2 are read)"));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| format!("{property}: no private key in it ({error})"))
}

/// A key of PKCS#8 that a password protects: a sequence of how it is encrypted and its bytes.
fn decrypted(base64: &str, password: &str) -> Option<PrivateKeyDer<'static>> {
    let compact: String = base64.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = STANDARD.decode(compact).ok()?;
    let mut reader = SliceReader::new(&bytes).ok()?;
    let (scheme, sealed) = reader
        .sequence(|inner| -> der::Result<_> { Ok((pkcs5::EncryptionScheme::decode(inner)?, der::asn1::OctetString::decode(inner)?)) })
        .ok()?;
    let key = scheme.decrypt(password, sealed.as_bytes()).ok()?;
    Some(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))
}

fn of_archive(property: &str, path: &str, archive: &Pkcs12Archive) -> Result<Identity, String> {
    let Some(key) = archive.keys.first() else { return Err(format!("{property}: {path} holds no private key")) };
    // Its own certificate bears the same id as the key; without ids there is one.
    let own = archive.certs.iter().find(|bag| match (&bag.local_key_id, &key.local_key_id) {
        (Some(of_certificate), Some(of_key)) => of_certificate.as_slice() == of_key.as_ref(),
        _ => false,
    });
    let Some(own) = own.or(archive.certs.first()) else { return Err(format!("{property}: {path} holds no certificate for its key")) };
    let others = archive.certs.iter().filter(|bag| bag.cert != own.cert);
    let chain = std::iter::once(own).chain(others).map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    Ok((chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.key.as_der().to_vec()))))
}

fn certificates_of(archive: &Pkcs12Archive) -> Vec<CertificateDer<'static>> {
    archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect()
}

fn archive(property: &str, path: &str, bytes: &[u8], password: Option<&str>) -> Result<Pkcs12Archive, String> {
    Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or_default()).map_err(|error| {
        let which = property.strip_suffix("location").unwrap_or(property);
        format!("{property}: {path} can't be opened as a PKCS12 store ({error}): check {which}password")
    })
}

fn content(property: &str, path: &str) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("{property}: {path} can't be read: {error}");
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("{property}: {path} has {size} bytes, which is more than any key store"));
    }
    std::fs::read(path).map(crate::config::file::unmarked).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_encrypted_in_the_old_way_are_told_from_nonsense() {
        for kind in ["EC", "RSA"] {
            let key = format!(
                "-----BEGIN {kind} PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END {kind} PRIVATE KEY-----\n"
            );
            for error in [pem_key("p", key.as_bytes(), Some("x")).err(), pem_certificates("p", key.as_bytes()).err()] {
                let error = error.expect(kind);
                assert!(error.starts_with("p: line 2: the key is encrypted") && error.contains("openssl pkcs8 -topk8"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_broken_is_said_by_its_line() {
        let whole = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";
        assert_eq!(pem_certificates("p: f", whole.as_bytes()).map(|found| found.len()), Ok(1));
        for broken in ["-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nbm9u\n"] {
            let error = pem_certificates("p: f", format!("# mine\n{whole}{broken}").as_bytes()).expect_err("broken");
            assert!(error.starts_with("p: f: line 5: not PEM: "), "{error}");
        }
    }
}
