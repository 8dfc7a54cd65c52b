//! What stands before the endpoints while the server is being opened: ports are taken at once, and requests wait for an
//! engine that is about to be there. Where it has to wait itself (for its broker), `/info` and `/healthcheck` answer, and
//! everything else is told to come again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, Request};
use tokio::sync::watch;

use crate::endpoints;
use crate::error::{ApiError, ErrorCode};
use crate::net::{Handler, RequestBody};
use crate::reply::{self, Reply};

/// How long a request waits for an engine that is being opened and waits for nothing itself.
const OPENING_PATIENCE: Duration = Duration::from_secs(8);

/// How far the server is.
enum Phase<H> {
    /// The engine is being opened.
    Opening,
    /// It waits for something outside, and says for what.
    Waiting(Arc<str>),
    Ready(Arc<H>),
}

/// See the module.
pub struct Front<H> {
    phase: watch::Sender<Phase<H>>,
    service_id: String,
    /// Nobody learns more than that the server is starting: whoever asks would have to say who it is.
    is_guarded: bool,
}

impl<H: Handler> Front<H> {
    pub fn new(service_id: &str, is_guarded: bool) -> Self {
        Front { phase: watch::Sender::new(Phase::Opening), service_id: service_id.to_owned(), is_guarded }
    }

    /// The engine waits for something, or goes on.
    pub fn waits(&self, reason: Option<&str>) {
        self.phase.send_replace(reason.map_or(Phase::Opening, |reason| Phase::Waiting(reason.into())));
    }

    pub fn is_ready(&self, app: Arc<H>) {
        self.phase.send_replace(Phase::Ready(app));
    }

    /// The application, or why it is not there yet.
    async fn app(&self) -> Result<Arc<H>, Arc<str>> {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Opening));
        match tokio::time::timeout(OPENING_PATIENCE, settled).await {
            Ok(Ok(phase)) => match &*phase {
                Phase::Ready(app) => Ok(app.clone()),
                Phase::Waiting(reason) => Err(reason.clone()),
                Phase::Opening => Err("the server is starting".into()),
            },
            _ => Err("the server is starting".into()),
        }
    }
}

impl<H: Handler> Handler for Front<H> {
    async fn handle(self: Arc<Self>, request: Request<RequestBody>, peer: SocketAddr) -> Reply {
        let reason = match self.app().await {
            Ok(app) => return app.handle(request, peer).await,
            Err(reason) => reason,
        };
        let is_get = request.method() == Method::GET;
        match request.uri().path().trim_matches('/') {
            "" if is_get => reply::redirect("/info"),
            "info" if is_get && !self.is_guarded => endpoints::info_while_starting(&self.service_id),
            "healthcheck" if is_get => endpoints::health_while_starting(),
            "chc/live" if is_get => endpoints::chc(),
            _ if self.is_guarded => ApiError::generic(ErrorCode::NOT_READY, "The server is not ready yet. Try again later").reply(),
            _ => ApiError::generic(ErrorCode::NOT_READY, format!("The server is not ready yet: {reason}. Try again later")).reply(),
        }
    }
}
