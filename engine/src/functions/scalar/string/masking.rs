//! What the MASK functions share: which character stands for which kind.
//!
//! Java counts UTF-16 units: a character past U+FFFF is masked by two, the second half as one of no kind. Where that half
//! is to stay it goes, for alone it is no text; and a count that would cut a character in two takes the whole of it.

use std::sync::LazyLock;

use regex::Regex;

use super::prelude::*;

/// Capitals, small letters, digits: Java's categories, which are narrower than Rust's (`Ⅷ` is no letter there).
static KINDS: LazyLock<[Option<Regex>; 3]> = LazyLock::new(|| [r"^\p{Lu}$", r"^\p{Ll}$", r"^\p{Nd}$"].map(|kind| Regex::new(kind).ok()));

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
            let Some(text) = args.opt::<&str>(index + offset)? else { continue };
            let mut chars = text.chars();
            *slot = match (chars.next(), chars.next()) {
                (Some(only), None) if only.len_utf16() == 1 => Some(only),
                _ => return Err(EvalError::new(format!("Invalid mask character. Must be only single character, but was '{text}'"))),
            };
        }
        Ok(mask)
    }

    fn of_char(self, c: char) -> Option<char> {
        let [upper, lower, digit, other] = self.0;
        match c {
            'A'..='Z' => upper,
            'a'..='z' => lower,
            '0'..='9' => digit,
            _ if c.is_ascii() => other,
            _ => {
                let is_kind = |kind: &Option<Regex>| kind.as_ref().is_some_and(|kind| kind.is_match(c.encode_utf8(&mut [0; 4])));
                let kind = KINDS.iter().position(is_kind);
                kind.and_then(|kind| [upper, lower, digit].get(kind).copied()).unwrap_or(other)
            }
        }
    }

    fn of_second_half(self) -> Option<char> {
        self.0[3]
    }
}

/// Masks UTF-16 units `from` to `to` (exclusive) of a text.
pub(super) fn mask(text: &str, mask: Mask, from: usize, to: usize) -> Value {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for c in text.chars() {
        let units = c.len_utf16();
        if (from..to).contains(&at) {
            out.push(mask.of_char(c).unwrap_or(c));
            if units > 1 {
                out.extend(mask.of_second_half());
            }
        } else {
            out.push(c);
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
