//! From a plan to running operators: the plan is cut at its repartition topics into sub-topologies; each of these is
//! built once for every partition of its inputs.

use std::sync::Arc;

use super::{FatalError, Node, PassOver, Passed, Port, Sharing, build as construct};
use crate::log::{Batch, RecordRef, TopicHandle};
use crate::plan::{QueryPlan, Step};
use crate::profile::Measured;
use crate::registry::SchemaRegistry;
use crate::row::{Headers, Row};
use crate::state::StoreSpec;
use crate::task::TaskContext;

/// The part of a plan that runs without a repartition in between. Everything here is known before any task runs.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    /// 0-based, sources' side first.
    pub id: usize,
    /// Topics read, in the order of [`TaskGraph::sources`].
    pub sources: Vec<SourceSpec>,
    pub stores: Vec<StoreSpec>,
    /// Topics written (sink or repartition), in the order that [`BuildEnv::topics`] gives their handles.
    pub sinks: Vec<SinkSpec>,
    /// Where records may come twice: what it writes for others to count is the same only if it reads its topics in the same
    /// order.
    pub keeps_order: bool,
}

/// A topic that a sub-topology reads.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    pub topic: String,
    /// Made by this query, between two of its sub-topologies.
    pub is_repartition: bool,
    /// Tables begin at their first record, whatever the query's `auto.offset.reset`.
    pub from_beginning: bool,
    /// Whether headers are read: for columns that hold them, or to hand them on to a topic.
    pub wants_headers: bool,
}

/// A topic that a sub-topology writes.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    pub topic: String,
    pub is_repartition: bool,
    /// Repartition topics: `None` means as many partitions as the input has.
    pub partitions: Option<u32>,
}

/// Where the rows of a push query go.
pub trait Collector: Send + Sync {
    /// Takes a row; `false`: no more are wanted.
    fn collect(&self, row: &Row) -> bool;
    /// A task has gone through what was at hand: what it gave is all there is for now.
    fn end_of_chunk(&self) {}
}

/// What operators are built with.
pub struct BuildEnv {
    pub query_id: Arc<str>,
    /// Handles of [`TaskSpec::sinks`] with their number of partitions.
    pub topics: Vec<(TopicHandle, u32)>,
    pub collector: Option<Arc<dyn Collector>>,
    /// The schemas of records whose formats have them.
    pub registry: Arc<dyn SchemaRegistry>,
    /// What push queries read may be decoded once for all of them.
    pub sharing: Option<Sharing>,
}

/// The operators of one task.
pub struct TaskGraph {
    pub nodes: Vec<Node>,
    /// For each source: how records become rows, and the node and port that takes them.
    pub sources: Vec<(Box<dyn RecordReader>, usize, Port)>,
    /// For each source: what reading its records took.
    pub reading: Vec<Measured>,
    /// For each source: what tells a record's event time before it is read; `None`: it is the record's own timestamp.
    pub clocks: Vec<Option<Box<dyn RecordClock>>>,
    /// Whether any node holds rows back until the commit.
    pub coalesces: bool,
}

/// Decodes a record into a row.
pub trait RecordReader: Send {
    /// `None`: the record was skipped (and reported, if it was bad). `headers` are those of the record.
    fn read(&mut self, record: RecordRef<'_>, headers: Headers, partition: i32, cx: &mut TaskContext) -> ReadResult;

    /// Whether the record can be read now, as far as schemas go. Asked before any of several readers of a record reads it: a
    /// record that one has processed must not come again because another has to wait.
    ///
    /// # Errors
    /// It is to be tried again later.
    fn is_ready(&mut self, record: RecordRef<'_>) -> Result<(), NotYet>;

    /// What it reads goes through this filter first.
    fn pass_over(&mut self, _filter: PassOver) {}

    /// Whether it is worth asking [`Self::passed`].
    fn passes_over(&self) -> bool {
        false
    }

    /// How many records of a batch from `first` on, and before `end`, it need not read, since they set off nothing.
    fn passed(&mut self, _batch: &Arc<dyn Batch>, _first: usize, _end: usize, _cx: &TaskContext) -> Passed {
        Passed::default()
    }
}

/// A record can't be read yet: the schema that it bears is not known so far. Nothing was read or reported; the same record is to
/// be tried again later. The text says what is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet(pub String);

/// Why a record could not be read.
#[derive(Debug)]
pub enum Unread {
    NotYet(NotYet),
    /// The query can't go on.
    Fatal(FatalError),
}

impl From<FatalError> for Unread {
    fn from(error: FatalError) -> Self {
        Unread::Fatal(error)
    }
}

/// Tells the event time of a record that is not read yet.
pub trait RecordClock: Send {
    /// Milliseconds since the epoch; `i64::MIN` where the record has no time and will be skipped.
    ///
    /// # Errors
    /// The time can't be told yet.
    fn time(&mut self, record: RecordRef<'_>) -> Result<i64, NotYet>;
}

/// What became of a record.
pub type ReadResult = Result<Option<Row>, Unread>;

/// Cuts a plan into sub-topologies, sources' side first.
///
/// # Errors
/// A plan whose expressions can't be read.
pub fn split(plan: &QueryPlan) -> Result<Vec<TaskSpec>, FatalError> {
    parts(&plan.root).iter().enumerate().map(|(id, part)| construct::spec(plan, id, part)).collect()
}

/// Builds the operators of one task of one sub-topology.
///
/// # Errors
/// A plan whose expressions or formats this version can't build.
pub fn build(plan: &QueryPlan, spec: &TaskSpec, env: &BuildEnv) -> Result<TaskGraph, FatalError> {
    let parts = parts(&plan.root);
    let part = parts.get(spec.id).ok_or_else(|| FatalError("the plan has no such sub-topology".into()))?;
    construct::graph(plan, spec, part, env)
}

/// A sub-topology of a plan: the steps from `root` down to sources and to repartition topics.
pub(super) struct Part<'p> {
    pub root: &'p Step,
    /// Whether rows of the root go to its repartition topic (else the root is the plan's own).
    pub writes_repartition: bool,
}

/// The parts of a plan, each behind those that it reads from.
fn parts(root: &Step) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    collect_parts(root, &mut found);
    found.push(Part { root, writes_repartition: false });
    found
}

fn collect_parts<'p>(step: &'p Step, found: &mut Vec<Part<'p>>) {
    for input in step.inputs() {
        collect_parts(input, found);
    }
    if step.repartition().is_some() {
        found.push(Part { root: step, writes_repartition: true });
    }
}
