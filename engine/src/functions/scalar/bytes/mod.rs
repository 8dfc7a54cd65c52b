//! Bytes, and numbers and texts as bytes.

mod bigint_from_bytes;
mod byte_order;
mod double_from_bytes;
pub(super) mod encodings;
mod from_bytes;
mod int_from_bytes;
mod to_bytes;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] =
    &[&bigint_from_bytes::FUNCTION, &double_from_bytes::FUNCTION, &from_bytes::FUNCTION, &int_from_bytes::FUNCTION, &to_bytes::FUNCTION];
