//! Servers that share a service, and how they speak with each other: where each is reached ([`address`]), and the parts of pull queries
//! that they ask each other for ([`client`], [`wire`]), and what each says of itself ([`status`]).

mod address;
mod client;
mod status;
mod wire;

pub use address::{advertised, host_of};
pub use client::HttpPeers;
pub use status::{OwnStatus, own, servers};
pub use wire::{read_question, write_failure, write_page};

/// Where a server is asked for a part of a pull query.
pub const PULL_PATH: &str = "/cluster/pull";
/// Where a server says what there is to say of it.
pub const STATUS_PATH: &str = "/cluster/status";
