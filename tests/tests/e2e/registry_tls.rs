//! A schema registry behind TLS that asks its clients who they are. Certificates are made by openssl; without it, or without
//! Python, the test says `SKIPPED: …`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};
use tidemill_tests::broker::skipped;
use tidemill_tests::registry_double::{Manner, RegistryDouble};
use tidemill_tests::server::ServerProcess;

const SSL: &str = "ksql.schema.registry.ssl.";

/// A proxy that ends TLS; killed when dropped.
struct Proxy {
    process: Child,
    url: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs openssl in a folder; false: there is none, or it can't.
fn openssl(folder: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// An authority, two certificates of servers (one bears the right name) and a client's, in all forms that are read.
fn certificates(folder: &Path) -> bool {
    std::fs::write(folder.join("right.ext"), "subjectAltName=IP:127.0.0.1").expect("a file");
    std::fs::write(folder.join("wrong.ext"), "subjectAltName=DNS:elsewhere").expect("a file");
    std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth").expect("a file");
    let mut steps = vec!["req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2".to_owned()];
    for name in ["right", "wrong", "client"] {
        steps.push(format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        steps
            .push(format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.pem"));
    }
    steps.push("pkcs12 -export -in client.pem -inkey client.key -out client.p12 -passout pass:opens".to_owned());
    steps.push("pkcs12 -export -nokeys -in ca.pem -out trust.p12 -passout pass:opens".to_owned());
    steps.push("pkcs8 -topk8 -v2 aes256 -in client.key -out sealed.key -passout pass:sealed".to_owned());
    if !steps.iter().all(|step| openssl(folder, step)) {
        return false;
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file that openssl made");
    std::fs::write(folder.join("sealed.pem"), read("client.pem") + &read("sealed.key")).expect("a file");
    true
}

fn proxy(folder: &Path, name: &str, registry: &RegistryDouble) -> Option<Proxy> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/tls_proxy.py");
    let port = registry.url().rsplit_once(':')?.1.to_owned();
    let mut process = Command::new("python3")
        .arg(script)
        .args([format!("{name}.pem"), format!("{name}.key"), "ca.pem".to_owned(), port])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take()?).read_line(&mut line).ok()?;
    Some(Proxy { process, url: format!("https://127.0.0.1:{}", line.trim()) })
}

/// A configuration file for a registry.
fn configured(folder: &Path, name: &str, url: &str, properties: &[(&str, &str)]) -> (PathBuf, String) {
    let lines: String = properties.iter().map(|(name, value)| format!("{SSL}{name}={value}\n")).collect();
    let file = folder.join(format!("{name}.properties"));
    std::fs::write(&file, format!("ksql.schema.registry.url={url}\ntidemill.schema.registry.timeout.ms=3000\n{lines}")).expect("a file");
    (folder.join(name), file.display().to_string())
}

#[test]
fn a_registry_behind_tls_is_spoken_to_as_it_was_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let registry = RegistryDouble::start(Manner::Good);
    let made = certificates(folder).then(|| Some((proxy(folder, "right", &registry)?, proxy(folder, "wrong", &registry)?))).flatten();
    let Some((right, wrong)) = made else {
        return skipped("a_registry_behind_tls_is_spoken_to_as_it_was_set", "needs openssl and python3");
    };
    let at = |name: &str| folder.join(name).display().to_string();
    let (ca, trust, client, sealed) = (at("ca.pem"), at("trust.p12"), at("client.p12"), at("sealed.pem"));
    let pkcs12 = [("keystore.location", client.as_str()), ("keystore.password", "opens"), ("keystore.type", "PKCS12")];
    let pem = [("keystore.location", sealed.as_str()), ("key.password", "sealed"), ("keystore.type", "PEM")];
    let (trust_pem, any_name) = (("truststore.location", ca.as_str()), ("endpoint.identification.algorithm", ""));
    let trust_pkcs12 = [("truststore.location", trust.as_str()), ("truststore.password", "opens")];
    for (name, proxy, properties, expected) in [
        ("pkcs12", &right, [&pkcs12[..], &[trust_pem]].concat(), Ok(())),
        ("pem", &right, [&pem[..], &trust_pkcs12].concat(), Ok(())),
        ("distrusted", &right, pkcs12.to_vec(), Err("can't be spoken to by TLS")),
        ("nobody", &right, vec![trust_pem], Err("TLS")),
        ("othername", &wrong, [&pkcs12[..], &[trust_pem]].concat(), Err("can't be spoken to by TLS")),
        ("anyname", &wrong, [&pkcs12[..], &[trust_pem, any_name]].concat(), Ok(())),
    ] {
        let (data, file) = configured(folder, name, &proxy.url, &properties);
        let server = ServerProcess::start(&data, &["--config", &file]);
        let sql = "CREATE STREAM a (k STRING KEY, v STRING) WITH (KAFKA_TOPIC='a', PARTITIONS=1, VALUE_FORMAT='AVRO');";
        let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).expect("an answer");
        match expected {
            Ok(()) => assert_eq!(status, 200, "{name}: {text}"),
            Err(expected) => {
                let answer: Json = serde_json::from_str(&text).expect("JSON");
                let message = answer["message"].as_str().unwrap_or_default();
                assert!(status >= 400 && message.contains(expected) && message.contains("Check"), "{name}: {status} {text}");
            }
        }
        assert!(!server.log().contains("opens") && !server.log().contains("sealed\n"), "{}", server.log());
    }
    for (name, properties, expected) in [
        ("wrongpassword", vec![("keystore.location", client.as_str()), ("keystore.password", "no")], "keystore.password"),
        ("wrongkey", vec![("keystore.location", sealed.as_str()), ("key.password", "no")], "ssl.key.password"),
        ("nokey", vec![("keystore.location", sealed.as_str())], "ssl.key.password is not set"),
        ("notrust", vec![("truststore.location", trust.as_str()), ("truststore.password", "no")], "truststore.password"),
    ] {
        let (data, file) = configured(folder, name, &right.url, &properties);
        let (code, said) = ServerProcess::start_refused(&data, &["--config", &file]);
        assert!(code == Some(1) && said.contains(SSL) && said.contains(expected), "{name}: {code:?} {said}");
    }
}
