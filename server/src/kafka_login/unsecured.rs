//! Tokens without a signature (`unsecuredLogin…` of Java's login module), which brokers take where they are set up for tests.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json, json};

/// What such a token says.
#[derive(Clone, PartialEq)]
pub(super) struct Unsecured {
    pub claims: Map<String, Json>,
    pub life: Duration,
}

/// A token that holds from now on.
pub(super) fn token(unsecured: &Unsecured, now_ms: i64) -> String {
    let mut claims = unsecured.claims.clone();
    let life_ms = i64::try_from(unsecured.life.as_millis()).unwrap_or(i64::MAX);
    claims.insert("iat".to_owned(), json!(seconds(now_ms)));
    claims.insert("exp".to_owned(), json!(seconds(now_ms.saturating_add(life_ms))));
    let encoded = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(&Json::Object(claims)))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::claims::Claims;
    use super::*;

    #[test]
    fn a_token_says_who_and_until_when() {
        let claims = Map::from_iter([("sub".to_owned(), json!("anna"))]);
        let made = token(&Unsecured { claims, life: Duration::from_millis(2_500) }, 1_700_000_000_000);
        let claims = Claims::of(&made).expect("a JWT");
        assert_eq!((claims.text("sub"), claims.ends_ms()), (Some("anna"), Some(1_700_000_002_500)));
        assert!(made.ends_with('.'), "no signature: {made}");
    }
}
