//! Certificates and keys: Java's stores where they are PEM or PKCS12, and librdkafka's own names.

use std::collections::BTreeMap;
use std::io::Read;

use super::uses_tls;

/// What a file of certificates or keys is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Pem,
    Pkcs12,
    Jks,
}

/// Bytes that are looked at to tell.
const LOOK_BYTES: u64 = 4096;
const JKS_MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// The clients' properties for TLS. Nothing but the names is looked at where the connection does not use it.
///
/// # Errors
/// A store that can't be read here, with how to convert it.
pub(super) fn tls(set: &BTreeMap<&str, &str>) -> Result<Vec<(&'static str, String)>, String> {
    if !uses_tls(set) {
        return Ok(Vec::new());
    }
    let get = |name: &str| set.get(name).copied().filter(|value| !value.is_empty());
    let mut found = Vec::new();
    for (java, theirs) in [
        ("ssl.truststore.certificates", "ssl.ca.pem"),
        ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
        ("ssl.keystore.key", "ssl.key.pem"),
        ("ssl.key.password", "ssl.key.password"),
        ("ssl.cipher.suites", "ssl.cipher.suites"),
        ("ssl.ca.location", "ssl.ca.location"),
        ("ssl.certificate.location", "ssl.certificate.location"),
        ("ssl.key.location", "ssl.key.location"),
    ] {
        found.extend(get(java).map(|value| (theirs, value.to_owned())));
    }
    if let Some(algorithm) = set.get("ssl.endpoint.identification.algorithm") {
        let algorithm = if algorithm.is_empty() { "none" } else { algorithm };
        found.push(("ssl.endpoint.identification.algorithm", algorithm.to_ascii_lowercase()));
    }
    if let Some(protocols) = get("ssl.enabled.protocols")
        && !protocols.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case("TLSv1.2"))
    {
        return Err(format!("ssl.enabled.protocols={protocols} can't be held to: TLSv1.2 and TLSv1.3 are taken, so name both"));
    }
    if let Some(path) = get("ssl.truststore.location") {
        match kind_of_store("ssl.truststore.location", path, get("ssl.truststore.type"))? {
            Store::Pem => found.push(("ssl.ca.location", path.to_owned())),
            kind => {
                return Err(format!(
                    "ssl.truststore.location: {path} is a key store of Java's ({}), which can't be read here. Convert it once: \
                     keytool -list -rfc -keystore {path} > trust.pem, then set ssl.truststore.location=trust.pem and \
                     ssl.truststore.type=PEM",
                    name(kind)
                ));
            }
        }
    }
    if let Some(path) = get("ssl.keystore.location") {
        match kind_of_store("ssl.keystore.location", path, get("ssl.keystore.type"))? {
            Store::Pem => {
                found.push(("ssl.certificate.location", path.to_owned()));
                found.push(("ssl.key.location", path.to_owned()));
            }
            Store::Pkcs12 => {
                found.push(("ssl.keystore.location", path.to_owned()));
                found.extend(get("ssl.keystore.password").map(|password| ("ssl.keystore.password", password.to_owned())));
            }
            Store::Jks => {
                return Err(format!(
                    "ssl.keystore.location: {path} is a key store of Java's (JKS), which can't be read here. Convert it once: \
                     keytool -importkeystore -srckeystore {path} -destkeystore keys.p12 -deststoretype PKCS12, then set \
                     ssl.keystore.location=keys.p12 and ssl.keystore.type=PKCS12"
                ));
            }
        }
    }
    Ok(found)
}

/// What a file is, by its first bytes; where they don't tell, by the type that was set.
///
/// # Errors
/// The file can't be read, or is none of them; a sentence that names the property.
pub fn kind_of_store(property: &str, path: &str, declared: Option<&str>) -> Result<Store, String> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| format!("{property}: {path} can't be read: {error}"))?;
    file.take(LOOK_BYTES).read_to_end(&mut head).map_err(|error| format!("{property}: {path} can't be read: {error}"))?;
    if head.starts_with(&JKS_MAGIC) {
        return Ok(Store::Jks);
    }
    if String::from_utf8_lossy(&head).contains("-----BEGIN") {
        return Ok(Store::Pem);
    }
    // A sequence of DER: every PKCS12 store begins so.
    if head.first() == Some(&0x30) {
        return Ok(Store::Pkcs12);
    }
    match declared.map(str::to_ascii_uppercase).as_deref() {
        Some("PEM") => Ok(Store::Pem),
        Some("PKCS12") => Ok(Store::Pkcs12),
        Some("JKS") => Ok(Store::Jks),
        _ => Err(format!("{property}: {path} is neither PEM nor PKCS12")),
    }
}

fn name(store: Store) -> &'static str {
    match store {
        Store::Pem => "PEM",
        Store::Pkcs12 => "PKCS12",
        Store::Jks => "JKS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_told_by_their_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("a file");
            path.display().to_string()
        };
        let pem = file("a.jks", b"# mine\n-----BEGIN CERTIFICATE-----\n");
        let pkcs12 = file("b.jks", &[0x30, 0x82, 1, 2]);
        let jks = file("c.jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0]);
        let missing = folder.path().join("none").display().to_string();
        let tls_of = |pairs: &[(&'static str, &str)]| {
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (*n, *v)).chain([("security.protocol", "SSL")]).collect();
            tls(&pairs.into_iter().collect())
        };
        assert_eq!(tls_of(&[("ssl.truststore.location", &pem)]), Ok(vec![("ssl.ca.location", pem.clone())]));
        let own = tls_of(&[("ssl.keystore.location", &pkcs12), ("ssl.keystore.password", "pw")]).expect("taken");
        assert_eq!(own, [("ssl.keystore.location", pkcs12.clone()), ("ssl.keystore.password", "pw".to_owned())]);
        let own = tls_of(&[("ssl.keystore.location", &pem), ("ssl.endpoint.identification.algorithm", "")]).expect("taken");
        assert!(own.contains(&("ssl.key.location", pem.clone())) && own.contains(&("ssl.certificate.location", pem)), "{own:?}");
        assert!(own.contains(&("ssl.endpoint.identification.algorithm", "none".to_owned())), "{own:?}");
        for (name, path, expected) in [
            ("ssl.truststore.location", &jks, "keytool -list -rfc"),
            ("ssl.truststore.location", &pkcs12, "(PKCS12)"),
            ("ssl.keystore.location", &jks, "keytool -importkeystore"),
            ("ssl.keystore.location", &missing, "can't be read"),
        ] {
            let error = tls_of(&[(name, path)]).expect_err(name);
            assert!(error.contains(expected) && error.contains(name), "{error}");
        }
        assert!(tls_of(&[("ssl.enabled.protocols", "TLSv1.3")]).is_err());
    }

    #[test]
    fn without_tls_nothing_is_looked_at() {
        let set = BTreeMap::from([("ssl.truststore.location", "/nowhere.jks"), ("security.protocol", "SASL_PLAINTEXT")]);
        assert_eq!(tls(&set), Ok(Vec::new()));
    }
}
