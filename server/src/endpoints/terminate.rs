//! `POST /ksql/terminate`: ends the service: its queries, its streams and tables, and the topics that are named.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value as Json;
use tidemill_engine::engine::Engine;

use crate::app::App;
use crate::blocking::Kind;
use crate::error::{ApiError, ErrorCode};
use crate::reply::{self, Reply};
use crate::request;
use crate::statements::guard;

pub async fn terminate(app: Arc<App>, body: &[u8], peer: SocketAddr) -> Reply {
    if app.reads_only() {
        return guard::reads_only(&app, "").reply();
    }
    let patterns = match patterns(body) {
        Ok(patterns) => patterns,
        Err(Wrong::Body(error)) => return error.bare_reply(),
        Err(Wrong::Pattern(error)) => return error.reply(),
    };
    tracing::info!(%peer, "the service is to be ended: all queries, streams and tables go");
    let asked = app.clone();
    let ended = app.blocking.run(Kind::Statement, move || end(&asked.engine, &patterns)).await;
    match ended {
        Ok(Ok(())) => {
            app.close();
            reply::json(&Vec::<Json>::new())
        }
        Ok(Err(error)) => error.reply(),
        Err(error) => ApiError::generic(ErrorCode::SERVER_ERROR, format!("ending the service broke off: {error}")).reply(),
    }
}

enum Wrong {
    Body(ApiError),
    Pattern(ApiError),
}

fn patterns(body: &[u8]) -> Result<Vec<regex::Regex>, Wrong> {
    let mut object = if body.is_empty() { serde_json::Map::new() } else { request::object(body).map_err(Wrong::Body)? };
    let list = match object.remove("deleteTopicList") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(list)) => list,
        Some(other) => {
            return Err(Wrong::Body(ApiError::bad_request(format!(
                "Invalid JSON in request: \"deleteTopicList\" must be a list, not {other}"
            ))));
        }
    };
    let compile = |pattern: &Json| {
        let text = pattern.as_str().unwrap_or_default();
        regex::Regex::new(&format!("^(?:{text})$")).map_err(|_| Wrong::Pattern(ApiError::bad_request(format!("Invalid pattern: {text}"))))
    };
    list.iter().map(compile).collect()
}

/// Drops everything, sinks before what they were made from, and deletes topics of dropped sources that match.
fn end(engine: &Arc<Engine>, patterns: &[regex::Regex]) -> Result<(), ApiError> {
    let run = |sql: String| {
        let statement = tidemill_parser::parse_statement(&sql).map_err(|e| ApiError::parse(&e, sql.as_str()))?;
        let session = engine.session(&Default::default());
        engine.execute(&statement, &session).map_err(|e| ApiError::engine(e, &sql)).map(|_| ())
    };
    run("TERMINATE ALL;".to_owned())?;
    let sources: Vec<_> = engine.catalog().sources().cloned().collect();
    for source in sources {
        let matches = patterns.iter().any(|p| p.is_match(&source.format.topic) || p.is_match(&source.name));
        let delete = if matches && !source.read_only { " DELETE TOPIC" } else { "" };
        run(format!("DROP {} IF EXISTS `{}`{delete};", source.kind.upper(), source.name))?;
    }
    Ok(())
}
