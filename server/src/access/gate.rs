//! The gate before everything that is served: who asks is found out here, once, and goes with the request.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request};

use super::{Access, Principal, Refusal, of_path};
use crate::error::{ApiError, ErrorCode};
use crate::net::{Handler, RequestBody};
use crate::reply::Reply;
use crate::router::segments;

/// Answers as another handler does, to who may ask.
pub struct Gate<H> {
    inner: Arc<H>,
    /// `None`: everybody may.
    access: Option<Arc<Access>>,
}

impl<H: Handler> Gate<H> {
    pub fn new(inner: Arc<H>, access: Option<Arc<Access>>) -> Arc<Self> {
        Arc::new(Gate { inner, access })
    }
}

impl<H: Handler> Handler for Gate<H> {
    async fn handle(self: Arc<Self>, mut request: Request<RequestBody>, peer: SocketAddr) -> Reply {
        let principal = match &self.access {
            None => Principal::anybody(),
            Some(access) => match admitted(access, &request).await {
                Ok(principal) => principal,
                Err(refusal) => return refused(access, &refusal),
            },
        };
        request.extensions_mut().insert(principal);
        self.inner.clone().handle(request, peer).await
    }
}

async fn admitted(access: &Access, request: &Request<RequestBody>) -> Result<Principal, Refusal> {
    let path = segments(request.uri().path());
    // A browser asks with nothing that says for whom; what it asks is answered without a look at anything.
    let asks_for_page = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if asks_for_page || access.skips(&path) {
        return Ok(Principal::stranger());
    }
    let principal = access.by_header(request.headers().get(AUTHORIZATION)).await?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let needed = of_path(request.method(), &path);
    principal.check(needed, &format!("{} /{}", request.method(), path.join("/"))).map_err(|message| {
        access.note_forbidden();
        Refusal::Forbidden(message)
    })?;
    Ok(principal)
}

/// As ksqlDB answers: JSON without a content type.
fn refused(access: &Access, refusal: &Refusal) -> Reply {
    let (code, message) = match refusal {
        Refusal::Unauthenticated => (ErrorCode::UNAUTHORIZED, "Unauthorized"),
        Refusal::Forbidden(message) => (ErrorCode::FORBIDDEN, message.as_str()),
        Refusal::Busy => (ErrorCode::TOO_MANY_REQUESTS, "Too many passwords are being looked at. Try again"),
    };
    let mut reply = ApiError::generic(code, message).bare_reply();
    match refusal {
        Refusal::Unauthenticated => {
            reply.headers_mut().insert(WWW_AUTHENTICATE, access.challenge());
        }
        Refusal::Busy => {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Refusal::Forbidden(_) => {}
    }
    reply
}
