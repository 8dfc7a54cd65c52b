//! `POST /heartbeat` and `/lag`: what servers of one service tell each other in ksqlDB. Here they ask each other when somebody wants to
//! know, so what comes is read, and said to be well, and that is all; where servers don't watch each other (`ksql.heartbeat.enable`), nothing is there.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::cluster_status::not_enabled;
use super::store_lags::are_reported;
use crate::app::App;
use crate::error::ApiError;
use crate::reply::{self, Reply};
use crate::request;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Heard {
    is_ok: bool,
}

pub fn heartbeat(app: &App, body: &[u8]) -> Reply {
    let is_read = |message: &Map<String, Json>| {
        host(message, "hostInfo")?;
        whole_number(message, "timestamp")
    };
    heard(body, is_read, app.config.flag("ksql.heartbeat.enable"))
}

pub fn lag(app: &App, body: &[u8]) -> Reply {
    let is_read = |message: &Map<String, Json>| {
        host(message, "ksqlHost")?;
        match message.get("hostStoreLags") {
            Some(Json::Object(lags)) => whole_number(lags, "updateTimeMs"),
            _ => Err(ApiError::bad_request("Invalid JSON in request: \"hostStoreLags\" must be an object")),
        }
    };
    heard(body, is_read, are_reported(app))
}

/// The body is read in any case, so that a peer of another kind is told.
fn heard(body: &[u8], is_read: impl Fn(&Map<String, Json>) -> Result<(), ApiError>, is_enabled: bool) -> Reply {
    match request::object(body).and_then(|message| is_read(&message)) {
        Err(error) => error.bare_reply(),
        Ok(()) if is_enabled => reply::json(&Heard { is_ok: true }),
        Ok(()) => not_enabled(),
    }
}

/// `host:port`, as text.
fn host(message: &Map<String, Json>, name: &str) -> Result<(), ApiError> {
    let text = message.get(name).and_then(Json::as_str);
    let is_host = text.and_then(|text| text.rsplit_once(':')).is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_host { Ok(()) } else { Err(ApiError::bad_request(format!("Invalid JSON in request: \"{name}\" must be a text, host:port"))) }
}

fn whole_number(message: &Map<String, Json>, name: &str) -> Result<(), ApiError> {
    match message.get(name).and_then(Json::as_i64) {
        Some(_) => Ok(()),
        None => Err(ApiError::bad_request(format!("Invalid JSON in request: \"{name}\" must be a whole number"))),
    }
}
