//! SQL tests: statements, rows in, assertions on what comes out, as users write them in files (docs/testing.md).
//!
//! [`file`] parts a file into tests, [`run`] runs one on a [`stage`]: a world in this process ([`bench`]) or a server
//! ([`remote`]).

mod asserts;
mod bench;
pub mod file;
mod remote;
pub mod run;
mod show;
mod stage;

#[cfg(test)]
mod tests;

pub use bench::Bench;
pub use file::SqlTest;
pub use remote::{INTERRUPTED, Remote, RemoteOptions};
pub use run::run;
