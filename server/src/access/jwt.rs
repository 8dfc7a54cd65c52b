//! Bearer tokens that are JWTs: signed by whoever has the key, for this audience, not expired.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::RwLock;
use serde_json::{Map, Value as Json};

use crate::config::file::unmarked;
use crate::reload::Reloadable;

pub const KEY_FILE: &str = "tidemill.auth.jwt.key.file";
pub const JWKS_FILE: &str = "tidemill.auth.jwt.jwks.file";
const AUDIENCE: &str = "tidemill.auth.jwt.audience";
const ISSUER: &str = "tidemill.auth.jwt.issuer";
const ROLES_CLAIM: &str = "tidemill.auth.jwt.roles.claim";

/// The longest token that is looked at, bytes.
const MAX_BYTES: usize = 16 << 10;
/// Keys in a set at most.
const MAX_KEYS: usize = 100;
/// The largest file of keys, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Bytes of a secret at least: a shorter one could be found by trying, from any token.
const MIN_SECRET_BYTES: usize = 32;
/// How far clocks may differ, seconds.
const LEEWAY_SECONDS: u64 = 30;

const RSA: &[Algorithm] = &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// A key, and what it may have signed with. The token does not choose: a public key is never taken for a secret.
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Verifies tokens.
pub struct Jwt {
    property: &'static str,
    path: PathBuf,
    keys: RwLock<Arc<Vec<Key>>>,
    audience: Vec<String>,
    issuer: Option<String>,
    /// The claim that lists roles, and what it stands in.
    roles_claim: Vec<String>,
}

impl Jwt {
    /// `None`: none is configured.
    ///
    /// # Errors
    /// A file that can't be used, or no audience; a sentence that names the property.
    pub fn from_properties<'a>(set: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>, String> {
        let (property, path) = match (set(KEY_FILE), set(JWKS_FILE)) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(format!("{KEY_FILE} and {JWKS_FILE} are both set; one of them says whose tokens are good")),
            (Some(path), None) => (KEY_FILE, path),
            (None, Some(path)) => (JWKS_FILE, path),
        };
        let audience = set(AUDIENCE).ok_or_else(|| {
            format!("{property} needs {AUDIENCE}: the name that tokens for this server bear as 'aud', lest tokens for others be taken")
        })?;
        let path = PathBuf::from(path);
        let keys = RwLock::new(Arc::new(read(property, &path)?));
        let list = |text: &str, separator: char| text.split(separator).map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let (audience, roles_claim) = (list(audience, ','), list(set(ROLES_CLAIM).unwrap_or("roles"), '.'));
        Ok(Some(Jwt { property, path, keys, audience, issuer: set(ISSUER).map(str::to_owned), roles_claim }))
    }

    /// Whose token it is and its roles; `None`: it is not good.
    pub fn verify(&self, token: &str) -> Option<(Arc<str>, Arc<[String]>)> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let header = decode_header(token).ok()?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&self.audience);
        validation.set_required_spec_claims(&["aud", "sub"]);
        // Looked at below: times may have fractions, which the library does not read.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        let keys = self.keys.read().clone();
        let fits = |key: &&Key| key.algorithms.contains(&header.alg) && (key.id.is_none() || header.kid.is_none() || key.id == header.kid);
        let mut why = "no key that is known can have signed it".to_owned();
        let decoded = keys
            .iter()
            .filter(fits)
            .find_map(|key| decode::<Map<String, Json>>(token, &key.key, &validation).inspect_err(|error| why = error.to_string()).ok());
        let judged = decoded.ok_or(why).and_then(|decoded| match out_of_time(&decoded.claims) {
            Some(why) => Err(why.to_owned()),
            None => Ok(decoded.claims),
        });
        // Nothing of the token: whoever sent it is told nothing, and whoever runs the server may look for the cause.
        let claims = judged.inspect_err(|why| tracing::debug!("a JWT is not taken: {why}")).ok()?;
        let name = claims.get("sub")?.as_str().filter(|name| !name.is_empty())?;
        Some((name.into(), self.roles(&claims).into()))
    }

    /// A list of texts, or one text with spaces or commas between them.
    fn roles(&self, claims: &Map<String, Json>) -> Vec<String> {
        let mut path = self.roles_claim.iter();
        let Some(first) = path.next().and_then(|name| claims.get(name)) else { return Vec::new() };
        match path.try_fold(first, |value, name| value.get(name)) {
            Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            Some(Json::String(text)) => text.split([' ', ',']).filter(|role| !role.is_empty()).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// Why a token does not hold now; its times are seconds, maybe with a fraction.
fn out_of_time(claims: &Map<String, Json>) -> Option<&'static str> {
    #[expect(clippy::cast_precision_loss, reason = "a time of these centuries is exact as a float")]
    let (now, leeway) = (jsonwebtoken::get_current_timestamp() as f64, LEEWAY_SECONDS as f64);
    let Some(end) = claims.get("exp").and_then(Json::as_f64) else { return Some("it has no exp, or one that is no number") };
    if end < now - leeway {
        return Some("it has expired (exp)");
    }
    match claims.get("nbf") {
        None | Some(Json::Null) => None,
        Some(begin) => match begin.as_f64() {
            Some(begin) if begin <= now + leeway => None,
            Some(_) => Some("it does not hold yet (nbf)"),
            None => Some("its nbf is no number"),
        },
    }
}

impl Reloadable for Jwt {
    fn what(&self) -> &'static str {
        "keys of tokens"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn reload(&self) -> Result<(), String> {
        *self.keys.write() = Arc::new(read(self.property, &self.path)?);
        Ok(())
    }
}

fn read(property: &str, path: &Path) -> Result<Vec<Key>, String> {
    let wrong = |what: String| format!("{property}: {}: {what}", path.display());
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(wrong(format!("{size} bytes are more than any keys")));
    }
    let bytes = std::fs::read(path).map(unmarked).map_err(|error| wrong(error.to_string()))?;
    if property == JWKS_FILE { of_set(&bytes) } else { of_file(&bytes) }.map_err(wrong)
}

/// A public key as PEM, or else a secret.
fn of_file(bytes: &[u8]) -> Result<Vec<Key>, String> {
    if !bytes.windows(5).any(|window| window == b"-----") {
        let secret = bytes.trim_ascii();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!("a secret needs {MIN_SECRET_BYTES} bytes at least; or give a public key as PEM"));
        }
        let algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        return Ok(vec![Key { id: None, algorithms, key: DecodingKey::from_secret(secret) }]);
    }
    if bytes.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err("this is a private key, which belongs to whoever makes tokens; give the public one".to_owned());
    }
    let made = [
        (DecodingKey::from_rsa_pem(bytes), RSA),
        (DecodingKey::from_ec_pem(bytes), &[Algorithm::ES256, Algorithm::ES384]),
        (DecodingKey::from_ed_pem(bytes), &[Algorithm::EdDSA]),
    ];
    let key = made.into_iter().find_map(|(key, algorithms)| Some(Key { id: None, algorithms: algorithms.to_vec(), key: key.ok()? }));
    let line = bytes.split(|byte| *byte == b'\n').position(|line| line.trim_ascii().starts_with(b"-----BEGIN")).map_or(1, |at| at + 1);
    key.map(|key| vec![key]).ok_or_else(|| format!("line {line}: no public key of RSA, EC or Ed25519 in it (-----BEGIN PUBLIC KEY-----)"))
}

fn of_set(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let set: JwkSet = serde_json::from_slice(bytes).map_err(|error| format!("not a set of JSON web keys: {error}"))?;
    if set.keys.len() > MAX_KEYS {
        return Err(format!("{} keys; {MAX_KEYS} are allowed", set.keys.len()));
    }
    let keys: Vec<Key> = set.keys.iter().filter_map(of_jwk).collect();
    if keys.is_empty() { Err("no key in it that signatures can be verified with (RSA, EC, Ed25519)".to_owned()) } else { Ok(keys) }
}

/// `None`: a key of another kind or for another use. Secrets have no place in a set of public keys.
fn of_jwk(jwk: &Jwk) -> Option<Key> {
    let algorithms: &[Algorithm] = match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None) => RSA,
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => &[Algorithm::RS256],
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS384)) => &[Algorithm::RS384],
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS512)) => &[Algorithm::RS512],
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => &[Algorithm::PS256],
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS384)) => &[Algorithm::PS384],
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS512)) => &[Algorithm::PS512],
        (AlgorithmParameters::EllipticCurve(curve), _) if curve.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        (AlgorithmParameters::EllipticCurve(curve), _) if curve.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        (AlgorithmParameters::OctetKeyPair(_), _) => &[Algorithm::EdDSA],
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: jwk.common.key_id.clone(), algorithms: algorithms.to_vec(), key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    use serde_json::json;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn jwt(claim: &'static str) -> (tempfile::TempDir, Jwt) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key").display().to_string();
        std::fs::write(&path, [SECRET, b"\n"].concat()).expect("written");
        let path: &'static str = Box::leak(path.into_boxed_str());
        let set = move |name: &str| match name {
            KEY_FILE => Some(path),
            AUDIENCE => Some("tidemill"),
            ISSUER => Some("https://issuer"),
            ROLES_CLAIM => Some(claim),
            _ => None,
        };
        (folder, Jwt::from_properties(set).expect("good").expect("configured"))
    }

    fn signed(header: &Header, claims: &Json, secret: &[u8]) -> String {
        encode(header, claims, &EncodingKey::from_secret(secret)).expect("signed")
    }

    #[test]
    fn only_whole_fresh_tokens_for_us_are_good() {
        let (_folder, jwt) = jwt("realm_access.roles");
        let soon = get_current_timestamp() + 600;
        let claims = |changed: Json| {
            let mut claims =
                json!({"sub": "ann", "aud": "tidemill", "iss": "https://issuer", "exp": soon, "realm_access": {"roles": ["write", "x"]}});
            for (name, value) in changed.as_object().into_iter().flatten() {
                claims[name] = value.clone();
            }
            claims
        };
        let good = signed(&Header::default(), &claims(json!({})), SECRET);
        assert_eq!(jwt.verify(&good), Some(("ann".into(), Arc::from(["write".to_owned(), "x".to_owned()]))));
        let fraction = signed(&Header::default(), &claims(json!({"exp": soon as f64 + 0.25, "nbf": soon as f64 - 700.5})), SECRET);
        assert!(jwt.verify(&fraction).is_some(), "times may have fractions");
        for (what, changed) in [
            ("expired", json!({"exp": soon - 1_000})),
            ("no end", json!({"exp": null})),
            ("for another", json!({"aud": "other"})),
            ("for nobody", json!({"aud": null})),
            ("of another", json!({"iss": "https://evil"})),
            ("not yet", json!({"nbf": soon})),
            ("not yet, by a fraction", json!({"nbf": soon as f64 + 0.5})),
            ("expired, by a fraction", json!({"exp": soon as f64 - 1_000.5})),
            ("an end that is no time", json!({"exp": soon.to_string()})),
            ("a beginning that is no time", json!({"nbf": true})),
            ("without a name", json!({"sub": ""})),
            ("nobody's", json!({"sub": null})),
        ] {
            assert_eq!(jwt.verify(&signed(&Header::default(), &claims(changed), SECRET)), None, "{what}");
        }
        assert_eq!(jwt.verify(&signed(&Header::default(), &claims(json!({})), b"another secret of enough bytes!!")), None);
        // Not signed at all.
        let parts: Vec<&str> = good.split('.').collect();
        let none = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, br#"{"alg":"none","typ":"JWT"}"#);
        for forged in [format!("{none}.{}.", parts[1]), format!("{}.{}.", parts[0], parts[1]), good.replace('.', ""), "..".to_owned()] {
            assert_eq!(jwt.verify(&forged), None, "{forged}");
        }
        assert_eq!(jwt.verify(&"a".repeat(MAX_BYTES + 1)), None);
    }

    #[test]
    fn keys_that_would_do_harm_are_refused() {
        for (bytes, expected) in [
            (&b"short"[..], "32 bytes"),
            (b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n", "private key"),
            (b"-----BEGIN PUBLIC KEY-----\nMC4=\n-----END PUBLIC KEY-----\n", "no public key"),
        ] {
            let error = of_file(bytes).map(|_| ()).expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
        let secret_in_set = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}).to_string();
        assert!(of_set(secret_in_set.as_bytes()).is_err());
        assert!(of_set(b"{}").is_err());
        let public = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k"}]});
        let keys = of_set(public.to_string().as_bytes()).expect("a key");
        assert!(keys.len() == 1 && keys[0].algorithms == [Algorithm::EdDSA], "a public key is no secret");
    }
}
