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
    described(&app.cluster_id, &app.engine.config().service_id, "RUNNING")
}

/// While the server waits for its log, whose id it does not know yet.
pub fn info_while_starting(service_id: &str) -> Reply {
    described("", service_id, "INITIALIZING")
}

fn described(cluster_id: &str, service_id: &str, server_status: &'static str) -> Reply {
    reply::json(&Info {
        server: ServerInfo {
            version: env!("CARGO_PKG_VERSION"),
            kafka_cluster_id: cluster_id.to_owned(),
            ksql_service_id: service_id.to_owned(),
            server_status,
        },
    })
}
