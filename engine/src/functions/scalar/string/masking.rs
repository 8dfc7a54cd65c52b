//! What the MASK functions share: which character stands for which kind.

use std::sync::LazyLock;

use regex::Regex;

use super::prelude::*;

static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Nd}$").ok());

pub(super) const INPUT: Param = param("input", ParamType::String, "The string.");
pub(super) const COUNT: Param = param("numChars", ParamType::Int, "How many characters, at least 0.");
pub(super) const UPPER: Param = param("upper", ParamType::String, "Stands for capitals; null: they stay.");
pub(super) const LOWER: Param = param("lower", ParamType::String, "Stands for small letters; null: they stay.");
pub(super) const DIGITS: Param = param("digit", ParamType::String, "Stands for digits; null: they stay.");
pub(super) const OTHER: Param = param("other", ParamType::String, "Stands for everything else; null: it stays.");

/// What stands for capitals, small letters, digits and the rest; `None`: they stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask([Option<char>; 4]);

impl Mask {
    /// The four mask characters from argument `index` on; the usual ones where they are not given.
    pub fn of(args: &Args<'_>, index: usize) -> Result<Mask, EvalError> {
        if args.values.len() <= index {
            return Ok(Mask([Some('X'), Some('x'), Some('n'), Some('-')]));
        }
        let mut mask = Mask([None; 4]);
        for (offset, slot) in mask.0.iter_mut().enumerate() {
            *slot = args.opt::<&str>(index + offset)?.and_then(|text| text.chars().next());
        }
        Ok(mask)
    }

    fn of_char(self, c: char) -> Option<char> {
        let [upper, lower, digit, other] = self.0;
        if c.is_uppercase() {
            upper
        } else if c.is_lowercase() {
            lower
        } else if is_digit(c) {
            digit
        } else {
            other
        }
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (c.is_numeric() && DIGIT.as_ref().is_some_and(|digit| digit.is_match(c.encode_utf8(&mut [0; 4]))))
}

/// Masks UTF-16 units `from` to `to` (exclusive) of a text. A character of two units is masked by two.
pub(super) fn mask(text: &str, mask: Mask, from: usize, to: usize) -> Value {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for c in text.chars() {
        let units = c.len_utf16();
        match mask.of_char(c).filter(|_| (from..to).contains(&at)) {
            Some(masked) => out.extend(std::iter::repeat_n(masked, units)),
            None => out.push(c),
        }
        at += units;
    }
    Value::string(out)
}

/// The number of characters in argument 1.
pub(super) fn count(args: &Args<'_>) -> Result<usize, EvalError> {
    let count: i32 = args.get(1)?;
    usize::try_from(count).map_err(|_| EvalError::new(format!("the number of characters must not be negative: {count}")))
}
