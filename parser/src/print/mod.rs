//! The tree as text, in the style in which ksqlDB prints statements: upper-case words, back-quotes only where a name
//! needs them, parentheses around every operation, properties in alphabetical order, one clause a line.
//! The text parses to the same tree.

mod ddl;
mod expr;
mod hide;
mod mask;
mod query;
mod statement;
mod types;

use std::fmt;

pub(crate) use hide::{Secrets, blot_values};
pub use hide::{hide_row, hide_values};

use crate::ast::{Ident, Interval, IntervalUnit};
use crate::keywords::is_reserved;

/// Items parted by a text.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, item) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(self.1)?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// A text as a literal.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// A name in back-quotes, whether it needs them or not.
struct BackQuoted<'a>(&'a str);

impl fmt::Display for BackQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace('`', "``"))
    }
}

/// Whether a name means something else without back-quotes.
fn needs_quotes(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'@'));
    let mut bytes = name.bytes().skip_while(u8::is_ascii_digit);
    let begins_well = match (name.bytes().next(), bytes.next()) {
        // Digits first: no number, no exponent, no hexadecimal.
        (Some(b'0'..=b'9'), Some(next)) => next != b'E' && !(next == b'X' && name.starts_with("0X")),
        (Some(first), _) => first != b'@' && !first.is_ascii_digit(),
        (None, _) => false,
    };
    !plain || !begins_well || is_reserved(name)
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if needs_quotes(&self.name) { BackQuoted(&self.name).fmt(f) } else { f.write_str(&self.name) }
    }
}

impl fmt::Display for IntervalUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IntervalUnit::Milliseconds => "MILLISECONDS",
            IntervalUnit::Seconds => "SECONDS",
            IntervalUnit::Minutes => "MINUTES",
            IntervalUnit::Hours => "HOURS",
            IntervalUnit::Days => "DAYS",
            IntervalUnit::Weeks => "WEEKS",
            IntervalUnit::Months => "MONTHS",
            IntervalUnit::Years => "YEARS",
        })
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must() {
        for (name, expected) in [
            ("K", "K"),
            ("ROW_TIME@1", "ROW_TIME@1"),
            ("TIMESTAMP", "TIMESTAMP"),
            ("1R", "1R"),
            ("1E5", "`1E5`"),
            ("0XFF", "`0XFF`"),
            ("12", "`12`"),
            ("k", "`k`"),
            ("SELECT", "`SELECT`"),
            ("a b`c", "`a b``c`"),
            ("É", "`É`"),
            ("@K", "`@K`"),
        ] {
            assert_eq!(Ident::new(name).to_string(), expected);
        }
    }
}
