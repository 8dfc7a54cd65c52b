//! How far the stores of this server's tasks are behind their changelogs.

use std::sync::Arc;

use super::{Engine, EngineError};
use crate::log::{Offset, OffsetSpec, PartitionId, TopicPartition};
use crate::runtime::StorePlace;

/// How far a store of a task that runs here, or is being restored, is behind its changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLag {
    pub query: Arc<str>,
    pub store: Arc<str>,
    pub partition: PartitionId,
    /// The first offset that it does not include.
    pub included: Offset,
    /// Where the changelog ends.
    pub end: Offset,
}

impl StoreLag {
    /// Offsets that it is behind.
    pub fn offsets(&self) -> u64 {
        u64::try_from(self.end.0.saturating_sub(self.included.0)).unwrap_or_default()
    }
}

impl Engine {
    /// The stores of this server's tasks; what a running one has not written to its changelog yet is no lag. Asks the log.
    ///
    /// # Errors
    /// The log is away, or the state can't be read.
    pub fn store_lags(&self) -> Result<Vec<StoreLag>, EngineError> {
        self.lags_of(self.runtime.store_places()?)
    }

    /// Of those, the ones that are being restored, or wait for it. Asks the log only where there are any.
    ///
    /// # Errors
    /// The log is away, or the state can't be read.
    pub fn restore_lags(&self) -> Result<Vec<StoreLag>, EngineError> {
        let mut places = self.runtime.store_places()?;
        places.retain(|place| place.next.is_some());
        self.lags_of(places)
    }

    fn lags_of(&self, places: Vec<StorePlace>) -> Result<Vec<StoreLag>, EngineError> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(outage) = self.log.outage() {
            return Err(EngineError::external(outage));
        }
        let changelogs: Vec<TopicPartition> = places.iter().map(|place| place.changelog.clone()).collect();
        let ends = self.log.offsets(&changelogs, OffsetSpec::Latest)?;
        let lag = |(place, end): (StorePlace, Offset)| StoreLag {
            query: place.query,
            store: place.store,
            partition: place.changelog.partition,
            included: place.next.unwrap_or(end),
            end,
        };
        Ok(places.into_iter().zip(ends).map(lag).collect())
    }
}
