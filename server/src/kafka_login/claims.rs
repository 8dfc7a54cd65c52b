//! What a token says of itself. It is the broker that verifies it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json};

/// The claims of a JWT.
pub(super) struct Claims(Map<String, Json>);

impl Claims {
    /// `None`: not a JWT, which only the broker understands.
    pub fn of(token: &str) -> Option<Claims> {
        let mut parts = token.split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        match serde_json::from_slice(&bytes).ok()? {
            Json::Object(claims) => Some(Claims(claims)),
            _ => None,
        }
    }

    /// When the token ends, milliseconds since the epoch.
    pub fn ends_ms(&self) -> Option<i64> {
        let exp = self.0.get("exp")?.as_f64()?;
        // A float beyond the range becomes the range's end.
        exp.is_finite().then_some((exp * 1000.0) as i64)
    }

    pub fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_end_is_read_and_nothing_else_is_asked_of_it() {
        let token = |claims: &str| format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims));
        let claims = Claims::of(&token(r#"{"sub":"me","exp":1700000000.5}"#)).expect("a JWT");
        assert_eq!((claims.ends_ms(), claims.text("sub")), (Some(1_700_000_000_500), Some("me")));
        assert_eq!(Claims::of(&token(r#"{"exp":1e300}"#)).and_then(|claims| claims.ends_ms()), Some(i64::MAX));
        assert_eq!(Claims::of(&token(r#"{"exp":-1e300}"#)).and_then(|claims| claims.ends_ms()), Some(i64::MIN));
        assert_eq!(Claims::of(&token(r#"{"exp":"soon"}"#)).and_then(|claims| claims.ends_ms()), None);
        for nonsense in ["", "opaque", "a.b.c", "a..c", &token("[1]"), &token("{")] {
            assert!(Claims::of(nonsense).is_none(), "{nonsense}");
        }
    }
}
