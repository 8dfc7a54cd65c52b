//! `GET /v1/metadata` and `/v1/metadata/id`: the ids of this service and of its log.

use serde::Serialize;

use crate::app::App;
use crate::reply::{self, Reply};

#[derive(Serialize)]
struct Metadata {
    scope: Scope,
    id: &'static str,
}

#[derive(Serialize)]
struct Scope {
    path: [&'static str; 0],
    clusters: Clusters,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Clusters {
    kafka_cluster: String,
    ksql_cluster: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerMetadata {
    version: &'static str,
    cluster_id: Metadata,
}

fn cluster(app: &App) -> Metadata {
    let clusters = Clusters { kafka_cluster: app.cluster_id.clone(), ksql_cluster: app.engine.config().service_id.clone() };
    Metadata { scope: Scope { path: [], clusters }, id: "" }
}

pub fn metadata_id(app: &App) -> Reply {
    reply::json(&cluster(app))
}

pub fn metadata(app: &App) -> Reply {
    reply::json(&ServerMetadata { version: env!("CARGO_PKG_VERSION"), cluster_id: cluster(app) })
}
