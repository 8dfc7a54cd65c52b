//! The forms of a query's answer: lines, one JSON array, and ksqlDB's older array of `header`, `row` and `finalMessage`
//! objects, whose rows may also be Protocol Buffers. Each form says what stands before, between and behind the rows.

use hyper::header::HeaderValue;
use serde::Serialize;
use tidemill_engine::formats::{Format, SchemaShape, by_name};
use tidemill_engine::types::text::write_base64;
use tidemill_engine::types::{Column, SqlType, Value};

use super::json::{RowWriter, string};
use super::protobuf;
use crate::entities::{Field, FieldKind, SchemaInfo};
use crate::error::ApiError;
use crate::reply::to_json;

/// How rows are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// `application/vnd.ksqlapi.delimited.v1`: a line for the header, a line for each row.
    Delimited,
    /// `application/json`: one array, the header first.
    JsonArray,
    /// `application/vnd.ksql.v1+json`: one array of objects.
    KsqlV1,
    /// `application/vnd.ksql.v1+protobuf`: the same with the rows as messages in base64, and their schema in the header.
    KsqlV1Protobuf,
    /// Of the WebSocket: each chunk is a frame, the columns first, then an object for each row.
    Frames,
}

/// What stands before the rows.
#[derive(Debug, Clone)]
pub struct Header {
    query_id: String,
    /// Name, type, and whether it is a key column.
    columns: Vec<(String, SqlType, bool)>,
    /// By which rows that are messages are read; else empty.
    proto_schema: String,
}

impl Header {
    /// `columns`: name, type, and whether it is a key column.
    ///
    /// # Errors
    /// Rows are to be sent as messages, which can't hold such a column: a sentence for the user.
    pub fn new(format: RowFormat, query_id: String, columns: Vec<(String, SqlType, bool)>) -> Result<Self, String> {
        let proto_schema = if format == RowFormat::KsqlV1Protobuf {
            let of_row: Vec<Column> = columns.iter().map(|(name, sql_type, _)| Column::new(name, sql_type.clone())).collect();
            let schemas = by_name("PROTOBUF").and_then(Format::schemas).ok_or("PROTOBUF has no schemas")?;
            schemas.schema_of(&of_row, &SchemaShape::default())?.text
        } else {
            String::new()
        };
        Ok(Header { query_id, columns, proto_schema })
    }

    /// A writer for the header's rows.
    pub fn row_writer(&self) -> RowWriter {
        RowWriter::new(self.columns.iter().map(|(_, sql_type, _)| sql_type.clone()).collect())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeaderLine<'a> {
    query_id: &'a str,
    column_names: Vec<&'a str>,
    column_types: Vec<String>,
}

impl RowFormat {
    /// Whether rows are objects of one array.
    pub fn is_older(self) -> bool {
        matches!(self, RowFormat::KsqlV1 | RowFormat::KsqlV1Protobuf)
    }

    /// Whether a push query's deleted rows are sent. In the newer forms a row is a bare array that could not say so, and
    /// ksqlDB sends nothing.
    pub fn shows_tombstones(self) -> bool {
        self.is_older() || self == RowFormat::Frames
    }

    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            RowFormat::Delimited => "application/vnd.ksqlapi.delimited.v1",
            RowFormat::JsonArray => "application/json",
            RowFormat::KsqlV1 => "application/vnd.ksql.v1+json",
            RowFormat::KsqlV1Protobuf => "application/vnd.ksql.v1+protobuf",
            // Frames have none; what they hold is JSON.
            RowFormat::Frames => "application/json",
        })
    }

    /// What comes first. `more`: something will follow for certain or may.
    pub fn header(self, header: &Header, out: &mut Vec<u8>) {
        match self {
            RowFormat::KsqlV1 | RowFormat::KsqlV1Protobuf => {
                out.extend_from_slice(b"[{\"header\":{\"queryId\":");
                string(&header.query_id, out);
                out.extend_from_slice(b",\"schema\":");
                string(&schema_text(header), out);
                if self == RowFormat::KsqlV1Protobuf {
                    out.extend_from_slice(b",\"protoSchema\":");
                    string(&header.proto_schema, out);
                }
                out.extend_from_slice(b"}}");
            }
            RowFormat::Frames => {
                let field = |(name, sql_type, is_key): &(String, SqlType, bool)| Field {
                    name: name.clone(),
                    schema: SchemaInfo::from(sql_type),
                    kind: is_key.then_some(FieldKind::Key),
                    header_key: None,
                };
                out.extend_from_slice(&to_json(&header.columns.iter().map(field).collect::<Vec<_>>()));
            }
            RowFormat::Delimited | RowFormat::JsonArray => {
                let line = HeaderLine {
                    query_id: &header.query_id,
                    column_names: header.columns.iter().map(|(name, ..)| name.as_str()).collect(),
                    column_types: header.columns.iter().map(|(_, sql_type, _)| sql_type.to_string()).collect(),
                };
                if self == RowFormat::JsonArray {
                    out.push(b'[');
                }
                out.extend_from_slice(&to_json(&line));
                if self == RowFormat::Delimited {
                    out.push(b'\n');
                }
            }
        }
    }

    /// One row, without what parts it from its neighbours in [`RowFormat::KsqlV1`] (see [`RowFormat::separator`]).
    pub fn row(self, writer: &RowWriter, values: &[Value], tombstone: bool, out: &mut Vec<u8>) {
        match self {
            RowFormat::Delimited => {
                writer.row(values, out);
                out.push(b'\n');
            }
            RowFormat::JsonArray => {
                out.push(b',');
                writer.row(values, out);
            }
            RowFormat::KsqlV1 | RowFormat::Frames => {
                out.extend_from_slice(b"{\"row\":{\"columns\":");
                writer.row(values, out);
                if tombstone {
                    out.extend_from_slice(b",\"tombstone\":true");
                }
                out.extend_from_slice(b"}}");
            }
            RowFormat::KsqlV1Protobuf => {
                let mut message = Vec::new();
                protobuf::message(values, writer.types(), &mut message);
                out.extend_from_slice(b"{\"row\":{\"protobufBytes\":\"");
                write_base64(&message, out);
                out.push(b'"');
                if tombstone {
                    out.extend_from_slice(b",\"tombstone\":true");
                }
                out.extend_from_slice(b"}}");
            }
        }
    }

    /// What stands behind the header and behind a row when something follows.
    pub fn separator(self) -> &'static [u8] {
        match self {
            RowFormat::KsqlV1 | RowFormat::KsqlV1Protobuf => b",\n",
            _ => b"",
        }
    }

    /// An error behind the rows, after a separator.
    pub fn error(self, error: &ApiError, out: &mut Vec<u8>) {
        let json = to_json(error);
        match self {
            RowFormat::Delimited => {
                out.extend_from_slice(&json);
                out.push(b'\n');
            }
            RowFormat::JsonArray => {
                out.push(b',');
                out.extend_from_slice(&json);
            }
            RowFormat::Frames => {
                out.extend_from_slice(b"{\"error\":");
                string(error.message(), out);
                out.push(b'}');
            }
            RowFormat::KsqlV1 | RowFormat::KsqlV1Protobuf => {
                out.extend_from_slice(b"{\"errorMessage\":");
                out.extend_from_slice(&json);
                out.push(b'}');
            }
        }
    }

    /// Why the query ended, after a separator; only the older form says it.
    pub fn final_message(self, message: &str, out: &mut Vec<u8>) {
        if self.is_older() {
            out.extend_from_slice(b"{\"finalMessage\":");
            string(message, out);
            out.push(b'}');
        }
    }

    /// What closes the answer.
    pub fn end(self) -> &'static [u8] {
        match self {
            RowFormat::Delimited | RowFormat::Frames => b"",
            RowFormat::JsonArray | RowFormat::KsqlV1 | RowFormat::KsqlV1Protobuf => b"]",
        }
    }
}

/// `` `K` STRING KEY, `N` BIGINT ``.
fn schema_text(header: &Header) -> String {
    let columns = header.columns.iter().map(|(name, sql_type, key)| format!("`{name}` {sql_type}{}", if *key { " KEY" } else { "" }));
    columns.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms() {
        let whole = |format: RowFormat| {
            let columns = vec![("K".to_owned(), SqlType::String, true), ("N".to_owned(), SqlType::BigInt, false)];
            let header = Header::new(format, "q".to_owned(), columns).expect("a header");
            let mut out = Vec::new();
            format.header(&header, &mut out);
            out.extend_from_slice(format.separator());
            format.row(&header.row_writer(), &[Value::string("a"), Value::BigInt(4)], true, &mut out);
            out.extend_from_slice(format.separator());
            format.final_message("Limit Reached", &mut out);
            out.extend_from_slice(format.end());
            String::from_utf8(out).expect("text")
        };
        let line = r#"{"queryId":"q","columnNames":["K","N"],"columnTypes":["STRING","BIGINT"]}"#;
        assert_eq!(whole(RowFormat::Delimited), format!("{line}\n[\"a\",4]\n"));
        assert_eq!(whole(RowFormat::JsonArray), format!("[{line},[\"a\",4]]"));
        let expected = "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`K` STRING KEY, `N` BIGINT\"}},\n\
                        {\"row\":{\"columns\":[\"a\",4],\"tombstone\":true}},\n{\"finalMessage\":\"Limit Reached\"}]";
        assert_eq!(whole(RowFormat::KsqlV1), expected);
    }
    #[test]
    fn messages_come_with_the_schema_that_the_format_writes() {
        let of = |sql_type: SqlType| Header::new(RowFormat::KsqlV1Protobuf, "q".to_owned(), vec![("K".to_owned(), sql_type, false)]);
        let mut out = Vec::new();
        RowFormat::KsqlV1Protobuf.header(&of(SqlType::array(SqlType::BigInt)).expect("a header"), &mut out);
        let expected = "[{\"header\":{\"queryId\":\"q\",\"schema\":\"`K` ARRAY<BIGINT>\",\
                        \"protoSchema\":\"syntax = \\\"proto3\\\";\\n\\nmessage ConnectDefault1 {\\n  repeated int64 K = 1;\\n}\\n\"}}";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
        assert_eq!(of(SqlType::array(SqlType::array(SqlType::Int))).expect_err("no such message"), "Array cannot be nested");
    }
}
