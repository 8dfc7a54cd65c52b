//! Servers of several versions in one service, as while one after the other is replaced: a statement is carried out by all of them, so one
//! that comes to something which an older one does not know is refused while that is there.

use serde::{Deserialize, Serialize};

use super::command::{Action, COMMAND_VERSION};
use super::servers::ServerInfo;
use super::{Engine, EngineError};
use crate::plan::PLAN_VERSION;

/// The newest forms that a server knows, or that a statement comes to. Of servers that say nothing, the first ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understanding {
    /// Of commands.
    commands: u32,
    /// Of plans.
    plans: u32,
}

impl Default for Understanding {
    fn default() -> Self {
        Understanding { commands: 1, plans: 1 }
    }
}

impl Understanding {
    /// Of this server.
    pub fn own() -> Self {
        Understanding { commands: COMMAND_VERSION, plans: PLAN_VERSION }
    }

    /// What a command asks of those who carry it out.
    pub(super) fn of(version: u32, action: &Action) -> Self {
        let plan = match action {
            Action::StartQuery { plan, .. } | Action::PutSource(_, Some(plan)) => Some(plan),
            _ => None,
        };
        Understanding { commands: version, plans: plan.map_or(1, |plan| plan.version) }
    }

    fn includes(self, other: Understanding) -> bool {
        self.commands >= other.commands && self.plans >= other.plans
    }
}

impl Engine {
    /// Whether all servers carry out what a statement comes to. One that comes later does not start where it can't.
    ///
    /// # Errors
    /// One of them would not, or they can't be looked at. Nothing was done.
    pub(super) fn check_understood(&self, needed: Understanding) -> Result<(), EngineError> {
        // What the first version knows, all know.
        if self.share.is_none() || Understanding::default().includes(needed) {
            return Ok(());
        }
        let servers = self.servers()?;
        match servers.iter().find(|server| !server.is_this && !server.understands.includes(needed)) {
            Some(server) => Err(refusal(server)),
            None => Ok(()),
        }
    }
}

fn refusal(server: &ServerInfo) -> EngineError {
    let place = server.url.as_deref().map(|url| format!(" at {url}")).unwrap_or_default();
    let version = server.version.as_deref().map_or_else(|| "of a version that it does not say".to_owned(), |v| format!("of version {v}"));
    EngineError::external(format!(
        "Server {}{place}, which shares the service, is {version} and does not know what this statement comes to. Nothing was done. Replace \
         that server by this version ({}), or end it; then try again.",
        server.id,
        env!("CARGO_PKG_VERSION")
    ))
}
