//! How far a server's stores are behind their changelogs, as `/clusterStatus` and `/lag` say it: those of its own tasks, which are behind
//! while they are being restored, and those that it follows for other servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tidemill_engine::log::{Offset, PartitionId};

use super::cluster_status::not_enabled;
use crate::app::App;
use crate::blocking::Kind;
use crate::reply::{self, Reply};

/// See the module.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStoreLags {
    /// By the query's group and the store, `_confluent-ksql-default_query_CTAS_T_1#Store`.
    state_store_lags: BTreeMap<String, StoreLags>,
    /// Milliseconds since the epoch; 0: nothing is said.
    update_time_ms: i64,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreLags {
    lag_by_partition: BTreeMap<PartitionId, StoreLag>,
    /// How many those are.
    size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreLag {
    current_offset_position: i64,
    end_offset_position: i64,
    offset_lag: i64,
}

/// What ksqlDB's servers tell each other.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LagReport {
    /// `host:port`.
    ksql_host: String,
    host_store_lags: HostStoreLags,
}

impl StoreLags {
    fn add(&mut self, partition: PartitionId, current: Offset, end: Offset) {
        let offset_lag = end.0.saturating_sub(current.0).max(0);
        self.lag_by_partition.insert(partition, StoreLag { current_offset_position: current.0, end_offset_position: end.0, offset_lag });
        self.size = self.lag_by_partition.len();
    }
}

/// Whether stores' lags are said.
pub fn are_reported(app: &App) -> bool {
    app.config.flag("ksql.heartbeat.enable") && app.config.flag("ksql.lag.reporting.enable")
}

impl HostStoreLags {
    /// This server's; none where they are not to be said. Those that it follows are as they were last looked at, and where the changelogs
    /// of its own end is asked of the log: while that is away, they are left out.
    pub async fn own(app: &Arc<App>) -> Self {
        if !are_reported(app) {
            return Self::default();
        }
        let name = |query: &str, store: &str| format!("{}#{store}", app.engine.runtime().group(query));
        let mut lags: BTreeMap<String, StoreLags> = BTreeMap::new();
        for lag in app.engine.runtime().standby_lags() {
            lags.entry(name(&lag.query, &lag.store)).or_default().add(lag.partition, lag.included, lag.end);
        }
        let engine = app.engine.clone();
        let own = app.blocking.run(Kind::Part, move || engine.store_lags()).await.ok().and_then(Result::ok);
        for lag in own.unwrap_or_default() {
            lags.entry(name(&lag.query, &lag.store)).or_default().add(lag.partition, lag.included, lag.end);
        }
        HostStoreLags { state_store_lags: lags, update_time_ms: app.engine.clock().now_ms() }
    }
}

/// `GET /lag`: what this server would tell the others, in the form in which ksqlDB's servers do.
pub async fn own_lags(app: Arc<App>) -> Reply {
    if !are_reported(&app) {
        return not_enabled();
    }
    reply::json(&LagReport { ksql_host: app.host.clone(), host_store_lags: HostStoreLags::own(&app).await })
}
