//! The execution plan of a query: a tree of steps from sources to the sink, serialisable and versioned. This is what the
//! command log stores, so that an upgraded server runs the plans of an older one.
//!
//! Expressions stand in steps as SQL text over the step's input schema; they are compiled when the operators are built.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::Schema;

pub use schema_spec::{NullRepresentation, SchemaSpec, WriteSchema};

pub mod explain;
pub mod names;
mod schema_spec;
pub mod upgrade;

/// Version of the plan's shape. A server refuses plans of a later version.
pub const PLAN_VERSION: u32 = 1;

/// A query that can run: its identity, where it reads and writes, and its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryPlan {
    pub version: u32,
    pub query_id: String,
    /// The statement as it goes over the wire.
    pub statement: String,
    /// Names of the streams and tables read.
    pub sources: Vec<String>,
    /// The stream or table written; `None` for a push query.
    pub sink: Option<String>,
    /// Properties of the session that bear on what the operators do.
    pub properties: BTreeMap<String, String>,
    pub root: Step,
}

/// A topic with its formats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicFormat {
    pub topic: String,
    pub key: FormatSpec,
    pub value: FormatSpec,
    /// Set where keys carry a window.
    pub windowed_key: Option<WindowedKey>,
}

/// A format by name, with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatSpec {
    /// Upper case (`JSON`).
    pub name: String,
    /// A single column stands without an object around it.
    pub unwrapped: bool,
    /// DELIMITED only.
    pub delimiter: Option<char>,
    /// Formats with schemas only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Box<SchemaSpec>>,
}

/// How the window is written behind a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowedKey {
    /// Start only; `size_ms` gives the end.
    Time { size_ms: i64 },
    /// End and start.
    Session,
}

/// Where a row's event time comes from, instead of the record's timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampColumn {
    pub column: String,
    /// A pattern of Java's DateTimeFormatter; `None` where the column is BIGINT or TIMESTAMP.
    pub format: Option<String>,
}

/// An expression and the name of the column that it makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedExpr {
    pub name: String,
    /// SQL over the input's schema.
    pub expr: String,
}

/// A window as steps know it; all lengths in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Windowing {
    /// Hopping, or tumbling where `advance_ms == size_ms`.
    Time {
        size_ms: i64,
        advance_ms: i64,
    },
    Session {
        gap_ms: i64,
    },
}

impl Windowing {
    /// How windows of this kind stand behind keys.
    pub fn key(self) -> WindowedKey {
        match self {
            Windowing::Time { size_ms, .. } => WindowedKey::Time { size_ms },
            Windowing::Session { .. } => WindowedKey::Session,
        }
    }
}

/// One step. `schema` is always what the step puts out.
///
/// Columns of `schema` that the step does not compute are copied by name from its input (from either side of a join;
/// names are unique there): a value column of that name, else a key column. A step's schema holds only what something
/// behind it reads, so a step may drop columns.
///
/// Expressions may name pseudo-columns (ROWTIME, ROWPARTITION, ROWOFFSET, WINDOWSTART, WINDOWEND) that are no columns of
/// the input's schema: they mean the row's own metadata. A column of the schema with such a name wins over the metadata;
/// that is how pseudo-columns survive a repartition or a join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub kind: StepKind,
    pub schema: Schema,
}

impl Step {
    /// The steps whose rows this one takes, left to right.
    pub fn inputs(&self) -> Vec<&Step> {
        use StepKind::*;
        match &self.kind {
            StreamSource(_) | TableSource(_) => vec![],
            Filter { input, .. }
            | Select { input, .. }
            | SelectKey { input, .. }
            | FlatMap { input, .. }
            | StreamGroupBy { input, .. }
            | TableGroupBy { input, .. }
            | Suppress { input, .. }
            | Sink { input, .. }
            | Collect { input, .. } => vec![input],
            Aggregate(aggregate) => vec![&aggregate.input],
            StreamTableJoin { left, right, .. } | TableTableJoin { left, right, .. } => vec![left, right],
            StreamStreamJoin(join) => vec![&join.left, &join.right],
            TableRekey { input, .. } | ForeignKeySubscribe { input, .. } | ForeignKeyResolve { input, .. } => vec![input],
            ForeignKeyJoin { left, right, .. } => vec![left, right],
        }
    }

    /// The topic through which the step's rows go to the next sub-topology.
    pub fn repartition(&self) -> Option<&Repartition> {
        match &self.kind {
            StepKind::SelectKey { repartition, .. }
            | StepKind::StreamGroupBy { repartition, .. }
            | StepKind::TableGroupBy { repartition, .. } => repartition.as_ref(),
            StepKind::TableRekey { repartition, .. }
            | StepKind::ForeignKeySubscribe { repartition, .. }
            | StepKind::ForeignKeyJoin { repartition, .. } => Some(repartition),
            _ => None,
        }
    }

    /// As [`Step::inputs`], to be changed.
    pub fn inputs_mut(&mut self) -> Vec<&mut Step> {
        use StepKind::*;
        match &mut self.kind {
            StreamSource(_) | TableSource(_) => vec![],
            Filter { input, .. }
            | Select { input, .. }
            | SelectKey { input, .. }
            | FlatMap { input, .. }
            | StreamGroupBy { input, .. }
            | TableGroupBy { input, .. }
            | Suppress { input, .. }
            | Sink { input, .. }
            | Collect { input, .. } => vec![input],
            Aggregate(aggregate) => vec![&mut aggregate.input],
            StreamTableJoin { left, right, .. } | TableTableJoin { left, right, .. } => vec![left, right],
            StreamStreamJoin(join) => vec![&mut join.left, &mut join.right],
            TableRekey { input, .. } | ForeignKeySubscribe { input, .. } | ForeignKeyResolve { input, .. } => vec![input],
            ForeignKeyJoin { left, right, .. } => vec![left, right],
        }
    }

    /// As [`Step::repartition`], to be changed.
    pub fn repartition_mut(&mut self) -> Option<&mut Repartition> {
        match &mut self.kind {
            StepKind::SelectKey { repartition, .. }
            | StepKind::StreamGroupBy { repartition, .. }
            | StepKind::TableGroupBy { repartition, .. } => repartition.as_mut(),
            StepKind::TableRekey { repartition, .. }
            | StepKind::ForeignKeySubscribe { repartition, .. }
            | StepKind::ForeignKeyJoin { repartition, .. } => Some(repartition),
            _ => None,
        }
    }

    /// How the window stands behind the keys of the rows that this step puts out; `None` where rows have no window.
    pub fn windowed_key(&self) -> Option<WindowedKey> {
        match &self.kind {
            StepKind::StreamSource(source) | StepKind::TableSource(source) => source.format.windowed_key,
            StepKind::StreamGroupBy { .. } | StepKind::TableGroupBy { .. } => None,
            StepKind::Aggregate(aggregate) => aggregate.window.map(Windowing::key),
            _ => self.inputs().first().and_then(|input| input.windowed_key()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StepKind {
    /// Reads a stream's topic. `columns` of the step's schema that nothing reads are not decoded.
    StreamSource(SourceStep),
    /// Reads a table's topic into a store (keeps the last row of each key, so that changes carry the old row).
    TableSource(SourceStep),
    /// Keeps rows for which `predicate` is true. On a table a row that stops matching becomes a tombstone; with
    /// `deletes_unmatched` so does each that does not match, for the query took over from one with another condition.
    Filter {
        input: Box<Step>,
        predicate: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deletes_unmatched: bool,
    },
    /// Computes the value columns; the key stays, its columns may be renamed.
    Select { input: Box<Step>, key_names: Vec<String>, items: Vec<NamedExpr> },
    /// Makes a new key (PARTITION BY, the key of a join side) and repartitions through an internal topic where `repartition`
    /// is set. No `keys` at all: the key becomes null (PARTITION BY NULL). The old key's columns that the schema still names
    /// become value columns.
    SelectKey { input: Box<Step>, keys: Vec<NamedExpr>, repartition: Option<Repartition> },
    /// Table functions: one output column each, rows zipped.
    FlatMap { input: Box<Step>, functions: Vec<NamedExpr> },
    /// Groups a stream: makes the group's key and repartitions where needed. Records with a null value or a null in any
    /// group expression are left out.
    StreamGroupBy { input: Box<Step>, keys: Vec<NamedExpr>, repartition: Option<Repartition> },
    /// Groups a table: each change becomes an undo of the old row and an add of the new one.
    TableGroupBy { input: Box<Step>, keys: Vec<NamedExpr>, repartition: Option<Repartition> },
    /// Aggregates. The output's value columns are the aggregates, in order.
    Aggregate(AggregateStep),
    /// Holds a window's result until the window closes (EMIT FINAL). Stands right behind the aggregate.
    Suppress { input: Box<Step>, store: String, grace_ms: i64 },
    /// A stream's row with the table's row of the same key. The key is the stream's; value columns come by name from both
    /// sides' key and value columns. `outer`: a row without a match goes on, with nulls for the right side.
    StreamTableJoin { left: Box<Step>, right: Box<Step>, outer: bool },
    /// Two tables of the same key. A change on either side is a change of the result; value columns as above.
    TableTableJoin { left: Box<Step>, right: Box<Step>, kind: JoinKind },
    /// Two streams of the same key, whose rows meet within a time.
    StreamStreamJoin(StreamStreamJoinStep),
    /// A table in another topic of its own, where its key is written in another format; kept in a store there, so that
    /// changes carry the old row. The schema stays.
    TableRekey { input: Box<Step>, repartition: Repartition, store: String },
    /// First part of a join of tables on a foreign key: each change of the left table (`input`) goes as a message to where
    /// the right table keeps that key. The schema is the foreign key and the message.
    /// `tells_partition`: the message ends with the partition that the row lies in.
    ForeignKeySubscribe {
        input: Box<Step>,
        key: NamedExpr,
        outer: bool,
        repartition: Repartition,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tells_partition: bool,
    },
    /// Second part: keeps the rows of the left (the input of `left`, which subscribes) by foreign key beside the right
    /// table, joins them to columns of `result`, and sends each result to where the left keeps its key.
    ForeignKeyJoin { left: Box<Step>, right: Box<Step>, outer: bool, result: Schema, store: String, repartition: Repartition },
    /// Third part: keeps the results by the left's key, and leaves out those that come too late.
    ForeignKeyResolve { input: Box<Step>, store: String },
    /// Writes a topic (persistent queries).
    Sink { input: Box<Step>, format: TopicFormat, timestamp: Option<TimestampColumn>, is_table: bool },
    /// Hands rows to a client (push queries).
    Collect { input: Box<Step>, limit: Option<u64> },
}

/// Which rows of a join go on without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

impl JoinKind {
    /// Whether rows of the left go on without a match.
    pub fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full)
    }

    /// Whether rows of the right go on without a match.
    pub fn keeps_right(self) -> bool {
        matches!(self, JoinKind::Right | JoinKind::Full)
    }
}

/// A row of the left meets the rows of the right that are up to `before_ms` older and up to `after_ms` younger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStreamJoinStep {
    pub left: Box<Step>,
    pub right: Box<Step>,
    pub kind: JoinKind,
    pub before_ms: i64,
    pub after_ms: i64,
    /// Set: rows without a match are held until the time is over and so much longer. `None`: they go on at once.
    pub grace_ms: Option<i64>,
    /// How long rows are kept for late ones.
    pub retention_ms: i64,
    /// Names of the stores of the sides' rows.
    pub left_store: String,
    pub right_store: String,
    /// Name of the store of rows that are held for want of a match.
    pub held_store: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStep {
    /// Name of the stream or table.
    pub source: String,
    pub format: TopicFormat,
    pub timestamp: Option<TimestampColumn>,
    /// Columns that hold headers: name, and the header's key or `None` for all.
    pub headers: Vec<(String, Option<String>)>,
    /// Tables only: name of the store that keeps the last row of each key. `None`: nothing behind needs the old row.
    pub store: Option<String>,
}

/// An internal topic between two sub-topologies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repartition {
    pub format: TopicFormat,
    /// `None`: as many as the input has.
    pub partitions: Option<u32>,
    /// Records go to the partition that their rows name, instead of one that their key chooses: it is another topic's key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_partition: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AggregateStep {
    pub input: Box<Step>,
    /// Name of the store, also the middle of the changelog topic's name.
    pub store: String,
    /// Output column name and the call (`SUM(A + 1)`), over the input's schema.
    pub aggregates: Vec<NamedExpr>,
    pub window: Option<Windowing>,
    pub grace_ms: Option<i64>,
    pub retention_ms: Option<i64>,
    /// The input is a grouped table: old rows are undone.
    pub over_table: bool,
}
