//! Tokens for Kafka's brokers (SASL/OAUTHBEARER): fetched from a token service by the client-credentials grant, read from a file, or
//! made here without a signature. The engine asks for them ([`TokenSource`]), ahead of the last one's end.
//!
//! [`settings`] reads Java's properties, [`endpoint`] asks the service, [`claims`] looks into a token as far as its end,
//! [`pace`] says when the next one is due.
//!
//! Invariant: neither a token nor the client's secret is part of a message.

mod claims;
mod endpoint;
mod pace;
mod settings;
mod unsecured;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_engine::log::kafka::{Token, TokenSource};

use claims::Claims;
use endpoint::Endpoint;
pub use settings::Settings;
use settings::Source;

/// Longer than a year no token is relied on, whatever it says: librdkafka reckons in microseconds.
const LONGEST_MS: i64 = 365 * 24 * 3_600_000;
/// The most bytes of a file with a token.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A login by tokens.
pub struct TokenLogin {
    settings: Settings,
    endpoint: Option<Endpoint>,
}

impl std::fmt::Debug for TokenLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenLogin").finish_non_exhaustive()
    }
}

/// A token as it came, and how long whoever gave it says that it holds.
struct Given {
    token: String,
    holds_for: Option<Duration>,
}

impl TokenLogin {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// TLS can't be used as it was set; a sentence that names the property.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let endpoint = match &settings.source {
            Source::Endpoint(service) => Some(Endpoint::new(service)?),
            Source::File(_) | Source::Unsecured(_) => None,
        };
        Ok(TokenLogin { settings, endpoint })
    }

    /// Whether tokens are made here: whoever reaches the broker can make the same.
    pub fn is_unsecured(&self) -> bool {
        matches!(self.settings.source, Source::Unsecured(_))
    }

    fn given(&self) -> Result<(Given, String), String> {
        match &self.settings.source {
            Source::Endpoint(_) => {
                let endpoint = self.endpoint.as_ref().ok_or("there is no token service")?;
                Ok((endpoint.ask()?, endpoint.name().to_owned()))
            }
            Source::File(path) => Ok((Given { token: read(path)?, holds_for: None }, path.display().to_string())),
            Source::Unsecured(claims) => {
                let token = unsecured::token(claims, SystemClock.now_ms());
                Ok((Given { token, holds_for: None }, "sasl.jaas.config".to_owned()))
            }
        }
    }
}

impl TokenSource for TokenLogin {
    fn fetch(&self) -> Result<Token, String> {
        let (given, from) = self.given()?;
        let now_ms = SystemClock.now_ms();
        let claims = Claims::of(&given.token);
        let by_service = given.holds_for.map(|held| now_ms.saturating_add(i64::try_from(held.as_millis()).unwrap_or(i64::MAX)));
        let by_itself = claims.as_ref().and_then(Claims::ends_ms);
        let ends_ms = [by_service, by_itself].into_iter().flatten().min();
        let ends_ms =
            ends_ms.ok_or_else(|| format!("the token of {from} can't be used: it is no JWT with an exp, so nobody knows when it ends"))?;
        let ends_ms = ends_ms.min(now_ms.saturating_add(LONGEST_MS));
        let Some(life) = u64::try_from(ends_ms.saturating_sub(now_ms)).ok().filter(|ms| *ms > 0).map(Duration::from_millis) else {
            let ago = now_ms.saturating_sub(ends_ms) / 1000;
            return Err(format!("the token of {from} can't be used: by this machine's clock it ended {ago} s ago"));
        };
        let principal = claims.as_ref().and_then(|claims| claims.text(&self.settings.principal_claim)).unwrap_or("tidemill").to_owned();
        let refresh_after = self.settings.pace.refresh_after(life, pace::chance());
        Token::new(given.token, principal, self.settings.extensions.clone(), ends_ms, refresh_after)
            .map_err(|why| format!("the token of {from} can't be used: {why}"))
    }

    fn pauses(&self) -> (Duration, Duration) {
        self.settings.pauses
    }
}

/// What a file holds, read anew each time: whoever keeps it replaces it.
fn read(path: &Path) -> Result<String, String> {
    let why = |error: std::io::Error| format!("the token in {} can't be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(why)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(why)?;
    Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn tokens_of_a_file_hold_until_they_say_and_not_beyond() {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let url = format!("file://{}", path.display());
        let set = BTreeMap::from([(settings::URL, url.as_str())]);
        let login = TokenLogin::new(Settings::new(&set, &BTreeMap::new()).expect("settings")).expect("a login");
        let fetched = |claims: &str| {
            std::fs::write(&path, format!("e30.{}.\n", URL_SAFE_NO_PAD.encode(claims))).expect("a file");
            login.fetch().map(|_| ())
        };
        assert_eq!(fetched(r#"{"exp":1e300}"#), Ok(()));
        for (claims, expected) in
            [("{}", "nobody knows when it ends"), (r#"{"exp":1}"#, "it ended"), (r#"{"exp":-1e300}"#, "it ended"), ("[", "no JWT")]
        {
            let error = fetched(claims).expect_err(claims);
            assert!(error.contains(expected), "{claims}: {error}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(login.fetch().is_err_and(|error| error.contains("can't be read")));
    }
}
