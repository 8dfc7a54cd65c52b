//! What is promised, and what may be: a value that asks for more than the log keeps is refused, not noted and forgotten.

use super::streams;

/// Why a property's value asks for a protection that this log does not give; `None`: it does not, or the log gives it.
pub fn broken_promise(name: &str, value: &str, on_kafka: bool) -> Option<String> {
    let value = value.trim();
    let copies = |what: &str| {
        let more = value.parse::<i64>().is_ok_and(|copies| copies > 1);
        (!on_kafka && more)
            .then(|| format!("{name}={value} can't be kept: the embedded log keeps one copy of {what}. Set bootstrap.servers to use Kafka"))
    };
    match (name, streams::bare(name)) {
        ("ksql.internal.topic.replicas" | "ksql.internal.topic.min.insync.replicas", _) => copies("the command topic"),
        ("ksql.logging.processing.topic.replication.factor", _) => copies("each topic"),
        (_, "replication.factor") => copies("each topic"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_kept_where_there_are_several_brokers() {
        for name in ["ksql.internal.topic.replicas", "ksql.internal.topic.min.insync.replicas", "ksql.streams.replication.factor"] {
            assert_eq!(broken_promise(name, "3", true), None, "{name}");
            assert_eq!(broken_promise(name, "1", false), None, "{name}");
            assert!(broken_promise(name, "3", false).is_some(), "{name}");
        }
    }
}
