//! URLs and their parts.

mod url_decode_param;
mod url_encode_param;
mod url_extract_fragment;
mod url_extract_host;
mod url_extract_parameter;
mod url_extract_path;
mod url_extract_port;
mod url_extract_protocol;
mod url_extract_query;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] = &[
    &url_decode_param::FUNCTION,
    &url_encode_param::FUNCTION,
    &url_extract_fragment::FUNCTION,
    &url_extract_host::FUNCTION,
    &url_extract_parameter::FUNCTION,
    &url_extract_path::FUNCTION,
    &url_extract_port::FUNCTION,
    &url_extract_protocol::FUNCTION,
    &url_extract_query::FUNCTION,
];
