//! Any SQL over live tables and topics, by DataFusion.
//!
//! The way of a query: text → sqlparser's tree ([`dialect`]) → the same in DataFusion's words ([`rewrite`]) → DataFusion's plan,
//! whose leaves are scans of tables and topics → batches, taken one by one by whoever asked. The engine gives the catalog, the
//! tables' stores as of one moment, and topics from one offset to another; it knows nothing of this package.
//!
//! Invariant: the continuous path does not depend on this. Nothing is made before it is asked for, and no answer is gathered
//! whole: what lies between the scans and the client is bounded, by the pool of memory and by batches.

mod aggregates;
mod batch;
mod bounded;
mod bounds;
mod catalog;
mod columns;
mod cooperation;
mod dialect;
mod error;
mod explain;
mod filling;
mod functions;
mod leaf;
mod memory;
mod moment;
mod parameters;
mod place;
mod remote;
mod rewrite;
mod running;
mod service;
mod special;
mod stream;
mod table;
mod table_scan;
mod topic_scan;
mod types;
mod values;

#[cfg(test)]
mod narrow_tests;
#[cfg(test)]
mod tests;

pub use dialect::{Explain, Shape, check};
pub use error::{QueryError, QueryErrorKind};
pub use functions::is_function;
pub use memory::QueryMemory;
pub use remote::{HOLD, MAX_PAGE_ROWS, Rest, ScanPage, ScanPeers, ScanQuestion};
pub use running::RunningQuery;
pub use service::{Answer, Described, QueryService, Question, Settings};
pub use types::{arrow_type, sql_type};
pub use values::rows;
