//! The server of a case, its topics and their records.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tidemill_engine::engine::Engine;
use tidemill_engine::log::simulated::StoredRecord;
use tidemill_engine::log::{OutRecord, TopicInfo, TopicSpec, partition_for, read_batches};
use tidemill_engine::registry::own::{Link, Mode, NewSchema};
use tidemill_engine::registry::subject;
use tidemill_server::{ConfigBuilder, Running, Server};

use crate::conformance::case::Case;
use crate::conformance::codec::Side;
use crate::conformance::world::topics::{declared_schema, sides_of};
use crate::conformance::world::{DEFAULT_PARTITIONS, RawRecord, SERVICE_ID, declared_topics, raw_record};

/// What the server is told besides where it listens and keeps its data: what cases were written for, and to be quick about it.
const PROPERTIES: &[(&str, &str)] = &[
    ("listeners", "http://127.0.0.1:0"),
    ("ksql.service.id", SERVICE_ID),
    ("ksql.streams.auto.offset.reset", "earliest"),
    ("ksql.streams.cache.max.bytes.buffering", "0"),
    ("ksql.streams.commit.interval.ms", "20"),
    ("ksql.headers.columns.enabled", "true"),
    ("ksql.query.push.v2.enabled", "true"),
    ("tidemill.rest.any.sql", "false"),
    ("ksql.logging.processing.topic.auto.create", "false"),
    ("ksql.logging.processing.stream.auto.create", "false"),
    ("tidemill.workers", "1"),
    ("tidemill.state.cache.bytes", "4194304"),
];

/// The records of a topic, by partition.
type Partitions = Vec<VecDeque<Arc<StoredRecord>>>;

/// How long a topic is read.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs for one case, on a folder that goes with it.
pub(super) struct Stage {
    running: Running,
    engine: Arc<Engine>,
    declared: Vec<Json>,
    /// Records of the case's inputs, by topic and partition.
    fed: Vec<(String, i32)>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts the server and makes the topics that the case's records and sources need.
    pub(super) async fn set(case: &Case) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
        let data = folder.path().join("data").display().to_string();
        let mut config = ConfigBuilder::new().set("tidemill.data.dir", &data, "the case's server");
        for (name, value) in PROPERTIES {
            config = config.set(name, value, "the case's server");
        }
        let running = Server::start(config.build().map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
        let engine = running.engine.clone();
        let stage = Stage { running, engine, declared: case.topics.clone(), fed: Vec::new(), _folder: folder };
        tokio::task::block_in_place(|| stage.make_topics(case))?;
        Ok(stage)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.running.addr)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) async fn strike(self) {
        self.running.shutdown().await;
    }

    fn make_topics(&self, case: &Case) -> Result<(), String> {
        let count = |topic: &Json| topic["partitions"].as_u64().and_then(|partitions| u32::try_from(partitions).ok());
        let default = case.topics.iter().filter_map(count).max().unwrap_or(DEFAULT_PARTITIONS);
        let mut wanted = declared_topics(case);
        for record in case.inputs.iter().chain(&case.outputs).filter(|record| !record.topic.is_empty()) {
            let is_sink = case.inputs.iter().all(|input| input.topic != record.topic);
            if !is_sink {
                wanted.entry(record.topic.clone()).or_default();
            }
        }
        for topic in &case.topics {
            let name = topic["name"].as_str().ok_or("a topic without its name")?;
            let partitions = wanted.entry(name.to_owned()).or_default();
            *partitions = count(topic).or(*partitions);
        }
        for (name, partitions) in wanted {
            let spec = TopicSpec { name, partitions: partitions.unwrap_or(default), replicas: 1, config: Default::default() };
            self.engine.log().create_topic(&spec).map_err(|e| e.to_string())?;
        }
        case.topics.iter().try_for_each(|topic| self.register(topic))
    }

    /// Registers the schemas that a topic is declared with.
    fn register(&self, topic: &Json) -> Result<(), String> {
        let registry = self.engine.own_registry().ok_or("the server is no registry")?;
        let name = topic["name"].as_str().unwrap_or_default();
        for (is_key, side) in [(true, "key"), (false, "value")] {
            let schema = &topic[&format!("{side}Schema")];
            if schema.is_null() {
                continue;
            }
            let references = &topic[&format!("{side}SchemaReferences")];
            let schema = declared_schema(schema, topic[&format!("{side}Format")].as_str(), references, &**registry, 0)?;
            let subject = subject(name, is_key);
            let id = topic[&format!("{side}SchemaId")].as_i64().and_then(|id| i32::try_from(id).ok());
            let links = schema.references.iter().map(|r| Link { name: r.name.clone(), subject: r.subject.clone(), version: r.version });
            let new = NewSchema { id, references: links.collect(), ..NewSchema::new(schema.kind, schema.text.clone()) };
            // Ids are given to schemas that come from elsewhere.
            let registered = match id {
                None => registry.register(&subject, &new, false).map(drop),
                Some(_) => registry
                    .set_mode(Some(&subject), Mode::Import, false)
                    .and_then(|()| registry.register(&subject, &new, false).map(drop))
                    .and_then(|()| registry.delete_mode(Some(&subject)).map(drop)),
            };
            registered.map_err(|e| format!("{subject}: {e}"))?;
        }
        Ok(())
    }

    /// What the bytes of a topic mean: by the source over it that was made last.
    fn sides(&self, topic: &str) -> (Side, Side) {
        let catalog = self.engine.catalog();
        let source = catalog.sources().filter(|source| source.format.topic == topic).last();
        let declared = self.declared.iter().find(|declared| declared["name"] == topic);
        sides_of(topic, source.map(|source| &**source), declared, self.engine.registry())
    }

    /// Writes the case's records to their topics, in their order.
    pub(super) fn feed(&mut self, case: &Case) -> Result<(), String> {
        for spec in &case.inputs {
            let sides = self.sides(&spec.topic);
            let (handle, partitions) = self.engine.log().topic(&spec.topic).map_err(|e| e.to_string())?;
            let record = raw_record(spec, &sides, |key| Ok(key.map_or(0, |key| partition_for(Some(key), partitions, &mut 0))))?;
            let RawRecord { topic, partition, key, value, timestamp, headers } = record;
            let out = OutRecord { partition, timestamp, key: key.as_deref(), value: value.as_deref(), headers: &headers };
            self.engine.log().append(handle, out).map_err(|e| e.to_string())?;
            self.fed.push((topic, partition));
        }
        Ok(())
    }

    /// What others than [`Stage::feed`] wrote to a topic, by partition, and what its bytes mean.
    pub(super) fn written(&self, topic: &str) -> Result<(Partitions, (Side, Side)), String> {
        let log = self.engine.log();
        let partitions = log.describe_topic(topic).map_err(|e| e.to_string())?.as_ref().map(TopicInfo::all_partitions);
        let mut found = Vec::new();
        for place in partitions.unwrap_or_default() {
            let mut records = VecDeque::new();
            let visit = &mut |batch: &dyn tidemill_engine::log::Batch, index: usize| {
                let record = batch.record(index);
                records.push_back(Arc::new(StoredRecord {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: batch.headers(index),
                }));
            };
            read_batches(&**log, &place, Default::default(), READ_PATIENCE, visit).map_err(|e| e.to_string())?;
            let fed = self.fed.iter().filter(|(fed, partition)| fed == topic && *partition == place.partition).count();
            found.push(records.into_iter().skip(fed).collect());
        }
        Ok((found, self.sides(topic)))
    }
}
