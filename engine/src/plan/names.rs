//! Names of internal topics, as ksqlDB gives them: operators find the topics of an earlier server, and tools that watch
//! topics by name go on working.

/// What the names of internal topics begin with.
const INTERNAL: &str = "_confluent-ksql-";

/// Gives names to the internal topics of one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// For a persistent query.
    pub fn persistent(service_id: &str, query_id: &str) -> Self {
        Names { prefix: format!("{INTERNAL}{service_id}query_{query_id}") }
    }

    /// For a push query.
    pub fn transient(service_id: &str, query_id: &str) -> Self {
        Names { prefix: format!("{INTERNAL}{service_id}transient_{query_id}") }
    }

    /// What the names of all topics of the query begin with; also its consumer group.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The repartition topic of a step.
    pub fn repartition(&self, step: &str) -> String {
        format!("{}-{step}-repartition", self.prefix)
    }

    /// Another topic between two steps.
    pub fn internal(&self, step: &str) -> String {
        format!("{}-{step}-topic", self.prefix)
    }

    /// The changelog topic of a store.
    pub fn changelog(&self, store: &str) -> String {
        format!("{}-{store}-changelog", self.prefix)
    }
}

/// The step that groups, as it stands in the name of its repartition topic.
pub const GROUP_BY: &str = "Aggregate-GroupBy";
/// The store of an aggregation.
pub const AGGREGATE_STORE: &str = "Aggregate-Aggregate-Materialize";
/// The store in which EMIT FINAL holds windows.
pub const SUPPRESS_STORE: &str = "AggregateSuppress";
/// The store of a table that is read alone.
pub const TABLE_STORE: &str = "KsqlTopic-Reduce";

/// The store of a table on the left side of the join with that prefix.
pub fn join_left_table_store(join_prefix: &str) -> String {
    format!("KafkaTopic_{join_prefix}Left-Reduce")
}

/// The store of a table on the right side of the join with that prefix (`L_` for the first of three sources, …).
pub fn join_table_store(join_prefix: &str) -> String {
    format!("KafkaTopic_{join_prefix}Right-Reduce")
}

/// The join with that prefix, as it stands in the name of the repartition topic of its stream.
pub fn join(join_prefix: &str) -> String {
    format!("{join_prefix}Join")
}

/// A side of the join with that prefix, as it stands in the name of the repartition topic of one of its streams.
pub fn join_side(join_prefix: &str, side: &str) -> String {
    format!("{join_prefix}Join-{side}")
}

/// A table on one side (`Left`, `Right`) of a join that needs its key in another format: as it stands in the name of its
/// topic, and the store behind that.
pub fn rekeyed_table(join_prefix: &str, side: &str) -> (String, String) {
    (format!("{join_prefix}{side}SourceKeyed-SelectKey"), format!("{join_prefix}{side}SourceKeyed-Materialize"))
}

/// The stores of the left side, the right side and the held rows of a join of streams. Kafka Streams numbers them by the
/// processors that stand before them: `first_node` is the number of the one that buffers the left side.
pub fn stream_join_stores(first_node: usize, kind: super::JoinKind) -> [String; 3] {
    use super::JoinKind::{Full, Inner, Left, Right};
    let this = if kind == Full { "OUTERTHIS" } else { "JOINTHIS" };
    let other = if kind == Inner { "JOINOTHER" } else { "OUTEROTHER" };
    let store = |name: &str, node: usize| format!("KSTREAM-{name}-{node:010}-store");
    let (this, other) = (store(this, first_node + 2), store(other, first_node + 3));
    // A RIGHT join is a LEFT join with the sides exchanged.
    let (left, right) = match kind {
        Right => (other, this),
        Inner | Left | Full => (this, other),
    };
    [left, right, store("OUTERSHARED", first_node + 2)]
}

/// The topics and stores of a join on a foreign key, numbered as Kafka Streams numbers them: messages from the left,
/// results for it, the left's rows by foreign key, the results by the left's key.
pub fn foreign_key_join(first_node: usize) -> [String; 4] {
    let name = |what: &str, node: usize| format!("KTABLE-FK-JOIN-{what}-{node:010}");
    [
        name("SUBSCRIPTION-REGISTRATION", first_node),
        name("SUBSCRIPTION-RESPONSE", first_node + 8),
        name("SUBSCRIPTION-STATE-STORE", first_node + 4),
        name("OUTPUT-STATE-STORE", first_node + 12),
    ]
}

/// The store that numbers the changes of the left of a join on a foreign key: by the topic of its messages. Kafka Streams
/// has none, so its name says whose it is.
pub fn foreign_key_versions(messages_topic: &str) -> String {
    let node = messages_topic.strip_suffix("-topic").and_then(|name| name.rsplit('-').next()).unwrap_or(messages_topic);
    format!("TIDEMILL-FK-JOIN-VERSIONS-{node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ksqldbs() {
        let names = Names::persistent("default_", "CTAS_T_0");
        for (name, expected) in [
            (names.repartition(GROUP_BY), "_confluent-ksql-default_query_CTAS_T_0-Aggregate-GroupBy-repartition"),
            (names.changelog(AGGREGATE_STORE), "_confluent-ksql-default_query_CTAS_T_0-Aggregate-Aggregate-Materialize-changelog"),
            (names.repartition(&join("")), "_confluent-ksql-default_query_CTAS_T_0-Join-repartition"),
            (names.changelog(&join_table_store("")), "_confluent-ksql-default_query_CTAS_T_0-KafkaTopic_Right-Reduce-changelog"),
            (names.changelog(&join_table_store("L_")), "_confluent-ksql-default_query_CTAS_T_0-KafkaTopic_L_Right-Reduce-changelog"),
            (foreign_key_versions(&names.internal(&foreign_key_join(7)[0])), "TIDEMILL-FK-JOIN-VERSIONS-0000000007"),
            (names.changelog(TABLE_STORE), "_confluent-ksql-default_query_CTAS_T_0-KsqlTopic-Reduce-changelog"),
            (
                Names::transient("default_", "transient_S_7").repartition(GROUP_BY),
                "_confluent-ksql-default_transient_transient_S_7-Aggregate-GroupBy-repartition",
            ),
        ] {
            assert_eq!(name, expected);
        }
    }
}
