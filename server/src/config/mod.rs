//! The server's configuration: a properties file with ksqlDB's names, environment variables over it, flags over both.
//!
//! Whatever is unknown in a file, or invalid, is named and stops the start, and so does what would promise something that
//! is not there; what is known but has no meaning here warns once. `docs/configuration.md` is written from the same tables.

mod builder;
mod client;
#[cfg(test)]
mod compose_tests;
mod env;
pub mod file;
mod guarantee;
mod kind;
#[cfg(test)]
mod manual;
mod overrides;
pub(crate) mod places;
mod provided;
mod server_config;
mod standing;
pub mod streams;
mod table;
#[cfg(test)]
mod tests;

pub use builder::ConfigBuilder;
pub(crate) use client::{Store, kind_of_store};
pub use kind::Kind;
pub use overrides::{OverrideError, OverrideRules, near};
pub use provided::{Providers, is_about_providers};
pub use server_config::{Listen, ServerConfig};
pub use standing::{Standing, standing};
pub use table::{Property, Role, is_secret, properties, property, shown};

/// Why the server can't start as it is configured. One line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);
