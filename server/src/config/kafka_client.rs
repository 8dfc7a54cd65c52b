//! Java's names for the connection to Kafka, turned into librdkafka's.

use std::collections::BTreeMap;

/// The client's properties from those that are set, by bare name.
///
/// # Errors
/// A login that can't be read.
pub fn client_properties(get: impl Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, String> {
    let mut client = BTreeMap::new();
    for name in [
        "security.protocol",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "client.rack",
    ] {
        if let Some(value) = get(name) {
            let value = match (name, value.as_str()) {
                ("ssl.endpoint.identification.algorithm", "") => "none".to_owned(),
                _ => value,
            };
            client.insert(name.to_owned(), value);
        }
    }
    if let Some(mechanism) = get("sasl.mechanism") {
        client.insert("sasl.mechanism".to_owned(), mechanism);
    }
    if let Some(login) = get("sasl.jaas.config") {
        let field = |name: &str| jaas_field(&login, name);
        let (Some(user), Some(password)) = (field("username"), field("password")) else {
            return Err("sasl.jaas.config: only logins with username=\"…\" password=\"…\" can be read; \
                        set sasl.username and sasl.password instead"
                .to_owned());
        };
        client.insert("sasl.username".to_owned(), user);
        client.insert("sasl.password".to_owned(), password);
    }
    Ok(client)
}

/// The value in `name="value"`.
fn jaas_field(login: &str, name: &str) -> Option<String> {
    let (_, rest) = login.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_login_is_read() {
        let set = BTreeMap::from([
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p w\";"),
        ]);
        let client = client_properties(|name| set.get(name).map(|v| (*v).to_owned())).expect("reads");
        assert_eq!(client.get("sasl.username").map(String::as_str), Some("u"));
        assert_eq!(client.get("sasl.password").map(String::as_str), Some("p w"));
        assert!(client_properties(|name| (name == "sasl.jaas.config").then(|| "Krb5LoginModule required;".to_owned())).is_err());
    }
}
