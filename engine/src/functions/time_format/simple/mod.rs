//! Patterns of Java's `SimpleDateFormat`, as the Commons Lang parser reads them that ksqlDB's PARSE_DATE uses.
//!
//! It is lenient: fields may have any value and carry over (2023-02-29 is 1 March, month 13 the January behind), names go
//! in any case and length, what follows the pattern is ignored. Letters mean other things than in a `DateTimeFormatter`
//! (`u` is the weekday, `L` and `M` are the same, optional parts are unknown).

mod calendar;
mod pattern;

use calendar::Fields;
use pattern::Part;

use super::calendar::DAY_MS;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct SimplePattern {
    parts: Vec<Part>,
}

impl SimplePattern {
    /// # Errors
    /// What is wrong with the pattern.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        Ok(SimplePattern { parts: pattern::compile(pattern)? })
    }

    /// Days since 1970-01-01. Years of two digits are those from 80 years before `this_year` to 19 years after it.
    ///
    /// # Errors
    /// Where the text differs from the pattern; a time other than midnight UTC.
    pub fn parse_date(&self, text: &str, this_year: i64) -> Result<i32, String> {
        let mut fields = Fields::default();
        let mut at = 0;
        for (index, part) in self.parts.iter().enumerate() {
            let rest = text.get(at..).unwrap_or_default();
            let number_follows = self.parts.get(index + 1).is_some_and(Part::is_number);
            let length = part.read(rest, number_follows, this_year, &mut fields);
            at += length.ok_or_else(|| {
                let units = text.get(..at).unwrap_or(text).encode_utf16().count();
                format!("Unparseable date: \"{text}\" at index {units}")
            })?;
        }
        let ms = fields.resolve()?;
        if ms.rem_euclid(DAY_MS) != 0 {
            return Err("Date format contains time field.".to_owned());
        }
        i32::try_from(ms.div_euclid(DAY_MS)).map_err(|_| "The date is out of range".to_owned())
    }
}

#[cfg(test)]
mod tests;
