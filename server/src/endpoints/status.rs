//! `GET /status` and `/status/:type/:entity/:action`: what became of commands.

use indexmap::IndexMap;
use serde::Serialize;

use crate::app::App;
use crate::error::{ApiError, ErrorCode};
use crate::reply::{self, Reply};

/// First parts of command ids.
const TYPES: [&str; 10] = ["topic", "stream", "table", "type", "terminate", "cluster", "pause", "resume", "connector", "alter_system"];
/// Last parts.
const ACTIONS: [&str; 5] = ["create", "drop", "execute", "terminate", "alter"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandStatuses {
    command_statuses: IndexMap<String, &'static str>,
}

pub fn all_statuses(app: &App) -> Reply {
    reply::json(&CommandStatuses { command_statuses: app.statuses() })
}

pub fn status(app: &App, kind: &str, entity: &str, action: &str) -> Reply {
    for (part, known, what) in [(kind, &TYPES[..], "type"), (action, &ACTIONS[..], "action")] {
        if !known.iter().any(|k| k.eq_ignore_ascii_case(part)) {
            let message = format!("No {what} of commands is called {}; there are {}", part.to_uppercase(), known.join(", ").to_uppercase());
            return ApiError::generic(ErrorCode::SERVER_ERROR, message).bare_reply();
        }
    }
    match app.status(&format!("{}/{entity}/{}", kind.to_ascii_lowercase(), action.to_ascii_lowercase())) {
        Some(status) => reply::json(&status),
        None => ApiError::generic(ErrorCode::NOT_FOUND, "Command not found").reply(),
    }
}
