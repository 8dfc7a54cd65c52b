//! `POST /close-query`: ends a push query.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;

use crate::app::App;
use crate::error::ApiError;
use crate::reply::{self, Reply};
use crate::request;

pub fn close_query(app: &Arc<App>, body: &[u8]) -> Reply {
    let id = match request::query_id(body) {
        Ok(id) => id,
        Err(error) => return error.bare_reply(),
    };
    if app.engine.queries().close_push_query(&id) {
        return reply::whole(StatusCode::OK, None, Bytes::new());
    }
    ApiError::bad_request(format!("No query with id {id}")).bare_reply()
}
