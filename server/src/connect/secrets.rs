//! Passwords and their like among a connector's properties: what Connect says of properties may repeat them.

use std::collections::BTreeMap;

use super::Settings;
use crate::config::is_secret;

/// Shown in the place of a secret.
const HIDDEN: &str = "[hidden]";
/// Secrets of fewer characters are looked for as whole words only: else they would be found everywhere.
const SHORT: usize = 4;

/// Whether a property's value is nobody's business, by its name or because an address holds a password. A reference to where
/// Connect finds the secret (`${file:…}`) is none.
fn holds_secret(name: &str, value: &str) -> bool {
    let is_reference = value.starts_with("${") && value.ends_with('}');
    let lower = value.to_ascii_lowercase();
    let in_address = value.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('@')));
    !is_reference && (is_secret(name) || lower.contains("password=") || in_address)
}

/// A text without the secrets of a connector's properties.
pub fn hide(mut text: String, settings: &Settings) -> String {
    for (name, value) in settings {
        let secret = value.trim();
        if secret.is_empty() || !holds_secret(name, value) {
            continue;
        }
        text = if secret.chars().count() >= SHORT { text.replace(secret, HIDDEN) } else { hide_word(&text, secret) };
    }
    text
}

fn hide_word(text: &str, word: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut shown, mut end) = (String::with_capacity(text.len()), 0);
    for (at, _) in text.match_indices(word) {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        if !is_part(before) && !is_part(after) {
            shown += text.get(end..at).unwrap_or("");
            shown += HIDDEN;
            end = at + word.len();
        }
    }
    shown + text.get(end..).unwrap_or("")
}

/// Hides the secrets among properties that Connect gave back.
pub fn hide_secrets(config: &mut BTreeMap<String, Option<String>>) {
    for (name, value) in config {
        if value.as_deref().is_some_and(|v| holds_secret(name, v)) {
            *value = Some(HIDDEN.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let settings: Settings = [
            ("connection.password", "pass-word"),
            ("sasl.jaas.config", "x"),
            ("connection.url", "jdbc:x://db/a?user=me&password=12345"),
            ("api.token", "${file:/secrets:token}"),
            ("tasks.max", "many"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let said = "Invalid value many for tasks.max; {connection.password=pass-word, sasl.jaas.config=x}, \
                    jdbc:x://db/a?user=me&password=12345 ${file:/secrets:token}";
        assert_eq!(
            hide(said.to_owned(), &settings),
            "Invalid value many for tasks.max; {connection.password=[hidden], sasl.jaas.config=[hidden]}, [hidden] ${file:/secrets:token}"
        );
        let mut config = settings.into_iter().map(|(name, value)| (name, Some(value))).collect();
        hide_secrets(&mut config);
        let hidden: Vec<&str> = config.iter().filter(|(_, v)| v.as_deref() == Some(HIDDEN)).map(|(name, _)| name.as_str()).collect();
        assert_eq!(hidden, ["connection.password", "connection.url", "sasl.jaas.config"]);
    }
}
