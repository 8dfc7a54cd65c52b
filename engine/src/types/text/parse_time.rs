//! ISO-8601 dates, times and timestamps, whole or cut short, as ksqlDB reads them in casts, comparisons and INSERT VALUES.
//!
//! `None` means that the text is none of these; the caller knows the column and writes the error.

use super::{DAY_MS, days_from_civil, days_in_month};

/// What a time that was cut short is filled up with, character by character.
const MIDNIGHT: &[u8; 12] = b"00:00:00.000";

/// A year that fits every calculation here: Java's own limit.
const MAX_YEAR: i64 = 999_999_999;

/// Days since 1970-01-01 of `2020-02-29`, `2020-02` or `2020`. The day must exist.
pub fn parse_date(text: &str) -> Option<i32> {
    let (year, month, day) = parse_ymd(text.as_bytes(), true)?;
    if day > days_in_month(year, month) {
        return None;
    }
    i32::try_from(days_from_civil(year, month, day)).ok()
}

/// Milliseconds of the day of `10:11`, `10:11:12` or `10:11:12.345` (up to nine digits, cut to milliseconds).
pub fn parse_time(text: &str) -> Option<i32> {
    let mut rest = text.as_bytes();
    let hour = two_digits(&mut rest)?;
    skip(&mut rest, b':')?;
    let minute = two_digits(&mut rest)?;
    let (mut second, mut ms) = (0, 0);
    if !rest.is_empty() {
        skip(&mut rest, b':')?;
        second = two_digits(&mut rest)?;
        if !rest.is_empty() {
            skip(&mut rest, b'.')?;
            if rest.len() > 9 || !rest.iter().all(u8::is_ascii_digit) {
                return None;
            }
            ms = rest.iter().chain(b"000").take(3).fold(0, |ms, digit| ms * 10 + u32::from(digit - b'0'));
        }
    }
    i32::try_from(ms_of_day(hour, minute, second, ms)?).ok()
}

/// Milliseconds since the epoch of `2020-01-02T10:11:12.345` with a zone behind it or none (UTC): `Z`, `+02`, `-0330`, `+02:00`.
///
/// Anything may be missing from the end: `2020`, `2020-01`, `2020-01-02`, `2020-01-02T10`, `2020-01-02T10:11`. A day past
/// the month's end is its last day.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, time) = match bytes.iter().position(|b| *b == b'T') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &bytes[bytes.len()..]),
    };
    let zone_at = time.iter().position(|b| *b == b'+').or_else(|| time.iter().position(|b| *b == b'-')).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let time = time.strip_suffix(b"Z").unwrap_or(time);
    let (year, month, day) = parse_ymd(date, false)?;
    let day = day.min(days_in_month(year, month));
    let offset_ms = if zone.is_empty() { 0 } else { parse_offset(zone)? };
    days_from_civil(year, month, day).checked_mul(DAY_MS)?.checked_add(parse_full_time(time)?)?.checked_sub(offset_ms)
}

/// `HH:mm:ss.SSS`, filled up where it is cut short.
fn parse_full_time(time: &[u8]) -> Option<i64> {
    if time.len() > MIDNIGHT.len() {
        return None;
    }
    let mut full = *MIDNIGHT;
    full[..time.len()].copy_from_slice(time);
    let mut rest = &full[..];
    let hour = two_digits(&mut rest)?;
    skip(&mut rest, b':')?;
    let minute = two_digits(&mut rest)?;
    skip(&mut rest, b':')?;
    let second = two_digits(&mut rest)?;
    skip(&mut rest, b'.')?;
    let tens = two_digits(&mut rest)?;
    let ms = tens * 10 + number(rest)?;
    // Midnight may be told as the end of the day before.
    if (hour, minute, second, ms) == (24, 0, 0, 0) {
        return Some(DAY_MS);
    }
    ms_of_day(hour, minute, second, ms)
}

fn ms_of_day(hour: u32, minute: u32, second: u32, ms: u32) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 60)
        .then(|| ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1000 + i64::from(ms))
}

/// Year, month and day (1–31, whatever the month); missing parts are 1. `signed` lets years before 1 in.
fn parse_ymd(date: &[u8], signed: bool) -> Option<(i64, u32, u32)> {
    let (sign, unsigned) = match date {
        [b'-', rest @ ..] if signed => (Some(b'-'), rest),
        [b'+', rest @ ..] => (Some(b'+'), rest),
        all => (None, all),
    };
    let mut parts = unsigned.split(|b| *b == b'-');
    let year_digits = parts.next()?;
    // More than four digits take a plus sign, as Java prints them; fewer take none.
    if !(4..=10).contains(&year_digits.len()) || (sign == Some(b'+')) != (year_digits.len() > 4) && sign != Some(b'-') {
        return None;
    }
    let magnitude = year_digits.iter().try_fold(0i64, |value, b| b.is_ascii_digit().then(|| value * 10 + i64::from(b - b'0')))?;
    let year = if sign == Some(b'-') { -magnitude } else { magnitude };
    if magnitude > MAX_YEAR || (!signed && year < 1) {
        return None;
    }
    let mut part = |limit: u32| match parts.next() {
        None => Some(1),
        Some(digits) if digits.len() == 2 => number(digits).filter(|n| (1..=limit).contains(n)),
        Some(_) => None,
    };
    let (month, day) = (part(12)?, part(31)?);
    parts.next().is_none().then_some((year, month, day))
}

/// `+h`, `+hh`, `+hhmm`, `+hh:mm`, with seconds likewise; at most 18 hours. In milliseconds east of UTC.
fn parse_offset(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = zone.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes, seconds) = match digits {
        [_] | [_, _] => (number(digits)?, 0, 0),
        [_, _, b':', m @ ..] if m.len() == 2 => (number(&digits[..2])?, number(m)?, 0),
        [_, _, _, _] => (number(&digits[..2])?, number(&digits[2..])?, 0),
        [_, _, b':', _, _, b':', s @ ..] if s.len() == 2 => (number(&digits[..2])?, number(&digits[3..5])?, number(s)?),
        [_, _, _, _, _, _] => (number(&digits[..2])?, number(&digits[2..4])?, number(&digits[4..])?),
        _ => return None,
    };
    let total = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    (minutes < 60 && seconds < 60 && total <= 18 * 3600).then_some(sign * total * 1000)
}

fn two_digits(rest: &mut &[u8]) -> Option<u32> {
    let (digits, behind) = rest.split_at_checked(2)?;
    *rest = behind;
    number(digits)
}

fn skip(rest: &mut &[u8], wanted: u8) -> Option<()> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    (*first == wanted).then_some(())
}

/// One to four digits.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    digits.iter().try_fold(0, |value, b| b.is_ascii_digit().then(|| value * 10 + u32::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_whole_and_cut_short() {
        let cases: &[(&str, Option<i64>)] = &[
            ("2021-02-28", Some(1_614_470_400_000)),
            ("2021-02-28T12:30:45.123", Some(1_614_515_445_123)),
            ("2021-02-28T12:30", Some(1_614_515_400_000)),
            ("2021-02-28T12", Some(1_614_513_600_000)),
            ("2021-02-28T12:3", Some(1_614_515_400_000)),
            ("2021-02-28T", Some(1_614_470_400_000)),
            ("2021-02-28T12:30:45Z", Some(1_614_515_445_000)),
            ("2021-02-28T12:30:45.123Z", Some(1_614_515_445_123)),
            ("2021-02-28T12:30:45+0200", Some(1_614_508_245_000)),
            ("2021-02-28T12:30:45+02:00", Some(1_614_508_245_000)),
            ("2021-02-28T12:30:45-2", Some(1_614_522_645_000)),
            ("2021", Some(1_609_459_200_000)),
            ("2021-02", Some(1_612_137_600_000)),
            ("1969-12-31", Some(-86_400_000)),
            ("2021-02-29", Some(1_614_470_400_000)),
            ("0001-01-01", Some(-62_135_596_800_000)),
            ("2021-2-8", None),
            ("2021-02-32", None),
            ("2021-13-01", None),
            ("2021-02-28T12:30:45.123456", None),
            ("2021-02-28 12:30:45", None),
            ("2021-02-28T24", Some(1_614_556_800_000)),
            ("2021-02-28T24:00:00.000", Some(1_614_556_800_000)),
            ("2021-02-28T24:00:01", None),
            ("2021-02-28T25", None),
            ("2021-02-28T12:30+19:00", None),
            ("2021-02-28T12:30+", None),
            ("0000-01-01", None),
            ("12021-01-01", None),
            ("-1", None),
            ("+5", None),
            ("99999999999", None),
            ("12:30", None),
            ("é", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_timestamp(text), *expected, "{text}");
        }
    }

    #[test]
    fn dates_must_exist() {
        for (text, expected) in [
            ("2021-02-28", Some(18_686)),
            ("2021", Some(18_628)),
            ("2021-02", Some(18_659)),
            ("2021-02-29", None),
            ("2021-2-8", None),
            ("2021-02-28T12:30", None),
            ("+12021-01-01", Some(3_671_053)),
            ("-0001-01-01", Some(-719_893)),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn times_need_hours_and_minutes() {
        for (text, expected) in [
            ("12:30", Some(45_000_000)),
            ("12:30:45", Some(45_045_000)),
            ("12:30:45.5", Some(45_045_500)),
            ("12:30:45.123456789", Some(45_045_123)),
            ("23:59:59.999", Some(86_399_999)),
            ("25:00", None),
            ("12:60", None),
            ("12", None),
            ("12:3", None),
            ("12:30:", None),
            ("12:30:45.1234567890", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
    }
}
