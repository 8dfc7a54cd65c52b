//! One file for each endpoint.

mod chc;
mod close_query;
mod cluster_pull;
mod cluster_scan;
mod cluster_status;
mod healthcheck;
mod info;
mod inserts_stream;
mod is_valid_property;
mod ksql;
mod metadata;
mod metrics;
mod peers;
mod query;
mod query_stream;
mod running_queries;
mod status;
mod store_lags;
mod terminate;
mod ws_query;

pub use chc::chc;
pub use close_query::close_query;
pub use cluster_pull::cluster_pull;
pub use cluster_scan::{cluster_scan, cluster_scan_end};
pub use cluster_status::{cluster_status, host_status, own_status};
pub use healthcheck::{health_while_starting, healthcheck};
pub use info::{info, info_while_starting};
pub use inserts_stream::{AckForm, OFFERED as INSERTS_OFFERED, inserts_stream};
pub use is_valid_property::is_valid_property;
pub use ksql::ksql;
pub use metadata::{metadata, metadata_id};
pub use metrics::metrics;
pub use peers::{heartbeat, lag};
pub use query::{DEFAULT as QUERY_DEFAULT, OFFERED as QUERY_OFFERED, query};
pub use query_stream::{OFFERED as QUERY_STREAM_OFFERED, query_stream};
pub use running_queries::running_queries;
pub use status::{all_statuses, status};
pub use store_lags::own_lags;
pub use terminate::terminate;
pub use ws_query::ws_query;

use crate::accept::negotiate;
use hyper::HeaderMap;

/// Whether a client takes JSON, by one of the names that it goes by.
pub fn takes_json(headers: &HeaderMap) -> bool {
    negotiate(headers, &[("application/json", ()), ("application/vnd.ksql.v1+json", ())]).is_some()
}
