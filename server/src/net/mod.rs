//! The network side: listening, connections and their limits, and the end of all of it.

mod body;
mod connections;
mod counted;
mod frames;
mod handshake;
mod hpack;
mod http;
mod huffman;
mod listen;
mod owed;
mod request_body;
mod stream;
mod to_http2;
mod watched;
mod websocket;

pub use body::{ReplyBody, Rows};
pub use connections::{Connections, Handler, Kept, Leave, OpenConnections, Place, Protocol};
pub use listen::{BindError, bind};
pub use owed::large;
pub use request_body::RequestBody;
pub use stream::Stream;
pub use watched::RAW_QUOTE;
pub use websocket::{Left, Socket, accept};
