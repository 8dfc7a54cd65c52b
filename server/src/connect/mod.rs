//! Kafka Connect: statements about connectors are requests to its REST API. Only this module speaks with it.
//!
//! A statement waits for Connect on its own thread of [`crate::blocking`]. Each request has the time that
//! `ksql.connect.request.timeout.ms` gives it, all its tries together, and only so many statements wait at a time that
//! others keep threads to run on, however long Connect takes.

mod answers;
mod client;
mod config;
mod credentials;
mod secrets;
mod shorthand;

pub use answers::{ConnectorInfo, ConnectorState, PluginInfo};
pub use client::{Asking, Connect, ConnectError};
pub use config::ConnectConfig;
pub use secrets::{hide, hide_secrets};
pub use shorthand::resolve;

/// Properties of a connector, as Connect takes them.
pub type Settings = std::collections::BTreeMap<String, String>;

/// The property that says what a connector is.
pub const CLASS: &str = "connector.class";
