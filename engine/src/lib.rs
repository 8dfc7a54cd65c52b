//! Everything that gives SQL its meaning and runs it. A library: no HTTP here.

pub mod analyze;
pub mod catalog;
pub mod clock;
pub mod engine;
pub mod expr;
pub mod formats;
pub mod functions;
pub mod letters;
pub mod live;
pub mod log;
pub mod operators;
pub mod pace;
pub mod plan;
pub mod points;
pub mod processing_log;
pub mod profile;
pub mod registry;
pub mod row;
pub mod runtime;
pub mod state;
pub mod task;
pub mod types;

pub use engine::{Engine, EngineConfig, EngineError};
