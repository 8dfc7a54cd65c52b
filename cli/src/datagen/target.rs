//! Where generated records go: straight into Kafka, or as INSERT statements to a server.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use tidemill_engine::log::kafka::KafkaLog;
use tidemill_engine::log::{Commit, Log, LogError, OutRecord, TopicSpec, partition_for};
use tidemill_engine::state::StateBatch;

use super::DatagenArgs;
use super::schemas::{Generated, Schema};
use crate::client::{Client, Settings};

pub enum Target {
    Kafka { log: Box<KafkaLog>, topic: String, counter: u32 },
    Server { client: Box<Client>, stream: String },
}

impl Target {
    pub async fn open(args: &DatagenArgs) -> Result<Self, String> {
        match &args.bootstrap_servers {
            Some(servers) => Self::open_kafka(servers, args).map_err(|e| e.to_string()),
            None => Self::open_server(args).await,
        }
    }

    fn open_kafka(servers: &str, args: &DatagenArgs) -> Result<Self, LogError> {
        let log = KafkaLog::connect(servers, &BTreeMap::new(), Arc::new(|state| state.write()))?;
        if log.describe_topic(&args.topic)?.is_none() {
            let config = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
            log.create_topic(&TopicSpec { name: args.topic.clone(), partitions: args.partitions, replicas: 1, config })?;
        }
        println!("In the shell: {}", args.schema.create_stream(&stream_name(&args.topic), &args.topic, args.partitions));
        Ok(Target::Kafka { log: Box::new(log), topic: args.topic.clone(), counter: 0 })
    }

    /// Finds the stream over the topic, or declares one.
    async fn open_server(args: &DatagenArgs) -> Result<Self, String> {
        let client = args.login.client(&args.server, &[]).map_err(|e| e.to_string())?;
        let none = Settings::new();
        let answer = client.statements("SHOW STREAMS;", &none, &none).await.map_err(|e| e.to_string())?;
        let mut streams = answer.iter().flat_map(|e| e["streams"].as_array().into_iter().flatten());
        let known = streams.find(|s| s["topic"] == args.topic.as_str()).and_then(|s| s["name"].as_str());
        let stream = match known {
            Some(stream) => format!("`{stream}`"),
            None => {
                let stream = stream_name(&args.topic);
                let sql = args.schema.create_stream(&stream, &args.topic, args.partitions);
                client.statements(&sql, &none, &none).await.map_err(|e| e.to_string())?;
                println!("{sql}");
                stream
            }
        };
        Ok(Target::Server { client: Box::new(client), stream })
    }

    pub async fn send(&mut self, schema: Schema, records: &[Generated]) -> Result<(), String> {
        match self {
            Target::Kafka { log, topic, counter } => produce(log.as_ref(), topic, schema, records, counter).map_err(|e| e.to_string()),
            Target::Server { client, stream } => {
                let sql: String = records.iter().map(|r| insert(stream, schema, r)).collect();
                client.statements(&sql, &Settings::new(), &Settings::new()).await.map(|_| ()).map_err(|e| e.to_string())
            }
        }
    }
}

fn produce(log: &dyn Log, topic: &str, schema: Schema, records: &[Generated], counter: &mut u32) -> Result<(), LogError> {
    let (handle, partitions) = log.topic(topic)?;
    let mut writer = log.writer()?;
    for record in records {
        let key = record.key_bytes(schema);
        let value = record.value.to_string();
        let partition = partition_for(Some(&key), partitions, counter);
        let out = OutRecord { partition, timestamp: record.timestamp, key: Some(&key), value: Some(value.as_bytes()), headers: &[] };
        writer.send(handle, out)?;
    }
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })
}

fn stream_name(topic: &str) -> String {
    topic.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// `INSERT INTO stream (…) VALUES (…);`
fn insert(stream: &str, schema: Schema, record: &Generated) -> String {
    let mut columns = format!("ROWTIME, {}", schema.key_column());
    let mut values = format!("{}, {}", record.timestamp, literal(&record.key));
    for (name, value) in record.value.as_object().into_iter().flatten() {
        columns.push_str(&format!(", {name}"));
        values.push_str(&format!(", {}", literal(value)));
    }
    format!("INSERT INTO {stream} ({columns}) VALUES ({values});")
}

/// A JSON value as a SQL literal.
fn literal(value: &Json) -> String {
    match value {
        Json::String(text) => format!("'{}'", text.replace('\'', "''")),
        Json::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} := {}", literal(value))).collect();
            format!("STRUCT({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::schemas::Generator;
    use super::*;

    #[test]
    fn records_become_inserts_that_parse() {
        for schema in [Schema::Orders, Schema::Users, Schema::Pageviews, Schema::Nexmark] {
            let sql = insert("s", schema, &Generator::new(schema, 3).next(5));
            tidemill_parser::parse_statement(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }
}
