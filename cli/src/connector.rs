//! Connections to a server, encrypted where its URL says https.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tidemill_server::Stream;
use tokio_rustls::TlsConnector;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Connects.
#[derive(Clone)]
pub struct Connector {
    http: HttpConnector,
    /// `None`: only plain HTTP is asked for.
    tls: Option<TlsConnector>,
}

impl Connector {
    pub fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        Connector { http, tls: tls.map(TlsConnector::from) }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(BoxError::from)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.tls.clone().filter(|_| uri.scheme_str() == Some("https"));
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let connecting = self.http.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let stream = match tls {
                None => Stream::Plain(stream),
                Some(tls) => Stream::Tls(Box::new(tls.connect(ServerName::try_from(host)?, stream).await?.into())),
            };
            Ok(TokioIo::new(stream))
        })
    }
}
