//! The rows of a pull query, read chunk by chunk as they are taken: an answer of any length takes the memory of a chunk.

use super::EngineError;
use super::pull::TablePull;
use super::stream_scan::StreamScan;
use crate::analyze::OutputColumn;
use crate::types::Value;

/// Rows that are read at a time …
const CHUNK_ROWS: usize = 1_024;
/// … and bytes; the last row of a chunk may go beyond.
pub const CHUNK_BYTES: usize = 256 << 10;

/// An answer whose rows are still to be read.
pub struct PullRows {
    pub columns: Vec<OutputColumn>,
    /// Whether the rows come from a stream's topic instead of a table's store.
    pub from_stream: bool,
    pub(super) source: Source,
}

pub(super) enum Source {
    Table(Box<TablePull>),
    Stream(Box<StreamScan>),
}

/// Rows that were read together.
#[derive(Debug)]
pub(super) struct Chunk {
    pub rows: Vec<Vec<Value>>,
    bytes: usize,
    max_rows: usize,
    max_bytes: usize,
    /// Entries of a store that may still be looked at for it.
    pub looks_left: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self::of(CHUNK_ROWS, CHUNK_BYTES, usize::MAX)
    }
}

impl Chunk {
    /// Rows and bytes that it takes at most, but for what a last row has beyond that, and entries that are looked at for it.
    pub fn of(max_rows: usize, max_bytes: usize, max_looks: usize) -> Self {
        Chunk { rows: Vec::new(), bytes: 0, max_rows, max_bytes, looks_left: max_looks }
    }

    /// An entry was looked at, whether it became a row or not.
    pub fn has_looked(&mut self) {
        self.looks_left = self.looks_left.saturating_sub(1);
    }

    pub fn push(&mut self, row: Vec<Value>) {
        self.bytes += row.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum::<usize>();
        self.rows.push(row);
    }

    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.max_rows || self.bytes >= self.max_bytes || self.looks_left == 0
    }
}

impl PullRows {
    /// From now on reading fails with [`crate::state::StateError::Busy`] where it would have to wait for a chunk that is
    /// being processed. A stream's topic is read with waiting all the same.
    pub fn without_waiting(mut self) -> Self {
        if let Source::Table(table) = &mut self.source {
            table.without_waiting();
        }
        self
    }

    /// The next rows; none at the end. Blocks.
    ///
    /// # Errors
    /// The table is busy for too long, the log is away, or the state is damaged.
    pub fn next_chunk(&mut self) -> Result<Vec<Vec<Value>>, EngineError> {
        let mut chunk = Chunk::default();
        match &mut self.source {
            Source::Table(table) => table.fill(&mut chunk)?,
            Source::Stream(stream) => stream.fill(&mut chunk)?,
        }
        Ok(chunk.rows)
    }

    /// Whether nothing more comes for certain.
    pub fn is_done(&self) -> bool {
        match &self.source {
            Source::Table(table) => table.is_done(),
            Source::Stream(stream) => stream.is_done(),
        }
    }

    /// All rows at once. Blocks.
    ///
    /// # Errors
    /// See [`Self::next_chunk`].
    pub fn collect(mut self) -> Result<PullResult, EngineError> {
        let mut rows = Vec::new();
        loop {
            let chunk = self.next_chunk()?;
            if chunk.is_empty() {
                return Ok(PullResult { columns: self.columns, rows, from_stream: self.from_stream });
            }
            rows.extend(chunk);
        }
    }
}

/// What a pull query answers.
#[derive(Debug, Clone)]
pub struct PullResult {
    pub columns: Vec<OutputColumn>,
    pub rows: Vec<Vec<Value>>,
    /// Whether the rows come from a stream's topic instead of a table's store.
    pub from_stream: bool,
}
