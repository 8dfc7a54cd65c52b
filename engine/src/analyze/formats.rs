//! Formats of topics: which one, with which options, and whether it can hold the columns.

use super::error::{ErrorKind, PREPARING, Problem, Problems};
use super::properties::WithClause;
use crate::formats::{by_name, check_schema};
use crate::plan::{FormatSpec, SchemaSpec};
use crate::types::{Column, SqlType};

/// The key format of topics without keys.
pub(crate) const NONE: &str = "NONE";
/// The key format where nothing is said.
pub(crate) const DEFAULT_KEY_FORMAT: &str = "KAFKA";

/// Formats of the dialect that need a Schema Registry.
const WITH_REGISTRY: &[&str] = &["AVRO", "JSON_SR", "PROTOBUF"];
/// Other formats of the dialect that this version does not run.
const NOT_BUILT: &[&str] = &["PROTOBUF_NOSR"];

/// A format as chosen by a statement, before the columns are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub name: String,
    pub delimiter: Option<char>,
    /// Formats with schemas only.
    pub schema: Option<Box<SchemaSpec>>,
}

impl From<&FormatSpec> for Choice {
    fn from(spec: &FormatSpec) -> Self {
        let schema = spec.schema.as_ref().map(|schema| Box::new(SchemaSpec { writes: None, ..(**schema).clone() }));
        Choice { name: spec.name.clone(), delimiter: spec.delimiter, schema }
    }
}

/// Whether the name is one of the dialect's formats.
pub(crate) fn is_known(name: &str) -> bool {
    by_name(name).is_some() || WITH_REGISTRY.contains(&name) || NOT_BUILT.contains(&name)
}

/// Whether the format knows its columns from the registry.
pub(crate) fn infers_schema(name: &str) -> bool {
    WITH_REGISTRY.contains(&name)
}

/// Whether this version can run the format.
///
/// # Errors
/// No format of the dialect has that name, or it is one of a later version.
pub(crate) fn check_runnable(name: &str, topic: &str) -> Result<(), Problem> {
    if by_name(name).is_some() {
        return Ok(());
    }
    if WITH_REGISTRY.contains(&name) {
        let known: Vec<&str> = crate::formats::ALL.iter().map(|f| f.name()).collect();
        let message = format!(
            "Cannot create topic '{topic}' with format {name}: this version of Tidemill does not read or write {name}, whatever is \
             configured. It has the formats {}.",
            known.join(", ")
        );
        return Err(Problem::new(message).kind(ErrorKind::SchemaRegistry));
    }
    if NOT_BUILT.contains(&name) {
        return Err(Problem::new(format!("The '{name}' format is not supported by this version of Tidemill.")));
    }
    let known = crate::formats::ALL.iter().map(|f| f.name()).chain(WITH_REGISTRY.iter().copied());
    let near = tidemill_parser::did_you_mean(name, known).map(|n| format!(". Did you mean {n}?")).unwrap_or_default();
    Err(Problem::new(format!("Unknown format: {name}{near}")).while_(PREPARING))
}

/// Which formats a WITH clause names, over what would be inherited.
pub(crate) fn choose(with: &WithClause, key: Option<Choice>, value: Option<Choice>) -> (Option<Choice>, Option<Choice>) {
    let pick = |own: &Option<String>, delimiter: Option<char>, inherited: Option<Choice>| match own.as_ref().or(with.format.as_ref()) {
        Some(name) => Some(Choice { name: name.clone(), delimiter, schema: None }),
        None => inherited.map(|choice| Choice { delimiter: delimiter.or(choice.delimiter), ..choice }),
    };
    (pick(&with.key_format, with.key_delimiter, key), pick(&with.value_format, with.value_delimiter, value))
}

/// Checks that a chosen format takes a delimiter if it was given one.
pub(crate) fn check_options(choice: &Choice, problems: &mut Problems) {
    if choice.delimiter.is_some() && choice.name != "DELIMITED" {
        problems.add(Problem::new(format!("{} does not support the following configs: [delimiter]", choice.name)));
    }
}

/// The key format for these columns. A single key column always stands alone.
pub(crate) fn key_spec(choice: &Choice, key: &[Column]) -> FormatSpec {
    FormatSpec { name: choice.name.clone(), unwrapped: key.len() == 1, delimiter: choice.delimiter, schema: choice.schema.clone() }
}

/// The value format for these columns. `wrap`: WRAP_SINGLE_VALUE, or its default.
pub(crate) fn value_spec(choice: &Choice, value: &[Column], wrap: Option<bool>) -> FormatSpec {
    let unwrapped = value.len() == 1
        && by_name(&choice.name).is_some_and(|format| {
            let (wraps, unwraps) = format.supports_wrapping();
            match wrap {
                Some(true) if wraps => false,
                Some(false) if wraps && unwraps => true,
                _ => format.unwrapped_by_default(),
            }
        });
    FormatSpec { name: choice.name.clone(), unwrapped, delimiter: choice.delimiter, schema: choice.schema.clone() }
}

/// Checks WRAP_SINGLE_VALUE as a statement sets it.
pub(crate) fn check_wrapping(choice: &Choice, value: &[Column], wrap: Option<bool>, problems: &mut Problems) {
    let Some(wrap) = wrap else { return };
    let Some(format) = by_name(&choice.name) else { return };
    let (wraps, unwraps) = format.supports_wrapping();
    if (wrap && !wraps) || (!wrap && !unwraps) {
        problems.add(Problem::new(format!("Format '{}' does not support 'WRAP_SINGLE_VALUE' set to '{wrap}'.", choice.name)));
    } else if value.len() != 1 {
        problems.add(Problem::new("'WRAP_SINGLE_VALUE' is only valid for single-field value schemas"));
    }
}

/// Checks that keys hold no maps: two maps may be equal and yet be written differently.
pub(crate) fn check_no_maps(key: &[Column]) -> Result<(), Problem> {
    match key.iter().find(|c| has_map(&c.sql_type)) {
        None => Ok(()),
        Some(Column { name, sql_type }) => Err(Problem::new(format!(
            "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to inconsistent \
             serialization. Key column name: `{name}`. Column type: {sql_type}. See https://github.com/confluentinc/ksql/issues/6621 \
             for more."
        ))),
    }
}

fn has_map(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Map(..) => true,
        SqlType::Array(item) => has_map(item),
        SqlType::Struct(fields) => fields.iter().any(|f| has_map(&f.sql_type)),
        _ => false,
    }
}

/// Checks that a format can hold the key columns.
pub(crate) fn check_key(spec: &FormatSpec, key: &[Column]) -> Result<(), Problem> {
    check_no_maps(key)?;
    check(spec, key, true)
}

/// Checks that a format can hold the value columns.
pub(crate) fn check_value(spec: &FormatSpec, value: &[Column]) -> Result<(), Problem> {
    check(spec, value, false)
}

fn check(spec: &FormatSpec, columns: &[Column], is_key: bool) -> Result<(), Problem> {
    // What this version can't run is refused by name elsewhere.
    let Some(format) = by_name(&spec.name) else { return Ok(()) };
    let unwrapped = spec.unwrapped && format.supports_wrapping() == (true, true);
    check_schema(format, columns, is_key, unwrapped).map_err(Problem::new)
}

/// Whether a format can hold the columns.
pub(crate) fn holds(spec: &FormatSpec, columns: &[Column], is_key: bool) -> bool {
    by_name(&spec.name).is_none_or(|format| format.check_columns(columns, is_key).is_ok())
}
