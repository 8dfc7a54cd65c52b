//! Logins: `sasl.jaas.config`, a line of Java's login modules, or a name and a password.

use std::collections::BTreeMap;

use super::uses_sasl;

/// The mechanism of logins by tokens.
const TOKENS: &str = "OAUTHBEARER";
const TOKEN_MODULE: &str = "OAuthBearerLoginModule";

/// Whether the mechanism is that of tokens.
pub(super) fn is_by_tokens(set: &BTreeMap<&str, &str>) -> bool {
    set.get("sasl.mechanism").is_some_and(|mechanism| mechanism.eq_ignore_ascii_case(TOKENS))
}

/// The clients' properties for the login. Nothing that is returned as an error holds a part of the line but the module.
///
/// # Errors
/// A mechanism or a module that there is no support for, or a line that can't be read.
pub(super) fn login(set: &BTreeMap<&str, &str>) -> Result<Vec<(&'static str, String)>, String> {
    let mut found = Vec::new();
    let by_tokens = is_by_tokens(set);
    for name in ["security.protocol", "sasl.username", "sasl.password"] {
        if let Some(value) = set.get(name) {
            found.push((name, (*value).to_owned()));
        }
    }
    if let Some(mechanism) = set.get("sasl.mechanism") {
        found.push(("sasl.mechanism", if by_tokens { TOKENS.to_owned() } else { (*mechanism).to_owned() }));
    } else if uses_sasl(set) {
        return Err(format!(
            "sasl.mechanism is not set, and security.protocol={} needs it: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
            set.get("security.protocol").copied().unwrap_or_default()
        ));
    }
    if let Some(line) = set.get("sasl.jaas.config").filter(|line| !line.is_empty() && !by_tokens) {
        let (user, password) = read(line)?;
        found.push(("sasl.username", user));
        found.push(("sasl.password", password));
    }
    Ok(found)
}

/// The name and the password of a line `Module required name="value" …;`.
fn read(line: &str) -> Result<(String, String), String> {
    let words = words(line).ok_or("sasl.jaas.config: a quote is not closed")?;
    let module = words.first().cloned().unwrap_or_default();
    let name = module.rsplit('.').next().unwrap_or_default();
    if !matches!(name, "PlainLoginModule" | "ScramLoginModule") {
        if name == TOKEN_MODULE {
            return Err(format!("sasl.jaas.config: {name} is used with sasl.mechanism={TOKENS}, which is not set"));
        }
        return Err(format!(
            "sasl.jaas.config: {name} can't be used; PlainLoginModule and ScramLoginModule can, or set sasl.username and sasl.password"
        ));
    }
    let option = |wanted: &str| words.iter().find_map(|word| word.strip_prefix(wanted)?.strip_prefix('=')).map(str::to_owned);
    let missing = |wanted: &str| format!("sasl.jaas.config: {name} needs {wanted}=\"…\"");
    Ok((option("username").ok_or_else(|| missing("username"))?, option("password").ok_or_else(|| missing("password"))?))
}

/// The options of a line `OAuthBearerLoginModule required name="value" …;`, none where there is no line.
///
/// # Errors
/// Another module, or a line that can't be read.
pub(super) fn token_options(set: &BTreeMap<&str, &str>) -> Result<BTreeMap<String, String>, String> {
    let Some(line) = set.get("sasl.jaas.config").filter(|line| !line.is_empty()) else { return Ok(BTreeMap::new()) };
    let words = words(line).ok_or("sasl.jaas.config: a quote is not closed")?;
    let name = words.first().and_then(|module| module.rsplit('.').next()).unwrap_or_default();
    if name != TOKEN_MODULE {
        return Err(format!("sasl.jaas.config: {name} can't be used with sasl.mechanism={TOKENS}, which is of {TOKEN_MODULE}"));
    }
    let options = words.iter().skip(1).filter_map(|word| word.split_once('='));
    Ok(options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The words of a line, quotes and the final semicolon taken off; `None`: a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => word.extend(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() || c == ';' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_modules_are_read() {
        for line in [
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u s\" password=\"p;w\";",
            "org.apache.kafka.common.security.scram.ScramLoginModule required\n  username='u s'\n  password='p;w';",
            "org.apache.kafka.common.security.plain.PlainLoginModule required serviceName=\"x\" password=\"p;w\" username=\"u s\" ;",
        ] {
            assert_eq!(read(line), Ok(("u s".to_owned(), "p;w".to_owned())), "{line}");
        }
        let escaped = "a.ScramLoginModule required username=u password=\"a\\\"b\\\\c\"";
        assert_eq!(read(escaped), Ok(("u".to_owned(), "a\"b\\c".to_owned())));
    }

    #[test]
    fn others_are_refused_without_a_word_of_the_secret() {
        for (line, expected) in [
            ("com.sun.security.auth.module.Krb5LoginModule required password=\"hush\";", "Krb5LoginModule"),
            ("x.PlainLoginModule required password=\"hush\";", "needs username"),
            ("x.PlainLoginModule required username=\"u\" password=\"hush", "a quote is not closed"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(expected) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn options_of_the_token_module_are_read() {
        let line = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=me clientSecret=\"a=b;c\" extension_x='1';";
        let set = BTreeMap::from([("sasl.jaas.config", line)]);
        let options = token_options(&set).expect("read");
        assert_eq!(options["clientSecret"], "a=b;c");
        assert_eq!(options.keys().map(String::as_str).collect::<Vec<_>>(), ["clientId", "clientSecret", "extension_x"]);
        assert!(read(line).expect_err("PLAIN has no such module").contains("sasl.mechanism=OAUTHBEARER"));
        let other = BTreeMap::from([("sasl.jaas.config", "x.PlainLoginModule required password=hush;")]);
        let error = token_options(&other).expect_err("another module");
        assert!(error.contains("PlainLoginModule can't be used with") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn a_mechanism_must_be_said() {
        let set = BTreeMap::from([("security.protocol", "SASL_SSL"), ("sasl.username", "u")]);
        assert!(login(&set).expect_err("refused").contains("sasl.mechanism"));
    }
}
