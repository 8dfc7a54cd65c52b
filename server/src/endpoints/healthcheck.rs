//! `GET /healthcheck`: whether the log answers and statements are carried out.

use std::sync::Arc;

use serde::Serialize;

use crate::app::App;
use crate::reply::{self, Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    is_healthy: bool,
    details: Details,
    server_state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    metastore: Part,
    kafka: Part,
    command_runner: Part,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    is_healthy: bool,
}

pub async fn healthcheck(app: Arc<App>) -> Reply {
    let log = app.health.log_answers(&app.engine).await;
    let server_state = if app.is_closing() { "TERMINATED" } else { "READY" };
    health(log, app.engine.command_log_problem().is_none(), server_state)
}

/// While the server waits for its log.
pub fn health_while_starting() -> Reply {
    health(false, true, "INITIALIZING")
}

/// `statements`: whether statements that change something are taken.
fn health(log: bool, statements: bool, server_state: &'static str) -> Reply {
    let part = |is_healthy| Part { is_healthy };
    let details = Details { metastore: part(true), kafka: part(log), command_runner: part(statements) };
    reply::json(&Health { is_healthy: log && statements, details, server_state })
}
