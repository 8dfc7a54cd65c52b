//! Listeners that speak TLS. Certificates are made by openssl; without it the tests say `SKIPPED: …`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tidemill_tests::certificates::{Authority, Secure, connect};
use tidemill_tests::server::{ServerProcess, exchange_over, tidemill_binary};

const PATIENCE: Duration = Duration::from_secs(30);
const RIGHT: &str = "subjectAltName=IP:127.0.0.1";

/// A properties file with these lines.
fn configured(folder: &Path, lines: &[String]) -> String {
    let file = folder.join("server.properties");
    std::fs::write(&file, lines.join("\n")).expect("a file");
    file.display().to_string()
}

fn info(stream: &mut Secure) -> u16 {
    exchange_over(stream, "GET", "/info", &[], b"").expect("an answer").status
}

/// The certificate that a new connection is shown.
fn shown(address: SocketAddr, config: &Arc<ClientConfig>) -> Option<Vec<u8>> {
    let stream = connect(address, config).ok()?;
    stream.conn.peer_certificates()?.first().map(|certificate| certificate.as_ref().to_vec())
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn plain_and_encrypted_stand_side_by_side_and_certificates_are_changed_under_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    for name in ["one", "two"] {
        authority.sign(name, RIGHT);
    }
    let used = folder.path().join("used.pem");
    std::fs::copy(authority.path("one.both.pem"), &used).expect("copied");
    let file = configured(folder.path(), &[format!("ssl.keystore.location={}", used.display()), "ssl.keystore.type=PEM".to_owned()]);
    let (server, secure) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &file]);
    let client = authority.client(None, &["http/1.1"]);
    assert_eq!(server.request("GET", "/info", None).expect("plain").0, 200);
    assert_eq!(info(&mut connect(secure, &client).expect("encrypted")), 200);
    for (offered, expected) in [(&["h2", "http/1.1"][..], &b"h2"[..]), (&["http/1.1"], b"http/1.1")] {
        let stream = connect(secure, &authority.client(None, offered)).expect("encrypted");
        assert_eq!(stream.conn.alpn_protocol(), Some(expected));
    }
    // Who speaks plain HTTP there is told.
    let mut plain = TcpStream::connect(secure).expect("a connection");
    plain.write_all(b"GET /info HTTP/1.1\r\nhost: h\r\n\r\n").expect("sent");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("use https"), "{answer}");
    // Another certificate, without a restart; who is connected stays so.
    let mut kept = connect(secure, &client).expect("encrypted");
    let first = shown(secure, &client).expect("a certificate");
    std::fs::copy(authority.path("two.both.pem"), &used).expect("copied");
    until("the new certificate is shown", || shown(secure, &client).is_some_and(|certificate| certificate != first));
    assert_eq!(info(&mut kept), 200);
    let second = shown(secure, &client).expect("a certificate");
    // One that can't be used leaves the old one.
    std::fs::write(&used, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").expect("written");
    until("it is said", || server.log().contains("can't be read again"));
    assert!(server.log().contains("ssl.keystore.location") && server.log().contains(&used.display().to_string()), "{}", server.log());
    assert_eq!(shown(secure, &client), Some(second));
    std::fs::copy(authority.path("one.both.pem"), &used).expect("copied");
    server.hang_up();
    until("the first certificate is shown again", || shown(secure, &client) == Some(first.clone()));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn clients_show_certificates_where_they_are_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("server", RIGHT);
    authority.sign("client", "extendedKeyUsage=clientAuth");
    let file = configured(
        folder.path(),
        &[
            format!("ssl.keystore.location={}", authority.path("server.p12").display()),
            "ssl.keystore.password=opens".to_owned(),
            format!("ssl.truststore.location={}", authority.path("ca.pem").display()),
            "ssl.client.authentication=REQUIRED".to_owned(),
        ],
    );
    let (_server, secure) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &file]);
    assert_eq!(info(&mut connect(secure, &authority.client(Some("client"), &[])).expect("let in")), 200);
    // With TLS 1.3 the refusal comes behind the handshake.
    let refused = connect(secure, &authority.client(None, &[])).and_then(|mut stream| exchange_over(&mut stream, "GET", "/info", &[], b""));
    assert!(refused.is_err(), "{refused:?}");
    // The shell says what is missing, and is let in with it.
    let url = format!("https://{secure}");
    let (ca, cert, key) = (authority.path("ca.pem"), authority.path("client.pem"), authority.path("client.key"));
    let (ca, cert, key) = (ca.display().to_string(), cert.display().to_string(), key.display().to_string());
    let output = shell(&[&url, "--cacert", &ca, "--cert", &cert, "--key", &key, "-e", "SHOW STREAMS;"]);
    assert!(output.status.success(), "{output:?}");
    let output = shell(&[&url, "--cacert", &ca, "-e", "SHOW STREAMS;"]);
    assert!(!output.status.success() && said(&output).contains("--cert FILE and --key FILE"), "{}", said(&output));
}

/// Who made a certificate for itself is let in where the server was given that very one, and nobody else of that name.
#[test]
fn a_client_that_signed_itself_is_let_in_by_its_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("server", RIGHT);
    authority.sign_itself("device", "extendedKeyUsage=clientAuth");
    let given = folder.path().join("given.pem");
    std::fs::write(&given, authority.text("device.pem")).expect("written");
    let before = authority.client(Some("device"), &[]);
    let file = configured(
        folder.path(),
        &[
            format!("ssl.keystore.location={}", authority.path("server.both.pem").display()),
            format!("ssl.truststore.location={}", given.display()),
            "ssl.client.authentication=REQUIRED".to_owned(),
        ],
    );
    let (_server, secure) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &file]);
    assert_eq!(info(&mut connect(secure, &before).expect("let in")), 200);
    // Another key and certificate of the same name, one that an authority signed, and none at all.
    authority.sign_itself("device", "extendedKeyUsage=clientAuth");
    authority.sign("signed", "extendedKeyUsage=clientAuth");
    for name in [Some("device"), Some("signed"), None] {
        let client = authority.client(name, &[]);
        let refused = connect(secure, &client).and_then(|mut stream| exchange_over(&mut stream, "GET", "/info", &[], b""));
        assert!(refused.is_err(), "{name:?}: {refused:?}");
    }
    assert_eq!(info(&mut connect(secure, &before).expect("let in as before")), 200);
}

fn shell(arguments: &[&str]) -> Output {
    Command::new(tidemill_binary()).arg("shell").args(arguments).stdin(Stdio::null()).output().expect("the shell starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_shell_says_what_is_wrong_with_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("right", RIGHT);
    authority.sign("elsewhere", "subjectAltName=DNS:elsewhere.example");
    authority.sign_until("old", RIGHT, "-days -1");
    authority.sign_itself("alone", RIGHT);
    authority.sign_itself("astray", "subjectAltName=DNS:elsewhere.example");
    let [ca, alone, astray] = ["ca.pem", "alone.pem", "astray.pem"].map(|file| authority.path(file).display().to_string());
    for (name, arguments, expected) in [
        ("right", &["--cacert", ca.as_str()][..], None),
        ("right", &[], Some("--cacert FILE")),
        ("elsewhere", &["--cacert", ca.as_str()], Some("elsewhere.example")),
        ("old", &["--cacert", ca.as_str()], Some("has expired")),
        ("alone", &["--cacert", alone.as_str()], None),
        ("alone", &["--cacert", ca.as_str()], Some("--cacert FILE")),
        ("alone", &["--cacert", astray.as_str()], Some("--cacert FILE")),
        ("astray", &["--cacert", astray.as_str()], Some("elsewhere.example")),
        ("right", &["--cacert", "/no/such.pem"], Some("--cacert (ssl.truststore.location): /no/such.pem")),
    ] {
        let file = configured(folder.path(), &[format!("ssl.keystore.location={}", authority.path(&format!("{name}.both.pem")).display())]);
        let (server, secure) = ServerProcess::start_secure(&folder.path().join(format!("data-{name}")), &["--config", &file]);
        let url = format!("https://{secure}");
        let output = shell(&[&[url.as_str()], arguments, &["-e", "SHOW STREAMS;"]].concat());
        match expected {
            None => assert!(output.status.success(), "{}", said(&output)),
            Some(expected) => assert!(!output.status.success() && said(&output).contains(expected), "{name}: {}", said(&output)),
        }
        let warned = if name == "old" { " expired on " } else { " expires on " };
        assert!(server.log().contains(&format!("the certificate of CN={name}")) && server.log().contains(warned), "{}", server.log());
        if expected.is_none() {
            let output = shell(&[&format!("http://{secure}"), "-e", "SHOW STREAMS;"]);
            assert!(said(&output).contains("https://"), "{}", said(&output));
            let plain = format!("https://{}", server.address());
            let output = shell(&[&plain, "--cacert", &ca, "-e", "SHOW STREAMS;"]);
            assert!(said(&output).contains("does not speak TLS at this port"), "{}", said(&output));
        }
    }
}

#[test]
fn what_can_not_be_used_stops_the_start_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("one", RIGHT);
    authority.sign("two", RIGHT);
    let mixed = folder.path().join("mixed.pem");
    std::fs::write(&mixed, authority.text("one.pem") + &authority.text("two.key")).expect("written");
    let path = |name: &str| authority.path(name).display().to_string();
    for (lines, expected) in [
        (vec![], "listeners: https needs a key and a certificate".to_owned()),
        (vec!["ssl.keystore.location=/no/such.pem".to_owned()], "server.properties line 1: ssl.keystore.location: /no/such.pem".to_owned()),
        (
            vec![String::new(), format!("ssl.keystore.location={}", path("one.pem"))],
            format!("line 2: ssl.keystore.location: {}", path("one.pem")),
        ),
        (vec![format!("ssl.keystore.location={}", mixed.display())], "is not that of the first certificate".to_owned()),
        (
            vec![format!("ssl.keystore.location={}", path("one.p12")), "ssl.keystore.password=hush-hush".to_owned()],
            "check ssl.keystore.password".to_owned(),
        ),
        (
            vec![format!("ssl.keystore.location={}", path("one.both.pem")), "ssl.client.auth=true".to_owned()],
            "line 2: ssl.client.auth asks clients for certificates".to_owned(),
        ),
    ] {
        let file = configured(folder.path(), &lines);
        let data = folder.path().join("data");
        let _ = std::fs::remove_file(data.with_extension("log"));
        let (code, log) = ServerProcess::start_secure_refused(&data, &["--config", &file]);
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(&expected) && !log.contains("hush-hush"), "{expected}: {log}");
    }
}

#[test]
fn half_a_handshake_keeps_nobody_waiting_and_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("one", RIGHT);
    let file = configured(folder.path(), &[format!("ssl.keystore.location={}", authority.path("one.both.pem").display())]);
    let (_server, secure) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &file]);
    let client = authority.client(None, &["http/1.1"]);
    let mut half: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(secure).expect("a connection");
            stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").expect("sent");
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(info(&mut connect(secure, &client).expect("encrypted")), 200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let mut one = half.pop().expect("a connection");
    one.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut rest = Vec::new();
    // Closed, or reset: in any case over.
    let _ = one.read_to_end(&mut rest);
    assert!(began.elapsed() < PATIENCE, "the connection is still open");
}
