//! Operators: what happens to a row between source and sink. One operator a file.
//!
//! The operators of a task stand in one vector in topological order, sources first: a node's successor always has a
//! larger index. A row is handed on by a plain call down that vector, depth first, so every record yields all its
//! changes before the next one is read. There is no queue between operators.

mod aggregate;
mod build;
mod builder;
mod carry;
mod coalesce;
mod collect;
pub mod derive;
mod early_test;
mod event_time;
mod exprs;
mod filter;
mod flat_map;
mod foreign_key;
mod group_by;
pub mod materialized;
mod origin;
mod repartition;
mod repeatable;
mod select;
mod select_key;
mod shared;
mod sink;
mod source;
mod stream_stream_join;
mod stream_table_join;
mod suppress;
mod table_lookup;
mod table_source;
mod table_table_join;
mod time_queue;
mod times;

use crate::profile::{Measured, Timing};
use crate::row::Row;
use crate::task::TaskContext;

pub use builder::{
    BuildEnv, Collector, NotYet, ReadResult, RecordClock, RecordReader, SinkSpec, SourceSpec, TaskGraph, TaskSpec, Unread, build, split,
};
pub use origin::{Origins, without_origin};
pub use shared::{PassOver, Passed, SharedReadings, Sharing};
pub use source::header_value;

/// Which input of an operator a row arrives at: joins have two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Port(pub u8);

/// The query can't go on. (What is wrong with one record only goes to the processing log instead.)
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct FatalError(pub String);

/// A step of a task.
pub trait Operator: Send {
    /// Takes one row and hands any number on.
    fn process(&mut self, port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError>;
    /// Called after every chunk of input; held results whose time has come go out here.
    fn end_of_chunk(&mut self, _out: &mut Output<'_>) -> Result<(), FatalError> {
        Ok(())
    }
    /// Called before what the task did since the last commit becomes durable: what is held back until then goes out here.
    fn before_commit(&mut self, _out: &mut Output<'_>) -> Result<(), FatalError> {
        Ok(())
    }
    /// Stream time goes on to `timestamp` without a record, which only a test can ask for: what waited for that goes out here.
    fn advance(&mut self, _timestamp: i64, _out: &mut Output<'_>) -> Result<(), FatalError> {
        Ok(())
    }
    /// What it is called where its work is shown: `EXPLAIN ANALYZE`.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }
    /// Forgets what it holds besides its stores since the last commit: the input comes again.
    fn roll_back(&mut self) {}
}

/// An operator and where its rows go.
pub struct Node {
    pub operator: Box<dyn Operator>,
    /// The successor's index (always larger than the node's own) and its port; `None` for a sink.
    pub next: Option<(usize, Port)>,
    /// What it has done.
    pub measured: Measured,
}

impl Node {
    pub fn new(operator: Box<dyn Operator>, next: Option<(usize, Port)>) -> Self {
        Node { operator, next, measured: Measured::default() }
    }
}

/// Where an operator puts its rows, and what it may use of its task.
pub struct Output<'a> {
    /// The nodes behind the current one; the first has index `base`.
    rest: &'a mut [Node],
    base: usize,
    next: Option<(usize, Port)>,
    pub cx: &'a mut TaskContext,
}

impl Output<'_> {
    /// Hands a row to the next operator, which finishes with it before this returns.
    pub fn emit(&mut self, row: Row) -> Result<(), FatalError> {
        self.cx.tick()?;
        match self.next {
            Some((index, port)) => process_from(self.rest, self.base, index, port, row, self.cx),
            None => Ok(()),
        }
    }
}

/// Runs a row through the operators from node `index` on. `base` is the index of `nodes[0]`.
pub fn process_from(nodes: &mut [Node], base: usize, index: usize, port: Port, row: Row, cx: &mut TaskContext) -> Result<(), FatalError> {
    let (head, rest) = nodes.split_at_mut(index - base + 1);
    let node = &mut head[index - base];
    node.measured.rows += 1;
    let mut output = Output { rest, base: index + 1, next: node.next, cx };
    if output.cx.profile.is_timing() {
        return timed(&mut *node.operator, &mut node.measured, port, row, &mut output);
    }
    node.operator.process(port, row, &mut output)
}

#[cold]
fn timed(operator: &mut dyn Operator, measured: &mut Measured, port: Port, row: Row, output: &mut Output<'_>) -> Result<(), FatalError> {
    let timing = Timing::begin(&mut output.cx.profile, &*output.cx.clock);
    let result = operator.process(port, row, output);
    timing.end(&mut output.cx.profile, &*output.cx.clock, measured);
    result
}

/// Tells every operator that a chunk has ended, sources first.
pub fn end_chunk(nodes: &mut [Node], cx: &mut TaskContext) -> Result<(), FatalError> {
    for_each(nodes, cx, |operator, out| operator.end_of_chunk(out))
}

/// Tells every operator that a commit is about to come, sources first.
pub fn before_commit(nodes: &mut [Node], cx: &mut TaskContext) -> Result<(), FatalError> {
    for_each(nodes, cx, |operator, out| operator.before_commit(out))
}

/// Tells every operator that stream time is now at least `timestamp`, sources first.
pub fn advance(nodes: &mut [Node], timestamp: i64, cx: &mut TaskContext) -> Result<(), FatalError> {
    for_each(nodes, cx, |operator, out| operator.advance(timestamp, out))
}

fn for_each(
    nodes: &mut [Node],
    cx: &mut TaskContext,
    mut tell: impl FnMut(&mut dyn Operator, &mut Output<'_>) -> Result<(), FatalError>,
) -> Result<(), FatalError> {
    for index in 0..nodes.len() {
        let (head, rest) = nodes.split_at_mut(index + 1);
        let node = &mut head[index];
        let mut output = Output { rest, base: index + 1, next: node.next, cx };
        tell(&mut *node.operator, &mut output)?;
    }
    Ok(())
}
