//! Certificates made by openssl, and connections that look at them.

use std::io::{Error, Result};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::broker::skipped;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// An authority in a folder, and what it has signed.
pub struct Authority {
    folder: PathBuf,
}

/// Runs openssl in a folder; false: there is none, or it can't.
fn openssl(folder: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

impl Authority {
    /// `None`, said aloud: there is no openssl here.
    pub fn new(folder: &Path) -> Option<Self> {
        let made = openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2");
        if !made {
            skipped("certificates", "they are made by openssl, which is not here");
        }
        made.then(|| Authority { folder: folder.to_owned() })
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).expect("a file that openssl made")
    }

    /// Signs a certificate: `NAME.pem`, `NAME.key`, both of them in `NAME.both.pem`, and `NAME.p12` with the password `opens`.
    /// `extension` is what it is for: `subjectAltName=IP:127.0.0.1`.
    pub fn sign(&self, name: &str, extension: &str) {
        self.sign_until(name, extension, "-days 2");
    }

    /// As [`Authority::sign`]; `validity` are openssl's words for its time.
    pub fn sign_until(&self, name: &str, extension: &str, validity: &str) {
        std::fs::write(self.path(&format!("{name}.ext")), extension).expect("a file");
        for step in [
            format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"),
            format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial {validity} -extfile {name}.ext -out {name}.pem"),
            format!("pkcs12 -export -in {name}.pem -inkey {name}.key -out {name}.p12 -passout pass:opens"),
        ] {
            assert!(openssl(&self.folder, &step), "openssl {step}");
        }
        let both = self.text(&format!("{name}.pem")) + &self.text(&format!("{name}.key"));
        std::fs::write(self.path(&format!("{name}.both.pem")), both).expect("a file");
    }

    /// A certificate that nobody signed but itself, of an authority (`CA:TRUE`), as `openssl req -x509` makes it: `NAME.pem`, and with its
    /// key in `NAME.both.pem`.
    pub fn sign_itself(&self, name: &str, extension: &str) {
        let step =
            format!("req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -addext {extension} -days 2");
        assert!(openssl(&self.folder, &step), "openssl {step}");
        let both = self.text(&format!("{name}.pem")) + &self.text(&format!("{name}.key"));
        std::fs::write(self.path(&format!("{name}.both.pem")), both).expect("a file");
    }

    /// A client that trusts the authority, and says who it is where `name` was signed for it.
    pub fn client(&self, name: Option<&str>, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).expect("a certificate")).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let builder = builder.with_root_certificates(roots);
        let mut config = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let own = CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).expect("a certificate");
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
                builder.with_client_auth_cert(vec![own], key).expect("a key that fits")
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// An encrypted connection.
pub type Secure = StreamOwned<ClientConnection, TcpStream>;

/// Connects to an address, the handshake done.
pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Secure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut connection = ClientConnection::new(config.clone(), ServerName::from(address.ip())).map_err(Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}
