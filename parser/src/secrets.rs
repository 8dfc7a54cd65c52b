//! Which properties hold secrets, by their names: for what shows properties, and for what shows statements that set them.

/// Parts of names whose values are nobody's business.
const SECRET_PARTS: [&str; 10] =
    ["key.pem", "password", "secret", "jaas", "token", "credential", "user.info", "passphrase", "license", "keystore.key"];
/// Names that contain one of them and hold no secret.
const NOT_SECRET: [&str; 6] = [
    "auth.tokens.file",
    "continuation.tokens",
    "token.endpoint.url",
    "auth.credentials.source",
    "basic.auth.credentials.reload",
    "credentials.file",
];

/// Whether the name of a property says that its value is a secret.
pub fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| lower.contains(part)) && !NOT_SECRET.iter().any(|part| lower.contains(part))
}
