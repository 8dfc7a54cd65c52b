//! The records of a stream's topic, partition by partition, from where the query's conditions begin to where the topic ended
//! when the query came.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use tidemill_engine::catalog::Source;
use tidemill_engine::engine::SessionProperties;
use tidemill_engine::live::{LiveTopic, PartitionBounds, PartitionRead};
use tidemill_engine::log::Offset;
use tidemill_engine::operators::Collector;
use tidemill_engine::row::Row;
use tidemill_engine::types::Column;

use crate::batch::{BatchBuilder, Wanted};
use crate::bounds::Bounds;
use crate::error::QueryError;
use crate::leaf::Scan;
use crate::moment::SharedMoment;
use crate::running::Progress;
use crate::stream::Batches;
use crate::table::Role;

/// See the module.
pub(crate) struct TopicScan {
    topic: Arc<LiveTopic>,
    progress: Arc<Progress>,
    partitions: Vec<PartitionBounds>,
    wanted: Arc<Wanted>,
    limit: Option<usize>,
    batch_rows: usize,
}

impl TopicScan {
    #[expect(clippy::too_many_arguments, reason = "what a scan is told")]
    pub fn new(
        source: &Source,
        moment: &SharedMoment,
        session: &SessionProperties,
        columns: Vec<(Column, Role)>,
        schema: SchemaRef,
        bounds: Bounds,
        limit: Option<usize>,
        batch_rows: usize,
    ) -> Result<Self, QueryError> {
        let names: Vec<String> = columns.iter().map(|(column, _)| column.name.clone()).collect();
        let topic = Arc::new(moment.engine.live_topic(&source.name, &names, session)?);
        // Rows come as the topic's plan lays them out.
        let slots = columns.into_iter().zip(topic.slots.iter().copied()).map(|((column, _), slot)| (column, Role::Slot(slot)));
        let columns = if names.is_empty() { Vec::new() } else { slots.collect() };
        let from = (bounds.time.from != i64::MIN).then_some(bounds.time.from);
        let mut partitions = topic.bounds(from)?;
        for (_, begin, end) in &mut partitions {
            *begin = Offset(begin.0.max(bounds.offset.from));
            *end = Offset(end.0.min(bounds.offset.to.saturating_add(1)));
        }
        partitions.retain(|(partition, begin, end)| {
            let number = i64::from(partition.partition);
            begin < end && (bounds.partition.from..=bounds.partition.to).contains(&number)
        });
        let records = partitions.iter().map(|(_, begin, end)| end.0 - begin.0).sum::<i64>();
        moment.progress.will_read(u64::try_from(records).unwrap_or_default());
        let progress = moment.progress.clone();
        Ok(TopicScan { topic, progress, partitions, wanted: Arc::new(Wanted::new(schema, columns)), limit, batch_rows })
    }

    /// Records that are to be read at most.
    fn records(&self) -> i64 {
        self.partitions.iter().map(|(_, begin, end)| end.0 - begin.0).sum()
    }
}

impl Scan for TopicScan {
    const NAME: &'static str = "TopicScan";

    fn partitions(&self) -> usize {
        self.partitions.len()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, topic) = (&self.topic.source.name, &self.topic.source.format.topic);
        write!(f, "{name}, topic={topic}, columns=[{}], records<={}", self.wanted.names().join(", "), self.records())
    }

    fn read(&self, partition: usize) -> impl Batches {
        let rows = Arc::new(Rows { wanted: self.wanted.clone(), most: self.batch_rows, batch: Mutex::default() });
        let state = match self.partitions.get(partition) {
            Some(bounds) => State::Closed(bounds.clone()),
            None => State::Done,
        };
        Reading { topic: self.topic.clone(), progress: self.progress.clone(), state, rows, left: self.limit }
    }
}

/// Takes the rows of one partition.
struct Rows {
    wanted: Arc<Wanted>,
    most: usize,
    batch: Mutex<Option<BatchBuilder>>,
}

impl Collector for Rows {
    fn collect(&self, row: &Row) -> bool {
        let mut batch = self.batch.lock();
        batch.get_or_insert_with(|| BatchBuilder::new(self.wanted.clone(), self.most)).push(row);
        // What is at hand is taken whole: a log's batch is of bounded size.
        true
    }
}

/// One partition under way.
struct Reading {
    topic: Arc<LiveTopic>,
    progress: Arc<Progress>,
    state: State,
    rows: Arc<Rows>,
    /// Rows that the limit still allows; `None`: without limit.
    left: Option<usize>,
}

enum State {
    Closed(PartitionBounds),
    Open(Box<PartitionRead>),
    Done,
}

impl Batches for Reading {
    fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            match &mut self.state {
                State::Closed(bounds) => {
                    self.state = State::Open(Box::new(self.topic.open(bounds.clone(), self.rows.clone())?));
                }
                State::Open(read) => {
                    if self.left == Some(0) || !read.read()? {
                        self.state = State::Done;
                    }
                }
                State::Done => {}
            }
            let is_done = matches!(self.state, State::Done);
            let mut batch = self.rows.batch.lock();
            if is_done || batch.as_ref().is_some_and(BatchBuilder::is_full) {
                let Some(batch) = batch.take().filter(|batch| batch.rows() > 0) else { return Ok(None) };
                self.progress.has_read(batch.rows());
                self.left = self.left.map(|left| left.saturating_sub(batch.rows()));
                return Ok(Some(batch.finish().map_err(|error| QueryError::internal(error.to_string()))?));
            }
            // Enough for a small limit.
            if let (Some(left), Some(gathered)) = (self.left, batch.as_ref())
                && gathered.rows() >= left
            {
                drop(batch);
                self.state = State::Done;
            }
        }
    }
}
