//! The REST API over the engine: ksqlDB's endpoints, its JSON and its configuration.
//!
//! The way of a request: [`net`] (connections and their limits) → [`router`] → an endpoint → `statements` or `query` → the
//! engine. Only this crate writes API JSON: `entities` for statements, `rows` for queries, `error` for errors.
//!
//! Invariant: no request can end the server. Bodies, heads, connections, statements and waits have named limits.

mod accept;
pub mod access;
mod app;
mod blocking;
mod cause;
mod cluster;
mod compressed;
pub mod config;
mod connect;
mod consistency;
mod cors;
mod endpoints;
mod entities;
mod error;
mod flight;
mod front;
mod health;
mod kafka_login;
mod limits;
mod metrics;
mod net;
mod opening;
mod own_registry;
mod pages;
mod postgres;
mod query;
mod reload;
mod reply;
mod request;
mod router;
mod rows;
pub mod schema_registry;
mod server;
mod statements;
mod tls;

pub use config::{ConfigBuilder, ConfigError, ServerConfig};
pub use net::Stream;
pub use own_registry::ask as ask_own_registry;
pub use server::{Running, Server, StartError};
pub use tls::for_client as client_tls;
