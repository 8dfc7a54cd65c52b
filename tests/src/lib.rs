//! What the end-to-end tests share. The tests themselves are in `tests/`.

pub mod admin;
pub mod apicurio;
pub mod broker;
pub mod certificates;
pub mod ending;
pub mod fake_connect;
pub mod flights;
pub mod jdbc;
pub mod kafka_connect;
pub mod libraries;
pub mod proxy;
pub mod python;
pub mod registry_double;
pub mod server;
pub mod supervised;
pub mod terminal;
pub mod token_service;
