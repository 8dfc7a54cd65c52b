//! `GET /clusterStatus`: the servers of the service and what each of them holds, where servers watch each other
//! (`ksql.heartbeat.enable`): this one, and where others share the service each of those, which is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value as Json;

use super::store_lags::HostStoreLags;
use crate::app::App;
use crate::cluster::{self, host_of};
use crate::error::ApiError;
use crate::metrics::Lag;
use crate::reply::{self, JSON, Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterStatus {
    cluster_status: BTreeMap<String, Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
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
    stand_by_stores: BTreeSet<String>,
    stand_by_partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
}

pub async fn cluster_status(app: Arc<App>) -> Reply {
    if !app.config.flag("ksql.heartbeat.enable") {
        return not_enabled();
    }
    let this = (app.host.clone(), json(&host_status(&app).await));
    let servers = match cluster::servers(&app, true).await {
        Ok(servers) => servers,
        Err(error) => return ApiError::engine(error, "").bare_reply(),
    };
    let now = app.engine.clock().now_ms();
    let others = servers.into_iter().filter_map(|(server, said)| {
        let host = server.url.as_deref().map_or(server.id.as_str(), host_of).to_owned();
        let status = said?.ok().and_then(|own| own.host).unwrap_or_else(|| json(&HostStatus::gone(now)));
        Some((host, status))
    });
    reply::json(&ClusterStatus { cluster_status: others.chain([this]).collect() })
}

/// `GET /cluster/status`, `/cluster/status/host`: what this server says of itself to others that share the service.
pub async fn own_status(app: Arc<App>, with_host: bool) -> Reply {
    if app.peers.is_none() {
        return reply::not_found();
    }
    reply::json(&cluster::own(&app, with_host).await)
}

fn json(status: &HostStatus) -> Json {
    serde_json::to_value(status).unwrap_or_default()
}

/// What this server holds.
pub async fn host_status(app: &Arc<App>) -> HostStatus {
    let now = app.engine.clock().now_ms();
    let read = app.lags.look(app).await;
    let queries = app.engine.queries().persistent();
    let (all, held) = (app.engine.runtime().config().slots, app.engine.runtime().slots());
    let followed = app.engine.runtime().standby_lags();
    let of_query = queries.iter().map(|query| {
        let is_here = |partition| held.contains(&all.of(&query.id, partition));
        let followed = followed.iter().filter(|lag| *lag.query == *query.id);
        let is_followed = |partition| followed.clone().any(|lag| lag.partition == partition);
        let read = || read.get(&query.id).into_iter().flatten();
        let partition = |lag: &Lag| Partition { topic: lag.topic.clone(), partition: lag.partition };
        let held = ActiveStandby {
            active_stores: app.engine.runtime().store_readers(&query.id).into_iter().map(|(name, _)| name.to_string()).collect(),
            active_partitions: read().filter(|lag| is_here(lag.partition)).map(partition).collect(),
            stand_by_stores: followed.clone().map(|lag| lag.store.to_string()).collect(),
            stand_by_partitions: read().filter(|lag| is_followed(lag.partition)).map(partition).collect(),
        };
        (query.id.clone(), held)
    });
    let active_standby_per_query = of_query.collect();
    let host_store_lags = HostStoreLags::own(app).await;
    HostStatus { active_standby_per_query, host_alive: true, host_store_lags, ..HostStatus::gone(now) }
}

impl HostStatus {
    /// Of a server that does not answer, though the group has it for a member.
    fn gone(now_ms: i64) -> Self {
        HostStatus {
            host_alive: false,
            last_status_update_ms: now_ms,
            active_standby_per_query: BTreeMap::new(),
            host_store_lags: HostStoreLags::default(),
        }
    }
}

/// What is answered where servers don't watch each other.
pub fn not_enabled() -> Reply {
    reply::whole(StatusCode::NOT_FOUND, Some(JSON), Bytes::new())
}
