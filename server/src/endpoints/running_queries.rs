//! `GET /running-queries`: queries of SQL that are under way, and how far each is.

use serde::Serialize;

use crate::app::App;
use crate::reply::{self, Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunningQuery {
    sql: String,
    elapsed_ms: u64,
    rows_read: u64,
    /// How many it reads at most, where that is known.
    rows_total: Option<u64>,
}

pub fn running_queries(app: &App) -> Reply {
    let running = app.queries.running().into_iter().map(|query| RunningQuery {
        sql: query.text,
        elapsed_ms: u64::try_from(query.elapsed.as_millis()).unwrap_or(u64::MAX),
        rows_read: query.rows_read,
        rows_total: query.rows_total,
    });
    reply::json(&running.collect::<Vec<_>>())
}
