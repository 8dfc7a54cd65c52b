//! `POST /close-query`: ends a push query.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;

use crate::access::Principal;
use crate::app::App;
use crate::error::{ApiError, ErrorCode};
use crate::reply::{self, Reply};
use crate::request;

pub fn close_query(app: &Arc<App>, body: &[u8], principal: &Principal) -> Reply {
    let id = match request::query_id(body) {
        Ok(id) => id,
        Err(error) => return error.bare_reply(),
    };
    let queries = app.engine.queries();
    if let Some(query) = queries.push_query(&id)
        && let Err(message) = principal.check(principal.needed_to_end(&query), "ending a query that somebody else began")
    {
        return ApiError::generic(ErrorCode::FORBIDDEN, message).bare_reply();
    }
    if queries.close_push_query(&id) {
        return reply::whole(StatusCode::OK, None, Bytes::new());
    }
    ApiError::bad_request(format!("No query with id {id}")).bare_reply()
}
