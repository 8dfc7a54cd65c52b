//! Servers that share a service, and how they speak with each other: where each is reached ([`address`]), the parts of pull queries
//! ([`wire`]) and of scans ([`scan_wire`]) that they ask each other for ([`client`]), and what each says of itself ([`status`], [`skew`]).

mod address;
mod client;
mod scan_wire;
mod skew;
mod status;
mod wire;

pub use address::{advertised, host_of};
pub use client::HttpPeers;
pub use scan_wire::{read_question as read_scan_question, write_page as write_scan_page};
pub use status::{OwnStatus, compare_clocks, own, restore_lag, servers};
pub use wire::{read_question, write_failure, write_page};

/// Where a server is asked for a part of a pull query.
pub const PULL_PATH: &str = "/cluster/pull";
/// Where a server is asked for its part of a scan.
pub const SCAN_PATH: &str = "/cluster/scan";
/// Where it is told that a scan wants nothing more.
pub const SCAN_END_PATH: &str = "/cluster/scan/end";
/// Where a server says what there is to say of it.
pub const STATUS_PATH: &str = "/cluster/status";
