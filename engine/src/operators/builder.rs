//! From a plan to running operators: the plan is cut at its repartition topics into sub-topologies; each of these is
//! built once for every partition of its inputs.

use std::sync::Arc;

use super::{FatalError, Node, Port};
use crate::log::{RecordRef, TopicHandle};
use crate::plan::QueryPlan;
use crate::row::{Header, Row};
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
}

/// A topic that a sub-topology reads.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    pub topic: String,
    /// Made by this query, between two of its sub-topologies.
    pub is_repartition: bool,
    /// Tables begin at their first record, whatever the query's `auto.offset.reset`.
    pub from_beginning: bool,
    /// Whether headers are read.
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
}

/// What operators are built with.
pub struct BuildEnv {
    pub query_id: Arc<str>,
    /// Handles of [`TaskSpec::sinks`] with their number of partitions.
    pub topics: Vec<(TopicHandle, u32)>,
    pub collector: Option<Arc<dyn Collector>>,
}

/// The operators of one task.
pub struct TaskGraph {
    pub nodes: Vec<Node>,
    /// For each source: how records become rows, and the node and port that takes them.
    pub sources: Vec<(Box<dyn RecordReader>, usize, Port)>,
}

/// Decodes a record into a row.
pub trait RecordReader: Send {
    /// `None`: the record was skipped (and reported, if it was bad).
    fn read(&mut self, record: RecordRef<'_>, headers: Option<Arc<[Header]>>, partition: i32, cx: &mut TaskContext) -> Option<Row>;
}

/// Cuts a plan into sub-topologies.
pub fn split(_plan: &QueryPlan) -> Result<Vec<TaskSpec>, FatalError> {
    Err(FatalError("not built".into()))
}

/// Builds the operators of one task of one sub-topology.
pub fn build(_plan: &QueryPlan, _spec: &TaskSpec, _env: &BuildEnv) -> Result<TaskGraph, FatalError> {
    Err(FatalError("not built".into()))
}
