//! The schema that columns are written with, where none is given: letter for letter the one that ksqlDB registers, so that
//! topics stay compatible when a query moves. Messages without a name count up (`ConnectDefault1`, `ConnectDefault2`, …) as
//! they are met, fields have the numbers of their columns, a map is a repeated message of `key` and `value`.

use std::fmt::Write;

use crate::plan::NullRepresentation;
use crate::types::SqlType;

/// What the names of messages that nobody named begin with. A name that a user gives and that begins so is none, in ksqlDB.
pub(super) const DEFAULT_NAME: &str = "ConnectDefault";
const INDENT: &str = "  ";

/// The text of the schema of a row.
///
/// # Errors
/// What PROTOBUF can't hold: a sentence for the user.
pub(super) fn of_columns<'c>(
    columns: impl IntoIterator<Item = (&'c str, &'c SqlType)>,
    full_name: Option<&str>,
    nulls: Option<NullRepresentation>,
) -> Result<String, String> {
    let mut builder = Builder { messages: 0, imports: Vec::new(), nulls };
    let chosen = super::message_name(full_name);
    let (package, name) = match chosen {
        Some(name) => name.rsplit_once('.').map_or((None, name.to_owned()), |(package, name)| (Some(package), name.to_owned())),
        None => (None, builder.next_name()),
    };
    if let Some(part) = package.into_iter().flat_map(|package| package.split('.')).find(|part| !is_identifier(part)) {
        return Err(format!("\"{part}\" is not a valid identifier."));
    }
    let message = builder.message(name, columns)?;
    let mut text = String::from("syntax = \"proto3\";\n");
    if let Some(package) = package {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    for import in &builder.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !builder.imports.is_empty() {
        text.push('\n');
    }
    message.print(0, &mut text);
    Ok(text)
}

/// Whether Protocol Buffers allows the name.
fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A message, ready to be printed.
struct Message {
    name: String,
    /// Each without its indentation; one may have several lines.
    fields: Vec<String>,
    nested: Vec<Message>,
}

impl Message {
    fn print(&self, depth: usize, out: &mut String) {
        let indent = INDENT.repeat(depth);
        let _ = write!(out, "{indent}message {} {{", self.name);
        if !self.fields.is_empty() {
            out.push('\n');
        }
        for line in self.fields.iter().flat_map(|field| field.lines()) {
            let _ = writeln!(out, "{indent}{INDENT}{line}");
        }
        if !self.nested.is_empty() {
            out.push('\n');
        }
        for message in &self.nested {
            message.print(depth + 1, out);
        }
        let closing = if self.fields.is_empty() && self.nested.is_empty() { "" } else { &indent };
        let _ = writeln!(out, "{closing}}}");
    }
}

struct Builder {
    /// Messages that have a counted name.
    messages: u32,
    imports: Vec<&'static str>,
    nulls: Option<NullRepresentation>,
}

impl Builder {
    fn next_name(&mut self) -> String {
        self.messages += 1;
        format!("{DEFAULT_NAME}{}", self.messages)
    }

    fn message<'c>(&mut self, name: String, fields: impl IntoIterator<Item = (&'c str, &'c SqlType)>) -> Result<Message, String> {
        if !is_identifier(&name) {
            return Err(format!("{name}: \"{name}\" is not a valid identifier."));
        }
        let mut message = Message { name, fields: Vec::new(), nested: Vec::new() };
        for (number, (field, sql_type)) in (1..).zip(fields) {
            if !is_identifier(field) {
                return Err(format!("{}.{field}: \"{field}\" is not a valid identifier.", message.name));
            }
            self.field(field, number, sql_type, &mut message, false)?;
        }
        Ok(message)
    }

    fn field(&mut self, name: &str, number: u32, sql_type: &SqlType, message: &mut Message, is_entry: bool) -> Result<(), String> {
        let (label, item) = match sql_type {
            SqlType::Array(item) => ("repeated ", &**item),
            SqlType::Map(..) => ("repeated ", sql_type),
            // Entries of maps tell no null from a zero.
            _ if self.nulls == Some(NullRepresentation::Optional) && !is_entry => ("optional ", sql_type),
            _ => ("", sql_type),
        };
        let type_name = match (item, sql_type) {
            (SqlType::Array(_), _) => return Err("Array cannot be nested".to_owned()),
            (SqlType::Map(..), SqlType::Array(_)) => return Err("PROTOBUF has no arrays of maps".to_owned()),
            (SqlType::Map(key, value), _) => {
                if **key != SqlType::String {
                    return Err(MAP_KEYS.to_owned());
                }
                let name = format!("{}Entry", self.next_name());
                let mut entry = Message { name: name.clone(), fields: Vec::new(), nested: Vec::new() };
                self.field("key", 1, key, &mut entry, true)?;
                self.field("value", 2, value, &mut entry, true)?;
                message.nested.push(entry);
                name
            }
            (SqlType::Struct(fields), _) => {
                let mut type_name = self.next_name();
                if type_name == name {
                    // A message and a field can't have the same name.
                    type_name.push_str("Message");
                }
                let nested = self.message(type_name.clone(), fields.iter().map(|field| (&*field.name, &field.sql_type)))?;
                message.nested.push(nested);
                type_name
            }
            (single, _) => self.single(single).to_owned(),
        };
        let options = if is_entry { String::new() } else { parameters(item) };
        message.fields.push(format!("{label}{type_name} {name} = {number}{options};"));
        Ok(())
    }

    fn single(&mut self, sql_type: &SqlType) -> &'static str {
        const WRAPPERS: &str = "google/protobuf/wrappers.proto";
        let (import, name) = match (sql_type, self.nulls == Some(NullRepresentation::Wrapper)) {
            (SqlType::Decimal { .. }, _) => (Some("confluent/type/decimal.proto"), "confluent.type.Decimal"),
            (SqlType::Date, _) => (Some("google/type/date.proto"), "google.type.Date"),
            (SqlType::Time, _) => (Some("google/type/timeofday.proto"), "google.type.TimeOfDay"),
            (SqlType::Timestamp, _) => (Some("google/protobuf/timestamp.proto"), "google.protobuf.Timestamp"),
            (SqlType::Boolean, false) => (None, "bool"),
            (SqlType::Int, false) => (None, "int32"),
            (SqlType::BigInt, false) => (None, "int64"),
            (SqlType::Double, false) => (None, "double"),
            (SqlType::Bytes, false) => (None, "bytes"),
            (SqlType::Boolean, true) => (Some(WRAPPERS), "google.protobuf.BoolValue"),
            (SqlType::Int, true) => (Some(WRAPPERS), "google.protobuf.Int32Value"),
            (SqlType::BigInt, true) => (Some(WRAPPERS), "google.protobuf.Int64Value"),
            (SqlType::Double, true) => (Some(WRAPPERS), "google.protobuf.DoubleValue"),
            (SqlType::Bytes, true) => (Some(WRAPPERS), "google.protobuf.BytesValue"),
            (_, false) => (None, "string"),
            (_, true) => (Some(WRAPPERS), "google.protobuf.StringValue"),
        };
        if let Some(import) = import
            && !self.imports.contains(&import)
        {
            self.imports.push(import);
        }
        name
    }
}

const MAP_KEYS: &str = "PROTOBUF format only supports MAP types with STRING keys. See https://github.com/confluentinc/ksql/issues/6177.";

/// Precision and scale, which a DECIMAL's message does not have.
fn parameters(sql_type: &SqlType) -> String {
    let SqlType::Decimal { precision, scale } = sql_type else { return String::new() };
    let entry = |key: &str, value: u32| format!("    {{\n      value: \"{value}\",\n      key: \"{key}\"\n    }}");
    format!(" [(confluent.field_meta) = {{\n  params: [\n{},\n{}\n  ]\n}}]", entry("precision", *precision), entry("scale", *scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::protobuf::parse::{message, parse};
    use crate::registry::{Schema, SchemaKind};

    fn text(columns: &[(&str, SqlType)], name: Option<&str>, nulls: Option<NullRepresentation>) -> Result<String, String> {
        let text = of_columns(columns.iter().map(|(name, sql_type)| (*name, sql_type)), name, nulls)?;
        let parsed = parse(&Schema::new(SchemaKind::Protobuf, text.clone()))?;
        assert_eq!(message(&parsed, None).map(|found| found.fields().count()), Some(columns.len()));
        Ok(text)
    }

    fn nested() -> SqlType {
        let inner = SqlType::structure([("X".to_owned(), SqlType::Int), ("A".to_owned(), SqlType::array(SqlType::Date))]);
        SqlType::structure([("M".to_owned(), SqlType::map(SqlType::String, inner.clone())), ("I".to_owned(), inner)])
    }

    #[test]
    fn messages_without_a_name_are_counted() {
        let columns = [("K", SqlType::String), ("S", nested()), ("L", SqlType::array(nested())), ("B", SqlType::Bytes)];
        let expected = "syntax = \"proto3\";

import \"google/type/date.proto\";

message ConnectDefault1 {
  string K = 1;
  ConnectDefault2 S = 2;
  repeated ConnectDefault6 L = 3;
  bytes B = 4;

  message ConnectDefault2 {
    repeated ConnectDefault3Entry M = 1;
    ConnectDefault5 I = 2;

    message ConnectDefault3Entry {
      string key = 1;
      ConnectDefault4 value = 2;

      message ConnectDefault4 {
        int32 X = 1;
        repeated google.type.Date A = 2;
      }
    }
    message ConnectDefault5 {
      int32 X = 1;
      repeated google.type.Date A = 2;
    }
  }
  message ConnectDefault6 {
    repeated ConnectDefault7Entry M = 1;
    ConnectDefault9 I = 2;

    message ConnectDefault7Entry {
      string key = 1;
      ConnectDefault8 value = 2;

      message ConnectDefault8 {
        int32 X = 1;
        repeated google.type.Date A = 2;
      }
    }
    message ConnectDefault9 {
      int32 X = 1;
      repeated google.type.Date A = 2;
    }
  }
}
";
        assert_eq!(text(&columns, None, None).unwrap(), expected);
        // A name that begins like those that are counted is none.
        assert_eq!(text(&columns, Some("ConnectDefault7"), None).unwrap(), expected);
    }

    #[test]
    fn decimals_say_their_precision() {
        let decimal = SqlType::Decimal { precision: 7, scale: 3 };
        let columns =
            [("D", decimal.clone()), ("M", SqlType::map(SqlType::String, decimal)), ("T", SqlType::Time), ("TS", SqlType::Timestamp)];
        let expected = "syntax = \"proto3\";
package com.acme;

import \"confluent/type/decimal.proto\";
import \"google/type/timeofday.proto\";
import \"google/protobuf/timestamp.proto\";

message Row {
  confluent.type.Decimal D = 1 [(confluent.field_meta) = {
    params: [
      {
        value: \"7\",
        key: \"precision\"
      },
      {
        value: \"3\",
        key: \"scale\"
      }
    ]
  }];
  repeated ConnectDefault1Entry M = 2;
  google.type.TimeOfDay T = 3;
  google.protobuf.Timestamp TS = 4;

  message ConnectDefault1Entry {
    string key = 1;
    confluent.type.Decimal value = 2;
  }
}
";
        assert_eq!(text(&columns, Some("com.acme.Row"), None).unwrap(), expected);
    }

    #[test]
    fn nulls_are_told_from_zeros_where_that_is_wanted() {
        let columns = [
            ("I", SqlType::Int),
            ("D", SqlType::Date),
            ("A", SqlType::array(SqlType::BigInt)),
            ("M", SqlType::map(SqlType::String, SqlType::Double)),
            ("S", SqlType::structure([("B".to_owned(), SqlType::Boolean)])),
        ];
        let optional = "syntax = \"proto3\";

import \"google/type/date.proto\";

message ConnectDefault1 {
  optional int32 I = 1;
  optional google.type.Date D = 2;
  repeated int64 A = 3;
  repeated ConnectDefault2Entry M = 4;
  optional ConnectDefault3 S = 5;

  message ConnectDefault2Entry {
    string key = 1;
    double value = 2;
  }
  message ConnectDefault3 {
    optional bool B = 1;
  }
}
";
        assert_eq!(text(&columns, None, Some(NullRepresentation::Optional)).unwrap(), optional);
        let wrapper = "syntax = \"proto3\";

import \"google/protobuf/wrappers.proto\";
import \"google/type/date.proto\";

message ConnectDefault1 {
  google.protobuf.Int32Value I = 1;
  google.type.Date D = 2;
  repeated google.protobuf.Int64Value A = 3;
  repeated ConnectDefault2Entry M = 4;
  ConnectDefault3 S = 5;

  message ConnectDefault2Entry {
    google.protobuf.StringValue key = 1;
    google.protobuf.DoubleValue value = 2;
  }
  message ConnectDefault3 {
    google.protobuf.BoolValue B = 1;
  }
}
";
        assert_eq!(text(&columns, None, Some(NullRepresentation::Wrapper)).unwrap(), wrapper);
    }

    #[test]
    fn what_protobuf_can_not_hold_is_refused() {
        for (name, sql_type, why) in [
            ("M", SqlType::map(SqlType::Int, SqlType::Int), MAP_KEYS),
            ("A", SqlType::array(SqlType::array(SqlType::Int)), "Array cannot be nested"),
            ("A", SqlType::array(SqlType::map(SqlType::String, SqlType::Int)), "PROTOBUF has no arrays of maps"),
            ("a b", SqlType::Int, "ConnectDefault1.a b: \"a b\" is not a valid identifier."),
            ("1", SqlType::Int, "ConnectDefault1.1: \"1\" is not a valid identifier."),
        ] {
            assert_eq!(text(&[(name, sql_type)], None, None).unwrap_err(), why);
        }
        assert_eq!(text(&[("A", SqlType::Int)], Some("a-b.C"), None).unwrap_err(), "\"a-b\" is not a valid identifier.");
        // A map of arrays or maps is an entry whose value is repeated.
        let map = SqlType::map(SqlType::String, SqlType::array(SqlType::Int));
        assert!(text(&[("M", map)], None, None).unwrap().contains("repeated int32 value = 2;"));
        assert!(text(&[("ConnectDefault2", nested())], None, None).unwrap().contains("ConnectDefault2Message ConnectDefault2 = 1;"));
    }
}
