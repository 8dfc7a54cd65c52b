//! How a server is reached: who asks, and whom to trust. By flags, by variables, or by a configuration file.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tidemill_server::config::file::Entry;

use super::secret::ask_password;
use crate::client::{Client, ClientError, Means};
use crate::command_line::{given_password, given_token};
use crate::properties_file::unknown_ssl;

/// Where a password may stand instead of on the command line, which others on the machine can read.
const PASSWORD_VARIABLE: &str = "TIDEMILL_PASSWORD";
const TOKEN_VARIABLE: &str = "TIDEMILL_TOKEN";
/// The largest file of certificates that is read, bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

#[derive(Debug, Clone, Default, Args)]
pub struct LoginArgs {
    /// Name to log in with (HTTP Basic)
    #[arg(short = 'u', long, value_name = "NAME")]
    user: Option<String>,
    /// Password to log in with [default: $TIDEMILL_PASSWORD, else it is asked for]
    #[arg(short = 'p', long, value_name = "PASSWORD", requires = "user")]
    password: Option<String>,
    /// Token to log in with [default: $TIDEMILL_TOKEN]
    #[arg(long, value_name = "TOKEN", conflicts_with = "user")]
    token: Option<String>,
    /// Certificates that are trusted, as PEM or PKCS12 [default: those that the system trusts]
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Certificate that says who you are, where the server asks for one
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its key [default: in the same file]
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl LoginArgs {
    /// Whether a property of a configuration file is read here.
    pub fn takes(name: &str) -> bool {
        name.starts_with("ssl.") || name.starts_with("tidemill.client.")
    }

    /// What is wrong with the name of a property that is read here.
    pub fn unknown(name: &str) -> Option<String> {
        const KNOWN: [&str; 3] = ["tidemill.client.user", "tidemill.client.password", "tidemill.client.token"];
        if name.starts_with("tidemill.client.") && !KNOWN.contains(&name) {
            return Some(format!("'{name}' is none of {}", KNOWN.join(", ")));
        }
        unknown_ssl(name)
    }

    /// `file` is what stands in the configuration file.
    ///
    /// # Errors
    /// The URL is none, a name has no password, or a certificate can't be used.
    pub fn client(&self, url: &str, file: &[Entry]) -> Result<Client, ClientError> {
        let of_file = |name: &str| file.iter().rfind(|entry| entry.name == name).map(|entry| entry.value.clone());
        let tls = self.tls_values(file).map_err(ClientError::Url)?;
        let client = client_with(url, &tls, Means::FLAGS).map_err(|error| match error {
            ClientError::Url(reason) => ClientError::Url(by_flags(&reason)),
            other => other,
        })?;
        if let Some(user) = self.user.clone().or_else(|| of_file("tidemill.client.user").filter(|_| self.token.is_none())) {
            let password = given_password(self.password.clone())
                .or_else(|| of_file("tidemill.client.password"))
                .or_else(|| variable(PASSWORD_VARIABLE));
            let password = match password {
                Some(password) => password,
                None if std::io::stdin().is_terminal() => ask_password(&format!("Password of {user}: ")).map_err(ClientError::Url)?,
                None => {
                    return Err(ClientError::Url(format!(
                        "--user {user} needs a password: --password, or the variable {PASSWORD_VARIABLE}"
                    )));
                }
            };
            return Ok(client.with_credentials(&user, &password));
        }
        let token = given_token(self.token.clone()).or_else(|| of_file("tidemill.client.token")).or_else(token_of_environment);
        Ok(match token {
            Some(token) => client.with_token(&token),
            None => client,
        })
    }

    /// The properties of TLS: flags over the file.
    fn tls_values(&self, file: &[Entry]) -> Result<BTreeMap<String, String>, String> {
        let of_file = file.iter().filter(|entry| entry.name.starts_with("ssl."));
        let mut values: BTreeMap<String, String> = of_file.map(|entry| (entry.name.clone(), entry.value.clone())).collect();
        let path = |path: &Path| path.display().to_string();
        if let Some(cacert) = &self.cacert {
            values.retain(|name, _| !name.starts_with("ssl.truststore."));
            values.insert("ssl.truststore.location".to_owned(), path(cacert));
        }
        if let Some(cert) = &self.cert {
            values.retain(|name, _| !name.starts_with("ssl.keystore."));
            match &self.key {
                None => {
                    values.insert("ssl.keystore.location".to_owned(), path(cert));
                }
                Some(key) => {
                    values.insert("ssl.keystore.certificate.chain".to_owned(), text("--cert", cert)?);
                    values.insert("ssl.keystore.key".to_owned(), text("--key", key)?);
                }
            }
        }
        Ok(values)
    }
}

/// A client of the server at `url`, with properties of TLS (`ssl.…`); it does not log in yet.
///
/// # Errors
/// The URL is none, or a certificate can't be used; the text names the property.
pub fn client_with(url: &str, tls: &BTreeMap<String, String>, means: Means) -> Result<Client, ClientError> {
    if tls.is_empty() {
        return Client::with_tls(url, None, means);
    }
    if !url.trim_start().to_ascii_lowercase().starts_with("https://") {
        // What is wrong with the URL itself comes first.
        Client::with_tls(url, None, means)?;
        return Err(ClientError::Url(format!("certificates are for https, and {url} asks for no TLS: write https://…")));
    }
    let config = tidemill_server::client_tls(tls).map_err(ClientError::Url)?;
    Client::with_tls(url, Some(Arc::new(config)), means)
}

/// The token that stands in the environment.
pub fn token_of_environment() -> Option<String> {
    variable(TOKEN_VARIABLE)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn text(flag: &str, path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{flag} {}: {error}", path.display());
    if std::fs::metadata(path).map_err(wrong)?.len() > MAX_FILE_BYTES {
        return Err(format!("{flag} {}: too large for certificates and keys", path.display()));
    }
    std::fs::read_to_string(path).map_err(wrong)
}

/// A message about properties, by the flags that set them.
fn by_flags(reason: &str) -> String {
    let flags = [
        ("ssl.truststore.location", "--cacert"),
        ("ssl.keystore.location", "--cert"),
        ("ssl.keystore.certificate.chain", "--cert"),
        ("ssl.keystore.key", "--key"),
    ];
    flags.iter().fold(reason.to_owned(), |text, (property, flag)| text.replace(property, &format!("{flag} ({property})")))
}
