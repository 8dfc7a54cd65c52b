//! What a client comes again with: a statement's text, and the values that were bound to its parameters. It is no secret and no
//! right: who sends one is asked for its rights as with the text itself. So the server keeps nothing of prepared statements, however
//! many there are, and a client goes on after a restart.

use arrow_flight::FlightData;
use bytes::Bytes;
use prost::Message;
use tonic::Status;

/// See the module.
#[derive(Clone, PartialEq, Message)]
pub struct Handle {
    #[prost(string, tag = "1")]
    pub text: String,
    /// The batch of bound values, as it came.
    #[prost(message, repeated, tag = "2")]
    pub bound: Vec<FlightData>,
}

impl Handle {
    pub fn new(text: String) -> Self {
        Handle { text, bound: Vec::new() }
    }

    pub fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// # Errors
    /// It is none of ours.
    pub fn read(bytes: Bytes) -> Result<Self, Status> {
        Handle::decode(bytes).map_err(|_| Status::invalid_argument("this is no handle of a statement that this server has given"))
    }
}
