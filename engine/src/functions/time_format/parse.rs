//! Reads text by a pattern into fields.

use super::field::Field;
use super::names::{self, Language};
use super::pattern::{Element, Number, NumberKind, OffsetStyle, Presence, Sign};
use super::zone::Zone;

/// How text is matched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub language: Language,
    pub any_case: bool,
}

/// The fields that a text gave, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Parsed {
    pub fields: Vec<(Field, i64)>,
    pub zone: Option<Zone>,
}

impl Parsed {
    pub fn get(&self, field: Field) -> Option<i64> {
        self.fields.iter().find(|(f, _)| *f == field).map(|(_, value)| *value)
    }

    pub fn take(&mut self, field: Field) -> Option<i64> {
        let at = self.fields.iter().position(|(f, _)| *f == field)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// Sets a field that has no other value yet; false where it has.
    pub fn set(&mut self, field: Field, value: i64) -> bool {
        match self.get(field) {
            Some(other) => other == value,
            None => {
                self.fields.push((field, value));
                true
            }
        }
    }
}

/// Reads the whole of `text`.
///
/// # Errors
/// Where the text first differs from the pattern, in UTF-16 units from 0.
pub(super) fn parse(elements: &[Element], text: &str, reading: Reading) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let failed = |at: usize, why: &str| {
        let index = text.get(..at).unwrap_or(text).encode_utf16().count();
        format!("Text '{text}' could not be parsed{why} at index {index}")
    };
    match parse_all(elements, text, 0, reading, &mut parsed) {
        Ok(end) if end == text.len() => Ok(parsed),
        Ok(end) => Err(failed(end, ", unparsed text found")),
        Err(at) => Err(failed(at, "")),
    }
}

/// Position in bytes: where it ended, or where it failed.
type At = Result<usize, usize>;

fn parse_all(elements: &[Element], text: &str, start: usize, reading: Reading, parsed: &mut Parsed) -> At {
    elements.iter().try_fold(start, |at, element| parse_one(element, text, at, reading, parsed))
}

fn parse_one(element: &Element, text: &str, at: usize, reading: Reading, parsed: &mut Parsed) -> At {
    let rest = text.get(at..).ok_or(at)?;
    match element {
        Element::Literal(literal) => literal_length(rest, literal, reading.any_case).map(|length| at + length).ok_or(at),
        Element::Number(number) => parse_number(number, text, at, parsed),
        Element::Text(field, style) => {
            let (value, length) = names::parse(*field, *style, reading.language, rest, reading.any_case).ok_or(at)?;
            set(parsed, *field, value, at, at + length)
        }
        Element::Offset(style) => {
            let (seconds, length) = parse_offset(style, rest, reading.any_case).ok_or(at)?;
            set(parsed, Field::OffsetSeconds, i64::from(seconds), at, at + length)
        }
        Element::LocalizedOffset(full) => {
            let (seconds, length) = parse_localized_offset(rest, *full, reading.any_case).ok_or(at)?;
            set(parsed, Field::OffsetSeconds, i64::from(seconds), at, at + length)
        }
        Element::ZoneId => parse_zone(rest, false, parsed).map(|length| at + length).ok_or(at),
        Element::ZoneName => parse_zone(rest, true, parsed).map(|length| at + length).ok_or(at),
        Element::Optional(inner) => {
            let before = parsed.clone();
            Ok(parse_all(inner, text, at, reading, parsed).unwrap_or_else(|_| {
                *parsed = before;
                at
            }))
        }
        Element::Pad(width, inner) => {
            let end = rest.char_indices().nth(*width).map_or(rest.len(), |(index, _)| index);
            let padded = rest.get(..end).filter(|padded| padded.chars().count() == *width).ok_or(at)?;
            let blanks = padded.len() - padded.trim_start_matches(' ').len();
            let cut = text.get(..at + end).ok_or(at)?;
            let stop = parse_one(inner, cut, at + blanks, reading, parsed)?;
            if stop == at + end { Ok(stop) } else { Err(at + blanks) }
        }
    }
}

fn set(parsed: &mut Parsed, field: Field, value: i64, at: usize, end: usize) -> At {
    if parsed.set(field, value) { Ok(end) } else { Err(at) }
}

fn literal_length(rest: &str, literal: &str, any_case: bool) -> Option<usize> {
    if !any_case {
        return rest.starts_with(literal).then_some(literal.len());
    }
    let mut length = 0;
    let mut chars = rest.chars();
    for expected in literal.chars() {
        let found = chars.next()?;
        if found != expected && !found.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
        length += found.len_utf8();
    }
    Some(length)
}

/// Digits from `at`, at most `max`: how many there are.
fn digits(bytes: &[u8], at: usize, max: usize) -> usize {
    bytes.iter().skip(at).take(max).take_while(|b| b.is_ascii_digit()).count()
}

fn parse_number(number: &Number, text: &str, start: usize, parsed: &mut Parsed) -> At {
    let bytes = text.as_bytes();
    let mut at = start;
    let (mut negative, mut positive) = (false, false);
    match bytes.get(at) {
        None => return Err(at),
        Some(b'+') if number.sign == Sign::ExceedsPad => positive = true,
        Some(b'-') if number.sign != Sign::Never => negative = true,
        _ => {}
    }
    if negative || positive {
        at += 1;
    }
    // Where fixed-width numbers follow, read on into theirs, then give their digits back.
    let mut length = digits(bytes, at, number.max_width + number.following_digits);
    if number.following_digits > 0 {
        length = number.min_width.max(length.saturating_sub(number.following_digits));
        length = digits(bytes, at, length);
    }
    if length < number.min_width {
        return Err(at);
    }
    let end = at + length;
    let mut value: i64 = text.get(at..end).and_then(|digits| digits.parse().ok()).ok_or(start)?;
    match number.kind {
        NumberKind::Fraction => value *= 10_i64.pow(9 - u32::try_from(length).unwrap_or(9).min(9)),
        NumberKind::TwoDigitYear => value += 2000,
        NumberKind::Plain if negative => {
            if value == 0 {
                return Err(start);
            }
            value = -value;
        }
        NumberKind::Plain => {
            if number.sign == Sign::ExceedsPad && positive != (length > number.min_width) {
                return Err(if positive { start } else { at });
            }
        }
    }
    set(parsed, number.field, value, start, end)
}

fn parse_offset(style: &OffsetStyle, rest: &str, any_case: bool) -> Option<(i32, usize)> {
    if let Some(length) = literal_length(rest, style.zero, any_case) {
        return Some((0, length));
    }
    let bytes = rest.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |at: usize| (digits(bytes, at, 2) == 2).then(|| rest.get(at..at + 2)?.parse::<i32>().ok())?;
    let hours = two(1)?;
    let mut at = 3;
    let mut part = |presence: Presence| -> Option<i32> {
        if presence == Presence::Never {
            return Some(0);
        }
        let begin = if style.colon { at + 1 } else { at };
        let found = if style.colon && bytes.get(at) != Some(&b':') { None } else { two(begin) };
        match found.filter(|value| *value < 60) {
            Some(value) => {
                at = begin + 2;
                Some(value)
            }
            None => (presence == Presence::IfNotZero).then_some(0),
        }
    };
    let minutes = part(style.minutes)?;
    let seconds = part(style.seconds)?;
    let total = hours * 3600 + minutes * 60 + seconds;
    (hours < 24 && i64::from(total) <= Field::OffsetSeconds.range().1).then_some((sign * total, at))
}

fn parse_localized_offset(rest: &str, full: bool, any_case: bool) -> Option<(i32, usize)> {
    let prefix = literal_length(rest, "GMT", any_case)?;
    let tail = rest.get(prefix..)?;
    let bytes = tail.as_bytes();
    let sign = match bytes.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some((0, prefix)),
    };
    let number = |at: usize, width: usize| (digits(bytes, at, width) == width).then(|| tail.get(at..at + width)?.parse::<i32>().ok())?;
    let (hours, mut at) = if full || digits(bytes, 1, 2) == 2 { (number(1, 2)?, 3) } else { (number(1, 1)?, 2) };
    let (mut minutes, mut seconds) = (0, 0);
    if bytes.get(at) == Some(&b':') {
        minutes = number(at + 1, 2)?;
        at += 3;
        if bytes.get(at) == Some(&b':') {
            seconds = number(at + 1, 2)?;
            at += 3;
        }
    } else if full {
        return None;
    }
    let total = hours * 3600 + minutes * 60 + seconds;
    (i64::from(total) <= Field::OffsetSeconds.range().1).then_some((sign * total, prefix + at))
}

/// The longest zone id (or short name) that `rest` begins with.
fn parse_zone(rest: &str, short_names: bool, parsed: &mut Parsed) -> Option<usize> {
    let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"/_+-:~".contains(b)).count();
    for end in (1..=length).rev() {
        let id = rest.get(..end)?;
        let zone = Zone::parse(id).ok().or_else(|| if short_names { Zone::by_short_name(id) } else { None });
        if let Some(zone) = zone {
            parsed.zone = Some(zone);
            return Some(end);
        }
    }
    None
}
