//! A pattern's parts, and how each reads its text.

use super::super::field::Field as NamedField;
use super::super::names::{self, Language, TextStyle};
use super::super::zone::Zone;
use super::calendar::{Field, Fields};

/// What stands at one place of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    /// Digits; `width` of them where another number follows at once.
    Number {
        field: Field,
        width: usize,
        meaning: Meaning,
    },
    /// The name of a value, in any length and case.
    Name(Field),
    /// `X`, `XX` or `XXX`, by how much of the offset is written.
    IsoOffset(usize),
    /// An offset as in RFC 822, `GMT+1:00`, or the name of a zone.
    Zone,
}

/// What a number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    /// Months count from 0 in the calendar.
    Month,
    /// A year of up to two digits is one near the present.
    ShortYear,
    /// 12 is midnight, or noon.
    Hour12,
    /// 24 is midnight.
    Hour24,
    /// 1 is Monday; the calendar's week begins with Sunday.
    IsoWeekday,
}

/// Takes a pattern apart.
///
/// # Errors
/// An unknown letter, an open quote.
pub(super) fn compile(pattern: &str) -> Result<Vec<Part>, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        if c.is_ascii_alphabetic() {
            let width = chars.iter().skip(at).take_while(|next| **next == c).count();
            parts.push(letters(c, width)?);
            at += width;
            continue;
        }
        let mut literal = String::new();
        let mut quoted = false;
        while let Some(c) = chars.get(at).copied() {
            if !quoted && c.is_ascii_alphabetic() {
                break;
            }
            if c == '\'' {
                at += 1;
                if chars.get(at) != Some(&'\'') {
                    quoted = !quoted;
                    continue;
                }
            }
            literal.push(c);
            at += 1;
        }
        if quoted {
            return Err("Unterminated quote".to_owned());
        }
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn letters(letter: char, width: usize) -> Result<Part, String> {
    let number = |field, meaning| Part::Number { field, width, meaning };
    Ok(match letter {
        'D' => number(Field::DayOfYear, Meaning::Plain),
        'E' => Part::Name(Field::DayOfWeek),
        'F' => number(Field::DayOfWeekInMonth, Meaning::Plain),
        'G' => Part::Name(Field::Era),
        'H' => number(Field::HourOfDay, Meaning::Plain),
        'K' => number(Field::Hour, Meaning::Plain),
        'L' | 'M' if width >= 3 => Part::Name(Field::Month),
        'L' | 'M' => number(Field::Month, Meaning::Month),
        'S' => number(Field::Millisecond, Meaning::Plain),
        'W' => number(Field::WeekOfMonth, Meaning::Plain),
        'a' => Part::Name(Field::AmPm),
        'd' => number(Field::DayOfMonth, Meaning::Plain),
        'h' => number(Field::Hour, Meaning::Hour12),
        'k' => number(Field::HourOfDay, Meaning::Hour24),
        'm' => number(Field::Minute, Meaning::Plain),
        's' => number(Field::Second, Meaning::Plain),
        'u' => number(Field::DayOfWeek, Meaning::IsoWeekday),
        'w' => number(Field::WeekOfYear, Meaning::Plain),
        'y' | 'Y' => number(Field::Year, if width > 2 { Meaning::Plain } else { Meaning::ShortYear }),
        'X' if width <= 3 => Part::IsoOffset(width),
        'X' => return Err("invalid number of X".to_owned()),
        'Z' if width == 2 => Part::IsoOffset(3),
        'Z' | 'z' => Part::Zone,
        _ => return Err(format!("Format '{letter}' not supported")),
    })
}

impl Part {
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Part::Number { .. })
    }

    /// Reads the part from the beginning of `text` into `fields`: how many bytes it takes, `None` where it is not there.
    pub(super) fn read(&self, text: &str, number_follows: bool, this_year: i64, fields: &mut Fields) -> Option<usize> {
        match self {
            Part::Literal(literal) => text.starts_with(literal.as_str()).then_some(literal.len()),
            Part::Number { field, width, meaning } => {
                let blanks = if number_follows { 0 } else { text.len() - text.trim_start().len() };
                let most = if number_follows { *width } else { usize::MAX };
                let digits = text.bytes().skip(blanks).take(most).take_while(u8::is_ascii_digit).count();
                let value: i32 = text.get(blanks..blanks + digits).filter(|_| digits > 0)?.parse().ok()?;
                fields.set(*field, meaning.of(i64::from(value), this_year));
                Some(blanks + digits)
            }
            Part::Name(field) => {
                let (value, length) = name(*field, text)?;
                fields.set(*field, value);
                Some(length)
            }
            Part::IsoOffset(width) => {
                let (offset, length) = iso_offset(text, *width)?;
                fields.zone = Some(Zone::Offset(offset));
                Some(length)
            }
            Part::Zone => {
                let (zone, length) = zone(text)?;
                fields.zone = Some(zone);
                Some(length)
            }
        }
    }
}

impl Meaning {
    fn of(self, value: i64, this_year: i64) -> i64 {
        match self {
            Meaning::Month => value - 1,
            Meaning::ShortYear if value < 100 => {
                let first = this_year - 80;
                let year = first - first.rem_euclid(100) + value;
                if year >= first { year } else { year + 100 }
            }
            Meaning::Hour12 if value == 12 => 0,
            Meaning::Hour24 if value == 24 => 0,
            Meaning::IsoWeekday if value == 7 => 1,
            Meaning::IsoWeekday => value + 1,
            Meaning::Plain | Meaning::ShortYear | Meaning::Hour12 | Meaning::Hour24 => value,
        }
    }
}

/// The longest name that the text begins with, as the calendar's value.
fn name(field: Field, text: &str) -> Option<(i64, usize)> {
    let named = match field {
        Field::DayOfWeek => NamedField::DayOfWeek,
        Field::Month => NamedField::MonthOfYear,
        Field::Era => NamedField::Era,
        Field::AmPm => NamedField::AmPmOfDay,
        _ => return None,
    };
    let found =
        [TextStyle::Full, TextStyle::Short].into_iter().filter_map(|style| names::parse(named, style, Language::English, text, true));
    let (value, length) = found.max_by_key(|(_, length)| *length)?;
    let value = match field {
        Field::Month => value - 1,
        // From Monday to the calendar's Sunday.
        Field::DayOfWeek => value % 7 + 1,
        _ => value,
    };
    Some((value, length))
}

/// Seconds of `Z`, `+hh`, `+hhmm` or `+hh:mm`.
fn iso_offset(text: &str, width: usize) -> Option<(i32, usize)> {
    if text.starts_with('Z') {
        return Some((0, 1));
    }
    let (minutes_at, length) = match width {
        1 => (None, 3),
        2 => (Some(3), 5),
        _ => (text.as_bytes().get(3).filter(|c| **c == b':').map(|_| Some(4))?, 6),
    };
    signed(text, 1, 2, minutes_at).map(|seconds| (seconds, length))
}

/// `+hhmm`, `GMT+h:mm`, or a zone's name.
fn zone(text: &str) -> Option<(Zone, usize)> {
    if let Some(seconds) = signed(text, 1, 2, Some(3)) {
        return Some((Zone::Offset(seconds), 5));
    }
    if text.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("GMT")) {
        let digits = text.bytes().skip(4).take(2).take_while(u8::is_ascii_digit).count();
        let colon = 4 + digits;
        if digits > 0
            && text.as_bytes().get(colon) == Some(&b':')
            && let Some(seconds) = text.get(3..).and_then(|rest| signed(rest, 1, digits, Some(digits + 2)))
        {
            return Some((Zone::Offset(seconds), colon + 3));
        }
    }
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    (1..=letters).rev().find_map(|length| Some((Zone::by_short_name(text.get(..length)?)?, length)))
}

/// Seconds of a sign, hours of so many digits at `hours_at`, and two digits of minutes at their place.
fn signed(text: &str, hours_at: usize, hours_width: usize, minutes_at: Option<usize>) -> Option<i32> {
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number = |at: usize, width: usize| {
        let digits = text.get(at..at + width)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i32>().ok())?
    };
    let hours = number(hours_at, hours_width)?;
    let minutes = match minutes_at {
        Some(at) => number(at, 2)?,
        None => 0,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}
