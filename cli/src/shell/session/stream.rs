//! The answer to a query, taken apart: what its lines say, whichever endpoint they come from.

use serde_json::Value as Json;

use super::failure::Failure;
use crate::client::ClientError;
use crate::shell::render::{Cell, text};

/// What stands in a value's place in a row that tells of a deletion.
pub const DELETED: &str = "<TOMBSTONE>";

/// What a line of an answer says.
#[derive(Debug, PartialEq)]
pub enum Event {
    Header {
        query_id: String,
        names: Vec<String>,
    },
    Row(Vec<Cell>),
    /// Why the query ended.
    Final(String),
    /// What broke the query.
    Broken(String),
    /// Nothing.
    Empty,
}

/// A line of `/query` without what makes the lines one array: each is an object.
pub fn bare(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix('[').unwrap_or(line);
    let line = line.strip_suffix(',').unwrap_or(line);
    if line.ends_with("}]") { line.strip_suffix(']').unwrap_or(line) } else { line }
}

/// Reads a line of `/query-stream`, or a bare one of `/query`.
pub fn event(line: &str) -> Result<Event, Failure> {
    if line.is_empty() || line == "]" {
        return Ok(Event::Empty);
    }
    let garbled = || Failure::Client(ClientError::Garbled(line.to_owned()));
    let json: Json = serde_json::from_str(line).map_err(|_| garbled())?;
    let object = match &json {
        Json::Array(values) => return Ok(Event::Row(values.iter().map(Cell::of).collect())),
        Json::Object(object) => object,
        _ => return Err(garbled()),
    };
    if let Some(names) = json["columnNames"].as_array() {
        return Ok(Event::Header { query_id: text(&json["queryId"]), names: names.iter().map(text).collect() });
    }
    if let Some(header) = object.get("header") {
        let schema = text(&header["schema"]);
        let columns = tidemill_parser::parse_columns(&schema).map_err(|_| garbled())?;
        return Ok(Event::Header { query_id: text(&header["queryId"]), names: columns.into_iter().map(|c| c.name.name).collect() });
    }
    if let Some(row) = object.get("row") {
        let deleted = row["tombstone"].as_bool() == Some(true);
        let cell = |value: &Json| if deleted && value.is_null() { Cell::Text(DELETED.to_owned()) } else { Cell::of(value) };
        return Ok(Event::Row(row["columns"].as_array().ok_or_else(garbled)?.iter().map(cell).collect()));
    }
    if let Some(message) = object.get("finalMessage") {
        return Ok(Event::Final(text(message)));
    }
    let error = object.get("errorMessage").unwrap_or(&json);
    match error.get("message") {
        Some(message) => Ok(Event::Broken(text(message))),
        None => Err(garbled()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Event {
        event(line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    fn cells(texts: &[&str]) -> Vec<Cell> {
        texts.iter().map(|t| Cell::Text((*t).to_owned())).collect()
    }

    #[test]
    fn both_forms_are_read() {
        let header = |names: &[&str]| Event::Header { query_id: "q".into(), names: names.iter().map(|n| (*n).to_owned()).collect() };
        assert_eq!(read(r#"{"queryId":"q","columnNames":["A"],"columnTypes":["INTEGER"]}"#), header(&["A"]));
        assert_eq!(read("[1,null]"), Event::Row(vec![Cell::Text("1".into()), Cell::Null]));
        assert_eq!(read(r#"[{"A":1}]"#), Event::Row(cells(&[r#"{"A":1}"#])));
        assert_eq!(read(r#"{"@type":"generic_error","error_code":50000,"message":"no"}"#), Event::Broken("no".into()));
        let read = |line: &str| read(bare(line));
        assert_eq!(read(r#"[{"header":{"queryId":"q","schema":"`A` INTEGER, `b c` DECIMAL(4, 2)"}},"#), header(&["A", "b c"]));
        assert_eq!(read(r#"{"row":{"columns":["a",[{"A":1}]]}},"#), Event::Row(cells(&["a", r#"[{"A":1}]"#])));
        assert_eq!(read(r#"{"finalMessage":"Limit Reached"}]"#), Event::Final("Limit Reached".into()));
        assert_eq!(read(r#"{"errorMessage":{"@type":"generic_error","error_code":50000,"message":"no"}}]"#), Event::Broken("no".into()));
        assert_eq!(read("]"), Event::Empty);
    }

    #[test]
    fn a_deletion_has_its_key_and_a_mark() {
        let row = r#"{"row":{"columns":[11,0,1000,null],"tombstone":true}},"#;
        assert_eq!(read(bare(row)), Event::Row(cells(&["11", "0", "1000", DELETED])));
    }
}
