//! The topic of a stream, read from one offset to another, beside the queries that go on reading it.

use std::sync::Arc;

use tidemill_parser::ast::{Expr, Ident, Query, Relation, SelectItem, SelectItemKind, Span};

use crate::catalog::{Source, SourceKind};
use crate::engine::stream_scan::{PartitionScan, ScanParts};
use crate::engine::{Engine, EngineError, SessionProperties};
use crate::log::{Offset, OffsetSpec, TopicPartition};
use crate::operators::{self, Collector};

/// Reads some columns of a stream's records.
pub struct LiveTopic {
    pub source: Arc<Source>,
    parts: ScanParts,
    /// Where the columns that were asked for stand in the rows that a collector is given, in their order.
    pub slots: Vec<usize>,
}

/// What is read of a partition: from the first offset to before the second.
pub type PartitionBounds = (TopicPartition, Offset, Offset);

/// A partition under way.
pub struct PartitionRead(Option<PartitionScan>);

impl Engine {
    /// A stream whose topic is to be read. Only the columns named are decoded; pseudo-columns are some as any. Asks the log
    /// about the topic, so it may block.
    ///
    /// # Errors
    /// It is no stream, has no such column, or the log is away.
    pub fn live_topic(&self, name: &str, columns: &[String], session: &SessionProperties) -> Result<LiveTopic, EngineError> {
        let catalog = self.catalog();
        let source = catalog.source(name).ok_or_else(|| super::is_gone(name))?.clone();
        if source.kind != SourceKind::Stream {
            return Err(EngineError::user(format!("{name} is not a stream")));
        }
        // A count of records needs none; each row has a time.
        let time = ["ROWTIME".to_owned()];
        let columns = if columns.is_empty() { &time } else { columns };
        let item = |column: &String| SelectItem {
            kind: SelectItemKind::Expr { expr: Expr::column(column.clone()), alias: Some(Ident::new(alias(column))) },
            span: Span::default(),
        };
        let query = Query {
            items: columns.iter().map(item).collect(),
            from: Relation::Source { name: Ident::new(name), alias: None },
            window: None,
            selection: None,
            group_by: None,
            partition_by: None,
            having: None,
            emit: None,
            limit: None,
            span: Span::default(),
        };
        let planned = self.plan_transient(&query, session)?;
        let schema = &planned.plan.root.schema;
        let slots = planned.schema.value.iter().filter_map(|column| schema.slot(&column.name)).collect();
        let mut specs = operators::split(&planned.plan).map_err(|error| EngineError::internal(error.0))?;
        let (Some(spec), true) = (specs.pop(), specs.is_empty()) else {
            return Err(EngineError::internal("a scan of a topic has one part"));
        };
        Ok(LiveTopic { source, parts: self.scan_parts(planned.plan, spec), slots })
    }
}

/// Names that a projection may not give are given with a mark, which nobody sees.
fn alias(column: &str) -> String {
    if crate::types::is_pseudo_column(column) { format!("{column}_") } else { column.to_owned() }
}

impl LiveTopic {
    /// The topic's partitions, each from its beginning (or from the first record of at least a time) to where it ends now.
    /// Blocks.
    ///
    /// # Errors
    /// The topic has gone, or the log is away.
    pub fn bounds(&self, from_ms: Option<i64>) -> Result<Vec<PartitionBounds>, EngineError> {
        let log = &self.parts.log;
        let topic = &self.source.format.topic;
        let info = log.describe_topic(topic)?;
        let info = info.ok_or_else(|| EngineError::user(format!("The topic '{topic}' of stream {} does not exist", self.source.name)))?;
        let partitions = info.all_partitions();
        let begins = log.offsets(&partitions, OffsetSpec::Earliest)?;
        let ends = log.offsets(&partitions, OffsetSpec::Latest)?;
        let by_time = match from_ms {
            // The time of a record is the stream's time only where no column is.
            Some(ms) if self.source.timestamp.is_none() => log.offsets(&partitions, OffsetSpec::AtTimestamp(ms))?,
            _ => begins.clone(),
        };
        let begins = begins.into_iter().zip(by_time).map(|(begin, by_time)| begin.max(by_time));
        Ok(partitions.into_iter().zip(begins.zip(ends)).map(|(partition, (begin, end))| (partition, begin, end)).collect())
    }

    /// Begins to read a partition; its rows go to `rows`.
    ///
    /// # Errors
    /// The log is away.
    pub fn open(&self, (partition, begin, end): PartitionBounds, rows: Arc<dyn Collector>) -> Result<PartitionRead, EngineError> {
        if begin >= end {
            return Ok(PartitionRead(None));
        }
        self.parts.open(partition, begin, end, rows).map(|scan| PartitionRead(Some(scan)))
    }
}

impl PartitionRead {
    /// Reads the next batch of records, waiting for it; false: the end is reached. Blocks.
    ///
    /// # Errors
    /// The log is away, or a record can't be read.
    pub fn read(&mut self) -> Result<bool, EngineError> {
        let Some(scan) = &mut self.0 else { return Ok(false) };
        let more = scan.read()?;
        if !more {
            self.0 = None;
        }
        Ok(more)
    }
}
