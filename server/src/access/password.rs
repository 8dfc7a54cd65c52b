//! Passwords as they are kept, and how one is compared with what was given.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use md5::{Digest, Md5};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

/// Memory that a hash in a file may ask for, KiB, and passes over it: more would be a way to keep the server busy.
const MAX_MEMORY_KIB: u32 = 256 << 10;
const MAX_PASSES: u32 = 16;
/// The longest password that is looked at, bytes.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// How a token's hash begins in a file.
const SHA256: &str = "sha256:";

/// A password as a file has it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Plain(String),
    /// Of Jetty: `MD5:` and the hash in hexadecimal.
    Md5([u8; 16]),
    /// `$argon2id$…`
    Argon2(String),
}

impl Credential {
    /// # Errors
    /// It is none that can be compared with; nothing of it is said.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(hash) = text.strip_prefix("MD5:") {
            let bytes = hex_bytes(hash).and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Credential::Md5).ok_or_else(|| "MD5: is followed by 32 hexadecimal digits".to_owned());
        }
        if let Some(obfuscated) = text.strip_prefix("OBF:") {
            return clear(obfuscated).map(Credential::Plain).ok_or_else(|| "what follows OBF: can't be read".to_owned());
        }
        if is_hash_of_token(text) {
            // Taken for a password in clear, it would let in whoever has read the file of tokens.
            return Err("this is a token's hash: tokens stand in the file that tidemill.auth.tokens.file names".to_owned());
        }
        if text.starts_with("CRYPT:") {
            return Err("hashes of crypt(3) are not read; make one by 'tidemill user add'".to_owned());
        }
        if !text.starts_with('$') {
            return Ok(Credential::Plain(text.to_owned()));
        }
        let hash = PasswordHash::new(text).map_err(|error| format!("the hash can't be read ({error}); make one by 'tidemill user add'"))?;
        let is_argon2 = Algorithm::try_from(hash.algorithm).is_ok();
        let params = Params::try_from(&hash).ok().filter(|p| p.m_cost() <= MAX_MEMORY_KIB && p.t_cost() <= MAX_PASSES);
        match params {
            Some(_) if is_argon2 && hash.salt.is_some() && hash.hash.is_some() => Ok(Credential::Argon2(text.to_owned())),
            _ => Err("the hash is none of argon2, or asks for too much; make one by 'tidemill user add'".to_owned()),
        }
    }

    /// Whether it is cheap to find the password by trying.
    pub fn is_weak(&self) -> bool {
        !matches!(self, Credential::Argon2(_))
    }

    /// Whether this is the password. Takes its time where it is a hash of argon2.
    pub fn is(&self, password: &str) -> bool {
        match self {
            Credential::Plain(own) => same(own.as_bytes(), password.as_bytes()),
            Credential::Md5(own) => same(own, &Md5::digest(password.as_bytes())),
            Credential::Argon2(own) => {
                PasswordHash::new(own).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            }
        }
    }
}

/// A password's hash, as a file keeps it.
///
/// # Errors
/// The system gives no randomness.
pub fn hashed(password: &str) -> Result<String, String> {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no random numbers".to_owned())?;
    let salt = SaltString::encode_b64(&random).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    argon2.hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// A token as a file keeps it. Tokens are long and random, so a plain hash is enough.
pub fn fingerprint_of_token(token: &str) -> String {
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    let digits: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{SHA256}{digits}")
}

/// Whether this is how a file keeps a password that is not to be read.
pub fn is_hash_of_password(text: &str) -> bool {
    ["$", "MD5:", "OBF:", "CRYPT:"].iter().any(|prefix| text.starts_with(prefix))
}

/// Whether this is how a file keeps a token that is not to be read.
pub fn is_hash_of_token(text: &str) -> bool {
    text.starts_with(SHA256)
}

/// The hash of a token, by what a file has: the hash, or the token itself.
pub fn token_hash(text: &str) -> Option<[u8; 32]> {
    match text.strip_prefix(SHA256) {
        Some(digits) => hex_bytes(digits)?.try_into().ok(),
        None => digest::digest(&digest::SHA256, text.as_bytes()).as_ref().try_into().ok(),
    }
}

/// Compares in constant time: as hashes with a key that nobody knows.
fn same(one: &[u8], other: &[u8]) -> bool {
    let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else { return false };
    hmac::verify(&key, one, hmac::sign(&key, other).as_ref()).is_ok()
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Jetty's obfuscation: each byte as four digits of base 36, which hold it twice, once mixed with the byte from the other end;
/// where `U` stands before them it is the upper half alone.
fn clear(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, is_single) = match rest.strip_prefix('U') {
            Some(after) => (after, true),
            None => (rest, false),
        };
        let (group, after) = digits.split_at_checked(4)?;
        let number = i32::from_str_radix(group, 36).ok()?;
        let byte = if is_single { number >> 8 } else { (number / 256 + number % 256 - 254) / 2 };
        bytes.push(u8::try_from(byte & 0xff).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_all_kinds_are_compared() {
        let argon2 = hashed("hunter2").expect("hashed");
        assert!(argon2.starts_with("$argon2id$v=19$"), "{argon2}");
        assert_ne!(argon2, hashed("hunter2").expect("hashed"), "each has its salt");
        for (kept, weak) in [("hunter2", true), ("MD5:2ab96390c7dbe3439de74d0c9b0b1767", true), (argon2.as_str(), false)] {
            let credential = Credential::read(kept).unwrap_or_else(|e| panic!("{kept}: {e}"));
            assert!(credential.is("hunter2") && !credential.is("hunter3") && !credential.is(""), "{kept}");
            assert_eq!(credential.is_weak(), weak);
        }
        // The example of Jetty's documentation.
        assert!(Credential::read("OBF:1vny1zlo1x8e1vnw1vn61x8g1zlu1vn4").is_ok_and(|credential| credential.is("storepwd")));
        for wrong in
            ["MD5:xyz", "MD5:", "CRYPT:adpexzg3FUZAk", "OBF:!", "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "$2y$10$abc"]
        {
            assert!(Credential::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_known_by_their_hash() {
        assert_eq!(token_hash(&fingerprint_of_token("abc")), token_hash("abc"));
        assert_ne!(token_hash("abc"), token_hash("abd"));
        assert!(token_hash("sha256:zz").is_none() && token_hash("sha256:00").is_none());
    }
}
