//! Columns and their types as DESCRIBE gives them.

use serde::Serialize;
use serde_json::{Value as Json, json};
use tidemill_engine::catalog::Source;
use tidemill_engine::types::{Schema, SqlType};

/// A type: its name, and what is inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaInfo {
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// Of a STRUCT.
    pub fields: Option<Vec<Field>>,
    /// Of an ARRAY's items or a MAP's values.
    pub member_schema: Option<Box<SchemaInfo>>,
    /// Precision and scale of a DECIMAL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Json>,
}

impl From<&SqlType> for SchemaInfo {
    fn from(sql_type: &SqlType) -> Self {
        let plain = |type_name| SchemaInfo { type_name, fields: None, member_schema: None, parameters: None };
        let info = plain(sql_type.base_name());
        match sql_type {
            SqlType::Decimal { precision, scale } => {
                SchemaInfo { parameters: Some(json!({"precision": precision, "scale": scale})), ..info }
            }
            SqlType::Array(member) | SqlType::Map(_, member) => {
                SchemaInfo { member_schema: Some(Box::new(SchemaInfo::from(&**member))), ..info }
            }
            SqlType::Struct(fields) => {
                let field = |f: &tidemill_engine::types::StructField| Field {
                    name: f.name.to_string(),
                    schema: SchemaInfo::from(&f.sql_type),
                    kind: None,
                    header_key: None,
                };
                SchemaInfo { fields: Some(fields.iter().map(field).collect()), ..info }
            }
            _ => info,
        }
    }
}

/// What is special about a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FieldKind {
    Key,
    Header,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    pub name: String,
    pub schema: SchemaInfo,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<FieldKind>,
    /// The header that a column holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_key: Option<String>,
}

impl Field {
    /// Columns of a schema, keys first.
    pub fn of_schema(schema: &Schema) -> Vec<Field> {
        let field = |(i, c): (usize, &tidemill_engine::types::Column)| Field {
            name: c.name.clone(),
            schema: SchemaInfo::from(&c.sql_type),
            kind: (i < schema.key.len()).then_some(FieldKind::Key),
            header_key: None,
        };
        schema.columns().enumerate().map(field).collect()
    }

    /// Columns of a stream or table, keys first.
    pub fn of_source(source: &Source) -> Vec<Field> {
        let mut fields = Self::of_schema(&source.schema);
        for field in fields.iter_mut().skip(source.schema.key.len()) {
            if let Some(header) = source.headers.iter().find(|h| h.column == field.name) {
                field.kind = Some(FieldKind::Header);
                field.header_key.clone_from(&header.key);
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_as_ksqldb_does() {
        let sql_type = SqlType::array(SqlType::structure([("P".to_owned(), SqlType::Decimal { precision: 4, scale: 2 })]));
        let text = serde_json::to_string(&SchemaInfo::from(&sql_type)).expect("JSON");
        assert_eq!(
            text,
            r#"{"type":"ARRAY","fields":null,"memberSchema":{"type":"STRUCT","fields":[{"name":"P","schema":{"type":"DECIMAL","fields":null,"memberSchema":null,"parameters":{"precision":4,"scale":2}}}],"memberSchema":null}}"#
        );
    }
}
