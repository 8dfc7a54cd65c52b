//! Waiting for the queries to catch up: what a script needs between its inserts and its question.

use std::time::{Duration, Instant};

use super::{Engine, PersistentQuery};
use crate::log::{LogError, Offset, OffsetSpec, TopicPartition};
use crate::runtime::QueryState;

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(2);

impl Engine {
    /// Waits until every running persistent query has read and committed all that its topics hold; what one query writes
    /// and another reads counts too. False: that did not happen within `patience`, for example because records keep
    /// arriving.
    ///
    /// # Errors
    /// The log can't be asked.
    pub fn settle(&self, patience: Duration) -> Result<bool, LogError> {
        let deadline = Instant::now() + patience;
        let mut before = None;
        loop {
            self.runtime().commit();
            // Two looks with the same ends: nothing was written between the first query's turn and the last one's.
            let ends = self.ends_if_caught_up()?;
            if ends.is_some() && ends == before {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            if ends.is_none() {
                std::thread::sleep(PAUSE);
            }
            before = ends;
        }
    }

    /// Where the topics end that the queries read; `None`: a query has not come so far.
    fn ends_if_caught_up(&self) -> Result<Option<Vec<Offset>>, LogError> {
        let mut all = Vec::new();
        for query in self.queries().persistent() {
            match query.state() {
                QueryState::Running => {}
                QueryState::Restoring => return Ok(None),
                QueryState::Paused | QueryState::Failed(_) | QueryState::Stopped => continue,
            }
            let partitions = self.partitions_read(&query)?;
            let ends = self.log().offsets(&partitions, OffsetSpec::Latest)?;
            let committed = self.log().committed(&self.runtime().group(&query.id), &partitions)?;
            if ends.iter().zip(&committed).any(|(end, committed)| committed.is_none_or(|c| c < *end) && end.0 > 0) {
                return Ok(None);
            }
            all.extend(ends);
        }
        Ok(Some(all))
    }

    /// Every partition that a query reads: its sources' and those of its repartition topics.
    fn partitions_read(&self, query: &PersistentQuery) -> Result<Vec<TopicPartition>, LogError> {
        let sources = query.source_topics(&self.catalog()).into_iter();
        let internal = self.runtime().internal_topics(&query.plan).into_iter().filter(|topic| !topic.ends_with("-changelog"));
        let mut partitions = Vec::new();
        for topic in sources.chain(internal) {
            let info = self.log().describe_topic(&topic)?;
            partitions.extend(info.into_iter().flat_map(|info| info.all_partitions()));
        }
        Ok(partitions)
    }
}
