//! Formats of topics: which one, with which options, and whether it can hold the columns.

use super::error::{PREPARING, Problem, Problems};
use super::properties::WithClause;
use crate::formats::{SchemaSupport, by_name, check_schema};
use crate::plan::{FormatSpec, NullRepresentation, SchemaSpec};
use crate::registry::{SchemaId, SchemaKind};
use crate::types::{Column, SqlType};

/// The key format of topics without keys.
pub(crate) const NONE: &str = "NONE";
/// The key format where nothing is said.
pub(crate) const DEFAULT_KEY_FORMAT: &str = "KAFKA";

/// A format as chosen by a statement, before the columns are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub name: String,
    pub delimiter: Option<char>,
    /// Formats with schemas only.
    pub schema: Option<Box<SchemaSpec>>,
}

impl Choice {
    /// A format without any option.
    pub fn plain(name: &str) -> Self {
        Choice { name: name.to_uppercase(), delimiter: None, schema: None }
    }

    /// The format of a topic between two steps that holds what a topic of this format holds.
    pub fn internal(spec: &FormatSpec) -> Self {
        Choice { name: spec.name.clone(), delimiter: spec.delimiter, schema: spec.schema.clone() }.on_the_way()
    }

    /// The same format in a topic between two steps, whose schemas are its own.
    pub fn on_the_way(&self) -> Self {
        let own = |schema: &SchemaSpec| Box::new(SchemaSpec { writes: None, chosen: None, ..schema.clone() });
        Choice { schema: self.schema.as_deref().map(own), ..self.clone() }
    }

    /// What a sink takes over from a source of this format.
    pub fn inherited(spec: &FormatSpec) -> Self {
        let keeps_name = support(&spec.name).is_some_and(SchemaSupport::inherits_full_name);
        let full_name = spec.schema.as_ref().and_then(|schema| schema.full_name.clone()).filter(|_| keeps_name);
        let schema = full_name.map(|name| Box::new(SchemaSpec { full_name: Some(name), ..SchemaSpec::default() }));
        Choice { name: spec.name.clone(), delimiter: spec.delimiter, schema }
    }

    /// What the format does with schemas that are registered; `None` where it has none or registers none.
    pub fn registered(&self) -> Option<(&'static dyn SchemaSupport, SchemaKind)> {
        let support = support(&self.name)?;
        Some((support, support.kind()?))
    }

    fn schema_mut(&mut self) -> &mut SchemaSpec {
        self.schema.get_or_insert_default()
    }
}

fn support(name: &str) -> Option<&'static dyn SchemaSupport> {
    by_name(name)?.schemas()
}

/// Whether the format knows its columns from the registry.
pub(crate) fn infers_schema(name: &str) -> bool {
    support(name).is_some_and(|support| support.kind().is_some())
}

/// Whether there is such a format.
///
/// # Errors
/// There is none.
pub(crate) fn check_known(name: &str) -> Result<(), Problem> {
    if by_name(name).is_some() {
        return Ok(());
    }
    /// Letters of a name that begins right, at least.
    const MIN_LETTERS: usize = 3;
    let names = || crate::formats::ALL.iter().map(|f| f.name());
    let begins = || names().find(|known| name.len() >= MIN_LETTERS && known.starts_with(name));
    let near = tidemill_parser::did_you_mean(name, names()).or_else(begins);
    let near = near.map(|n| format!(". Did you mean {n}?")).unwrap_or_default();
    Err(Problem::new(format!("Unknown format: {name}{near}")).while_(PREPARING))
}

/// Which formats a WITH clause of `source` names, over what would be inherited.
pub(crate) fn choose(with: &WithClause, source: &str, key: Option<Choice>, value: Option<Choice>) -> (Option<Choice>, Option<Choice>) {
    let pick = |own: &Option<String>, delimiter: Option<char>, inherited: Option<Choice>| match own.as_ref().or(with.format.as_ref()) {
        // The same format once more takes its options over.
        Some(name) => match inherited.filter(|inherited| inherited.name == *name) {
            Some(choice) => Some(Choice { delimiter, ..choice }),
            None => Some(Choice { delimiter, ..Choice::plain(name) }),
        },
        None => inherited.map(|choice| Choice { delimiter: delimiter.or(choice.delimiter), ..choice }),
    };
    let mut key = pick(&with.key_format, with.key_delimiter, key);
    let mut value = pick(&with.value_format, with.value_delimiter, value);
    if let Some(key) = &mut key {
        let own_name = || support(&key.name).and_then(|support| support.key_name(source));
        let full_name = with.key_full_name.clone().or_else(own_name);
        set_schema(key, full_name, with.key_nulls, with.key_schema_id);
    }
    if let Some(value) = &mut value {
        set_schema(value, with.value_full_name.clone(), with.value_nulls, with.value_schema_id);
    }
    (key, value)
}

fn set_schema(choice: &mut Choice, full_name: Option<String>, nulls: Option<NullRepresentation>, id: Option<SchemaId>) {
    if let Some(name) = full_name {
        choice.schema_mut().full_name = Some(name);
    }
    if let Some(nulls) = nulls {
        choice.schema_mut().nulls = Some(nulls);
    }
    if let Some(id) = id {
        choice.schema_mut().chosen = Some(id);
    }
}

/// Checks that a chosen format takes the options that it was given.
pub(crate) fn check_options(choice: &Choice, is_key: bool, problems: &mut Problems) {
    let support = support(&choice.name);
    let full_name = choice.schema.as_ref().and_then(|schema| schema.full_name.as_deref());
    let mut refused = Vec::new();
    if full_name.is_some() && !support.is_some_and(SchemaSupport::takes_full_name) {
        refused.push("fullSchemaName");
    }
    if choice.delimiter.is_some() && choice.name != "DELIMITED" {
        refused.push("delimiter");
    }
    if !refused.is_empty() {
        let part = if is_key { "KEY" } else { "VALUE" };
        let hint = if refused.contains(&"fullSchemaName") {
            format!(". {part}_SCHEMA_FULL_NAME is for AVRO, PROTOBUF and JSON_SR")
        } else {
            format!(". {part}_DELIMITER is for DELIMITED")
        };
        problems.add(Problem::new(format!("{} does not support the following configs: [{}]{hint}", choice.name, refused.join(", "))));
    } else if full_name.is_some_and(str::is_empty) {
        problems.add(Problem::new("fullSchemaName cannot be empty. Format configuration: {fullSchemaName=}"));
    }
    if choice.schema.as_ref().is_some_and(|schema| schema.nulls.is_some()) && !support.is_some_and(SchemaSupport::takes_nulls) {
        let part = if is_key { "KEY" } else { "VALUE" };
        problems.add(Problem::new(format!("Property {part}_PROTOBUF_NULLABLE_REPRESENTATION can only be enabled with protobuf format")));
    }
}

/// The key format for these columns. A single key column stands alone where its format can have it so.
pub(crate) fn key_spec(choice: &Choice, key: &[Column]) -> FormatSpec {
    let unwrapped = key.len() == 1 && by_name(&choice.name).is_none_or(|format| format.unwraps_single_key());
    FormatSpec { name: choice.name.clone(), unwrapped, delimiter: choice.delimiter, schema: choice.schema.clone() }
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

/// Whether the format can put an object around a single column.
pub(crate) fn wraps(spec: &FormatSpec) -> bool {
    by_name(&spec.name).is_some_and(|format| format.supports_wrapping().0)
}

/// Whether a format can hold the columns.
pub(crate) fn holds(spec: &FormatSpec, columns: &[Column], is_key: bool) -> bool {
    by_name(&spec.name).is_none_or(|format| format.check_columns(columns, is_key).is_ok())
}
