//! CREATE STREAM and CREATE TABLE over a topic.

use tidemill_parser::ast::{ColumnDef, ColumnRole, CreateSource, DataType, Expr, ExprKind, Ident, Properties, Property, Statement};

use super::context::{AnalysisContext, property};
use super::error::{AnalysisError, ErrorKind, PREPARING, Problem, Problems};
use super::formats::{self, Choice};
use super::infer;
use super::properties::{self, Clause, WithClause};
use super::sink;
use crate::catalog::{Catalog, CleanupPolicy, HeaderColumn, Source, SourceKind, WindowType, already_exists};
use crate::letters;
use crate::plan::{TopicFormat, WindowedKey};
use crate::types::{Column, Schema, SqlType, is_pseudo_column};

/// What making a source does to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    /// CREATE OR REPLACE of one that is there.
    Replace,
    /// CREATE … IF NOT EXISTS of one that is there: nothing happens.
    Keep,
}

/// A source as declared, and what is to be done with it.
#[derive(Debug, Clone)]
pub struct Declared {
    pub source: Source,
    pub action: Action,
    /// The topic is not there yet and is made with [`Source::topic`]'s settings.
    pub makes_topic: bool,
}

/// Analyses CREATE STREAM or CREATE TABLE.
///
/// # Errors
/// Everything that is wrong with the statement.
pub fn create_source(create: &CreateSource, ctx: &AnalysisContext<'_>) -> Result<Declared, AnalysisError> {
    let mut problems = Problems::default();
    let completed = match infer_columns(create, ctx) {
        Ok(completed) => completed,
        Err(problem) => {
            let understood = Declaration { create, ctx, problems: &mut problems, early: true, inferred_value: false }.understood();
            return Err(AnalysisError::from(problem).understood(|| understood));
        }
    };
    let inferred_value = completed.as_ref().is_some_and(|completed| completed.columns.len() > create.columns.len());
    let create = completed.as_ref().unwrap_or(create);
    let mut declaration = Declaration { create, ctx, problems: &mut problems, early: false, inferred_value };
    let declared = declaration.read();
    let understood = declaration.understood();
    problems.check().map_err(|error| error.understood(|| understood.clone()))?;
    let Some(declared) = declared else { return Err(Problem::new("The statement could not be analysed.").into()) };
    if declared.action == Action::Replace
        && let Some(existing) = ctx.catalog.source(&create.name.name)
    {
        let upgrade = existing.check_upgrade(&declared.source).map_err(AnalysisError::from);
        upgrade.map_err(|error| error.understood(|| understood))?;
    }
    Ok(declared)
}

/// The statement with the columns that it takes from registered schemas; `None` where it takes none. What else is wrong with
/// it is found later.
fn infer_columns(create: &CreateSource, ctx: &AnalysisContext<'_>) -> Result<Option<CreateSource>, Problem> {
    let keeps = create.if_not_exists && !create.or_replace && ctx.catalog.source(&create.name.name).is_some();
    let mut problems = Problems::default();
    let with = properties::read(Clause::CreateSource, &create.properties, &mut problems);
    let (key, value) = formats::choose(&with, &create.name.name, default_key(ctx), default_value(ctx));
    let (Some(key), Some(value)) = (key, value) else { return Ok(None) };
    check_schema_ids(create, &with, &key, &value, &mut problems);
    formats::check_options(&key, true, &mut problems);
    formats::check_options(&value, false, &mut problems);
    if keeps || !problems.is_empty() { Ok(None) } else { infer::complete(create, &with, (&key, &value), ctx) }
}

fn default_key(ctx: &AnalysisContext<'_>) -> Option<Choice> {
    Some(Choice::plain(ctx.property(property::DEFAULT_KEY_FORMAT).unwrap_or(formats::DEFAULT_KEY_FORMAT)))
}

fn default_value(ctx: &AnalysisContext<'_>) -> Option<Choice> {
    ctx.property(property::DEFAULT_VALUE_FORMAT).map(Choice::plain)
}

/// A schema is chosen instead of columns, and for formats that have schemas.
fn check_schema_ids(create: &CreateSource, with: &WithClause, key: &Choice, value: &Choice, problems: &mut Problems) {
    let has_key = create.columns.iter().any(|c| matches!(c.role, ColumnRole::Key | ColumnRole::PrimaryKey));
    let has_value = create.columns.iter().any(|c| c.role == ColumnRole::Value);
    for (what, id, choice, declared) in [("KEY", with.key_schema_id, key, has_key), ("VALUE", with.value_schema_id, value, has_value)] {
        if id.is_none() {
            continue;
        }
        if !formats::infers_schema(&choice.name) {
            problems.add(not_inferable(what, choice));
        }
        if declared {
            let message = format!("Table elements and {what}_SCHEMA_ID cannot both exist for create statement.");
            problems.add(Problem::new(message));
        }
    }
}

/// The refusal of a schema id beside a format that has no schemas. `what`: `KEY` or `VALUE`.
pub(crate) fn not_inferable(what: &str, choice: &Choice) -> Problem {
    Problem::new(format!(
        "{what}_FORMAT should support schema inference when {what}_SCHEMA_ID is provided. Current format is {}.",
        choice.name
    ))
}

/// Names of sources stand in names of topics and queries: letters, digits, `_` and `-`.
pub(crate) fn check_name(name: &Ident, problems: &mut Problems) {
    let plain = name.name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !plain || name.name.is_empty() {
        let place = name.span.start;
        problems.add(
            Problem::new(format!(
                "Illegal argument at Line: {}, Col: {}. Source names may only contain alphanumeric values, '_' or '-'. Got: '{}'",
                place.line, place.column, name.name
            ))
            .of_statement(&name.name),
        );
    }
}

/// What a statement does to the catalog.
pub(crate) fn action(
    kind: SourceKind,
    name: &str,
    or_replace: bool,
    if_not_exists: bool,
    read_only: bool,
    ctx: &AnalysisContext<'_>,
    problems: &mut Problems,
) -> Action {
    let existing = ctx.catalog.source(name);
    if or_replace && (read_only || existing.is_some_and(|e| e.read_only)) {
        let kind = kind.lower();
        let message = format!("Cannot add {kind} '{name}': CREATE OR REPLACE is not supported on source {kind}s.");
        problems.add(Problem::new(message));
    }
    match existing {
        None => Action::Create,
        Some(_) if or_replace => Action::Replace,
        Some(_) if if_not_exists => Action::Keep,
        Some(existing) => {
            problems.add(Problem::new(already_exists(existing, kind).0));
            Action::Keep
        }
    }
}

struct Declaration<'a, 'p> {
    create: &'a CreateSource,
    ctx: &'a AnalysisContext<'a>,
    problems: &'p mut Problems,
    /// Something was wrong before the topic was looked at.
    early: bool,
    /// Columns come from registered schemas. They and the ids that chose these were checked then.
    inferred_value: bool,
}

impl Declaration<'_, '_> {
    fn read(&mut self) -> Option<Declared> {
        let create = self.create;
        let name = create.name.name.clone();
        let kind = SourceKind::from(create.kind);
        check_name(&create.name, self.problems);
        let with = properties::read(Clause::CreateSource, &create.properties, self.problems);
        let (schema, headers) = self.columns(kind);
        // Columns that are missing for want of a type are not told of as missing.
        let has_all = schema.columns().count() == create.columns.len();
        let action = action(kind, &name, create.or_replace, create.if_not_exists, create.read_only, self.ctx, self.problems);
        let topic = self.topic_name(&with);
        let (key, value) = self.formats(&with);
        let before = self.problems.count();
        if let (Some(key), Some(value), false) = (&key, &value, self.inferred_value) {
            check_schema_ids(create, &with, key, value, self.problems);
        }
        for (choice, is_key) in [(&key, true), (&value, false)] {
            choice.iter().for_each(|choice| formats::check_options(choice, is_key, self.problems));
        }
        self.early = self.problems.count() > before;
        if has_all {
            self.check_columns(kind, &with, &schema, &headers, value.as_ref());
        }
        let (topic, key, value) = (topic?, key?, value?);
        for choice in [&key, &value] {
            self.problems.take(formats::check_known(&choice.name));
        }
        let record = without_headers(&schema, &headers);
        formats::check_wrapping(&value, &record.value, with.wrap_single_value, self.problems);
        let wrap = sink::wrapping(&with, &value, &record, self.ctx);
        let windowed_key = self.windowed_key(&with, &schema);
        let format = TopicFormat {
            key: formats::key_spec(&key, &record.key),
            value: formats::value_spec(&value, &record.value, wrap),
            windowed_key,
            topic,
        };
        self.problems.take(formats::check_key(&format.key, &record.key));
        self.problems.take(formats::check_value(&format.value, &record.value));
        sink::check_retention(&with, kind, windowed_key.is_some(), self.problems);
        let timestamp = if has_all { self.problems.take(sink::timestamp(&with, &schema)).flatten() } else { None };
        let makes_topic = self.check_topic(&with, &format.topic);
        let settings = sink::settings(&with, kind, &format.topic, None, windowed_key.is_some(), self.ctx, self.problems);
        let source = Source {
            name,
            kind,
            column_order: create.columns.iter().map(|c| c.name.name.clone()).collect(),
            schema,
            headers,
            format,
            window: with.window_type,
            wrap_single_value: wrap,
            timestamp,
            read_only: create.read_only,
            statement: self.printed(Some(CleanupPolicy::for_source(kind, false))),
            topic: settings,
            created_by: None,
        };
        Some(Declared { source, action, makes_topic })
    }

    fn add(&mut self, message: impl Into<String>) {
        self.problems.add(Problem::new(message));
    }

    fn columns(&mut self, kind: SourceKind) -> (Schema, Vec<HeaderColumn>) {
        let mut schema = Schema::default();
        let mut headers = Vec::new();
        for definition in &self.create.columns {
            let name = &definition.name.name;
            let earlier = self.create.columns.iter().take_while(|c| !std::ptr::eq(*c, definition));
            if earlier.into_iter().any(|c| c.name.name == *name) {
                self.problems.add(Problem::new(format!("Duplicate column names: `{name}`")).at(definition.name.span));
            }
            if is_pseudo_column(name) {
                let message = format!("'{name}' is a reserved column name. You cannot use it as a name for a column.");
                self.problems.add(Problem::new(message).at(definition.name.span));
            }
            let sql_type = match self.ctx.catalog.resolve_type(&definition.data_type) {
                Ok(sql_type) => sql_type,
                Err(error) => {
                    self.problems.add(Problem::new(error.message).while_(PREPARING));
                    continue;
                }
            };
            let column = Column::new(name.clone(), sql_type);
            self.check_role(kind, definition);
            match &definition.role {
                ColumnRole::Key | ColumnRole::PrimaryKey => schema.key.push(column),
                ColumnRole::Value => schema.value.push(column),
                ColumnRole::Headers => {
                    self.header(&column, None, &mut headers, definition);
                    schema.value.push(column);
                }
                ColumnRole::Header(key) => {
                    self.header(&column, Some(key), &mut headers, definition);
                    schema.value.push(column);
                }
            }
        }
        (schema, headers)
    }

    fn check_role(&mut self, kind: SourceKind, definition: &ColumnDef) {
        let (got, wanted, sources) = match (kind, &definition.role) {
            (SourceKind::Table, ColumnRole::Key) => ("KEY", "PRIMARY KEY", "tables"),
            (SourceKind::Stream, ColumnRole::PrimaryKey) => ("PRIMARY KEY", "KEY", "streams"),
            _ => return,
        };
        let message = format!(
            "Column `{}` is a '{got}' column: please use '{wanted}' for {sources}.\nTables have PRIMARY KEYs, which are unique and NON \
             NULL.\nStreams have KEYs, which have no uniqueness or NON NULL constraints.",
            definition.name.name
        );
        let column = format!("`{}`", definition.name.name);
        self.problems.add(Problem::new(message).at(definition.name.span).of_statement(column));
    }

    fn header(&mut self, column: &Column, key: Option<&String>, headers: &mut Vec<HeaderColumn>, definition: &ColumnDef) {
        let all_headers = SqlType::array(SqlType::structure([("KEY".to_string(), SqlType::String), ("VALUE".to_string(), SqlType::Bytes)]));
        let (what, wanted) = match key {
            None => ("HEADERS".to_string(), all_headers),
            Some(key) => (format!("HEADER('{key}')"), SqlType::Bytes),
        };
        if !self.ctx.flag(property::HEADERS, true) {
            self.add(format!("Cannot create column `{}`: header columns are disabled by {}.", column.name, property::HEADERS));
        }
        // What the server itself writes into headers is text whose type is known.
        let is_known = key.and_then(|key| letters::header_type(key)).is_some_and(|known| *known == column.sql_type);
        if column.sql_type != wanted && !is_known {
            let message = format!("Invalid type for {what} column: expected {wanted}, got {}.", column.sql_type);
            self.problems.add(Problem::new(message).at(definition.name.span));
        }
        let is_letters = |key: Option<&String>| key.is_some_and(|key| letters::header_type(key).is_some());
        // Letters have their own headers beside those of the record.
        let clash = headers.iter().find(|h| match (h.key.as_ref(), key) {
            (None, None) => true,
            (None, other) | (other, None) => !is_letters(other),
            (Some(one), Some(other)) => one == other,
        });
        if let Some(clash) = clash {
            let taken = clash.key.as_ref().map_or("HEADERS".to_string(), |k| format!("HEADER('{k}')"));
            self.problems.add(Problem::new(format!("Schema already contains a {taken} column.")).at(definition.name.span));
        }
        headers.push(HeaderColumn { column: column.name.clone(), key: key.cloned() });
    }

    fn topic_name(&mut self, with: &WithClause) -> Option<String> {
        if with.topic.is_none() && self.create.properties.get("KAFKA_TOPIC").is_none() {
            let message = "Missing required property \"KAFKA_TOPIC\" which has no default value.";
            self.problems.add(Problem::new(message).while_(PREPARING));
        }
        with.topic.clone()
    }

    fn formats(&mut self, with: &WithClause) -> (Option<Choice>, Option<Choice>) {
        let (key, value) = formats::choose(with, &self.create.name.name, default_key(self.ctx), default_value(self.ctx));
        if value.is_none() {
            self.add(format!(
                "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set a default via the '{}' \
                 config.",
                property::DEFAULT_VALUE_FORMAT
            ));
        }
        (key, value)
    }

    fn check_columns(&mut self, kind: SourceKind, with: &WithClause, schema: &Schema, headers: &[HeaderColumn], value: Option<&Choice>) {
        let unknown = value.is_some_and(|v| formats::check_known(&v.name).is_err());
        if self.create.columns.is_empty() && !unknown {
            let needed = value.filter(|v| !formats::infers_schema(&v.name) && v.name != "NONE");
            let hint = needed.map(|v| format!(" No registry knows a schema of {} to take them from: declare them.", v.name));
            self.add(format!("The statement does not define any columns. No columns supplied.{}", hint.unwrap_or_default()));
        }
        if kind == SourceKind::Table && schema.key.is_empty() && with.key_schema_id.is_none() {
            let has_wrong_key = self.create.columns.iter().any(|c| c.role == ColumnRole::Key);
            if !has_wrong_key {
                let example = format!(
                    "\nUse a partial schema to define the primary key and still load the value columns from the Schema Registry, for \
                     example:\n\tCREATE TABLE {} (ID INT PRIMARY KEY) WITH (...);",
                    self.create.name.name
                );
                let example = if self.inferred_value { example } else { String::new() };
                self.add(format!("Tables require a PRIMARY KEY. Please define the PRIMARY KEY.{example}"));
            }
        }
        if with.window_type.is_some() && schema.key.is_empty() {
            self.add("Windowed sources require a key column.");
        }
        let only_headers = !schema.value.is_empty() && schema.value.iter().all(|c| headers.iter().any(|h| h.column == c.name));
        if only_headers && schema.key.is_empty() {
            self.add("The statement defines header columns only. Please define a key or a value column as well.");
        }
    }

    fn windowed_key(&self, with: &WithClause, schema: &Schema) -> Option<WindowedKey> {
        if schema.key.is_empty() {
            return None;
        }
        match (with.window_type?, with.window_size_ms) {
            (WindowType::Session, _) => Some(WindowedKey::Session),
            (WindowType::Tumbling | WindowType::Hopping, Some(size_ms)) => Some(WindowedKey::Time { size_ms }),
            (WindowType::Tumbling | WindowType::Hopping, None) => None,
        }
    }

    /// Whether the topic has to be made. Without PARTITIONS it must be there.
    fn check_topic(&mut self, with: &WithClause, topic: &str) -> bool {
        let missing = (self.ctx.topic)(topic).is_none();
        // A number that is none was said already.
        if missing && with.partitions.is_none() && self.create.properties.get("PARTITIONS").is_none() {
            let mut example = self.create.clone();
            example.properties.entries.retain(|p| p.name.name != "PARTITIONS");
            example.properties.entries.push(Property { name: Ident::new("PARTITIONS"), value: Expr::new(ExprKind::Integer(2)) });
            let message = format!(
                "Topic '{topic}' does not exist. If you want to create a new topic for the stream/table please re-run the statement \
                 providing the required 'PARTITIONS' configuration in the WITH clause (and optionally 'REPLICAS'). For example: {};",
                Statement::CreateSource(example)
            );
            let named = self.create.properties.get("KAFKA_TOPIC").map_or(self.create.name.span, |property| property.value.span);
            self.problems.add(Problem::new(message).kind(ErrorKind::Request).at(named));
        }
        missing
    }

    /// The statement as far as it was understood; `None` where it names no format.
    fn understood(&self) -> Option<String> {
        let named = |name| self.create.properties.get(name).is_some();
        let has_format = named("VALUE_FORMAT") || named("FORMAT") || self.ctx.property(property::DEFAULT_VALUE_FORMAT).is_some();
        let kind = SourceKind::from(self.create.kind);
        let cleanup = (!self.early).then(|| CleanupPolicy::for_source(kind, false));
        has_format.then(|| self.printed(cleanup))
    }

    /// The statement as DESCRIBE shows it, with the policy of its topic where that is known.
    fn printed(&self, cleanup: Option<CleanupPolicy>) -> String {
        let mut create = self.create.clone();
        for column in &mut create.columns {
            spell_out(&mut column.data_type, self.ctx.catalog);
        }
        let text = |t: &str| Expr::new(ExprKind::String(t.to_string()));
        let add = |properties: &mut Properties, name: &str, value: Expr| {
            if properties.get(name).is_none() {
                properties.entries.push(Property { name: Ident::new(name), value });
            }
        };
        if let Some(cleanup) = cleanup {
            add(&mut create.properties, "CLEANUP_POLICY", text(cleanup.name()));
        }
        if create.properties.get("FORMAT").is_none() {
            let key = self.ctx.property(property::DEFAULT_KEY_FORMAT).unwrap_or(formats::DEFAULT_KEY_FORMAT);
            add(&mut create.properties, "KEY_FORMAT", text(&key.to_uppercase()));
            if let Some(value) = self.ctx.property(property::DEFAULT_VALUE_FORMAT) {
                add(&mut create.properties, "VALUE_FORMAT", text(&value.to_uppercase()));
            }
        }
        format!("{};", Statement::CreateSource(create))
    }
}

/// Puts what they stand for in the place of user types.
fn spell_out(data_type: &mut DataType, catalog: &Catalog) {
    match data_type {
        DataType::Custom(name) => {
            let meant = catalog.user_type(&name.name).and_then(|t| tidemill_parser::parse_data_type(&t.to_string()).ok());
            if let Some(meant) = meant {
                *data_type = meant;
            }
        }
        DataType::Array(item) => spell_out(item, catalog),
        DataType::Map(key, value) => {
            spell_out(key, catalog);
            spell_out(value, catalog);
        }
        DataType::Struct(fields) => fields.iter_mut().for_each(|(_, field)| spell_out(field, catalog)),
        _ => {}
    }
}

fn without_headers(schema: &Schema, headers: &[HeaderColumn]) -> Schema {
    let value = schema.value.iter().filter(|c| !headers.iter().any(|h| h.column == c.name)).cloned().collect();
    Schema { key: schema.key.clone(), value }
}
