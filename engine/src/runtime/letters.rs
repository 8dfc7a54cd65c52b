//! Where the tasks of a query put the letters of bad records.

use super::Runtime;
use super::start::{Prepared, StartError, StartQuery};
use crate::letters::{Lane, Pouch, TOPIC_CONFIG, TOPIC_PARTITIONS};
use crate::log::{LogError, TopicPartition};

impl Runtime {
    /// For a task that reads these lanes: where its letters go. The topic is made where it is not there; in vain for who looks at
    /// a query only, which leaves nothing behind.
    pub(super) fn pouch(
        &self,
        start: &StartQuery,
        sub: &Prepared,
        lanes: &[(TopicPartition, Vec<usize>)],
    ) -> Result<Option<Box<Pouch>>, StartError> {
        let Some(letters) = start.letters.as_ref().filter(|letters| start.collector.is_none() && !letters.kinds.is_empty()) else {
            return Ok(None);
        };
        let log = &self.parts.log;
        let topic = match log.known_topic(&letters.topic) {
            Err(LogError::UnknownTopic(_)) => {
                self.ensure_topic(&letters.topic, TOPIC_PARTITIONS, &TOPIC_CONFIG)?;
                log.topic(&letters.topic)?
            }
            found => found?,
        };
        let is_internal = |sources: &[usize]| sources.iter().any(|s| sub.spec.sources.get(*s).is_some_and(|s| s.is_repartition));
        let lanes = lanes.iter().map(|(lane, sources)| Lane {
            topic: lane.topic.clone(),
            partition: lane.partition,
            is_internal: is_internal(sources),
        });
        let query = start.plan.query_id.as_str().into();
        Ok(Some(Box::new(Pouch::new(topic, letters.kinds, query, sub.spec.id, lanes.collect()))))
    }
}
