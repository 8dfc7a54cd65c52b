//! What servers that share a service say of themselves: to each other at `GET /cluster/status` (with
//! `/host` behind it: with what it holds), and together to clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidemill_engine::engine::{Engine, EngineError, ServerInfo, StoreLag};
use tidemill_engine::runtime::StandbyLag;

use super::skew;
use crate::app::App;
use crate::blocking::Kind;
use crate::statements::state_name;

/// What a server says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnStatus {
    /// Tasks that it runs or is making.
    pub tasks: usize,
    /// Other servers' tasks that it follows …
    #[serde(default)]
    pub standby_tasks: usize,
    /// … and how many offsets of their changelogs their state there does not include.
    #[serde(default)]
    pub standby_lag: u64,
    /// How many offsets of their changelogs its own tasks are still to be restored from; an older version does not tell.
    #[serde(default)]
    pub restore_lag: Option<u64>,
    /// The states of its persistent queries, by id.
    pub queries: BTreeMap<String, String>,
    /// Its part of `/clusterStatus`, where that was asked for: the log has to be looked at for it.
    pub host: Option<Json>,
    /// What its clock says, milliseconds since 1970; an older version does not tell.
    #[serde(default)]
    pub now_ms: Option<i64>,
    /// What there is to say of that, by whoever asked.
    #[serde(skip)]
    pub remark: Option<String>,
}

/// A server, with what it says of itself or why it says nothing; of this one that need not be asked.
pub type Asked = (ServerInfo, Option<Result<OwnStatus, String>>);

/// The servers that share the service, all asked at once; empty where this one is alone by itself.
///
/// # Errors
/// The log is away.
pub async fn servers(app: &App, with_host: bool) -> Result<Vec<Asked>, EngineError> {
    let Some(peers) = &app.peers else { return Ok(Vec::new()) };
    let engine = app.engine.clone();
    let found = app.blocking.run(Kind::Query, move || engine.servers()).await;
    let servers = found.map_err(|error| EngineError::internal(format!("looking at the servers broke off: {error}")))??;
    let ask = |server: ServerInfo| async move {
        let said = match &server.url {
            _ if server.is_this => None,
            Some(url) => {
                let asked = skew::Asked::now(&**app.engine.clock());
                let mut said = peers.status(url, with_host).await;
                if let Ok(OwnStatus { now_ms: Some(now_ms), remark, .. }) = &mut said {
                    *remark = asked.answered(*now_ms);
                }
                Some(said)
            }
            None => Some(Err("it has not said where it is reached".to_owned())),
        };
        (server, said)
    };
    Ok(futures::future::join_all(servers.into_iter().map(ask)).await)
}

/// Says in the log where another server's clock is not as this one's, once.
pub async fn compare_clocks(app: Arc<App>) {
    // Whoever can't be asked is named where queries need it.
    for (server, said) in servers(&app, false).await.unwrap_or_default() {
        if let Some(Ok(OwnStatus { remark: Some(remark), .. })) = said {
            tracing::warn!("server {} {}: {remark}", server.id, server.url.unwrap_or_default());
        }
    }
}

/// How many offsets of their changelogs the stores of this server's tasks are still to be restored from; `None`: the log does not say.
/// Blocks.
pub fn restore_lag(engine: &Engine) -> Option<u64> {
    Some(engine.restore_lags().ok()?.iter().map(StoreLag::offsets).sum())
}

/// What this server says of itself.
pub async fn own(app: &Arc<App>, with_host: bool) -> OwnStatus {
    let is_away = app.engine.log().outage().is_some();
    let queries = app.engine.queries().persistent();
    let states = queries.iter().map(|query| (query.id.clone(), state_name(&query.state(), is_away).to_owned()));
    let runtime = app.engine.runtime();
    let (standby_tasks, standby_lag) = (runtime.standby_tasks(), runtime.standby_lags().iter().map(StandbyLag::offsets).sum());
    let engine = app.engine.clone();
    let restore_lag = app.blocking.run(Kind::Part, move || restore_lag(&engine)).await.ok().flatten();
    let host = if with_host { serde_json::to_value(crate::endpoints::host_status(app).await).ok() } else { None };
    OwnStatus {
        tasks: runtime.tasks(),
        standby_tasks,
        standby_lag,
        restore_lag,
        queries: states.collect(),
        host,
        now_ms: Some(app.engine.clock().now_ms()),
        remark: None,
    }
}
