//! Rows of queries on the wire: their JSON, and the three forms in which they are sent.

mod format;
mod json;
mod protobuf;

pub use format::{Header, RowFormat};
pub use json::RowWriter;
