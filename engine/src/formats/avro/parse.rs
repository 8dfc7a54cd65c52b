//! Schemas as their authors wrote them, parsed with those that they refer to.
//!
//! Two things are read the way Kafka Connect reads them: names may have any letters (as Avro's Java library allows them), and
//! what older Connect versions say of a date, a time or a decimal by `connect.name` alone counts as the logical type.

use std::sync::Once;

use apache_avro::error::Details;
use apache_avro::validator::{
    EnumSymbolNameValidator, RecordFieldNameValidator, SchemaNameValidator, SchemaNamespaceValidator, set_enum_symbol_name_validator,
    set_record_field_name_validator, set_schema_name_validator, set_schema_namespace_validator,
};
use apache_avro::{AvroResult, Schema};
use serde_json::{Map, Value as Json};

/// How many schemas one may refer to, and how deep.
const MAX_REFERENCES: usize = 100;
/// The precision of a decimal for which none is said, as in Connect.
const DEFAULT_PRECISION: u64 = 64;

/// Parses a schema and those that it refers to.
///
/// # Errors
/// It is not well formed, or refers to too much or to what is not there.
pub(super) fn parse(schema: &crate::registry::Schema) -> Result<(Schema, Vec<Schema>), String> {
    allow_names();
    let mut texts = Vec::new();
    collect_references(schema, &mut texts, 0)?;
    let parsed = Schema::parse_str_with_list(&as_connect_reads(&schema.text)?, &texts);
    parsed.map_err(|error| format!("The schema is no Avro schema: {error}"))
}

fn collect_references(schema: &crate::registry::Schema, texts: &mut Vec<String>, depth: usize) -> Result<(), String> {
    for reference in &schema.references {
        if depth >= MAX_REFERENCES || texts.len() >= MAX_REFERENCES {
            return Err(format!("The schema refers to more than {MAX_REFERENCES} others"));
        }
        collect_references(&reference.schema, texts, depth + 1)?;
        let text = as_connect_reads(&reference.schema.text)?;
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    Ok(())
}

/// The schema with the logical types that Connect's annotations stand for.
fn as_connect_reads(text: &str) -> Result<String, String> {
    let mut schema: Json = serde_json::from_str(text).map_err(|error| format!("The schema is no Avro schema: {error}"))?;
    add_logical_types(&mut schema);
    Ok(schema.to_string())
}

fn add_logical_types(schema: &mut Json) {
    match schema {
        Json::Array(branches) => branches.iter_mut().for_each(add_logical_types),
        Json::Object(schema) => {
            add_logical_type(schema);
            for inner in ["type", "items", "values"] {
                if let Some(inner) = schema.get_mut(inner) {
                    add_logical_types(inner);
                }
            }
            if let Some(Json::Array(fields)) = schema.get_mut("fields") {
                fields.iter_mut().for_each(add_logical_types);
            }
        }
        _ => {}
    }
}

fn add_logical_type(schema: &mut Map<String, Json>) {
    let text = |key: &str| schema.get(key).and_then(Json::as_str);
    let connect = text("connect.name").and_then(|name| name.strip_prefix("org.apache.kafka.connect.data."));
    let logical = match (text("logicalType"), text("type"), connect) {
        (Some("decimal"), ..) => "decimal",
        (None, Some("int"), Some("Date")) => "date",
        (None, Some("int"), Some("Time")) => "time-millis",
        (None, Some("long"), Some("Timestamp")) => "timestamp-millis",
        (None, Some("bytes"), Some("Decimal")) => "decimal",
        _ => return,
    };
    if logical == "decimal" {
        let parameter = |name: &str| schema.get("connect.parameters")?.get(name)?.as_str()?.parse::<u64>().ok();
        let (scale, precision) = (parameter("scale").unwrap_or(0), parameter("connect.decimal.precision").unwrap_or(DEFAULT_PRECISION));
        schema.entry("scale").or_insert_with(|| scale.into());
        schema.entry("precision").or_insert_with(|| precision.into());
    }
    schema.insert("logicalType".into(), logical.into());
}

/// Why a name is none that Avro's Java library takes; `None`: it is one.
pub(super) fn fault_of_name(name: &str) -> Option<String> {
    match name.chars().next() {
        None => Some("Empty name".into()),
        Some(first) if !(first.is_alphabetic() || first == '_') => Some(format!("Illegal initial character: {name}")),
        Some(_) if !name.chars().all(|c| c.is_alphanumeric() || c == '_') => Some(format!("Illegal character in: {name}")),
        Some(_) => None,
    }
}

/// Makes the library take the names that its sister in Java takes. Has no effect where a schema was parsed before.
pub(super) fn allow_names() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Refused where somebody else in the process chose already: then theirs hold.
        let _ = set_schema_name_validator(Box::new(JavaNames));
        let _ = set_schema_namespace_validator(Box::new(JavaNames));
        let _ = set_enum_symbol_name_validator(Box::new(JavaNames));
        let _ = set_record_field_name_validator(Box::new(JavaNames));
    });
}

struct JavaNames;

const RULE: &str = "letters, digits and _, not beginning with a digit";

impl SchemaNameValidator for JavaNames {
    fn validate(&self, full_name: &str) -> AvroResult<usize> {
        let start = full_name.rfind('.').map_or(0, |dot| dot + 1);
        match fault_of_name(full_name.get(start..).unwrap_or_default()) {
            None => Ok(start),
            Some(_) => Err(Details::InvalidSchemaName(full_name.to_owned(), RULE).into()),
        }
    }
}

impl SchemaNamespaceValidator for JavaNames {
    fn validate(&self, _namespace: &str) -> AvroResult<()> {
        Ok(())
    }
}

impl EnumSymbolNameValidator for JavaNames {
    fn validate(&self, symbol: &str) -> AvroResult<()> {
        match fault_of_name(symbol) {
            None => Ok(()),
            Some(_) => Err(Details::EnumSymbolName(symbol.to_owned()).into()),
        }
    }
}

impl RecordFieldNameValidator for JavaNames {
    fn validate(&self, name: &str) -> AvroResult<()> {
        match fault_of_name(name) {
            None => Ok(()),
            Some(_) => Err(Details::FieldName(name.to_owned()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Reference, SchemaKind};

    fn parsed(text: &str) -> Result<Schema, String> {
        parse(&crate::registry::Schema::new(SchemaKind::Avro, text)).map(|(schema, _)| schema)
    }

    #[test]
    fn what_connect_says_by_name_alone_is_a_logical_type() {
        let of = |connect: &str, base: &str, more: &str| {
            parsed(&format!("{{\"type\":\"{base}\",\"connect.name\":\"org.apache.kafka.connect.data.{connect}\"{more}}}")).unwrap()
        };
        assert_eq!(of("Date", "int", ""), Schema::Date);
        assert_eq!(of("Time", "int", ""), Schema::TimeMillis);
        assert_eq!(of("Timestamp", "long", ""), Schema::TimestampMillis);
        let Schema::Decimal(decimal) = of("Decimal", "bytes", ",\"connect.parameters\":{\"scale\":\"3\"}") else { panic!() };
        assert_eq!((decimal.precision, decimal.scale), (64, 3));
        assert_eq!(of("Date", "string", ""), Schema::String);
    }

    #[test]
    fn names_may_have_any_letters_but_no_others() {
        let record = |name: &str, field: &str| {
            parsed(&format!("{{\"type\":\"record\",\"name\":\"{name}\",\"fields\":[{{\"name\":\"{field}\",\"type\":\"int\"}}]}}"))
        };
        assert!(record("Größe", "straße").is_ok());
        assert!(record("a-b.R", "f").is_ok());
        assert!(record("1R", "f").is_err());
        assert!(record("R", "a b").is_err());
    }

    #[test]
    fn references_are_followed_and_bounded() {
        let inner = |name: &str, text: &str, references: Vec<Reference>| Reference {
            name: name.into(),
            subject: name.into(),
            version: 1,
            schema: std::sync::Arc::new(crate::registry::Schema { kind: SchemaKind::Avro, text: text.into(), references }),
        };
        let leaf = inner("a.Leaf", r#"{"type":"enum","name":"Leaf","namespace":"a","symbols":["X"]}"#, Vec::new());
        let middle =
            inner("a.Mid", r#"{"type":"record","name":"Mid","namespace":"a","fields":[{"name":"l","type":"Leaf"}]}"#, vec![leaf.clone()]);
        let text = r#"{"type":"record","name":"R","fields":[{"name":"m","type":"a.Mid"},{"name":"l","type":"a.Leaf"}]}"#;
        let root = crate::registry::Schema { kind: SchemaKind::Avro, text: text.into(), references: vec![middle, leaf] };
        assert_eq!(parse(&root).unwrap().1.len(), 2);
        let lost = crate::registry::Schema::new(SchemaKind::Avro, text);
        assert!(parse(&lost).unwrap_err().starts_with("The schema is no Avro schema"));
        let mut deep = inner("a.X", "\"int\"", Vec::new());
        for _ in 0..200 {
            deep = inner("a.X", "\"int\"", vec![deep]);
        }
        let deep = crate::registry::Schema { kind: SchemaKind::Avro, text: "\"int\"".into(), references: vec![deep] };
        assert!(parse(&deep).unwrap_err().contains("more than 100"));
    }
}
