//! The topic that holds the schemas: one partition, compacted. Records that are no registry's are reported and passed over,
//! so that a topic that was another registry's can be taken over as it is.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::content::Content;
use super::record::Key;
use crate::clock::Clock;
use crate::log::{Log, LogError, Offset, OffsetSpec, OutRecord, TopicHandle, TopicPartition, TopicSpec, read_whole};

/// How long reading the topic may stall.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Records that are passed over and named one by one.
const MAX_REPORTED: usize = 20;

pub(super) struct SchemaTopic {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    name: String,
    replicas: u16,
    /// `None`: the topic is not there yet.
    handle: Option<TopicHandle>,
    /// Behind the last record that was read.
    next: Offset,
    /// Records of our own behind that, which were applied as they were written.
    appended: i64,
    /// An append failed, and it is not known whether the record was written.
    is_uncertain: bool,
}

impl SchemaTopic {
    pub fn open(log: Arc<dyn Log>, clock: Arc<dyn Clock>, name: &str, replicas: u16) -> Result<Self, LogError> {
        let mut topic =
            SchemaTopic { log, clock, name: name.to_owned(), replicas, handle: None, next: Offset(0), appended: 0, is_uncertain: false };
        topic.find()?;
        Ok(topic)
    }

    /// Looks for the topic.
    fn find(&mut self) -> Result<(), LogError> {
        let Some(found) = self.log.describe_topic(&self.name)? else { return Ok(()) };
        if found.partitions != 1 {
            return Err(LogError::Fatal(format!(
                "the topic of the schemas, {}, has {} partitions; it must have one. Name another one by tidemill.schema.registry.topic",
                self.name, found.partitions
            )));
        }
        if let Some(policy) = found.config.get("cleanup.policy").filter(|policy| policy.as_str() != "compact") {
            tracing::warn!(
                "the topic of the schemas, {}, has the cleanup.policy {policy}: schemas will be lost once they are old; alter it to compact",
                self.name
            );
        }
        self.handle = Some(self.log.topic(&self.name)?.0);
        Ok(())
    }

    /// Makes the topic where it is missing.
    fn ensure(&mut self) -> Result<TopicHandle, LogError> {
        if self.handle.is_none() {
            let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
            match self.log.create_topic(&TopicSpec { name: self.name.clone(), partitions: 1, replicas: self.replicas, config }) {
                Ok(()) | Err(LogError::TopicExists(_)) => {}
                Err(error) => return Err(error),
            }
            self.find()?;
        }
        self.handle.ok_or_else(|| LogError::UnknownTopic(self.name.clone()))
    }

    /// Applies what others wrote, or we did without knowing: all of it at once, when it has been read.
    pub fn read_into(&mut self, content: &RwLock<Content>) -> Result<(), LogError> {
        if self.handle.is_none() {
            self.find()?;
        }
        if self.handle.is_none() {
            return Ok(());
        }
        let tp = TopicPartition { topic: self.name.as_str().into(), partition: 0 };
        let end = self.log.offsets(std::slice::from_ref(&tp), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
        if !self.is_uncertain && end.0 == self.next.0.saturating_add(self.appended) {
            (self.next, self.appended) = (end, 0);
            return Ok(());
        }
        // What was applied already is applied once more, in its place among the others.
        let mut arrived = Vec::new();
        let next = read_whole(&*self.log, &tp, self.next, READ_TIMEOUT, &mut |record| {
            let key = record.key.ok_or_else(|| "there is no key".to_owned()).and_then(Key::read);
            arrived.push((record.offset, key, record.value.map(<[u8]>::to_vec)));
        })?;
        let mut content = content.write();
        let mut passed_over = 0_usize;
        for (offset, key, value) in arrived {
            if let Err(why) = key.and_then(|key| content.apply(&key, value.as_deref())) {
                passed_over += 1;
                if passed_over <= MAX_REPORTED {
                    tracing::warn!(
                        "topic {}: the record at offset {} is no schema registry's and is passed over: {why}",
                        self.name,
                        offset.0
                    );
                }
            }
        }
        if passed_over > MAX_REPORTED {
            tracing::warn!("topic {}: {passed_over} records were passed over in all", self.name);
        }
        (self.next, self.appended, self.is_uncertain) = (next, 0, false);
        Ok(())
    }

    /// Appends a record; it is durable once this returns.
    pub fn append(&mut self, key: &Key, value: Option<&[u8]>) -> Result<(), LogError> {
        let handle = self.ensure()?;
        let (key, timestamp) = (key.write(), self.clock.now_ms());
        let written = self.log.append(handle, OutRecord { partition: 0, timestamp, key: Some(&key), value, headers: &[] });
        match &written {
            Ok(()) => self.appended += 1,
            Err(_) => self.is_uncertain = true,
        }
        written
    }
}
