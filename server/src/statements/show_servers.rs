//! SHOW SERVERS.

use tidemill_engine::engine::{ServerInfo, Understanding};
use tidemill_engine::runtime::StandbyLag;

use crate::app::App;
use crate::cluster::{self, OwnStatus};
use crate::entities::{Common, KsqlEntity, ServerEntity, ServerList};
use crate::error::ApiError;

pub fn run(app: &App, text: String) -> Result<KsqlEntity, ApiError> {
    let asked = match &app.peers {
        Some(peers) => peers.wait(cluster::servers(app, false)).map_err(|error| ApiError::engine(error, &text))?,
        None => vec![(alone(app), None)],
    };
    let runtime = app.engine.runtime();
    let behind = runtime.standby_lags().iter().map(StandbyLag::offsets).sum();
    let own = Counts {
        tasks: runtime.tasks(),
        standby_tasks: runtime.standby_tasks(),
        standby_lag: behind,
        restore_lag: cluster::restore_lag(&app.engine),
    };
    let servers = asked.into_iter().map(|(server, said)| listed(server, said, &own)).collect();
    Ok(KsqlEntity::Servers(ServerList { servers, common: Common::new(text) }))
}

/// What a server has.
#[derive(Clone, Copy)]
struct Counts {
    tasks: usize,
    standby_tasks: usize,
    standby_lag: u64,
    restore_lag: Option<u64>,
}

fn listed(server: ServerInfo, said: Option<Result<OwnStatus, String>>, own: &Counts) -> ServerEntity {
    let (counts, state) = match said {
        None => (Some(*own), "RUNNING".to_owned()),
        Some(Ok(its)) => {
            let OwnStatus { tasks, standby_tasks, standby_lag, restore_lag, .. } = its;
            let counts = Counts { tasks, standby_tasks, standby_lag, restore_lag };
            (Some(counts), its.remark.map_or_else(|| "RUNNING".to_owned(), |remark| format!("RUNNING, but {remark}")))
        }
        Some(Err(reason)) => (None, format!("UNREACHABLE: {reason}")),
    };
    let ServerInfo { id, url, version, rack, slots, is_this, .. } = server;
    ServerEntity {
        id,
        address: url,
        rack,
        slots: slots.len(),
        tasks: counts.map(|counts| counts.tasks),
        standby_tasks: counts.map(|counts| counts.standby_tasks),
        standby_lag: counts.map(|counts| counts.standby_lag),
        restore_lag: counts.and_then(|counts| counts.restore_lag),
        version,
        state,
        is_asked: is_this,
    }
}

/// A server that shares its service with nobody.
fn alone(app: &App) -> ServerInfo {
    let config = app.engine.runtime().config();
    ServerInfo {
        id: config.server.clone(),
        url: Some(app.host.clone()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        rack: None,
        understands: Understanding::own(),
        slots: config.slots.all(),
        is_this: true,
    }
}
