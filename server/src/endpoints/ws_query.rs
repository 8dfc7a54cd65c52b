//! `GET /ws/query`: one query or PRINT over a WebSocket, asked for in the parameter `request` and answered a frame at a time: the
//! columns, a frame for each row, `{"error":"done"}`. What is wrong comes the same way, as ksqlDB has it: a frame with `error`,
//! then the close frame with 1003, and with 1011 where it came up on the way.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use percent_encoding::percent_decode;
use serde::Serialize;

use crate::access::Asker;
use crate::app::App;
use crate::error::ApiError;
use crate::net::{Left, ReplyBody, RequestBody, Socket, accept};
use crate::query::{self, Prepared, PrintOptions, QueryRequest};
use crate::reply::{self, Reply};
use crate::request::KsqlRequest;
use crate::rows::RowFormat;

/// Close codes: all was sent, the server ends, the request can't be answered, answering it failed.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const UNSUPPORTED: u16 = 1003;
const FAILED: u16 = 1011;
/// What is said at the end.
const DONE: &str = "done";

#[derive(Serialize)]
struct Said<'a> {
    error: &'a str,
}

pub fn ws_query(app: Arc<App>, request: &mut Request<RequestBody>, asker: Asker) -> Reply {
    if let Err(error) = app.pages.check(request.headers(), request.uri().authority()) {
        tracing::warn!(peer = %asker.peer, "a web page's WebSocket was refused: {}", error.message());
        return error.reply();
    }
    let asked = parameter(request.uri().query().unwrap_or_default());
    match accept(request) {
        Ok((reply, socket)) => {
            tokio::spawn(async move {
                if let Some(socket) = socket.await {
                    serve(app, socket, asked, asker).await;
                }
            });
            reply
        }
        Err(missing) => ApiError::bad_request(format!("/ws/query is a WebSocket: {missing}")).bare_reply(),
    }
}

/// The request that is in the parameter of that name; a plus sign stands for a blank.
fn parameter(query: &str) -> Result<KsqlRequest, String> {
    let raw = query.split('&').find_map(|pair| pair.strip_prefix("request="));
    let raw = raw.ok_or("Error parsing request: missing request parameter")?.replace('+', " ");
    let text: Vec<u8> = percent_decode(raw.as_bytes()).collect();
    let request = KsqlRequest::read(&text).map_err(|error| format!("Error parsing request: {}", error.message()))?;
    if request.ksql.is_empty() {
        return Err("Error parsing request: \"ksql\" field of \"request\" must be populated".to_owned());
    }
    Ok(request)
}

async fn serve(app: Arc<App>, mut socket: Socket, asked: Result<KsqlRequest, String>, asker: Asker) {
    let (closing, peer) = (app.closing(), asker.peer);
    let begun = match asked {
        Ok(request) => begin(app, request, asker).await,
        Err(message) => Err(message),
    };
    let mut body = match begun {
        Ok(body) => body,
        Err(message) => return end(socket, UNSUPPORTED, &message).await,
    };
    loop {
        let chunk = tokio::select! {
            chunk = body.rows.next() => chunk,
            left = socket.heard() => {
                let (code, reason) = match left {
                    Left::Gone => (NORMAL, DONE),
                    Left::Wrong(code, reason) => (code, reason),
                };
                return socket.close(code, reason).await;
            }
        };
        let Some(chunk) = chunk else { break };
        let frame = if body.is_text { line(&chunk) } else { chunk };
        let failure = failure(&frame);
        if !socket.send(frame).await {
            tracing::info!(%peer, "the client of a WebSocket took nothing for too long, or is gone");
            return;
        }
        if let Some(message) = failure {
            return socket.close(FAILED, &message).await;
        }
    }
    if *closing.borrow() {
        return end(socket, GOING_AWAY, "Server is shutting down").await;
    }
    // ksqlDB says the end of a PRINT twice, and clients that count on it are served alike.
    if !body.is_text || socket.send(said(DONE)).await {
        end(socket, NORMAL, DONE).await;
    }
}

/// A frame that is no row.
fn said(message: &str) -> Bytes {
    reply::to_json(&Said { error: message }).into()
}

async fn end(mut socket: Socket, code: u16, message: &str) {
    if socket.send(said(message)).await {
        socket.close(code, message).await;
    }
}

/// An answer that can be sent.
struct Body {
    rows: ReplyBody,
    /// Lines of text, not JSON.
    is_text: bool,
}

async fn begin(app: Arc<App>, request: KsqlRequest, asker: Asker) -> Result<Body, String> {
    let request = Arc::new(QueryRequest { sql: request.ksql, properties: request.properties, variables: request.variables });
    let prepared = query::prepare(&app, &request).await.map_err(|error| format!("Error parsing query: {}", error.message()))?;
    let (text, properties) = (prepared.text, &request.properties);
    let (answered, is_text) = match prepared.statement {
        Prepared::Pull(pull) => (query::pull(app, pull, text, prepared.known_as, properties, RowFormat::Frames).await, false),
        Prepared::Known(known) => (query::known_look_up(app, known, RowFormat::Frames).await, false),
        Prepared::Ask => (query::ask(app, text, properties, RowFormat::Frames).await, false),
        Prepared::Analyze(id) => (query::analyze(app, &id, &text, RowFormat::Frames).await, false),
        Prepared::Push(push) => (query::push(app, push, text, properties, RowFormat::Frames, asker).await, false),
        Prepared::Print(print) => (query::print(app, print, text, PrintOptions::query_stream(), &asker).await, true),
        Prepared::Other => return Err(format!("Unexpected statement type: /ws/query takes SELECT and PRINT, /ksql all others: {text}")),
    };
    let reply = answered.map_err(|error| error.message().to_owned())?;
    Ok(Body { rows: reply.into_body(), is_text })
}

/// A line of PRINT as a frame.
fn line(chunk: &[u8]) -> Bytes {
    reply::to_json(&String::from_utf8_lossy(chunk).trim_end_matches('\n')).into()
}

/// Why rows came to an end, where a frame says so: rows never begin like that.
fn failure(frame: &[u8]) -> Option<String> {
    if !frame.starts_with(b"{\"error\":") {
        return None;
    }
    let said: serde_json::Value = serde_json::from_slice(frame).ok()?;
    said.get("error").and_then(serde_json::Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_read_from_its_parameter() {
        let request = parameter("a=b&request=%7B%22ksql%22%3A%22SELECT+*+FROM+t%3B%22%7D").expect("reads");
        assert_eq!(request.ksql, "SELECT * FROM t;");
        for (query, said) in [
            ("", "missing request parameter"),
            ("request=%7Bbanana", "Error parsing request: "),
            ("request=%7B%7D", "must be populated"),
            ("request=%ff%fe", "Error parsing request: "),
        ] {
            let error = parameter(query).expect_err("refused");
            assert!(error.contains(said), "{query}: {error}");
        }
    }

    #[test]
    fn failures_are_told_from_rows() {
        assert_eq!(failure(br#"{"error":"no"}"#).as_deref(), Some("no"));
        assert_eq!(failure(br#"{"row":{"columns":["{\"error\":\"no\"}"]}}"#), None);
        assert_eq!(line(b"key: \"a\"\n"), Bytes::from_static(b"\"key: \\\"a\\\"\""));
    }
}
