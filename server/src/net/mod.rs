//! The network side: listening, connections and their limits, and the end of all of it.

mod body;
mod connections;
mod listen;
mod watched;

pub use body::ReplyBody;
pub use connections::{Connections, Handler};
pub use listen::{BindError, bind};
pub use watched::RAW_QUOTE;
