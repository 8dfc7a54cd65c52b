//! SHOW SERVERS.

use serde::Serialize;

use super::Common;

#[derive(Debug, Clone, Serialize)]
pub struct ServerList {
    pub servers: Vec<ServerEntity>,
    #[serde(flatten)]
    pub common: Common,
}

/// A server of the service.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerEntity {
    /// That of its data folder.
    pub id: String,
    /// Where the others reach it.
    pub address: Option<String>,
    /// What it shares its fate with, where it has said so.
    pub rack: Option<String>,
    /// How many slots the group has agreed are its.
    pub slots: usize,
    /// Tasks that it runs or is making; `None`: it does not say.
    pub tasks: Option<usize>,
    /// Other servers' tasks that it follows …
    pub standby_tasks: Option<usize>,
    /// … and how many offsets of their changelogs their state there does not include.
    pub standby_lag: Option<u64>,
    /// How many offsets of their changelogs its own tasks are still to be restored from; `None`: that is not known.
    pub restore_lag: Option<u64>,
    pub version: Option<String>,
    /// `RUNNING`, or why nothing is known of it.
    pub state: String,
    /// Whether it is the one that was asked.
    pub is_asked: bool,
}
