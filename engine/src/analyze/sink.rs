//! The source that a query makes, or the one that it writes: its topic, formats and timestamp.

use tidemill_parser::ast::{CreateAs, Expr, ExprKind, Ident, Properties, Property};

use super::context::{AnalysisContext, property};
use super::create_source;
use super::error::{ErrorKind, Problem, Problems};
use super::formats::{self, Choice};
use super::infer::{self, Wanted};
use super::properties::WithClause;
use crate::catalog::{CleanupPolicy, Source, SourceKind, TopicSettings, WindowType, check_size};
use crate::plan::{TimestampColumn, TopicFormat, WindowedKey};
use crate::types::{Schema, SqlType};

/// How long topics keep records where nothing is said, as Kafka's default.
pub(crate) const DEFAULT_RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// What the sink inherits from the left-most source, and what decides about its key.
pub(crate) struct Inherited<'a> {
    pub source: &'a Source,
    /// Whether the result has key columns.
    pub has_key: bool,
    /// PARTITION BY NULL.
    pub null_key: bool,
}

/// The formats of a sink: those of its WITH clause, else those of the left-most source.
pub(crate) fn choose_formats(with: &WithClause, sink: &str, inherited: &Inherited<'_>, ctx: &AnalysisContext<'_>) -> (Choice, Choice) {
    let from = inherited.source;
    let explicit = with.key_format.is_some() || with.format.is_some();
    let default = || Choice::plain(ctx.property(property::DEFAULT_KEY_FORMAT).unwrap_or(formats::DEFAULT_KEY_FORMAT));
    let key = match Choice::inherited(&from.format.key) {
        _ if inherited.null_key && !explicit => Choice::plain(formats::NONE),
        key if key.name != formats::NONE || explicit || !inherited.has_key => key,
        _ => default(),
    };
    let value = Choice::inherited(&from.format.value);
    let (chosen_key, chosen_value) = formats::choose(with, sink, Some(key.clone()), Some(value.clone()));
    (chosen_key.unwrap_or(key), chosen_value.unwrap_or(value))
}

/// What comes out of the query, as the sink needs it.
pub(crate) struct Output<'a> {
    pub schema: &'a Schema,
    pub windowed_key: Option<WindowedKey>,
    pub window: Option<WindowType>,
}

/// Makes the source of CREATE … AS. `statement` is filled in later.
pub(crate) fn make(
    create: &CreateAs,
    with: &WithClause,
    (key, value): (&Choice, &Choice),
    inherited: &Inherited<'_>,
    output: &Output<'_>,
    ctx: &AnalysisContext<'_>,
    problems: &mut Problems,
) -> Source {
    let kind = SourceKind::from(create.kind);
    let schema = output.schema;
    let wrap = wrapping(with, value, schema, ctx);
    formats::check_options(key, true, problems);
    formats::check_options(value, false, problems);
    formats::check_wrapping(value, &schema.value, with.wrap_single_value, problems);
    let prefix = ctx.property(property::OUTPUT_TOPIC_PREFIX).unwrap_or_default();
    let topic = with.topic.clone().unwrap_or_else(|| format!("{prefix}{}", create.name.name));
    let format = TopicFormat {
        topic,
        key: formats::key_spec(key, &schema.key),
        value: formats::value_spec(value, &schema.value, wrap),
        windowed_key: output.windowed_key,
    };
    for choice in [key, value] {
        problems.take(formats::check_known(&choice.name));
    }
    for column in schema.columns() {
        if let Err(error) = check_size(&column.sql_type) {
            problems.add(Problem::new(format!("The type of column `{}` is too large. {error}", column.name)));
        }
    }
    let as_request = |p: Problem| p.kind(ErrorKind::Request);
    problems.take(formats::check_key(&format.key, &schema.key).map_err(as_request));
    problems.take(formats::check_value(&format.value, &schema.value).map_err(as_request));
    check_retention(with, kind, output.windowed_key.is_some(), problems);
    let timestamp = problems.take(timestamp(with, schema)).flatten();
    let topic = settings(with, kind, &format.topic, Some(inherited.source), output.windowed_key.is_some(), ctx, problems);
    Source {
        name: create.name.name.clone(),
        kind,
        column_order: schema.columns().map(|c| c.name.clone()).collect(),
        schema: schema.clone(),
        headers: Vec::new(),
        format,
        window: output.window,
        wrap_single_value: wrap,
        timestamp,
        read_only: false,
        topic,
        statement: String::new(),
        created_by: None,
    }
}

/// Checks a sink's columns against the schemas that its statement chose by their ids, and takes their names over.
///
/// # Errors
/// There is no such schema, or the columns don't stand in it.
pub(crate) fn check_schema_ids(
    with: &WithClause,
    (key, value): (&Choice, &Choice),
    source: &mut Source,
    written: &mut Properties,
    ctx: &AnalysisContext<'_>,
) -> Result<(), Problem> {
    let schema = source.record_schema();
    let format = &mut source.format;
    let sides = [
        ("KEY", with.key_schema_id, key, &schema.key, &mut format.key),
        ("VALUE", with.value_schema_id, value, &schema.value, &mut format.value),
    ];
    for (part, id, choice, columns, spec) in sides {
        if id.is_none() {
            continue;
        }
        if choice.registered().is_none() {
            return Err(create_source::not_inferable(part, choice));
        }
        let is_key = part == "KEY";
        let wanted = Wanted { topic: with.topic.as_deref(), choice, is_key, unwrapped: is_key || spec.unwrapped };
        let found = wanted.check(columns, ctx)?;
        infer::add_full_name(&mut written.entries, part, found.name.clone());
        if let Some(schema) = &mut spec.schema {
            schema.full_name = found.name.or(schema.full_name.take());
        }
    }
    Ok(())
}

/// WRAP_SINGLE_VALUE: as set, else as configured where the format lets one choose.
pub(crate) fn wrapping(with: &WithClause, value: &Choice, schema: &Schema, ctx: &AnalysisContext<'_>) -> Option<bool> {
    let can_choose = crate::formats::by_name(&value.name).is_some_and(|f| f.supports_wrapping() == (true, true));
    let configured = ctx.property(property::WRAP_SINGLE_VALUES).and_then(|v| v.to_ascii_lowercase().parse().ok());
    with.wrap_single_value.or(configured.filter(|_| can_choose && schema.value.len() == 1))
}

/// RETENTION_MS makes no sense where only the last record of a key is kept.
pub(crate) fn check_retention(with: &WithClause, kind: SourceKind, windowed: bool, problems: &mut Problems) {
    if with.retention_ms.is_some() && kind == SourceKind::Table && !windowed {
        let message = "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention.";
        problems.add(Problem::new(message).kind(ErrorKind::Request));
    }
}

/// The timestamp column of a WITH clause over a schema.
///
/// # Errors
/// There is no such column, or it holds no time.
pub(crate) fn timestamp(with: &WithClause, schema: &Schema) -> Result<Option<TimestampColumn>, Problem> {
    let Some(named) = &with.timestamp else { return Ok(None) };
    let name = &named.name;
    let Some(column) = schema.slot(name).and_then(|slot| schema.column(slot)) else {
        let near = tidemill_parser::did_you_mean(name, schema.columns().map(|c| c.name.as_str()));
        let near = match near {
            Some(near) if near.eq_ignore_ascii_case(name) => format!(". Write '`{near}`': without back-quotes letters are made large."),
            Some(near) => format!(". Did you mean '{near}'?"),
            None => String::new(),
        };
        let message = format!("The TIMESTAMP column set in the WITH clause does not exist in the schema: '{name}'{near}");
        return Err(Problem::new(message).at(named.span));
    };
    let format = with.timestamp_format.clone();
    match (&column.sql_type, &format) {
        (SqlType::BigInt | SqlType::Timestamp, None) | (SqlType::String, Some(_)) => {
            Ok(Some(TimestampColumn { column: name.clone(), format }))
        }
        (SqlType::BigInt | SqlType::Timestamp, Some(_)) => Err(Problem::new(format!(
            "Timestamp column, `{name}`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified. It is {}: \
             TIMESTAMP_FORMAT is for STRING columns.",
            column.sql_type
        ))
        .at(named.span)),
        (found, _) => Err(Problem::new(format!(
            "Timestamp column, `{name}`, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified. It is {found}; \
             LONG is BIGINT here."
        ))
        .at(named.span)),
    }
}

/// How the topic of a source is made, or was found. `from`: whose settings are inherited.
pub(crate) fn settings(
    with: &WithClause,
    kind: SourceKind,
    topic: &str,
    from: Option<&Source>,
    windowed: bool,
    ctx: &AnalysisContext<'_>,
    problems: &mut Problems,
) -> TopicSettings {
    let cleanup = CleanupPolicy::for_source(kind, windowed);
    let existing = (ctx.topic)(topic);
    let inherited = from.map(|f| f.topic);
    let has_retention = kind == SourceKind::Stream || windowed;
    let retention_ms = with.retention_ms.or(inherited.and_then(|t| t.retention_ms)).or_else(|| existing.and_then(|t| t.retention_ms));
    let settings = TopicSettings {
        partitions: with.partitions.or(inherited.map(|t| t.partitions)).or(existing.map(|t| t.partitions)).unwrap_or(1),
        replicas: with.replicas.or(inherited.map(|t| t.replicas)).or(existing.map(|t| t.replicas)).unwrap_or(1),
        retention_ms: if has_retention { retention_ms } else { with.retention_ms },
        cleanup,
    };
    // A topic that is there is used as it is; what the statement asks for must agree.
    let Some(found) = existing else { return settings };
    let partitions_differ = (with.partitions.is_some() || from.is_some()) && settings.partitions != found.partitions;
    let replicas_differ = (with.replicas.is_some() || from.is_some()) && settings.replicas != found.replicas;
    if partitions_differ || replicas_differ {
        let retention = |ms: Option<i64>| ms.unwrap_or(DEFAULT_RETENTION_MS);
        problems.add(
            Problem::new(format!(
                "A Kafka topic with the name '{topic}' already exists, with different partition/replica/retention configuration than \
                 required. KSQL expects {} partitions (topic has {}), {} replication factor (topic has {}), and {} retention (topic has {}).",
                settings.partitions,
                found.partitions,
                settings.replicas,
                found.replicas,
                retention(settings.retention_ms),
                retention(found.retention_ms)
            ))
            .kind(ErrorKind::Server),
        );
    }
    TopicSettings { partitions: found.partitions, replicas: found.replicas, ..settings }
}

/// The statement's properties with those of its topic, as it is printed back.
pub(crate) fn printed_properties(written: &Properties, topic: &str, settings: &TopicSettings) -> Properties {
    let text = |t: &str| Expr::new(ExprKind::String(t.to_string()));
    let number = |n: i64| Expr::new(i32::try_from(n).map_or(ExprKind::BigInt(n), ExprKind::Integer));
    let mut properties = written.clone();
    let mut add = |name: &str, value: Expr| {
        if properties.get(name).is_none() {
            properties.entries.push(Property { name: Ident::new(name), value });
        }
    };
    add("CLEANUP_POLICY", text(settings.cleanup.name()));
    add("KAFKA_TOPIC", text(topic));
    add("PARTITIONS", number(i64::from(settings.partitions)));
    add("REPLICAS", number(i64::from(settings.replicas)));
    add("RETENTION_MS", number(settings.retention_ms.unwrap_or(DEFAULT_RETENTION_MS)));
    properties
}
