//! SHOW SERVERS.

use tidemill_engine::engine::ServerInfo;

use crate::app::App;
use crate::cluster::{self, OwnStatus};
use crate::entities::{Common, KsqlEntity, ServerEntity, ServerList};
use crate::error::ApiError;

pub fn run(app: &App, text: String) -> Result<KsqlEntity, ApiError> {
    let asked = match &app.peers {
        Some(peers) => peers.wait(cluster::servers(app, false)).map_err(|error| ApiError::engine(error, &text))?,
        None => vec![(alone(app), None)],
    };
    let own_tasks = app.engine.runtime().tasks();
    let servers = asked.into_iter().map(|(server, said)| listed(server, said, own_tasks)).collect();
    Ok(KsqlEntity::Servers(ServerList { servers, common: Common::new(text) }))
}

fn listed(server: ServerInfo, said: Option<Result<OwnStatus, String>>, own_tasks: usize) -> ServerEntity {
    let (tasks, state) = match said {
        None => (Some(own_tasks), "RUNNING".to_owned()),
        Some(Ok(own)) => (Some(own.tasks), own.remark.map_or_else(|| "RUNNING".to_owned(), |remark| format!("RUNNING, but {remark}"))),
        Some(Err(reason)) => (None, format!("UNREACHABLE: {reason}")),
    };
    let ServerInfo { id, url, version, slots, is_this, .. } = server;
    ServerEntity { id, address: url, slots: slots.len(), tasks, version, state, is_asked: is_this }
}

/// A server that shares its service with nobody.
fn alone(app: &App) -> ServerInfo {
    let config = app.engine.runtime().config();
    ServerInfo {
        id: config.server.clone(),
        url: Some(app.host.clone()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        rack: None,
        slots: config.slots.all(),
        is_this: true,
    }
}
