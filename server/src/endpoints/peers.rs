//! `POST /heartbeat` and `/lag`: what servers of one service tell each other. Not built; the body is read all the same, so
//! that a peer of another kind is told.

use crate::error::ApiError;
use crate::reply::Reply;
use crate::request;

pub fn peers(body: &[u8]) -> Reply {
    match request::object(body) {
        Ok(_) => ApiError::bad_request("This server takes no messages from others: several servers of one service are not built yet")
            .bare_reply(),
        Err(error) => error.bare_reply(),
    }
}
