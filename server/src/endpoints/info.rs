//! `GET /info`: which server this is.

use serde::Serialize;

use crate::app::App;
use crate::reply::{self, Reply};

#[derive(Serialize)]
struct Info {
    #[serde(rename = "KsqlServerInfo")]
    server: ServerInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerInfo {
    version: &'static str,
    kafka_cluster_id: String,
    ksql_service_id: String,
    server_status: &'static str,
}

pub fn info(app: &App) -> Reply {
    reply::json(&Info {
        server: ServerInfo {
            version: env!("CARGO_PKG_VERSION"),
            kafka_cluster_id: app.cluster_id.clone(),
            ksql_service_id: app.engine.config().service_id.clone(),
            server_status: "RUNNING",
        },
    })
}
