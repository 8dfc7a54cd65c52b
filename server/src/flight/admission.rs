//! Who makes a call: by the header `authorization`, as for REST, or by a token that was given for a name and a password at the
//! protocol's handshake.
//!
//! Such a token is the name and the password, sealed with a key of this process: nothing is kept of it, and whoever is taken out
//! of the file of users, or gets another password, is not let in by it any more.

use std::sync::Arc;

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::{Engine, alphabet};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use tonic::Status;

use crate::access::{Access, Principal, Refusal, WRONG_PAUSE};

/// What a token is given to who need not say who it is.
const ANYBODY: &str = "Bearer anybody";

/// See the module.
pub struct Admission {
    /// Who may ask; `None`: everybody.
    access: Option<Arc<Access>>,
    /// `None`: there is no randomness to be had, and no tokens are given.
    seal: Option<Seal>,
}

struct Seal {
    random: SystemRandom,
    key: LessSafeKey,
}

impl Seal {
    fn new() -> Option<Self> {
        let random = SystemRandom::new();
        let mut key = [0; 32];
        random.fill(&mut key).ok()?;
        Some(Seal { random, key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?) })
    }

    fn close(&self, credentials: &[u8]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut sealed = credentials.to_vec();
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    fn open(&self, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

impl Admission {
    pub fn new(access: Option<Arc<Access>>) -> Self {
        Admission { access, seal: Seal::new() }
    }

    /// Who it is.
    ///
    /// # Errors
    /// It is not let in.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Principal, Status> {
        let Some(access) = &self.access else { return Ok(Principal::anybody()) };
        let header = headers.get(AUTHORIZATION);
        let (_, scheme, value) = said(headers);
        let sealed = self.seal.as_ref().filter(|_| scheme.eq_ignore_ascii_case("bearer")).and_then(|seal| seal.open(value));
        let pair = sealed.or_else(|| credentials(scheme, value));
        let found = match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            // A token may stand in the password's place: drivers have a name and a password only.
            Some((name, password)) => access.by_name(name, password).await,
            None => access.by_header(header).await,
        };
        match found {
            Ok(principal) => Ok(principal),
            Err(Refusal::Unauthenticated) => {
                if header.is_some() {
                    tokio::time::sleep(WRONG_PAUSE).await;
                    return Err(Status::unauthenticated("the user name, the password or the token is wrong"));
                }
                Err(Status::unauthenticated("this server asks who you are: give a user name and a password, or a bearer token"))
            }
            Err(Refusal::Forbidden(message)) => Err(Status::permission_denied(message)),
            Err(Refusal::Busy) => Err(Status::resource_exhausted("too many passwords are being looked at; try again")),
        }
    }

    /// The header's value that somebody who is let in may be known by from now on.
    pub fn token(&self, headers: &HeaderMap) -> String {
        if self.access.is_none() {
            return ANYBODY.to_owned();
        }
        let (said, scheme, value) = said(headers);
        let sealed = self.seal.as_ref().zip(credentials(scheme, value)).and_then(|(seal, pair)| seal.close(pair.as_bytes()));
        sealed.map_or_else(|| said.to_owned(), |sealed| format!("Bearer {sealed}"))
    }
}

/// What the header says: as a whole, its scheme, and what stands behind it.
fn said(headers: &HeaderMap) -> (&str, &str, &str) {
    let said = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let (scheme, value) = said.split_once(' ').unwrap_or_default();
    (said, scheme, value.trim())
}

/// Some drivers leave out the padding.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// `name:password` of the scheme Basic.
fn credentials(scheme: &str, value: &str) -> Option<String> {
    let decoded = BASE64.decode(value).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use hyper::header::HeaderValue;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn a_token_is_as_good_as_what_it_was_given_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("users");
        std::fs::write(&file, "ann: pa:ss,write\n").expect("written");
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let values: BTreeMap<_, _> =
            [set("authentication.method", "BASIC"), set("tidemill.auth.users.file", &file.display().to_string())].into();
        let admission = Admission::new(Access::from_properties(&values).expect("good"));
        let of = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(value).expect("a header"))]);
        let basic = |pair: &str| of(&format!("Basic {}", STANDARD.encode(pair)));
        let principal = admission.admit(&basic("ann:pa:ss")).await.expect("let in");
        let token = admission.token(&basic("ann:pa:ss"));
        assert_eq!((principal.name.as_deref(), principal.role), (Some("ann"), Role::Write));
        let unpadded = of(&format!("Basic {}", STANDARD_NO_PAD.encode("ann:pa:ss")));
        assert_eq!(admission.admit(&unpadded).await.expect("let in"), principal);
        assert!(token.starts_with("Bearer ") && !token.contains(&STANDARD.encode("ann:pa:ss")), "{token}");
        assert_eq!(admission.admit(&of(&token)).await.expect("let in by its token"), principal);
        assert_eq!(admission.token(&of(&token)), token);
        // Neither a garbled token, nor another process's, nor nothing.
        let other = Admission::new(admission.access.clone());
        let garbled = token.replacen("Bearer ", "Bearer AAAA", 1);
        for (admission, headers) in
            [(&admission, of(&garbled)), (&other, of(&token)), (&admission, basic("ann:no")), (&admission, HeaderMap::new())]
        {
            let status = admission.admit(&headers).await.map(|_| ()).expect_err("not let in");
            assert_eq!(status.code(), tonic::Code::Unauthenticated);
        }
        let open = Admission::new(None);
        assert_eq!(open.admit(&HeaderMap::new()).await.expect("everybody"), Principal::anybody());
        assert_eq!(open.token(&HeaderMap::new()), ANYBODY);
    }
}
