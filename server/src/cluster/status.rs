//! What servers that share a service say of themselves: to each other at `GET /cluster/status` (with
//! `/host` behind it: with what it holds), and together to clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidemill_engine::engine::{EngineError, ServerInfo};

use crate::app::App;
use crate::blocking::Kind;
use crate::statements::state_name;

/// What a server says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnStatus {
    /// Tasks that it runs or is making.
    pub tasks: usize,
    /// The states of its persistent queries, by id.
    pub queries: BTreeMap<String, String>,
    /// Its part of `/clusterStatus`, where that was asked for: the log has to be looked at for it.
    pub host: Option<Json>,
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
            Some(url) => Some(peers.status(url, with_host).await),
            None => Some(Err("it has not said where it is reached".to_owned())),
        };
        (server, said)
    };
    Ok(futures::future::join_all(servers.into_iter().map(ask)).await)
}

/// What this server says of itself.
pub async fn own(app: &Arc<App>, with_host: bool) -> OwnStatus {
    let is_away = app.engine.log().outage().is_some();
    let queries = app.engine.queries().persistent();
    let states = queries.iter().map(|query| (query.id.clone(), state_name(&query.state(), is_away).to_owned()));
    let host = if with_host { serde_json::to_value(crate::endpoints::host_status(app).await).ok() } else { None };
    OwnStatus { tasks: app.engine.runtime().tasks(), queries: states.collect(), host }
}
