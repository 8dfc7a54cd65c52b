//! Confluent's Schema Registry API over the server's own registry, at the root: `/subjects`, `/schemas`, `/config`, `/mode`,
//! `/compatibility`, `/contexts`. A client of theirs is given the server's URL. One file for each endpoint.
//!
//! What an endpoint answers is decided by threads beside those that serve connections: some read schemas, some wait for the
//! log.

mod compatibility;
mod config;
mod contexts;
mod error;
mod form;
mod mode;
mod request;
mod schemas;
mod subjects;
#[cfg(test)]
mod tests;
mod versions;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ALLOW, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::Value as Json;
use tidemill_engine::registry::own::OwnRegistry;

use crate::app::App;
use crate::blocking::Kind;
use crate::net::RequestBody;
use crate::reply::Reply;
use crate::request::read_body;
use crate::router::segments;
use error::Failure;
use form::Form;
use request::Request;

/// What an endpoint gives: JSON, or the text of a schema as it is.
enum Answer {
    Json(Json),
    Text(String),
}

impl Answer {
    fn of(value: impl serde::Serialize) -> Result<Answer, Failure> {
        serde_json::to_value(value).map(Answer::Json).map_err(|error| Failure::server(error.to_string()))
    }
}

/// Whether a path is one of the registry's.
pub fn is_path(path: &[&str]) -> bool {
    matches!(path, ["subjects" | "schemas" | "config" | "mode" | "compatibility" | "contexts", ..] | ["v1", "metadata", "version"])
}

/// Answers a request whose path is one of the registry's.
pub async fn answer(app: Arc<App>, registry: Arc<OwnRegistry>, head: Parts, path: &[&str], body: RequestBody, peer: SocketAddr) -> Reply {
    let Some(form) = Form::wanted(&head.headers) else { return Form::V1.reply(Err(Failure::plain(StatusCode::NOT_ACCEPTABLE))) };
    if head.method != Method::GET
        && head.method != Method::HEAD
        && let Err(refusal) = app.pages.check(&head.headers, head.uri.authority())
    {
        tracing::warn!(%peer, path = head.uri.path(), "a web page's request was refused: {}", refusal.message());
        return form.reply(Err(Failure::new(StatusCode::FORBIDDEN, 403, refusal.message())));
    }
    let body = match read_body(body, app.config.max_body_bytes).await {
        Ok(body) => body,
        Err(error) => {
            let status = error.code().status();
            return form.reply(Err(Failure::new(status, u32::from(status.as_u16()), error.message())));
        }
    };
    let request = Request::new(head.method, path, head.uri.query().unwrap_or_default(), body);
    let answered = app.blocking.run(Kind::Registry, move || respond(&registry, &request)).await;
    match answered {
        Ok(answer) => {
            let allowed = answer.as_ref().err().and_then(|failure| failure.allowed);
            let mut reply = form.reply(answer);
            if let Some(allowed) = allowed {
                reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            }
            reply
        }
        Err(broken) => {
            tracing::error!(%broken, "a request of the schema registry broke off");
            form.reply(Err(Failure::server(format!("the request broke off: {broken}"))))
        }
    }
}

/// Answers a request to a registry without a connection: the status and the body. `target` is a path with its query.
pub fn ask(registry: &OwnRegistry, method: Method, target: &str, body: Bytes) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = segments(path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (status, body) = form::written(if is_path(&path) {
        respond(registry, &Request::new(method, &path, query, body))
    } else {
        Err(Failure::plain(StatusCode::NOT_FOUND))
    });
    (status.as_u16(), body)
}

fn respond(registry: &OwnRegistry, request: &Request) -> Result<Answer, Failure> {
    let request = request.in_context();
    let path = request.path();
    match path.as_slice() {
        ["subjects"] => request.only(&[(&Method::GET, &subjects::list)], registry),
        ["subjects", subject] => request.only(
            &[(&Method::POST, &|r, q| subjects::look_up(r, q, subject)), (&Method::DELETE, &|r, q| subjects::delete(r, q, subject))],
            registry,
        ),
        ["subjects", subject, "versions"] => request.only(
            &[(&Method::GET, &|r, q| versions::list(r, q, subject)), (&Method::POST, &|r, q| versions::register(r, q, subject))],
            registry,
        ),
        ["subjects", subject, "versions", version] => request.only(
            &[
                (&Method::GET, &|r, q| versions::get(r, q, subject, version)),
                (&Method::DELETE, &|r, q| versions::delete(r, q, subject, version)),
            ],
            registry,
        ),
        ["subjects", subject, "versions", version, "schema"] => {
            request.only(&[(&Method::GET, &|r, q| versions::text(r, q, subject, version))], registry)
        }
        ["subjects", subject, "versions", version, "referencedby"] => {
            request.only(&[(&Method::GET, &|r, _| versions::referenced_by(r, subject, version))], registry)
        }
        ["schemas"] => request.only(&[(&Method::GET, &schemas::list)], registry),
        ["schemas", "types"] => request.only(&[(&Method::GET, &|_, _| schemas::types())], registry),
        ["schemas", "ids", id] => request.only(&[(&Method::GET, &|r, q| schemas::by_id(r, q, id))], registry),
        ["schemas", "ids", id, "schema"] => request.only(&[(&Method::GET, &|r, q| schemas::text(r, q, id))], registry),
        ["schemas", "ids", id, "subjects"] => request.only(&[(&Method::GET, &|r, q| schemas::subjects(r, q, id))], registry),
        ["schemas", "ids", id, "versions"] => request.only(&[(&Method::GET, &|r, q| schemas::versions(r, q, id))], registry),
        ["config"] => config::route(registry, &request, None),
        ["config", subject] => config::route(registry, &request, Some(subject)),
        ["mode"] => mode::route(registry, &request, None),
        ["mode", subject] => mode::route(registry, &request, Some(subject)),
        ["compatibility", "subjects", subject, "versions"] => {
            request.only(&[(&Method::POST, &|r, q| compatibility::check(r, q, subject, None))], registry)
        }
        ["compatibility", "subjects", subject, "versions", version] => {
            request.only(&[(&Method::POST, &|r, q| compatibility::check(r, q, subject, Some(version)))], registry)
        }
        ["contexts"] => request.only(&[(&Method::GET, &|r, _| contexts::list(r))], registry),
        ["v1", "metadata", "version"] => request.only(&[(&Method::GET, &|_, _| contexts::server_version())], registry),
        _ => Err(Failure::plain(StatusCode::NOT_FOUND)),
    }
}
