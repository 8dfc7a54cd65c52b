//! Columns that a statement takes from registered schemas: which it takes, and what is said where there is none to take.
//!
//! CREATE STREAM and CREATE TABLE take the columns of keys or values that they don't declare themselves, where the format has
//! registered schemas: those of the schema that the statement chose by its id, else of the newest one of the topic. A key of a
//! format that lets single columns stand alone is one column, `ROWKEY`. CREATE … AS takes no columns, but checks its own
//! against the schema that it chose.

use tidemill_parser::ast::{ColumnDef, ColumnRole, CreateSource, Expr, ExprKind, Ident, Property, SourceKind};

use super::context::AnalysisContext;
use super::error::{ErrorKind, Problem};
use super::formats::{Choice, infers_schema};
use super::properties::WithClause;
use crate::formats::{Inferred, SchemaShape, SchemaSupport, describe_columns};
use crate::registry::{RegistryError, Schema, SchemaId, SchemaKind, subject};
use crate::types::{Column, SqlType};

/// Where a schema is looked for.
pub(crate) struct Wanted<'a> {
    /// `None`: a statement that names none, and chose its schema by the id.
    pub topic: Option<&'a str>,
    pub choice: &'a Choice,
    pub is_key: bool,
    /// A single column stands without a record around it.
    pub unwrapped: bool,
}

/// What a registered schema says of the columns.
pub(crate) struct Found {
    pub columns: Vec<Column>,
    /// The name of the record or message, where the statement chose the schema by its id.
    pub name: Option<String>,
}

/// The statement with the columns that it takes from the registry, and with what is known of their schemas; `None` where it
/// takes none.
///
/// # Errors
/// There is no schema to take them from, or its columns can't be taken.
pub(crate) fn complete(
    create: &CreateSource,
    with: &WithClause,
    (key, value): (&Choice, &Choice),
    ctx: &AnalysisContext<'_>,
) -> Result<Option<CreateSource>, Problem> {
    let Some(topic) = with.topic.as_deref() else { return Ok(None) };
    let is_key = |c: &ColumnDef| matches!(c.role, ColumnRole::Key | ColumnRole::PrimaryKey);
    let is_value = |c: &ColumnDef| c.role == ColumnRole::Value;
    let take = |choice: &Choice, is_key: bool, declared: bool, unwrapped: bool| {
        let wanted = Wanted { topic: Some(topic), choice, is_key, unwrapped };
        if declared || !infers_schema(&choice.name) { Ok(None) } else { wanted.find(ctx).map(Some) }
    };
    let key = take(key, true, create.columns.iter().any(is_key), true)?;
    let value = take(value, false, create.columns.iter().any(is_value), with.wrap_single_value == Some(false))?;
    if key.is_none() && value.is_none() {
        return Ok(None);
    }
    let mut complete = create.clone();
    let declared = std::mem::take(&mut complete.columns);
    let (keys, others): (Vec<_>, Vec<_>) = declared.into_iter().partition(is_key);
    let (values, headers): (Vec<_>, Vec<_>) = others.into_iter().partition(is_value);
    let role = if create.kind == SourceKind::Table { ColumnRole::PrimaryKey } else { ColumnRole::Key };
    complete.columns.extend(key.as_ref().map_or(keys, |found| found.definitions(&role)));
    complete.columns.extend(value.as_ref().map_or(values, |found| found.definitions(&ColumnRole::Value)));
    complete.columns.extend(headers);
    for (found, part) in [(&key, "KEY"), (&value, "VALUE")] {
        let name = found.as_ref().and_then(|found| found.name.clone());
        add_full_name(&mut complete.properties.entries, part, name);
    }
    Ok(Some(complete))
}

/// Says in a statement how the record or message of a chosen schema is named, unless it says so itself.
pub(crate) fn add_full_name(properties: &mut Vec<Property>, part: &str, name: Option<String>) {
    let Some(full_name) = name else { return };
    let property = format!("{part}_SCHEMA_FULL_NAME");
    let old = format!("{part}_AVRO_SCHEMA_FULL_NAME");
    if properties.iter().all(|p| p.name.name != property && p.name.name != old) {
        properties.push(Property { name: Ident::new(property), value: Expr::new(ExprKind::String(full_name)) });
    }
}

impl Found {
    fn definitions(&self, role: &ColumnRole) -> Vec<ColumnDef> {
        let definition = |c: &Column| ColumnDef { name: Ident::new(c.name.clone()), data_type: c.sql_type.to_ast(), role: role.clone() };
        self.columns.iter().map(definition).collect()
    }
}

impl Wanted<'_> {
    /// The columns of the schema.
    ///
    /// # Errors
    /// There is no such schema, it is in another language, or has columns that can't be taken.
    pub fn find(&self, ctx: &AnalysisContext<'_>) -> Result<Found, Problem> {
        let Some((support, kind)) = self.choice.registered() else { return Err(Problem::new("The format has no registered schemas.")) };
        let chosen = self.chosen();
        let schema = self.schema(ctx)?;
        if schema.kind != kind {
            return Err(self.other_kind(kind, schema.kind));
        }
        let columns = self.columns(support, &schema).map_err(|reason| self.not_compatible(&schema, &reason))?;
        if self.is_key && columns.len() > 1 {
            let message = format!(
                "The key schema for {} contains multiple columns, which is not supported by ksqlDB at this time.\nSchema:{}",
                self.place(),
                schema.text
            );
            return Err(Problem::new(message));
        }
        let named = self.choice.schema.as_ref().is_some_and(|spec| spec.full_name.is_some());
        let choices = support.choices(&schema);
        if choices.len() > 1 && !named {
            let listed: Vec<String> = choices.iter().map(|name| format!("- {name}")).collect();
            return Err(Problem::new(format!(
                "{} schema has multiple schema definitions. \n\n{}\n\nPlease specify a schema full name in the WITH clause using {}_SCHEMA_FULL_NAME",
                if self.is_key { "Key" } else { "Value" },
                listed.join("\n"),
                if self.is_key { "KEY" } else { "VALUE" },
            )));
        }
        Ok(Found { columns, name: chosen.and_then(|_| support.name_of(&schema)) })
    }

    fn chosen(&self) -> Option<SchemaId> {
        self.choice.schema.as_ref().and_then(|spec| spec.chosen)
    }

    fn schema(&self, ctx: &AnalysisContext<'_>) -> Result<std::sync::Arc<Schema>, Problem> {
        let found = match (self.chosen(), self.topic) {
            (Some(id), _) => match ctx.registry.by_id(id) {
                Err(RegistryError::UnknownId(_)) => Ok(None),
                found => found.map(Some),
            },
            (None, Some(topic)) => ctx.registry.latest(&subject(topic, self.is_key)).map(|found| found.map(|newest| newest.schema)),
            (None, None) => Ok(None),
        };
        found.map_err(|error| self.not_fetched(&error))?.ok_or_else(|| self.not_found())
    }

    fn columns(&self, support: &dyn SchemaSupport, schema: &Schema) -> Result<Vec<Column>, String> {
        let shape = SchemaShape {
            is_key: self.is_key,
            unwrapped: self.unwrapped,
            keeps_case: self.chosen().is_some(),
            spec: self.choice.schema.as_deref(),
        };
        let can_unwrap = crate::formats::by_name(&self.choice.name).is_some_and(|format| format.supports_wrapping().1);
        let single = |sql_type| vec![Column::new(if self.is_key { "ROWKEY" } else { "ROWVAL" }, sql_type)];
        match support.columns_of(schema, &shape)? {
            Inferred::Value(sql_type) if self.unwrapped && can_unwrap => Ok(single(sql_type)),
            Inferred::Columns(columns) if self.unwrapped && can_unwrap => {
                Ok(single(SqlType::structure(columns.into_iter().map(|c| (c.name.to_string(), c.sql_type)))))
            }
            Inferred::Columns(columns) => Ok(columns),
            Inferred::Value(_) => Err("Schema returned from schema registry is anonymous type. To use this schema with ksqlDB, set \
                                       'WRAP_SINGLE_VALUE=false' in the WITH clause properties."
                .to_owned()),
        }
    }

    /// Checks that the columns of a sink stand in the schema that it chose, each at its place.
    ///
    /// # Errors
    /// One does not, or there is no such schema.
    pub fn check(&self, columns: &[Column], ctx: &AnalysisContext<'_>) -> Result<Found, Problem> {
        let found = self.find(ctx)?;
        let differs = |(i, column): (usize, &Column)| found.columns.get(i).filter(|c| *c == column).is_none().then(|| column.clone());
        let changed: Vec<Column> = columns.iter().enumerate().filter_map(differs).collect();
        if changed.is_empty() {
            return Ok(found);
        }
        Err(Problem::new(format!(
            "The following {} columns are changed, missing or reordered: {}. Schema from schema registry is {}",
            if self.is_key { "key" } else { "value" },
            describe_columns(&changed, self.is_key),
            describe_columns(&found.columns, self.is_key),
        )))
    }

    /// What was looked at: `topic: t, schema id: 1`.
    fn place(&self) -> String {
        let topic = self.topic.map(|topic| format!("topic: {topic}"));
        let id = self.chosen().map(|id| format!("schema id: {id}"));
        topic.into_iter().chain(id).collect::<Vec<_>>().join(", ")
    }

    fn part(&self) -> &'static str {
        if self.is_key { "key" } else { "value" }
    }

    fn other_kind(&self, expected: SchemaKind, actual: SchemaKind) -> Problem {
        let (expected, actual) = (expected.name(), actual.name());
        let (part, property) = if self.is_key { ("Key", "KEY_FORMAT") } else { ("Value", "VALUE_FORMAT") };
        Problem::new(format!(
            "{part} schema is not in the expected format. You may want to set {property} to '{actual}'.\n{}\nexpected format: {expected}\n\
             actual format from Schema Registry: {actual}",
            self.place()
        ))
    }

    fn not_compatible(&self, schema: &Schema, reason: &str) -> Problem {
        Problem::new(format!(
            "Unable to verify if the {} schema for {} is compatible with ksqlDB.\nReason: {reason}\n\nSchema:{}",
            self.part(),
            self.place(),
            schema.text
        ))
    }

    fn not_fetched(&self, error: &RegistryError) -> Problem {
        let message = format!("Schema registry fetch for topic {} request failed for {}\nCaused by: {error}", self.part(), self.place());
        let kind = match error {
            RegistryError::NotConfigured => ErrorKind::SchemaRegistry,
            RegistryError::Away(_) => ErrorKind::Server,
            RegistryError::Refused(_) | RegistryError::UnknownId(_) => ErrorKind::Statement,
        };
        Problem::new(message).kind(kind)
    }

    fn not_found(&self) -> Problem {
        let messages = if self.is_key { "keys" } else { "values" };
        let id = self.chosen().map(|id| format!("Schema Id: {id}\n")).unwrap_or_default();
        let causes = "- Messages on the topic have not been serialized using a Confluent Schema Registry supported serializer\n- The \
                      schema is registered on a different instance of the Schema Registry\n\t-> Use the REST API to list available \
                      subjects: GET /subjects\n- You do not have permissions to access the Schema Registry.";
        let Some(topic) = self.topic else {
            return Problem::new(format!(
                "Schema for message {messages} on schema id {} does not exist in the Schema Registry.\n{id}Possible causes include:\n{causes}",
                self.chosen().unwrap_or(SchemaId(0))
            ));
        };
        Problem::new(format!(
            "Schema for message {messages} on topic '{topic}' does not exist in the Schema Registry.\nSubject: {}\n{id}Possible causes \
             include:\n- The topic itself does not exist\n\t-> Use SHOW TOPICS; to check\n- Messages on the topic are not serialized \
             using a format Schema Registry supports\n\t-> Use PRINT '{topic}' FROM BEGINNING; to verify\n{causes}",
            subject(topic, self.is_key)
        ))
    }
}
