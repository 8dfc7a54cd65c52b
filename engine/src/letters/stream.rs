//! The stream over the letters' topic: what is said in headers are columns with types.

use super::letter;
use crate::row::Header;
use crate::types::{SqlType, Value};

/// The stream that the first start declares where a topic for letters is set.
pub const LETTER_STREAM: &str = "KSQL_DEAD_LETTERS";

/// Our headers, and what their text stands for.
static HEADERS: [(&str, &str, SqlType); 11] = [
    ("query_id", letter::QUERY, SqlType::String),
    ("task", letter::TASK, SqlType::Int),
    ("source_topic", letter::TOPIC, SqlType::String),
    ("source_partition", letter::PARTITION, SqlType::Int),
    ("source_offset", letter::OFFSET, SqlType::BigInt),
    ("source_time", letter::TIMESTAMP, SqlType::BigInt),
    ("kind", letter::KIND, SqlType::String),
    ("part", letter::PART, SqlType::String),
    ("reason", letter::REASON, SqlType::String),
    ("attempt", letter::ATTEMPT, SqlType::Int),
    ("omitted", letter::OMITTED, SqlType::BigInt),
];

/// Columns of [`LETTER_STREAM`], as SQL. The formats of key and value are KAFKA: bytes as they are.
pub fn stream_columns() -> String {
    let mut columns = "record_key BYTES KEY, record_value BYTES".to_owned();
    for (column, header, sql_type) in &HEADERS {
        columns.push_str(&format!(", {column} {sql_type} HEADER('{header}')"));
    }
    columns.push_str(", headers ARRAY<STRUCT<key VARCHAR, value BYTES>> HEADERS");
    columns
}

/// The type that a column of this header may have besides BYTES, where it is one of ours.
pub fn header_type(header: &str) -> Option<&'static SqlType> {
    HEADERS.iter().find(|(_, name, _)| *name == header).map(|(.., sql_type)| sql_type)
}

/// The last header of a name as a value of a type; null where its text is none.
pub fn typed(key: &str, sql_type: &SqlType, headers: &[Header]) -> Value {
    let found = headers.iter().rev().find(|header| header.key == key).and_then(|header| header.value.as_deref());
    let Some(text) = found.and_then(|bytes| std::str::from_utf8(bytes).ok()) else { return Value::Null };
    match sql_type {
        SqlType::Int => text.parse().map_or(Value::Null, Value::Int),
        SqlType::BigInt => text.parse().map_or(Value::Null, Value::BigInt),
        SqlType::String => Value::string(text),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_s_columns_need_no_quotes() {
        let text = format!("CREATE STREAM {LETTER_STREAM} ({}) WITH (KAFKA_TOPIC='t', FORMAT='KAFKA');", stream_columns());
        tidemill_parser::parse_statement(&text).unwrap();
        for (column, ..) in &HEADERS {
            tidemill_parser::parse_statement(&format!("SELECT {column} FROM s;")).unwrap();
        }
    }

    #[test]
    fn what_is_no_number_is_null() {
        let headers = |text: &str| [Header { key: "k".into(), value: Some(text.into()) }];
        assert_eq!(typed("k", &SqlType::BigInt, &headers("-7")), Value::BigInt(-7));
        assert_eq!(typed("k", &SqlType::Int, &headers("7000000000")), Value::Null);
        assert_eq!(typed("other", &SqlType::String, &headers("x")), Value::Null);
    }
}
