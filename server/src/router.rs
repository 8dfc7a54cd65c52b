//! Which endpoint answers a request.
//!
//! A path, method or media type that no endpoint knows is a plain 404 `Not Found`, as ksqlDB has it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{ACCEPT, AUTHORIZATION};
use hyper::{HeaderMap, Method, Request, Version};

use crate::accept::negotiate;
use crate::access::{Asker, Principal};
use crate::app::App;
use crate::consistency;
use crate::endpoints::{self, AckForm};
use crate::error::{ApiError, ErrorCode};
use crate::net::{Handler, RAW_QUOTE, RequestBody};
use crate::own_registry;
use crate::reply::{self, Reply};
use crate::request::read_body;
use crate::rows::RowFormat;
use crate::statements::Caller;

/// Parts of a path at most.
const MAX_SEGMENTS: usize = 8;

impl Handler for App {
    async fn handle(self: Arc<Self>, request: Request<RequestBody>, peer: SocketAddr) -> Reply {
        let began = Instant::now();
        let endpoint = endpoint_of(request.uri().path());
        let is_logged = tracing::enabled!(tracing::Level::DEBUG);
        // Without what follows a question mark, where clients may put secrets.
        let asked = is_logged.then(|| (request.method().clone(), request.uri().path().replace(RAW_QUOTE, "`")));
        let reply = route(self.clone(), request, peer).await;
        let took = began.elapsed();
        self.requests.answered(endpoint, reply.status(), took);
        if let Some((method, path)) = asked {
            let (status, elapsed_us) = (reply.status().as_u16(), took.as_micros() as u64);
            tracing::debug!(%peer, %method, path, status, elapsed_us, "request");
        }
        reply
    }
}

async fn route(app: Arc<App>, mut request: Request<RequestBody>, peer: SocketAddr) -> Reply {
    let path = segments(request.uri().path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    // The gate has put it there.
    let principal = request.extensions().get::<Principal>().cloned().unwrap_or_else(Principal::stranger);
    let asker = Asker { peer, principal };
    if app.is_closing() {
        return ApiError::generic(ErrorCode::SHUTTING_DOWN, "The server is shutting down").bare_reply();
    }
    if path == ["ws", "query"] && *request.method() == Method::GET {
        return endpoints::ws_query(app, &mut request, asker);
    }
    let (head, body) = request.into_parts();
    if own_registry::is_path(&path)
        && let Some(registry) = app.engine.own_registry().cloned()
    {
        return own_registry::answer(app, registry, head, &path, body, peer).await;
    }
    if head.method == Method::GET {
        return get(app, &path, &head.headers).await;
    }
    if head.method != Method::POST || !is_posted(&path) {
        return reply::not_found();
    }
    if let Err(error) = app.pages.check(&head.headers, head.uri.authority()) {
        tracing::warn!(%peer, path = head.uri.path(), "a web page's request was refused: {}", error.message());
        return error.reply();
    }
    // Judged before the body is read: a client that wants another form need not send it.
    let Some(post) = post_of(&path, &head.headers) else { return reply::not_found() };
    if head.version < Version::HTTP_11 && matches!(post, Post::Query(_) | Post::QueryStream(_)) {
        return ApiError::bad_request("This endpoint is only available when using HTTP1.1 or HTTP2").bare_reply();
    }
    if let Post::Inserts(form) = post {
        if head.version != Version::HTTP_2 {
            return ApiError::generic(ErrorCode::HTTP2_ONLY, "This endpoint is only available when using HTTP2").bare_reply();
        }
        return endpoints::inserts_stream(app, body, form, &asker).await;
    }
    let body = match read_body(body, app.config.max_body_bytes).await {
        Ok(body) => body,
        Err(error) => return error.reply(),
    };
    let token = match consistency::given(&head.headers) {
        Ok(token) => token,
        Err(error) => return error.reply(),
    };
    match post {
        Post::Ksql => {
            let caller = Caller::new(peer, asker.principal, head.headers.get(AUTHORIZATION).cloned());
            endpoints::ksql(app, &body, caller, token).await
        }
        Post::Query(format) => endpoints::query(app, &body, format, asker, token).await,
        Post::QueryStream(format) => endpoints::query_stream(app, &body, format, asker, token).await,
        Post::CloseQuery => endpoints::close_query(&app, &body, &asker.principal),
        Post::Terminate => endpoints::terminate(app, &body, peer).await,
        Post::ClusterPull => endpoints::cluster_pull(app, &body).await,
        Post::ClusterScan => endpoints::cluster_scan(app, &body).await,
        Post::ClusterScanEnd => endpoints::cluster_scan_end(app, &body).await,
        Post::Heartbeat => endpoints::heartbeat(&app, &body),
        Post::Lag => endpoints::lag(&app, &body),
        // Answered while its body comes.
        Post::Inserts(_) => reply::not_found(),
    }
}

/// An endpoint that takes a body.
#[derive(Clone, Copy)]
enum Post {
    Ksql,
    Query(RowFormat),
    QueryStream(RowFormat),
    CloseQuery,
    Terminate,
    ClusterPull,
    ClusterScan,
    ClusterScanEnd,
    Heartbeat,
    Lag,
    Inserts(AckForm),
}

fn is_posted(path: &[&str]) -> bool {
    matches!(
        path,
        ["ksql"]
            | ["query"]
            | ["query-stream"]
            | ["close-query"]
            | ["ksql", "terminate"]
            | ["cluster", "pull" | "scan"]
            | ["cluster", "scan", "end"]
            | ["heartbeat"]
            | ["lag"]
            | ["inserts-stream"]
    )
}

/// `None`: the client takes nothing that the endpoint can answer.
fn post_of(path: &[&str], headers: &HeaderMap) -> Option<Post> {
    match path {
        ["ksql"] => endpoints::takes_json(headers).then_some(Post::Ksql),
        ["query"] if !headers.contains_key(ACCEPT) => Some(Post::Query(endpoints::QUERY_DEFAULT)),
        ["query"] => negotiate(headers, &endpoints::QUERY_OFFERED).map(Post::Query),
        ["query-stream"] => negotiate(headers, &endpoints::QUERY_STREAM_OFFERED).map(Post::QueryStream),
        ["close-query"] => Some(Post::CloseQuery),
        ["inserts-stream"] => negotiate(headers, &endpoints::INSERTS_OFFERED).map(Post::Inserts),
        ["ksql", "terminate"] => endpoints::takes_json(headers).then_some(Post::Terminate),
        ["cluster", "pull"] => Some(Post::ClusterPull),
        ["cluster", "scan"] => Some(Post::ClusterScan),
        ["cluster", "scan", "end"] => Some(Post::ClusterScanEnd),
        ["heartbeat"] => Some(Post::Heartbeat),
        _ => Some(Post::Lag),
    }
}

async fn get(app: Arc<App>, path: &[&str], headers: &HeaderMap) -> Reply {
    if path.is_empty() {
        return reply::redirect("/info");
    }
    if is_known(path) && *path != ["metrics"] && !endpoints::takes_json(headers) {
        return reply::not_found();
    }
    match path {
        ["info"] => endpoints::info(&app),
        ["healthcheck"] => endpoints::healthcheck(app).await,
        ["cluster", "status"] => endpoints::own_status(app, false).await,
        ["cluster", "status", "host"] => endpoints::own_status(app, true).await,
        ["clusterStatus"] => endpoints::cluster_status(app).await,
        ["lag"] => endpoints::own_lags(app).await,
        ["status"] => endpoints::all_statuses(&app),
        ["status", kind, entity, action] => endpoints::status(&app, kind, entity, action),
        ["is_valid_property", name] => endpoints::is_valid_property(&app, name),
        ["v1", "metadata"] => endpoints::metadata(&app),
        ["v1", "metadata", "id"] => endpoints::metadata_id(&app),
        ["chc", "ready" | "live"] => endpoints::chc(),
        ["metrics"] => endpoints::metrics(app).await,
        ["running-queries"] => endpoints::running_queries(&app),
        _ => reply::not_found(),
    }
}

/// What the paths of endpoints begin with, those of the schema registry left out.
pub const ENDPOINTS: [&str; 18] = [
    "info",
    "healthcheck",
    "clusterStatus",
    "status",
    "is_valid_property",
    "v1",
    "chc",
    "metrics",
    "running-queries",
    "ksql",
    "query",
    "query-stream",
    "close-query",
    "cluster",
    "heartbeat",
    "lag",
    "inserts-stream",
    "ws",
];

/// Whether some endpoint begins so.
fn is_known(path: &[&str]) -> bool {
    path.first().is_none_or(|first| ENDPOINTS.contains(first))
}

/// The endpoint that a path asks for, as metrics name it; empty where there is none.
fn endpoint_of(path: &str) -> &'static str {
    let first = path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
    ENDPOINTS.iter().find(|known| **known == first).copied().unwrap_or_default()
}

/// The parts of a path, decoded; doubled and trailing slashes don't count.
pub fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty()).take(MAX_SEGMENTS);
    parts.map(|part| percent_encoding::percent_decode_str(&part.replace(RAW_QUOTE, "`")).decode_utf8_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_leniently() {
        assert_eq!(segments("//info/"), ["info"]);
        assert_eq!(segments("/status/stream/%60S1%60/create"), ["status", "stream", "`S1`", "create"]);
        assert_eq!(segments("/status/stream/\"S1\"/create"), ["status", "stream", "`S1`", "create"]);
        assert!(segments("/").is_empty());
        assert!(is_known(&["status", "x"]) && !is_known(&["no", "such"]));
    }
}
