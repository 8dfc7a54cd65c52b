//! Patterns of Java's `DateTimeFormatter`: `yyyy-MM-dd'T'HH:mm:ss.SSSX` and the like.
//!
//! (PARSE_DATE alone reads by the older `SimpleDateFormat`: see [`SimplePattern`].)
//!
//! One engine for the date functions and for timestamp columns with a TIMESTAMP_FORMAT. Formatting uses English names.
//! Parsing of timestamps minds no case and knows short names only, because ksqlDB parses in Java's root locale. Letters
//! that this engine does not know (`B`, `v`, `zzzz`) are refused when the pattern is compiled.

mod calendar;
mod field;
mod names;
mod parse;
mod pattern;
mod print;
mod resolve;
mod simple;
mod zone;

pub use simple::SimplePattern;
pub use zone::Zone;

use calendar::DAY_MS;
use field::{Field, Moment};
use names::Language;
use parse::{Parsed, Reading};
use pattern::Element;
use print::Subject;
use resolve::Resolved;

/// As `StringToTimestampParser`: any case, root locale.
const LENIENT: Reading = Reading { language: Language::Root, any_case: true };
/// As `DateTimeFormatter.ofPattern`: case counts, English.
const STRICT: Reading = Reading { language: Language::English, any_case: false };

/// A compiled pattern. Errors are sentences for the user.
#[derive(Debug, Clone)]
pub struct TimePattern {
    elements: Vec<Element>,
}

impl TimePattern {
    /// # Errors
    /// What is wrong with the pattern.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        Ok(TimePattern { elements: pattern::compile(pattern)? })
    }

    /// Milliseconds since the epoch of a text in UTC, or in the zone that it names.
    ///
    /// # Errors
    /// Where the text differs from the pattern, or which value is wrong.
    pub fn parse_timestamp(&self, text: &str) -> Result<i64, String> {
        self.parse_timestamp_in(text, &Zone::UTC)
    }

    /// Milliseconds since the epoch. The zone holds unless the text names one. Missing parts are those of 1970-01-01T00:00.
    ///
    /// # Errors
    /// As [`TimePattern::parse_timestamp`].
    pub fn parse_timestamp_in(&self, text: &str, zone: &Zone) -> Result<i64, String> {
        let resolved = self.read(text, LENIENT)?;
        let local = resolve::local_ms(&resolved)?;
        let zone = match (resolved.left.get(Field::OffsetSeconds).and_then(|seconds| i32::try_from(seconds).ok()), resolved.left.zone) {
            (Some(offset), _) => Zone::Offset(offset),
            (None, Some(named)) => named,
            (None, None) => *zone,
        };
        Ok(zone.instant_of_local(local))
    }

    /// Days since 1970-01-01 of a whole date; case counts, names are English.
    ///
    /// # Errors
    /// As [`TimePattern::parse_timestamp`]; a text without year, month and day.
    pub fn parse_whole_date(&self, text: &str) -> Result<i32, String> {
        let resolved = self.read(text, STRICT)?;
        to_days(resolved.date.ok_or_else(|| format!("Text '{text}' could not be parsed: unable to obtain a date"))?)
    }

    /// Milliseconds of the day, any case.
    ///
    /// # Errors
    /// As [`TimePattern::parse_timestamp`]; a text without an hour, or with parts of a date.
    pub fn parse_time(&self, text: &str) -> Result<i32, String> {
        let resolved = self.read(text, LENIENT)?;
        let has_date =
            resolved.date.is_some() || resolved.left.fields.iter().any(|(field, _)| !field.is_time() && *field != Field::OffsetSeconds);
        if has_date {
            return Err("Time format contains date field.".to_owned());
        }
        let nanos = resolved.nanos.ok_or_else(|| format!("Text '{text}' could not be parsed: unable to obtain a time"))?;
        i32::try_from(nanos / 1_000_000).map_err(|_| "The time is out of range".to_owned())
    }

    /// The text of an instant (milliseconds since the epoch) as seen in a zone.
    ///
    /// # Errors
    /// A part that can't be printed.
    pub fn format_timestamp(&self, ms: i64, zone: &Zone) -> Result<String, String> {
        let ms = java_timestamp(ms);
        let offset = zone.offset_at(ms);
        let local = i128::from(ms) + i128::from(offset) * 1000;
        let day_ms = i128::from(DAY_MS);
        let date = i64::try_from(local.div_euclid(day_ms)).ok();
        let nanos = i64::try_from(local.rem_euclid(day_ms) * 1_000_000).ok();
        self.print(&Subject { moment: Moment { date, nanos, offset: Some(offset) }, zone: Some((*zone, ms)) })
    }

    /// The text of a date, in days since 1970-01-01.
    ///
    /// # Errors
    /// A part of a time or zone in the pattern.
    pub fn format_date(&self, days: i32) -> Result<String, String> {
        self.print(&Subject { moment: Moment { date: Some(i64::from(days)), ..Moment::default() }, zone: None })
    }

    /// The text of a time, in milliseconds of the day.
    ///
    /// # Errors
    /// A part of a date or zone in the pattern.
    pub fn format_time(&self, ms_of_day: i32) -> Result<String, String> {
        let nanos = i64::from(ms_of_day).rem_euclid(DAY_MS) * 1_000_000;
        self.print(&Subject { moment: Moment { nanos: Some(nanos), ..Moment::default() }, zone: None })
    }

    fn print(&self, subject: &Subject) -> Result<String, String> {
        let mut out = String::new();
        print::print(&self.elements, subject, &mut out)?;
        Ok(out)
    }

    fn read(&self, text: &str, reading: Reading) -> Result<Resolved, String> {
        let parsed: Parsed = parse::parse(&self.elements, text, reading)?;
        resolve::resolve(parsed).map_err(|why| format!("Text '{text}' could not be parsed: {why}"))
    }
}

fn to_days(days: i64) -> Result<i32, String> {
    i32::try_from(days).map_err(|_| "The date is out of range".to_owned())
}

/// The instant that Java's `Timestamp` makes of milliseconds: the same, but for the very smallest, which wrap around.
fn java_timestamp(ms: i64) -> i64 {
    let whole = ms.div_euclid(1000).wrapping_mul(1000);
    whole / 1000 * 1000 + ms.rem_euclid(1000)
}

#[cfg(test)]
mod tests;
