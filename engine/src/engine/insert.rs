//! INSERT INTO … VALUES: rows written straight to a topic.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_parser::ast::InsertValues;

use super::row_encoder::{EncodedRow, RowEncoder};
use super::{Engine, EngineError, SessionProperties};
use crate::analyze::{self, InsertRow};
use crate::log::{AppendError, Log, LogError, OutRecord, PartitionId, TopicPartition, partition_for};
use crate::registry::SchemaRegistry;

/// Writes rows; shared by all who insert.
pub(super) struct Inserter {
    log: Arc<dyn Log>,
    null_keys: Mutex<u32>,
}

/// A row as bytes, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedInsert {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// ROWTIME where it was given.
    pub timestamp: Option<i64>,
}

impl Engine {
    /// Writes one row; it is durable once this returns. Where it is.
    ///
    /// # Errors
    /// The statement is wrong, or the log is away.
    pub fn insert_values(&self, insert: &InsertValues, session: &SessionProperties) -> Result<BTreeSet<TopicPartition>, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let row = analyze::insert_values(insert, &self.context(&catalog, session, &topics))?;
        self.check_writable(&row.source.format.topic)?;
        let encoded = encode(&row, &*self.registry)?;
        let record = EncodedRow { key: encoded.key.as_deref(), value: encoded.value.as_deref(), timestamp: encoded.timestamp };
        Ok(self.inserts.write(&encoded.topic, &[record], self.clock.now_ms()).map_err(|failed| failed.error)?)
    }
}

/// Encodes a row in the formats of its source.
///
/// # Errors
/// As of INSERT: the registry, or a value that the formats have no way to write.
pub fn encode(row: &InsertRow, registry: &dyn SchemaRegistry) -> Result<EncodedInsert, EngineError> {
    let mut encoder = RowEncoder::new(&row.source, registry)?;
    let encoded = encoder.encode(row.key.iter().chain(&row.value).cloned().collect())?;
    Ok(EncodedInsert {
        topic: row.source.format.topic.clone(),
        key: encoded.key.map(<[u8]>::to_vec),
        value: encoded.value.map(<[u8]>::to_vec),
        timestamp: row.timestamp,
    })
}

impl Inserter {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Inserter { log, null_keys: Mutex::new(0) }
    }

    /// Writes records of one topic; all are durable once this returns. The partitions that have some.
    pub(super) fn write(&self, topic: &str, rows: &[EncodedRow<'_>], now_ms: i64) -> Result<BTreeSet<TopicPartition>, AppendError> {
        match self.write_once(topic, rows, now_ms) {
            // What was known of the topic held no more: it may have been made anew.
            Err(AppendError { written, beyond: 0, error: LogError::UnknownTopic(_) }) => {
                let again = self.write_once(topic, rows.get(written..).unwrap_or_default(), now_ms);
                again.map_err(|failed| AppendError { written: written + failed.written, ..failed })
            }
            done => done,
        }
    }

    fn write_once(&self, topic: &str, rows: &[EncodedRow<'_>], now_ms: i64) -> Result<BTreeSet<TopicPartition>, AppendError> {
        let name = topic;
        let (topic, partitions) = self.log.known_topic(topic).map_err(|error| AppendError { written: 0, beyond: 0, error })?;
        let records: Vec<OutRecord<'_>> = {
            let mut null_keys = self.null_keys.lock();
            let records = rows.iter().map(|row| OutRecord {
                partition: partition_for(row.key, partitions, &mut null_keys),
                timestamp: row.timestamp.unwrap_or(now_ms),
                key: row.key,
                value: row.value,
                headers: &[],
            });
            records.collect()
        };
        self.log.append_all(topic, &records)?;
        let partitions: BTreeSet<PartitionId> = records.iter().map(|record| record.partition).collect();
        Ok(partitions.into_iter().map(|partition| TopicPartition { topic: name.into(), partition }).collect())
    }
}
