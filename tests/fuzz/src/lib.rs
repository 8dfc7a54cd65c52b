//! What is fuzzed: each target takes any bytes and must neither panic nor take long nor grow. What holds besides is asserted.
//!
//! Two drivers call them: cargo-fuzz (`fuzz_targets`, see `README.md`) and the ordinary test `tests/tests/fuzz`, with bytes
//! from seeds. What was found stands there as cases.

#[cfg(feature = "engine")]
pub mod analyze;
#[cfg(feature = "engine")]
pub mod decode;
#[cfg(feature = "engine")]
mod mutate;
pub mod parse;
#[cfg(feature = "engine")]
mod random;
#[cfg(feature = "engine")]
pub mod registry;
#[cfg(feature = "engine")]
mod sql;
