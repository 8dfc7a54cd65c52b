//! Arrow Flight SQL: ADBC, pandas, polars and whatever else speaks it ask here what is asked by REST elsewhere, with the same
//! users, roles, limits and errors. Answers are streams of Arrow batches.
//!
//! It is gRPC, which is HTTP/2: connections, their limits and TLS are those of the other listeners ([`crate::net`]). A call's way: who
//! it is ([`admission`]) → the protocol's calls ([`service`]) → what a statement is and what comes of it ([`statement`]) → batches as
//! the client takes them ([`sending`]).
//!
//! Nothing is kept between calls: what a client is given to come again with ([`handle`]) says all there is to know.

mod admission;
mod catalog;
mod error;
mod handle;
mod incoming;
mod ingest;
mod placeholders;
mod sending;
mod service;
mod statement;
mod values;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::flight_service_server::FlightServiceServer;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode, Version};
use tonic::Status;
use tonic::codegen::Service as _;

use crate::access::{Access, Principal};
use crate::app::App;
use crate::net::{Handler, ReplyBody, RequestBody};
use crate::opening::Opening;
use crate::reply;
use admission::Admission;
use service::FlightSql;

/// Bytes of a message that are always read: what clients send at a time by default.
const LEAST_MESSAGE_BYTES: usize = 16 << 20;

/// A port where the protocol is spoken.
pub struct Port {
    admission: Arc<Admission>,
    max_message_bytes: usize,
    ready: Opening<Arc<App>>,
}

/// Who makes a call.
#[derive(Debug, Clone)]
pub struct Who {
    pub peer: SocketAddr,
    pub principal: Principal,
}

impl Port {
    pub fn new(access: Option<Arc<Access>>, max_body_bytes: usize) -> Arc<Self> {
        let max_message_bytes = max_body_bytes.max(LEAST_MESSAGE_BYTES);
        Arc::new(Port { admission: Arc::new(Admission::new(access)), max_message_bytes, ready: Opening::default() })
    }

    /// From now on there is somebody who answers.
    pub fn is_ready(&self, app: Arc<App>) {
        self.ready.is_ready(app);
    }

    async fn call(&self, mut request: Request<RequestBody>, peer: SocketAddr) -> Result<Response<tonic::body::Body>, Status> {
        let principal = self.admission.admit(request.headers()).await.inspect_err(|status| {
            tracing::info!(%peer, "a Flight SQL client is not let in: {}", status.message());
        })?;
        let app = self.ready.get().await.ok_or_else(|| Status::unavailable("the server is starting up; try again"))?;
        request.extensions_mut().insert(Who { peer, principal });
        let mut server =
            FlightServiceServer::new(FlightSql::new(app, self.admission.clone())).max_decoding_message_size(self.max_message_bytes);
        let Ok(answer) = server.call(request).await;
        Ok(answer)
    }
}

impl Handler for Port {
    async fn handle(self: Arc<Self>, request: Request<RequestBody>, peer: SocketAddr) -> Response<ReplyBody> {
        let is_grpc = request.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if !is_grpc || request.version() != Version::HTTP_2 {
            tracing::info!(%peer, "something else than gRPC came to the port of Flight SQL");
            let message = "This port speaks Arrow Flight SQL, which is gRPC over HTTP/2; the REST API has another.\n";
            return reply::whole(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, message);
        }
        let answer = self.call(request, peer).await.unwrap_or_else(|status| status.into_http());
        answer.map(|body| ReplyBody::Framed(Box::pin(Ended(body))))
    }
}

/// A gRPC body. It says behind its chunks what went wrong, and never fails itself.
struct Ended(tonic::body::Body);

impl Body for Ended {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx).map(|frame| frame.and_then(Result::ok).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
