//! Texts: case, parts, padding, masks, patterns.

mod chr;
mod concat;
mod concat_ws;
mod elt;
mod encode;
mod field;
mod initcap;
mod instr;
mod lcase;
mod len;
mod lpad;
mod mask;
mod mask_keep_left;
mod mask_keep_right;
mod mask_left;
mod mask_right;
mod masking;
mod md5;
mod pad;
mod regexp_extract;
mod regexp_extract_all;
mod regexp_replace;
mod regexp_split_to_array;
mod regexps;
mod replace;
mod rpad;
mod split;
mod split_to_map;
mod substring;
mod trim;
mod ucase;
mod uuid;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] = &[
    &chr::FUNCTION,
    &concat::FUNCTION,
    &concat_ws::FUNCTION,
    &elt::FUNCTION,
    &encode::FUNCTION,
    &field::FUNCTION,
    &initcap::FUNCTION,
    &instr::FUNCTION,
    &lcase::FUNCTION,
    &len::FUNCTION,
    &lpad::FUNCTION,
    &mask::FUNCTION,
    &mask_keep_left::FUNCTION,
    &mask_keep_right::FUNCTION,
    &mask_left::FUNCTION,
    &mask_right::FUNCTION,
    &md5::FUNCTION,
    &regexp_extract::FUNCTION,
    &regexp_extract_all::FUNCTION,
    &regexp_replace::FUNCTION,
    &regexp_split_to_array::FUNCTION,
    &replace::FUNCTION,
    &rpad::FUNCTION,
    &split::FUNCTION,
    &split_to_map::FUNCTION,
    &substring::FUNCTION,
    &trim::FUNCTION,
    &ucase::FUNCTION,
    &uuid::FUNCTION,
];
