//! Files that are read again while the server runs: of tokens, of keys of tokens, of certificates. A good new one holds at once; a bad
//! one changes nothing, and the log says its property, file and line.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_tests::broker::skipped;
use tidemill_tests::certificates::{Authority, connect};
use tidemill_tests::server::{ServerProcess, exchange, exchange_over};

const PATIENCE: Duration = Duration::from_secs(60);

fn until(server: &ServerProcess, what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "{what}: {}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the log says that a file can't be used; what it says of it.
fn refused(server: &ServerProcess, property: &str, file: &Path, said_before: usize) -> String {
    let said = || {
        let log = server.log();
        let lines = log.lines().filter(|line| line.contains("can't be read again") && line.contains(property)).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    until(server, property, || said().len() > said_before);
    let last = said().pop().unwrap_or_default();
    assert!(last.contains(&format!("{property}: {}: ", file.display())), "{last}");
    last
}

fn status(server: &ServerProcess, token: &str) -> u16 {
    exchange(server.address(), "GET", "/info", &[("Authorization", &format!("Bearer {token}"))], b"").expect("an answer").status
}

#[test]
fn a_bad_file_of_tokens_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tokens, config) = (folder.path().join("tokens"), folder.path().join("server.properties"));
    std::fs::write(&tokens, "one: the-first-token-of-all,read\n").expect("written");
    std::fs::write(&config, format!("authentication.method=BEARER\ntidemill.auth.tokens.file={}\n", tokens.display())).expect("written");
    let server = ServerProcess::start(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    let (first, second) = ("the-first-token-of-all", "the-second-token-of-all");
    assert_eq!([status(&server, first), status(&server, second)], [200, 401]);
    for (number, (bad, line)) in [
        ("# ours\none: the-first-token-of-all,read\nshort: x,read\n", "line 3: "),
        ("one: the-first-token-of-all,read\none: the-second-token-of-all,read\n", "line 2: "),
        ("one: sha256:nonsense,read\n", "line 1: "),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&tokens, bad).expect("written");
        let said = refused(&server, "tidemill.auth.tokens.file", &tokens, number);
        assert!(said.contains(line), "{said}");
        assert_eq!([status(&server, first), status(&server, second)], [200, 401]);
    }
    std::fs::write(&tokens, "two: the-second-token-of-all,read\n").expect("written");
    until(&server, "the second token holds", || status(&server, second) == 200);
    assert_eq!(status(&server, first), 401);
}

/// A pair of keys of Ed25519 in a folder; `None`, said aloud, where openssl can't make one.
struct Pair<'a> {
    folder: &'a Path,
    name: &'a str,
}

fn openssl(folder: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

impl<'a> Pair<'a> {
    fn new(folder: &'a Path, name: &'a str) -> Option<Self> {
        let made = openssl(folder, &format!("genpkey -algorithm ed25519 -out {name}.key"))
            && openssl(folder, &format!("pkey -in {name}.key -pubout -out {name}.pub"))
            && openssl(folder, &format!("pkey -in {name}.key -pubout -outform DER -out {name}.der"));
        if !made {
            skipped("keys of tokens", "they are made by openssl, which is not here");
        }
        made.then_some(Pair { folder, name })
    }

    fn public(&self) -> String {
        std::fs::read_to_string(self.folder.join(format!("{}.pub", self.name))).expect("a key")
    }

    /// As a set of keys: the last 32 bytes are the key itself.
    fn set(&self) -> String {
        let der = std::fs::read(self.folder.join(format!("{}.der", self.name))).expect("a key");
        let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": x}]}).to_string()
    }

    /// A token that holds for ten minutes.
    fn token(&self) -> String {
        let soon = SystemClock.now_ms() / 1_000 + 600;
        let claims = json!({"sub": "ann", "aud": "tidemill", "exp": soon, "roles": ["read"]});
        let coded = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", coded(json!({"alg": "EdDSA", "typ": "JWT", "kid": "k"})), coded(claims));
        std::fs::write(self.folder.join("message"), &message).expect("written");
        assert!(openssl(self.folder, &format!("pkeyutl -sign -inkey {}.key -rawin -in message -out signature", self.name)));
        let signature = std::fs::read(self.folder.join("signature")).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[test]
fn bad_keys_of_tokens_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Some(one), Some(two)) = (Pair::new(folder.path(), "one"), Pair::new(folder.path(), "two")) else { return };
    let (first, second) = (one.token(), two.token());
    let private = std::fs::read_to_string(folder.path().join("one.key")).expect("a key");
    for (property, good, then, bad) in [
        (
            "tidemill.auth.jwt.jwks.file",
            one.set(),
            two.set(),
            vec![("{\"keys\":\n[nonsense]}".to_owned(), "at line 2 column"), ("{\"keys\": []}".to_owned(), "no key in it")],
        ),
        (
            "tidemill.auth.jwt.key.file",
            one.public(),
            two.public(),
            vec![
                (private, "this is a private key"),
                ("-----BEGIN PUBLIC KEY-----\nbm9uc2Vuc2U=\n-----END PUBLIC KEY-----\n".to_owned(), "line 1: "),
                ("short".to_owned(), "a secret needs"),
            ],
        ),
    ] {
        let (keys, config) = (folder.path().join("keys"), folder.path().join("server.properties"));
        std::fs::write(&keys, good).expect("written");
        std::fs::write(
            &config,
            format!("authentication.method=BEARER\n{property}={}\ntidemill.auth.jwt.audience=tidemill\n", keys.display()),
        )
        .expect("written");
        let data = folder.path().join(property);
        let server = ServerProcess::start(&data, &["--config", &config.display().to_string()]);
        assert_eq!([status(&server, &first), status(&server, &second)], [200, 401], "{property}");
        for (number, (text, expected)) in bad.into_iter().enumerate() {
            std::fs::write(&keys, text).expect("written");
            let said = refused(&server, property, &keys, number);
            assert!(said.contains(expected), "{said}");
            assert_eq!([status(&server, &first), status(&server, &second)], [200, 401], "{property}");
        }
        std::fs::write(&keys, then).expect("written");
        until(&server, "the second key holds", || status(&server, &second) == 200);
        assert_eq!(status(&server, &first), 401, "{property}");
    }
}

/// The dates of a certificate are looked at whenever it is read, not at the start alone.
#[test]
fn certificates_that_end_are_warned_about_when_they_are_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    let name = "subjectAltName=IP:127.0.0.1";
    authority.sign_until("long", name, "-days 365");
    authority.sign_until("soon", name, "-days 2");
    authority.sign_until("old", name, "-days -1");
    let (keys, config) = (folder.path().join("used.pem"), folder.path().join("server.properties"));
    std::fs::write(&keys, authority.text("long.both.pem")).expect("written");
    std::fs::write(&config, format!("ssl.keystore.location={}\n", keys.display())).expect("written");
    let (server, _) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    let warned = |of: &str| server.log().lines().any(|l| l.contains("WARN") && l.contains("ssl.keystore.location") && l.contains(of));
    assert!(!warned("the certificate of CN="), "{}", server.log());
    for (name, expected) in [("soon", "soon expires on "), ("old", "old expired on ")] {
        std::fs::write(&keys, authority.text(&format!("{name}.both.pem"))).expect("written");
        until(&server, expected, || warned(&format!("the certificate of CN={expected}")));
    }
}

#[test]
fn bad_certificates_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("server", "subjectAltName=IP:127.0.0.1");
    authority.sign("client", "extendedKeyUsage=clientAuth");
    let (keys, trust, config) = (folder.path().join("used.pem"), folder.path().join("trust.pem"), folder.path().join("server.properties"));
    let (good, trusted) = (authority.text("server.both.pem"), authority.text("ca.pem"));
    std::fs::write(&keys, &good).expect("written");
    std::fs::write(&trust, &trusted).expect("written");
    let text = format!(
        "ssl.keystore.location={}\nssl.truststore.location={}\nssl.client.authentication=REQUIRED\n",
        keys.display(),
        trust.display()
    );
    std::fs::write(&config, text).expect("written");
    let (server, secure) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    let client = authority.client(Some("client"), &[]);
    let is_served = || {
        let answer = connect(secure, &client).and_then(|mut stream| exchange_over(&mut stream, "GET", "/info", &[], b""));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    assert!(is_served());
    let broken = "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";
    let begins = |text: &str| text.lines().count() + 1;
    for (property, file, good, bad) in [
        (
            "ssl.keystore.location",
            &keys,
            &good,
            vec![
                (format!("{good}{broken}"), format!("line {}: ", begins(&good))),
                (no_certificate.to_owned(), "no private key in it".to_owned()),
                (authority.text("client.pem") + &authority.text("server.key"), "the private key is not that of the first".to_owned()),
            ],
        ),
        (
            "ssl.truststore.location",
            &trust,
            &trusted,
            vec![
                (format!("{trusted}{broken}"), format!("line {}: ", begins(&trusted))),
                (no_certificate.to_owned(), "no certificate in it can be used".to_owned()),
            ],
        ),
    ] {
        for (number, (text, expected)) in bad.into_iter().enumerate() {
            std::fs::write(file, text).expect("written");
            let said = refused(&server, property, file, number);
            assert!(said.contains(&expected), "{said}");
            assert!(is_served(), "{said}");
        }
        let again = || server.log().matches("certificates of the listeners were read again").count();
        let before = again();
        std::fs::write(file, good).expect("written");
        until(&server, "the good file is read", || again() > before);
        assert!(is_served());
    }
}
