//! The ksql dialect: text to statements with spans, and back.
//!
//! No catalog and no I/O: whatever needs to know which streams exist belongs to the engine.

pub mod ast;
mod error;

pub use error::ParseError;
