//! `GET /chc/ready` and `/chc/live`: whether the server can take requests, and whether it runs.

use crate::reply::{self, Reply};

pub fn chc() -> Reply {
    reply::json(&serde_json::Map::new())
}
