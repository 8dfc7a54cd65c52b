//! The words of the dialect: which are reserved, and which may also name a column or a source.
//!
//! Read by the identifier rule of the grammar, by printing (what needs back-quotes) and by the shell's completion.

/// Words that can name something only when quoted.
const RESERVED: &[&str] = &[
    "ADVANCE",
    "ALL",
    "AND",
    "AS",
    "AT",
    "BEGINNING",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CATALOG",
    "CONNECTOR",
    "CONNECTORS",
    "CREATE",
    "DAYS",
    "DECIMAL",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "EXPORT",
    "EXTENDED",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "HOPPING",
    "HOURS",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "LOAD",
    "MATERIALIZED",
    "MILLISECOND",
    "MILLISECONDS",
    "MINUTES",
    "MONTHS",
    "NAMESPACE",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "OUTER",
    "PRINT",
    "PROPERTIES",
    "QUERIES",
    "QUERY",
    "RENAME",
    "RETENTION",
    "RIGHT",
    "RUN",
    "SAMPLE",
    "SCRIPT",
    "SECONDS",
    "SELECT",
    "SIZE",
    "STREAM",
    "STREAMS",
    "TABLE",
    "TERMINATE",
    "THEN",
    "TO",
    "TOPIC",
    "TOPICS",
    "TRUE",
    "TUMBLING",
    "UNSET",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
    "YEARS",
];

/// Words with a meaning in some place that are ordinary names everywhere else.
const NON_RESERVED: &[&str] = &[
    "ADD",
    "ALTER",
    "ANALYZE",
    "ARRAY",
    "ASSERT",
    "CHANGES",
    "COLUMN",
    "COLUMNS",
    "DATE",
    "DAY",
    "DEFINE",
    "EMIT",
    "ESCAPE",
    "EXPLAIN",
    "FINAL",
    "FUNCTION",
    "FUNCTIONS",
    "GRACE",
    "HEADER",
    "HEADERS",
    "HOUR",
    "ID",
    "IF",
    "INTEGER",
    "INTERVAL",
    "KEY",
    "MAP",
    "MINUTE",
    "MONTH",
    "PARTITION",
    "PARTITIONS",
    "PAUSE",
    "PERIOD",
    "PLUGINS",
    "PRIMARY",
    "REPLACE",
    "RESET",
    "RESUME",
    "SCHEMA",
    "SECOND",
    "SESSION",
    "SET",
    "SHOW",
    "SINK",
    "SOURCE",
    "STRING",
    "STRUCT",
    "SUBJECT",
    "SYSTEM",
    "TABLES",
    "TIME",
    "TIMEOUT",
    "TIMESTAMP",
    "TYPE",
    "TYPES",
    "UNDEFINE",
    "VARIABLES",
    "YEAR",
    "ZONE",
];

/// Names of the built-in types that are not keywords of the grammar.
const TYPE_NAMES: &[&str] = &["BIGINT", "BOOLEAN", "BYTES", "DOUBLE", "INT", "VARCHAR"];

/// Every word with a meaning in the dialect (for completion), upper-case and in alphabetical order.
pub fn keywords() -> &'static [&'static str] {
    static ALL: std::sync::OnceLock<Vec<&'static str>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<&str> = [RESERVED, NON_RESERVED, TYPE_NAMES].concat();
        all.sort_unstable();
        all
    })
}

/// Whether a word, in upper case, can name something only when quoted.
pub(crate) fn is_reserved(upper: &str) -> bool {
    RESERVED.binary_search(&upper).is_ok()
}

/// The names of the functions whose first argument is a unit, so that `DAY` there is a unit and not a column.
pub(crate) fn takes_unit(function: &str) -> bool {
    matches!(function, "DATEADD" | "DATESUB" | "TIMEADD" | "TIMESUB" | "TIMESTAMPADD" | "TIMESTAMPSUB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_apart() {
        for list in [RESERVED, NON_RESERVED, TYPE_NAMES] {
            assert!(list.is_sorted(), "binary search needs order");
        }
        assert!(NON_RESERVED.iter().chain(TYPE_NAMES).all(|w| !is_reserved(w)));
        assert!(is_reserved("SELECT") && !is_reserved("TIMESTAMP") && !is_reserved("VALUE"));
        assert!(keywords().contains(&"TUMBLING") && keywords().contains(&"EMIT"));
    }
}
