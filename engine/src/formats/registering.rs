//! Schemas of what is about to be written: found or registered once, when a statement is carried out, and kept in the plan.
//! Nothing is looked up when a query starts or for a record.
//!
//! A declared source registers its schemas where its topic has none; a query's sink always does, as its own or as the ones that
//! the statement chose by their ids. Topics between two steps register nothing: their schemas are in the plan alone.

use std::sync::Arc;

use super::schemas::internal_id;
use super::topic::TopicWriter;
use super::{Field, Layout, LayoutSchemas, SchemaShape, SchemaSupport, by_name};
use crate::catalog::Source;
use crate::plan::{FormatSpec, QueryPlan, SchemaSpec, Step, StepKind, TopicFormat, WriteSchema};
use crate::registry::{NoRegistry, Registered, RegistryError, SchemaId, SchemaRegistry, subject};
use crate::types::{Column, Schema};

/// Why the schemas of a topic are not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    #[error(
        "Cannot create topic '{topic}' with format {format} without configuring 'ksql.schema.registry.url'. Set it to the URL of a Schema \
         Registry, or leave Tidemill's own one on"
    )]
    NotConfigured { topic: String, format: &'static str },
    /// The format can't hold the columns.
    #[error("{0}")]
    Columns(String),
    #[error("Could not register schema for topic: {0}")]
    Failed(RegistryError),
    /// Inserted rows have another schema than the topic's, and the registry refuses it.
    #[error(
        "Rows of these columns have another schema than the topic's newest, and the registry does not take it. Declare the source with \
         VALUE_SCHEMA_ID={id} instead of with columns, and rows are written with that schema; or let the registry take any: PUT \
         /config/{topic}-value with {{\"compatibility\": \"NONE\"}}.\nCould not register schema for topic: {cause}"
    )]
    NotTaken { id: SchemaId, topic: String, cause: RegistryError },
    /// The schema that a statement chose got another id when it was registered for the topic.
    #[error(
        "Schema id registered is {registered} which is different from provided {part}_SCHEMA_ID {chosen}.\nTopic: {topic}\nSubject: {}\nSchema: \
         {schema}", subject(topic, *part == "KEY")
    )]
    OtherId { part: &'static str, chosen: SchemaId, registered: SchemaId, topic: String, schema: String },
    /// INSERT VALUES would write keys with another schema than all others do, hence to other partitions.
    #[error(
        "Cannot INSERT VALUES into data source `{source_name}`. ksqlDB generated schema would overwrite existing key schema.\n\tExisting Schema: \
         {existing}\n\tksqlDB Generated: {generated}"
    )]
    OtherKey { source_name: String, existing: String, generated: String },
}

/// Registers the schemas of all topics that a plan writes.
///
/// # Errors
/// The registry refuses a schema, or is away.
pub fn register_plan(plan: &mut QueryPlan, registry: &dyn SchemaRegistry) -> Result<(), RegisterError> {
    register_step(&mut plan.root, registry)
}

/// The subjects of a topic's schemas: those of its keys and its values, as far as their formats register any.
pub fn subjects(format: &TopicFormat) -> impl Iterator<Item = String> + '_ {
    [(&format.key, true), (&format.value, false)].into_iter().filter_map(|(spec, is_key)| {
        let support = by_name(&spec.name).and_then(|format| format.schemas())?;
        support.kind().map(|_| subject(&format.topic, is_key))
    })
}

fn register_step(step: &mut Step, registry: &dyn SchemaRegistry) -> Result<(), RegisterError> {
    for input in step.inputs_mut() {
        register_step(input, registry)?;
    }
    // What a topic behind a step holds are the rows that the step puts out.
    let schema = step.schema.clone();
    if let StepKind::Sink { format, .. } = &mut step.kind {
        Sides::of(format, &schema).try_for_each(|mut side| side.register(registry))?;
        // A schema that was chosen may ask for more than the columns give.
        return TopicWriter::new(format, &schema).map(drop).map_err(RegisterError::Columns);
    }
    match step.repartition_mut() {
        Some(repartition) => Sides::of(&mut repartition.format, &schema).try_for_each(|mut side| side.keep_to_itself()),
        None => Ok(()),
    }
}

/// Registers the schemas of a declared source: those that it chose by their ids, else its own where its topic has none yet.
///
/// # Errors
/// The registry refuses a schema, or is away.
pub fn register_source(source: &Source, registry: &dyn SchemaRegistry) -> Result<(), RegisterError> {
    let mut format = source.format.clone();
    Sides::of(&mut format, &source.record_schema()).try_for_each(|mut side| {
        if side.support.kind().is_none() || (side.spec().chosen.is_none() && side.newest(registry)?.is_some()) {
            return Ok(());
        }
        side.register(registry)
    })
}

/// Registers the schemas of rows that are inserted into a source, and says in `format` what they are written with.
///
/// # Errors
/// The registry refuses a schema, or is away; or keys would get another schema than they have.
pub fn register_insert(source: &Source, format: &mut TopicFormat, registry: &dyn SchemaRegistry) -> Result<(), RegisterError> {
    Sides::of(format, &source.record_schema()).try_for_each(|mut side| {
        if side.support.kind().is_none() || side.spec().chosen.is_some() {
            return side.register(registry);
        }
        let newest = side.newest(registry)?;
        match newest {
            Some(newest) if side.support.inserts_newest() && (!side.is_key || side.names_message()) && side.can_write(&newest) => {
                side.keep(WriteSchema { id: newest.id, schema: (*newest.schema).clone() });
                Ok(())
            }
            Some(newest) if side.is_key => {
                let generated = side.schema()?;
                if !side.support.is_same(&newest.schema, &generated) {
                    let (existing, generated) = (newest.schema.text.clone(), generated.text);
                    return Err(RegisterError::OtherKey { source_name: source.name.clone(), existing, generated });
                }
                side.keep(WriteSchema { id: newest.id, schema: (*newest.schema).clone() });
                Ok(())
            }
            newest => side.register(registry).map_err(|error| match error {
                RegisterError::Failed(cause @ RegistryError::Refused(_)) => match newest {
                    Some(newest) => RegisterError::NotTaken { id: newest.id, topic: source.format.topic.clone(), cause },
                    None => RegisterError::Failed(cause),
                },
                error => error,
            }),
        }
    })
}

/// The sides of a topic whose formats have schemas.
struct Sides;

impl Sides {
    fn of<'a>(format: &'a mut TopicFormat, schema: &'a Schema) -> impl Iterator<Item = Side<'a>> {
        let TopicFormat { topic, key, value, .. } = format;
        let topic = &*topic;
        let side = move |(spec, columns, is_key): (&'a mut FormatSpec, &'a [Column], bool)| {
            let support = by_name(&spec.name).and_then(|format| format.schemas()).filter(|_| !columns.is_empty())?;
            Some(Side { topic, format: spec, columns, is_key, support })
        };
        [(key, &*schema.key, true), (value, &*schema.value, false)].into_iter().filter_map(side)
    }
}

/// Keys or values of a topic.
struct Side<'a> {
    topic: &'a str,
    format: &'a mut FormatSpec,
    columns: &'a [Column],
    is_key: bool,
    support: &'static dyn SchemaSupport,
}

impl Side<'_> {
    fn spec(&mut self) -> &mut SchemaSpec {
        self.format.schema.get_or_insert_default()
    }

    fn keep(&mut self, writes: WriteSchema) {
        self.spec().writes = Some(writes);
    }

    /// The schema of the columns.
    fn schema(&self) -> Result<crate::registry::Schema, RegisterError> {
        let unwrapped = self.columns.len() == 1 && (self.is_key || self.format.unwrapped);
        let shape = SchemaShape { is_key: self.is_key, unwrapped, spec: self.format.schema.as_deref(), ..SchemaShape::default() };
        self.support.schema_of(self.columns, &shape).map_err(RegisterError::Columns)
    }

    /// Whether the statement says which of a schema's messages is meant: others beside it don't matter.
    fn names_message(&self) -> bool {
        self.format.schema.as_deref().is_some_and(|spec| spec.full_name.is_some())
    }

    /// Whether a schema that somebody registered has a place for each of the columns.
    fn can_write(&self, newest: &Registered) -> bool {
        let spec = SchemaSpec {
            writes: Some(WriteSchema { id: newest.id, schema: (*newest.schema).clone() }),
            ..self.format.schema.as_deref().cloned().unwrap_or_default()
        };
        let layout = Layout {
            fields: self.columns.iter().enumerate().map(|(slot, column)| Field::new(column.clone(), Some(slot))).collect(),
            unwrapped: self.format.unwrapped,
            is_key: self.is_key,
            delimiter: None,
            schemas: Some(LayoutSchemas { registry: Arc::new(NoRegistry), spec }),
        };
        by_name(&self.format.name).is_some_and(|format| format.encoder(&layout).is_ok())
    }

    /// Finds or registers what is written there.
    fn register(&mut self, registry: &dyn SchemaRegistry) -> Result<(), RegisterError> {
        if self.spec().writes.is_some() {
            return Ok(());
        }
        if self.support.kind().is_none() {
            return self.keep_to_itself();
        }
        let subject = subject(self.topic, self.is_key);
        let writes = match self.spec().chosen {
            Some(chosen) => {
                let schema = registry.by_id(chosen).map_err(|error| self.failed(error))?;
                let id = registry.register(&subject, &schema).map_err(|error| self.failed(error))?;
                if id != chosen {
                    let part = if self.is_key { "KEY" } else { "VALUE" };
                    let (topic, schema) = (self.topic.to_owned(), schema.text.clone());
                    return Err(RegisterError::OtherId { part, chosen, registered: id, topic, schema });
                }
                WriteSchema { id, schema: Arc::unwrap_or_clone(schema) }
            }
            None => {
                let schema = self.schema()?;
                WriteSchema { id: registry.register(&subject, &schema).map_err(|error| self.failed(error))?, schema }
            }
        };
        self.keep(writes);
        Ok(())
    }

    /// What is written there has a schema that nobody else is told of.
    fn keep_to_itself(&mut self) -> Result<(), RegisterError> {
        let schema = self.schema()?;
        self.keep(WriteSchema { id: internal_id(&schema), schema });
        Ok(())
    }

    fn newest(&self, registry: &dyn SchemaRegistry) -> Result<Option<Registered>, RegisterError> {
        registry.latest(&subject(self.topic, self.is_key)).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: RegistryError) -> RegisterError {
        match error {
            RegistryError::NotConfigured => {
                let format = by_name(&self.format.name).map_or("", |format| format.name());
                RegisterError::NotConfigured { topic: self.topic.to_owned(), format }
            }
            error => RegisterError::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::world::{Outcome, World};
    use crate::registry::{MemoryRegistry, SchemaKind};

    const STREAM: &str = "CREATE STREAM S (K INT KEY, V INT, W INT) WITH (KAFKA_TOPIC='s', FORMAT='AVRO');";

    fn world(registry: &Arc<MemoryRegistry>) -> World {
        World { registry: registry.clone(), ..World::new() }
    }

    fn declared(registry: &Arc<MemoryRegistry>, statement: &str) -> Source {
        match world(registry).run(statement) {
            Ok(Outcome::Source(declared)) => declared.source,
            other => panic!("{other:?}"),
        }
    }

    fn planned(registry: &Arc<MemoryRegistry>, script: &str) -> QueryPlan {
        match world(registry).run(script) {
            Ok(Outcome::Query(planned)) => planned.plan,
            other => panic!("{other:?}"),
        }
    }

    fn newest(registry: &MemoryRegistry, subject: &str) -> Option<i32> {
        registry.latest(subject).unwrap().map(|found| found.id.0)
    }

    fn avro(text: &str) -> crate::registry::Schema {
        crate::registry::Schema::new(SchemaKind::Avro, text)
    }

    #[test]
    fn a_declared_source_registers_what_is_not_there() {
        let registry = Arc::new(MemoryRegistry::default());
        registry.register_as("s-value", avro("\"string\""), SchemaId(9)).unwrap();
        register_source(&declared(&registry, STREAM), &*registry).unwrap();
        assert_eq!((newest(&registry, "s-key"), newest(&registry, "s-value")), (Some(1), Some(9)));
        assert_eq!(registry.by_id(SchemaId(1)).unwrap().text, "\"int\"");
    }

    #[test]
    fn a_sink_always_registers_and_topics_on_the_way_never_do() {
        let registry = Arc::new(MemoryRegistry::default());
        let mut plan = planned(&registry, &format!("{STREAM} CREATE TABLE T AS SELECT V, COUNT(*) AS N FROM S GROUP BY V;"));
        register_plan(&mut plan, &*registry).unwrap();
        assert_eq!((newest(&registry, "T-key"), newest(&registry, "T-value"), newest(&registry, "s-key")), (Some(1), Some(2), None));
        let mut internal = Vec::new();
        let mut steps = vec![&plan.root];
        while let Some(step) = steps.pop() {
            internal.extend(step.repartition().map(|repartition| repartition.format.key.clone()));
            steps.extend(step.inputs());
        }
        assert_eq!(internal.len(), 1);
        let id = internal.first().and_then(|spec| spec.schema.as_ref()?.writes.as_ref()).map(|writes| writes.id.0);
        assert!(id.is_some_and(|id| id < 0), "{id:?}");
    }

    #[test]
    fn ids_are_no_difference_between_two_queries() {
        let registry = Arc::new(MemoryRegistry::default());
        let script = format!("{STREAM} CREATE TABLE T AS SELECT V, COUNT(*) AS N FROM S GROUP BY V;");
        let (mut old, new) = (planned(&registry, &script), planned(&registry, &script));
        register_plan(&mut old, &*registry).unwrap();
        assert_ne!(old, new);
        assert_eq!(crate::plan::upgrade::refusal(&old, &new), None);
    }

    #[test]
    fn a_chosen_schema_is_registered_for_the_topic_as_it_is() {
        let registry = Arc::new(MemoryRegistry::default());
        let row = r#"{"type": "record", "name": "R", "fields": [{"name": "V", "type": "int"}]}"#;
        registry.register_as("elsewhere", avro(row), SchemaId(7)).unwrap();
        let select = "CREATE STREAM O WITH (VALUE_SCHEMA_ID=7) AS SELECT K, V FROM S;";
        let mut plan = planned(&registry, &format!("{STREAM} {select}"));
        register_plan(&mut plan, &*registry).unwrap();
        assert_eq!(newest(&registry, "O-value"), Some(7));
    }

    #[test]
    fn inserted_keys_have_the_schema_that_all_have() {
        let registry = Arc::new(MemoryRegistry::default());
        registry.register_as("s-key", avro(r#"{"type": "int", "connect.version": 1}"#), SchemaId(5)).unwrap();
        let source = declared(&registry, STREAM);
        let mut format = source.format.clone();
        register_insert(&source, &mut format, &*registry).unwrap();
        assert_eq!(format.key.schema.and_then(|schema| schema.writes).map(|writes| writes.id), Some(SchemaId(5)));
        registry.register_as("s-key", avro("\"long\""), SchemaId(6)).unwrap();
        let error = register_insert(&source, &mut source.format.clone(), &*registry).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Cannot INSERT VALUES into data source `S`. ksqlDB generated schema would overwrite existing key schema.\n\tExisting Schema: \
             \"long\"\n\tksqlDB Generated: \"int\""
        );
    }

    /// A registry that takes no schema beside those that it has.
    struct Closed(MemoryRegistry);

    impl SchemaRegistry for Closed {
        fn register(&self, _subject: &str, _schema: &crate::registry::Schema) -> Result<SchemaId, RegistryError> {
            Err(RegistryError::Refused("incompatible".to_owned()))
        }

        fn by_id(&self, id: SchemaId) -> Result<Arc<crate::registry::Schema>, RegistryError> {
            self.0.by_id(id)
        }

        fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<crate::registry::Schema>>, RegistryError> {
            self.0.poll_by_id(id)
        }

        fn latest(&self, subject: &str) -> Result<Option<crate::registry::Registered>, RegistryError> {
            self.0.latest(subject)
        }

        fn delete(&self, subject: &str) -> Result<(), RegistryError> {
            self.0.delete(subject)
        }

        fn version(&self, subject: &str, version: i32) -> Result<Option<crate::registry::Registered>, RegistryError> {
            self.0.version(subject, version)
        }
    }

    #[test]
    fn a_schema_that_the_registry_refuses_is_refused_with_what_to_do() {
        let source = declared(&Arc::default(), "CREATE STREAM S (V INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='AVRO');");
        let registry = Closed(MemoryRegistry::default());
        let refused = |registry: &Closed| register_insert(&source, &mut source.format.clone(), registry).unwrap_err().to_string();
        assert_eq!(refused(&registry), "Could not register schema for topic: incompatible");
        registry.0.register_as("s-value", avro("\"string\""), SchemaId(9)).unwrap();
        let said = refused(&registry);
        assert!(said.contains("Declare the source with VALUE_SCHEMA_ID=9 instead of with columns"), "{said}");
        assert!(said.ends_with("Could not register schema for topic: incompatible"), "{said}");
    }

    #[test]
    fn rows_with_a_column_that_the_newest_schema_lacks_get_a_schema_of_their_own() {
        for format in ["AVRO", "PROTOBUF", "JSON_SR"] {
            let registry = Arc::new(MemoryRegistry::default());
            let create = |columns: &str| {
                declared(&registry, &format!("CREATE STREAM S ({columns}) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='{format}');"))
            };
            let (before, after) = (create("A INT, B STRING"), create("A INT, B STRING, C DOUBLE"));
            let written = |source: &Source| {
                let mut topic = source.format.clone();
                register_insert(source, &mut topic, &*registry).unwrap();
                topic.value.schema.and_then(|schema| schema.writes).map(|writes| writes.id.0)
            };
            assert_eq!((written(&before), written(&after), newest(&registry, "s-value")), (Some(1), Some(2), Some(2)), "{format}");
            // A stream that was not altered writes what it has: of PROTOBUF, by the newest schema.
            let expected = if format == "PROTOBUF" { 2 } else { 1 };
            assert_eq!(written(&before), Some(expected), "{format}");
        }
    }

    #[test]
    fn without_a_registry_it_is_said_what_is_missing() {
        let registry = Arc::new(MemoryRegistry::default());
        let error = register_source(&declared(&registry, STREAM), &crate::registry::NoRegistry).unwrap_err().to_string();
        assert!(error.starts_with("Cannot create topic 's' with format AVRO without configuring 'ksql.schema.registry.url'."), "{error}");
    }
}
