//! Numbers: arithmetic, rounding, trigonometry, chance.

mod abs;
mod acos;
mod asin;
mod atan;
mod atan2;
mod cbrt;
mod ceil;
mod cos;
mod cosh;
mod cot;
mod degrees;
mod exp;
mod floor;
mod geo_distance;
mod ln;
mod log;
mod pi;
mod places;
mod power;
mod radians;
mod random;
mod round;
mod sign;
mod sin;
mod sinh;
mod sqrt;
mod tan;
mod tanh;
mod trunc;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] = &[
    &abs::FUNCTION,
    &acos::FUNCTION,
    &asin::FUNCTION,
    &atan::FUNCTION,
    &atan2::FUNCTION,
    &cbrt::FUNCTION,
    &ceil::FUNCTION,
    &cos::FUNCTION,
    &cosh::FUNCTION,
    &cot::FUNCTION,
    &degrees::FUNCTION,
    &exp::FUNCTION,
    &floor::FUNCTION,
    &geo_distance::FUNCTION,
    &ln::FUNCTION,
    &log::FUNCTION,
    &pi::FUNCTION,
    &power::FUNCTION,
    &radians::FUNCTION,
    &random::FUNCTION,
    &round::FUNCTION,
    &sign::FUNCTION,
    &sin::FUNCTION,
    &sinh::FUNCTION,
    &sqrt::FUNCTION,
    &tan::FUNCTION,
    &tanh::FUNCTION,
    &trunc::FUNCTION,
];
