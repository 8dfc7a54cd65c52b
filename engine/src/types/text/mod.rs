//! Values as text, and text as values, the way Java spells them: numbers, dates, times, timestamps, base64.
//!
//! Used wherever a value meets text: casts, JSON and DELIMITED, rows on the REST API, keys. Writers append to a buffer of
//! the caller's ([`TextOut`]) and don't allocate; parsers borrow.

mod base64;
mod calendar;
mod number;
mod parse_number;
mod parse_time;
mod write_time;

pub use base64::{parse_base64, parse_padded_base64, write_base64};
pub use calendar::{civil_from_days, days_from_civil, days_in_month};
pub use number::{write_decimal, write_decimal_short, write_double, write_float, write_i32, write_i64};
pub use parse_number::{fit_decimal, parse_decimal, parse_double, read_decimal};
pub use parse_time::{parse_date, parse_time, parse_timestamp};
pub use write_time::{write_date, write_time, write_timestamp};

use super::Text;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// A buffer that text is appended to.
pub trait TextOut {
    fn push_text(&mut self, text: &str);
    /// Appends `text`, all of it ASCII.
    fn push_ascii(&mut self, text: &[u8]) {
        // Only our own ASCII comes here; anything else would be a fault of this module and is left out.
        self.push_text(std::str::from_utf8(text).unwrap_or_default());
    }
}

impl TextOut for Vec<u8> {
    #[inline]
    fn push_text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn push_ascii(&mut self, text: &[u8]) {
        self.extend_from_slice(text);
    }
}

impl TextOut for String {
    fn push_text(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl TextOut for Text {
    fn push_text(&mut self, text: &str) {
        self.push_str(text);
    }
}

/// The text that a writer makes: `to_text(|out| write_double(1.5, out))`.
pub fn to_text(write: impl FnOnce(&mut Text)) -> Text {
    let mut text = Text::new();
    write(&mut text);
    text
}
