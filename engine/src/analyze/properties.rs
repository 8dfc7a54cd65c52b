//! The WITH clause: names, values and their types. What they mean for a source is decided in [`super::formats`],
//! [`super::create_source`] and [`super::sink`].

use tidemill_parser::ast::{Expr, ExprKind, Ident, Properties, Property};

use super::error::{ErrorKind, PREPARING, Problem, Problems};
use crate::catalog::WindowType;
use crate::plan::NullRepresentation;
use crate::registry::SchemaId;

/// The statement that the clause belongs to; it decides which properties there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clause {
    CreateSource,
    CreateAs,
    InsertSelect,
}

const COMMON: &[&str] = &[
    "KAFKA_TOPIC",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "CLEANUP_POLICY",
    "FORMAT",
    "KEY_FORMAT",
    "VALUE_FORMAT",
    "KEY_DELIMITER",
    "VALUE_DELIMITER",
    "WRAP_SINGLE_VALUE",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "KEY_SCHEMA_ID",
    "VALUE_SCHEMA_ID",
    "KEY_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_AVRO_SCHEMA_FULL_NAME",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
];
const ONLY_CREATE_SOURCE: &[&str] = &["WINDOW_TYPE", "WINDOW_SIZE", "SOURCED_BY_CONNECTOR"];
const ONLY_INSERT: &[&str] = &["QUERY_ID"];

impl Clause {
    fn allows(self, name: &str) -> bool {
        match self {
            Clause::CreateSource => COMMON.contains(&name) || ONLY_CREATE_SOURCE.contains(&name),
            Clause::CreateAs => COMMON.contains(&name),
            Clause::InsertSelect => ONLY_INSERT.contains(&name),
        }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let all = COMMON.iter().chain(ONLY_CREATE_SOURCE).chain(ONLY_INSERT).copied();
        all.filter(move |name| self.allows(name))
    }
}

/// A name given in a property's text.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub name: String,
    pub span: tidemill_parser::ast::Span,
}

/// The clause, read. Format names are in upper case.
#[derive(Debug, Clone, Default)]
pub(crate) struct WithClause {
    pub topic: Option<String>,
    pub partitions: Option<u32>,
    pub replicas: Option<u16>,
    pub retention_ms: Option<i64>,
    pub format: Option<String>,
    pub key_format: Option<String>,
    pub value_format: Option<String>,
    pub key_delimiter: Option<char>,
    pub value_delimiter: Option<char>,
    pub wrap_single_value: Option<bool>,
    pub timestamp: Option<Named>,
    pub timestamp_format: Option<String>,
    pub key_schema_id: Option<SchemaId>,
    pub value_schema_id: Option<SchemaId>,
    /// Names of records or messages; without blanks around them.
    pub key_full_name: Option<String>,
    pub value_full_name: Option<String>,
    pub key_nulls: Option<NullRepresentation>,
    pub value_nulls: Option<NullRepresentation>,
    pub window_type: Option<WindowType>,
    pub window_size_ms: Option<i64>,
    pub query_id: Option<String>,
}

/// Reads a clause. Whatever is wrong goes to `problems`.
pub(crate) fn read(clause: Clause, properties: &Properties, problems: &mut Problems) -> WithClause {
    check_names(clause, properties, problems);
    let mut reader = Reader { properties, problems };
    let with = WithClause {
        topic: reader.text("KAFKA_TOPIC"),
        partitions: reader.number("PARTITIONS", 1, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok()),
        replicas: reader.number("REPLICAS", 1, i64::from(i16::MAX)).and_then(|n| u16::try_from(n).ok()),
        retention_ms: reader.number("RETENTION_MS", -1, i64::MAX),
        format: reader.text("FORMAT").map(|f| f.to_uppercase()),
        key_format: reader.text("KEY_FORMAT").map(|f| f.to_uppercase()),
        value_format: reader.text("VALUE_FORMAT").map(|f| f.to_uppercase()),
        key_delimiter: reader.delimiter("KEY_DELIMITER"),
        value_delimiter: reader.delimiter("VALUE_DELIMITER"),
        wrap_single_value: reader.boolean("WRAP_SINGLE_VALUE"),
        timestamp: reader.column("TIMESTAMP"),
        timestamp_format: reader.text("TIMESTAMP_FORMAT"),
        key_schema_id: reader.schema_id("KEY_SCHEMA_ID"),
        value_schema_id: reader.schema_id("VALUE_SCHEMA_ID"),
        key_full_name: reader.trimmed("KEY_SCHEMA_FULL_NAME"),
        value_full_name: reader.trimmed("VALUE_AVRO_SCHEMA_FULL_NAME").or_else(|| reader.trimmed("VALUE_SCHEMA_FULL_NAME")),
        key_nulls: reader.nulls("KEY_PROTOBUF_NULLABLE_REPRESENTATION"),
        value_nulls: reader.nulls("VALUE_PROTOBUF_NULLABLE_REPRESENTATION"),
        window_type: reader.window_type(),
        window_size_ms: reader.window_size(),
        query_id: reader.text("QUERY_ID").map(|id| id.to_uppercase()),
    };
    for (one, name) in [(&with.key_format, "KEY_FORMAT"), (&with.value_format, "VALUE_FORMAT")] {
        if one.is_some() && with.format.is_some() {
            let message = format!(
                "Cannot supply both '{name}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. Either use just \
                 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
            );
            problems.add(Problem::new(message).while_(PREPARING));
        }
    }
    if properties.get("VALUE_AVRO_SCHEMA_FULL_NAME").is_some() && properties.get("VALUE_SCHEMA_FULL_NAME").is_some() {
        let message = "Cannot supply both 'VALUE_AVRO_SCHEMA_FULL_NAME' and 'VALUE_SCHEMA_FULL_NAME' properties. Please only set \
                       'VALUE_SCHEMA_FULL_NAME'.";
        problems.add(Problem::new(message).while_(PREPARING));
    }
    check_timestamp_format(&with, problems);
    check_window(&with, problems);
    with
}

fn check_names(clause: Clause, properties: &Properties, problems: &mut Problems) {
    let unknown: Vec<&Ident> = properties.entries.iter().map(|p| &p.name).filter(|n| !clause.allows(&n.name)).collect();
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(|n| n.name.as_str()).collect();
        let mut message = format!("Invalid config variable(s) in the WITH clause: {}", names.join(", "));
        if let Some(near) = names.iter().find_map(|n| tidemill_parser::did_you_mean(n, clause.names())) {
            message.push_str(&format!(". Did you mean {near}?"));
        }
        problems.add(Problem::new(message).while_(PREPARING));
    }
    if properties.get("CLEANUP_POLICY").is_some() {
        let message = "Invalid config variable in the WITH clause: CLEANUP_POLICY.\nThe CLEANUP_POLICY config is automatically inferred \
                       based on the type of source (STREAM or TABLE).\nUsers can't set the CLEANUP_POLICY config manually.";
        problems.add(Problem::new(message).kind(ErrorKind::Request));
    }
    for (i, property) in properties.entries.iter().enumerate() {
        if properties.entries.iter().take(i).any(|p| p.name.name == property.name.name) {
            let message = format!("Duplicate property in the WITH clause: {}", property.name.name);
            problems.add(Problem::new(message).at(property.name.span));
        }
    }
}

fn check_timestamp_format(with: &WithClause, problems: &mut Problems) {
    let Some(pattern) = &with.timestamp_format else { return };
    if let Err(reason) = super::typing::check_time_pattern(pattern) {
        let message = format!("Invalid datetime format for config:TIMESTAMP_FORMAT, reason:{reason}");
        problems.add(Problem::new(message).while_(PREPARING));
    }
}

fn check_window(with: &WithClause, problems: &mut Problems) {
    match (with.window_type, with.window_size_ms) {
        (Some(WindowType::Session), Some(_)) => {
            problems.add(Problem::new("'WINDOW_SIZE' should not be set for SESSION windows.").while_(PREPARING));
        }
        (Some(window @ (WindowType::Tumbling | WindowType::Hopping)), None) => {
            let message = format!(
                "{} windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: 'WINDOW_SIZE'='10 SECONDS'",
                window.name()
            );
            problems.add(Problem::new(message).while_(PREPARING));
        }
        _ => {}
    }
}

/// Reads values by the property's name.
struct Reader<'a> {
    properties: &'a Properties,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    fn get(&self, name: &str) -> Option<&'a Property> {
        self.properties.get(name)
    }

    fn refuse<T>(&mut self, property: &Property, reason: &str) -> Option<T> {
        let name = &property.name.name;
        let value = match &property.value.kind {
            ExprKind::String(text) => text.clone(),
            _ => property.value.to_string(),
        };
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        self.problems.add(Problem::new(format!("Invalid value {value} for property {name}{reason}")).while_(PREPARING));
        None
    }

    /// A text that is not empty.
    fn text(&mut self, name: &str) -> Option<String> {
        let property = self.get(name)?;
        match &property.value.kind {
            ExprKind::String(text) if text.is_empty() => self.refuse(property, "String must be non-empty"),
            ExprKind::String(text) => Some(text.clone()),
            _ => self.refuse(property, "Expected value to be a string"),
        }
    }

    /// A whole number, bare or as a text.
    fn number(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let property = self.get(name)?;
        match whole_number(&property.value) {
            Some(n) if (least..=most).contains(&n) => Some(n),
            Some(_) => self.refuse(property, &format!("Value must be at least {least} and at most {most}")),
            None => self.refuse(property, "Expected value to be a whole number"),
        }
    }

    fn schema_id(&mut self, name: &str) -> Option<SchemaId> {
        self.number(name, 0, i64::from(i32::MAX)).and_then(|id| i32::try_from(id).ok()).map(SchemaId)
    }

    /// A text without the blanks around it; it may be empty then.
    fn trimmed(&mut self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.trim().to_owned())
    }

    fn nulls(&mut self, name: &str) -> Option<NullRepresentation> {
        let text = self.text(name)?.to_uppercase();
        match text.as_str() {
            "OPTIONAL" => Some(NullRepresentation::Optional),
            "WRAPPER" => Some(NullRepresentation::Wrapper),
            _ => {
                let property = self.get(name)?;
                let message = format!("Invalid value {text} for property {name}: String must be one of: OPTIONAL, WRAPPER");
                self.problems.add(Problem::new(message).at(property.value.span).while_(PREPARING));
                None
            }
        }
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let property = self.get(name)?;
        match &property.value.kind {
            ExprKind::Boolean(value) => Some(*value),
            ExprKind::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            ExprKind::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => self.refuse(property, "Expected value to be either true or false"),
        }
    }

    /// A column's name, written as in SQL.
    fn column(&mut self, name: &str) -> Option<Named> {
        let text = self.text(name)?;
        let property = self.get(name)?;
        match column_name(&text) {
            Some(column) => Some(Named { name: column, span: property.value.span }),
            None => self.refuse(property, "Expected the name of a column"),
        }
    }

    fn delimiter(&mut self, name: &str) -> Option<char> {
        let text = self.text(name)?;
        match crate::formats::parse_delimiter(&text) {
            Ok(delimiter) => Some(delimiter),
            Err(reason) => {
                self.problems.add(Problem::new(format!("Configuration {name} is invalid: {reason}")).while_(PREPARING));
                None
            }
        }
    }

    fn window_type(&mut self) -> Option<WindowType> {
        let text = self.text("WINDOW_TYPE")?;
        let property = self.get("WINDOW_TYPE")?;
        match text.to_uppercase().as_str() {
            "TUMBLING" => Some(WindowType::Tumbling),
            "HOPPING" => Some(WindowType::Hopping),
            "SESSION" => Some(WindowType::Session),
            _ => {
                let value = text.to_uppercase();
                let message = format!("Invalid value {value} for property WINDOW_TYPE: String must be one of: SESSION, HOPPING, TUMBLING");
                self.problems.add(Problem::new(message).at(property.value.span).while_(PREPARING));
                None
            }
        }
    }

    fn window_size(&mut self) -> Option<i64> {
        let text = self.text("WINDOW_SIZE")?;
        match duration_ms(&text) {
            Some(ms) => Some(ms),
            None => {
                let message = format!(
                    "Configuration WINDOW_SIZE is invalid: Invalid duration: '{text}'. Expected a number and a unit: DAYS, HOURS, \
                     MINUTES, SECONDS or MILLISECONDS.\nExample valid value: '10 SECONDS'"
                );
                self.problems.add(Problem::new(message).while_(PREPARING));
                None
            }
        }
    }
}

fn whole_number(value: &Expr) -> Option<i64> {
    match &value.kind {
        ExprKind::Integer(n) => Some(i64::from(*n)),
        ExprKind::BigInt(n) => Some(*n),
        ExprKind::String(text) => text.trim().parse().ok(),
        ExprKind::Negate(inner) => whole_number(inner)?.checked_neg(),
        _ => None,
    }
}

/// A name as SQL reads it: quoted ones keep their case.
pub(crate) fn column_name(text: &str) -> Option<String> {
    match tidemill_parser::parse_expression(text).ok()?.kind {
        ExprKind::Column(column) if column.source.is_none() => Some(column.name.name),
        _ => None,
    }
}

/// `10 SECONDS` in milliseconds; above zero.
fn duration_ms(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let unit = words.next()?.to_uppercase();
    if words.next().is_some() || number <= 0 {
        return None;
    }
    let unit_ms = match unit.strip_suffix('S').unwrap_or(&unit) {
        "MILLISECOND" => 1,
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("10 SECONDS", Some(10_000)),
            ("1 hour", Some(3_600_000)),
            ("2 DAYS", Some(172_800_000)),
            ("5 milliseconds", Some(5)),
            ("SECONDS", None),
            ("10", None),
            ("-1 SECOND", None),
            ("1 FORTNIGHT", None),
            ("9223372036854775807 DAYS", None),
        ] {
            assert_eq!(duration_ms(text), expected, "{text}");
        }
    }
}
