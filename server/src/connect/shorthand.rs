//! A convenience of ksqlDB's for the JDBC source connector.

use super::{CLASS, Settings};

const JDBC_SOURCE: &str = "io.confluent.connect.jdbc.JdbcSourceConnector";

/// The properties as Connect gets them. For a JDBC source, `key` names the column that becomes the records' key, by two
/// transforms, and there is one task where nothing else is said.
pub fn resolve(mut settings: Settings) -> Settings {
    if settings.get(CLASS).map(String::as_str) != Some(JDBC_SOURCE) {
        return settings;
    }
    if let Some(key) = settings.remove("key") {
        const TRANSFORMS: &str = "ksqlCreateKey,ksqlExtractString";
        let transforms = match settings.get("transforms") {
            Some(others) => format!("{others},{TRANSFORMS}"),
            None => TRANSFORMS.to_owned(),
        };
        for (name, value) in [
            ("transforms", transforms),
            ("transforms.ksqlCreateKey.type", "org.apache.kafka.connect.transforms.ValueToKey".to_owned()),
            ("transforms.ksqlCreateKey.fields", key.clone()),
            ("transforms.ksqlExtractString.type", "org.apache.kafka.connect.transforms.ExtractField$Key".to_owned()),
            ("transforms.ksqlExtractString.field", key),
        ] {
            settings.insert(name.to_owned(), value);
        }
    }
    settings.entry("tasks.max".to_owned()).or_insert_with(|| "1".to_owned());
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(of: &[(&str, &str)]) -> Settings {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_key_becomes_transforms() {
        let resolved = resolve(settings(&[(CLASS, JDBC_SOURCE), ("key", "id"), ("transforms", "mine")]));
        assert_eq!(resolved["transforms"], "mine,ksqlCreateKey,ksqlExtractString");
        assert_eq!((resolved["transforms.ksqlCreateKey.fields"].as_str(), resolved["tasks.max"].as_str()), ("id", "1"));
        assert!(!resolved.contains_key("key"));
        let other = settings(&[(CLASS, "X"), ("key", "id")]);
        assert_eq!(resolve(other.clone()), other);
    }
}
