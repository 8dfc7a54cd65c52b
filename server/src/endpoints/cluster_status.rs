//! `GET /clusterStatus`: answered where several servers watch each other, which is not built.

use bytes::Bytes;
use hyper::StatusCode;

use crate::reply::{self, JSON, Reply};

pub fn cluster_status() -> Reply {
    reply::whole(StatusCode::NOT_FOUND, Some(JSON), Bytes::new())
}
