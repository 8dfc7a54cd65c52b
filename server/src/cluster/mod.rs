//! Servers that share a service, and how they speak with each other: where each is reached ([`address`]), and the parts of pull queries
//! that they ask each other for ([`client`], [`wire`]).

mod address;
mod client;
mod wire;

pub use address::advertised;
pub use client::HttpPeers;
pub use wire::{read_question, write_failure, write_page};

/// Where a server is asked for a part of a pull query.
pub const PULL_PATH: &str = "/cluster/pull";
