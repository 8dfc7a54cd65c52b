//! The partitions of a table that other servers of the service have, as parts of a scan.
//!
//! Who scans asks the server that has partitions for them ([`reading`]), page by page; each page says where the next one begins, in every
//! partition, so that any server that has a partition by then can go on. Who is asked ([`answer`]) keeps the snapshot of a scan for a
//! while ([`held`]), so that all pages are of one moment, and needs nothing else of what was before.

mod answer;
mod held;
mod reading;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::BoxFuture;
use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::engine::NotAnswered;
use tidemill_engine::live::Place;
use tidemill_engine::log::PartitionId;
use tidemill_engine::state::KeyRange;

pub(crate) use answer::Answers;
pub use held::HOLD;
pub(crate) use reading::{REMOTE_BYTES, REMOTE_ROWS, RemoteScan};

/// Rows of a page at most; a page has about 4 MiB, but for what its last row has beyond that.
pub const MAX_PAGE_ROWS: usize = 1 << 16;

/// What is asked of a server: rows of some partitions of a table that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanQuestion {
    /// The name of the scan, known to nobody else: a server that keeps its snapshot goes on with that.
    pub scan: Arc<str>,
    pub table: Arc<str>,
    /// The query that keeps the table.
    pub query_id: Arc<str>,
    /// The columns that are wanted, each with its type: with others the server has not heard of a statement yet, or has of a later one.
    pub columns: Arc<[(String, String)]>,
    /// How many partitions the table has …
    pub partition_count: usize,
    /// … and which are wanted, in the order in which they are read.
    pub left: Vec<Rest>,
    /// Keys that are wanted, in order, none twice; none: all.
    pub ranges: Arc<[KeyRange]>,
    pub windows: WindowBounds,
    /// Rows that are wanted at most.
    pub limit: Option<usize>,
}

/// What is still to be read of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    pub partition: PartitionId,
    /// Where it goes on; `None`: it was not begun.
    pub from: Option<Place>,
}

/// Rows that were read together.
#[derive(Debug, Clone, Default)]
pub struct ScanPage {
    pub batches: Vec<RecordBatch>,
    /// What is still to be read of what was asked for.
    pub left: Vec<Rest>,
    /// Bytes that it had on its way.
    pub wire_bytes: usize,
}

/// The way to other servers.
pub trait ScanPeers: Send + Sync {
    /// Asks the server at an address (a URL) for a page of batches of this schema, and waits for so long at most. Dropping the
    /// future ends the request.
    fn ask<'a>(
        &'a self,
        url: &'a str,
        question: &'a ScanQuestion,
        schema: &'a SchemaRef,
        patience: Duration,
    ) -> BoxFuture<'a, Result<ScanPage, NotAnswered>>;

    /// Tells the server at an address that a scan wants nothing more. Does not wait; where it does not arrive, the server finds that
    /// out by itself after [`HOLD`].
    fn end(&self, url: &str, scan: &str);
}
