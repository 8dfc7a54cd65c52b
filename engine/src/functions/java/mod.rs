//! What Java's library means where ksqlDB relies on it: order of values, strings counted in UTF-16 units, decimals that
//! must fit their type, URIs,
//! regular expressions.

mod decimals;
mod order;
mod regex;
mod uri;
mod utf16;

pub use decimals::{decimal_of_double, decimal_text, double_of_decimal, fit_decimal, round_half_ceiling, truncate};
pub use order::java_cmp;
pub use regex::{JavaRegex, RegexMatch};
pub use uri::{Uri, decoded};
pub use utf16::{cut, len_utf16};
