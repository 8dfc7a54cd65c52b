//! `GET /metrics`: numbers for Prometheus.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::app::App;
use crate::metrics;
use crate::reply::{self, Reply};

/// The text format's name.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

pub async fn metrics(app: Arc<App>) -> Reply {
    reply::whole(StatusCode::OK, Some(TEXT), metrics::text(&app).await)
}
