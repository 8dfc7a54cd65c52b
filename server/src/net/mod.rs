//! The network side: listening, connections and their limits, and the end of all of it.

mod body;
mod connections;
mod listen;

pub use body::ReplyBody;
pub use connections::{Connections, Handler};
pub use listen::{BindError, bind};
