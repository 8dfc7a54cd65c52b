//! `GET /clusterStatus`: the servers of the service and what each of them holds, where servers watch each other
//! (`ksql.heartbeat.enable`). There is one, which answers of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::reply::{self, JSON, Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterStatus {
    cluster_status: BTreeMap<String, HostStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HostStatus {
    host_alive: bool,
    /// Milliseconds since the epoch.
    last_status_update_ms: i64,
    active_standby_per_query: BTreeMap<String, ActiveStandby>,
    host_store_lags: HostStoreLags,
}

/// What a server holds of one query.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveStandby {
    active_stores: Vec<String>,
    active_partitions: Vec<Partition>,
    stand_by_stores: [String; 0],
    stand_by_partitions: [Partition; 0],
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
}

/// How far standbys are behind; there are none.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HostStoreLags {
    state_store_lags: BTreeMap<String, ()>,
    update_time_ms: i64,
}

pub async fn cluster_status(app: Arc<App>) -> Reply {
    if !app.config.flag("ksql.heartbeat.enable") {
        return not_enabled();
    }
    let now = app.engine.clock().now_ms();
    let read = app.lags.look(&app).await;
    let queries = app.engine.queries().persistent();
    let of_query = queries.iter().map(|query| {
        let partitions = read.get(&query.id).into_iter().flatten();
        let held = ActiveStandby {
            active_stores: app.engine.runtime().store_readers(&query.id).into_iter().map(|(name, _)| name.to_string()).collect(),
            active_partitions: partitions.map(|lag| Partition { topic: lag.topic.clone(), partition: lag.partition }).collect(),
            stand_by_stores: [],
            stand_by_partitions: [],
        };
        (query.id.clone(), held)
    });
    let this = HostStatus {
        host_alive: true,
        last_status_update_ms: now,
        active_standby_per_query: of_query.collect(),
        host_store_lags: HostStoreLags { state_store_lags: BTreeMap::new(), update_time_ms: 0 },
    };
    reply::json(&ClusterStatus { cluster_status: BTreeMap::from([(app.host.clone(), this)]) })
}

/// What is answered where servers don't watch each other.
pub fn not_enabled() -> Reply {
    reply::whole(StatusCode::NOT_FOUND, Some(JSON), Bytes::new())
}
