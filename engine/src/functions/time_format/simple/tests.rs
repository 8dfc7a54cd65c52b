//! Texts, patterns and dates, as Java's calendar has them.

use super::SimplePattern;
use crate::functions::time_format::calendar::days_from_civil;

fn parsed(pattern: &str, text: &str) -> Result<i32, String> {
    SimplePattern::compile(pattern)?.parse_date(text, 2026)
}

/// Each text by its pattern is that date.
#[track_caller]
fn check(table: &[(&str, &str, (i64, u32, u32))]) {
    for (pattern, text, (year, month, day)) in table {
        let days = i32::try_from(days_from_civil(*year, *month, *day)).unwrap();
        assert_eq!(parsed(pattern, text), Ok(days), "{text} by {pattern}");
    }
}

#[test]
fn values_carry_over() {
    check(&[
        ("yyyy-MM-dd", "2024-02-29", (2024, 2, 29)),
        ("yyyy-MM-dd", "2023-02-29", (2023, 3, 1)),
        ("yyyy-MM-dd", "2023-13-01", (2024, 1, 1)),
        ("yyyy-MM-dd", "2023-00-10", (2022, 12, 10)),
        ("yyyy-MM-dd", "2023-01-00", (2022, 12, 31)),
        ("yyyy-MM-dd", "2023-1-400", (2024, 2, 4)),
        ("yyyy-MM-dd HH", "2023-01-01 24", (2023, 1, 2)),
        ("yyyy-MM-dd HH:mm", "2023-01-01 23:60", (2023, 1, 2)),
        ("yyyy-DDD", "2023-366", (2024, 1, 1)),
    ]);
}

#[test]
fn what_follows_the_pattern_is_ignored() {
    check(&[
        ("yyyy-MM-dd", "2023-05-06T12:00:00Z", (2023, 5, 6)),
        ("yyyy-MM-dd", "2023-05-06xyz", (2023, 5, 6)),
        ("yyyy", "2023-05-06", (2023, 1, 1)),
        ("MMM-yyyy", "JAN-2022", (2022, 1, 1)),
        ("dd", "5", (1970, 1, 5)),
        ("", "anything", (1970, 1, 1)),
    ]);
}

#[test]
fn numbers_take_what_digits_there_are() {
    check(&[
        ("yyyy-MM-dd", "2023-5-6", (2023, 5, 6)),
        ("yyyyMMdd", "20230506", (2023, 5, 6)),
        ("yyyy-MM-dd", "  2023- 5- 6", (2023, 5, 6)),
        ("yyyy-MM-dd", "00002023-05-06", (2023, 5, 6)),
        ("yy-MM-dd", "45-05-06", (2045, 5, 6)),
        ("yy-MM-dd", "46-05-06", (1946, 5, 6)),
        ("yy-MM-dd", "99-05-06", (1999, 5, 6)),
        ("yy-MM-dd", "2023-05-06", (2023, 5, 6)),
        ("yyyy-MM-dd", "23-05-06", (23, 5, 4)),
        ("ddMMyy", "060523", (2023, 5, 6)),
    ]);
}

#[test]
fn names_in_any_length_and_case() {
    check(&[
        ("dd-MMM-yyyy", "01-Jan-2022", (2022, 1, 1)),
        ("dd-MMM-yyyy", "01-january-2022", (2022, 1, 1)),
        ("dd MMMM yyyy", "5 SEP 2022", (2022, 9, 5)),
        ("EEE, d MMM yyyy", "Monday, 7 feb 2022", (2022, 2, 7)),
        ("LLL yyyy", "may 2022", (2022, 5, 1)),
        ("yyyy G", "1 BC", (-1, 12, 30)),
        ("yyyy G", "2022 AD", (2022, 1, 1)),
    ]);
}

#[test]
fn the_field_that_was_set_last_names_the_day() {
    check(&[
        // The day of the month against the weekday: with a day of the month, a weekday alone says nothing.
        ("EEE yyyy-MM-dd", "Sun 2022-02-07", (2022, 2, 7)),
        ("yyyy-MM-dd DDD", "2022-02-07 060", (2022, 3, 1)),
        ("DDD yyyy-MM-dd", "060 2022-02-07", (2022, 2, 7)),
        ("yyyy-'W'ww-u", "2022-W02-1", (2022, 1, 3)),
        ("yyyy-'W'ww", "2022-W02", (2022, 1, 2)),
        ("yyyy-MM W E", "2022-02 2 Mon", (2022, 2, 7)),
        ("yyyy-MM F E", "2022-02 2 Mon", (2022, 2, 14)),
        ("yyyy-MM E", "2022-02 Mon", (2022, 2, 7)),
        ("YYYY-MM-dd", "2022-02-07", (2022, 2, 7)),
    ]);
}

#[test]
fn dates_before_the_reform_are_julian() {
    check(&[
        ("yyyy-MM-dd", "1582-10-15", (1582, 10, 15)),
        ("yyyy-MM-dd", "1582-10-04", (1582, 10, 14)),
        // The days that were left out go on in the Julian calendar.
        ("yyyy-MM-dd", "1582-10-10", (1582, 10, 20)),
        ("yyyy-MM-dd", "1500-03-01", (1500, 3, 11)),
        ("yyyy-MM-dd", "0001-01-01", (0, 12, 30)),
        ("yyyy-MM-dd", "0000-01-01", (-1, 12, 30)),
    ]);
}

#[test]
fn a_time_other_than_midnight_in_utc_is_refused() {
    for (pattern, text) in [
        ("yyyy-MM-dd HH", "2022-01-01 12"),
        ("yyyy-MM-dd SSS", "2022-01-01 5"),
        ("yyyy-MM-dd X", "2022-01-01 +02"),
        ("yyyy-MM-dd hh a", "2022-01-01 12 PM"),
    ] {
        assert_eq!(parsed(pattern, text), Err("Date format contains time field.".to_owned()), "{text} by {pattern}");
    }
    check(&[
        ("yyyy-MM-dd HH:mm X", "2022-01-01 02:00 +02", (2022, 1, 1)),
        ("yyyy-MM-dd HH:mm z", "2022-01-01 02:00 GMT+2:00", (2022, 1, 1)),
        ("yyyy-MM-dd HH:mm Z", "2022-01-01 00:00 +0000", (2022, 1, 1)),
        ("yyyy-MM-dd XXX", "2022-01-01 Z", (2022, 1, 1)),
        ("yyyy-MM-dd hh a", "2022-01-01 12 am", (2022, 1, 1)),
        ("yyyy-MM-dd kk", "2022-01-01 24", (2022, 1, 1)),
        ("yyyy-MM-dd HH a", "2022-01-01 00 PM", (2022, 1, 1)),
        ("yyyy-MM-dd z", "2022-01-01 UTC", (2022, 1, 1)),
    ]);
}

#[test]
fn what_does_not_match_is_told_with_its_place() {
    for (pattern, text, words) in [
        ("yyyy-MM-dd", "2022/01/01", "at index 4"),
        ("yyyy-MM-dd", "abcd", "at index 0"),
        ("yyyy-MM-dd", "", "at index 0"),
        ("yyyy-MM-dd", "2022-01", "at index 7"),
        ("yyyy-MM-dd", "-2022-01-01", "at index 0"),
        ("dd MMM", "1 Foo", "at index 2"),
        ("yyyy", "99999999999", "at index 0"),
        ("yyyy-MM-dd'T", "2022-01-01T", "Unterminated quote"),
        ("yyyy-QQ", "2022-01", "Format 'Q' not supported"),
        ("XXXX", "Z", "invalid number of X"),
        ("yyyy-MM-dd", "2147483647-01-01", "out of range"),
    ] {
        let error = parsed(pattern, text).unwrap_err();
        assert!(error.contains(words), "{text} by {pattern}: {error}");
    }
}

#[test]
fn quotes() {
    check(&[("yyyy-MM-dd'Lit'", "2018-05-11Lit", (2018, 5, 11)), ("yyyy''MM'o''clock'", "2018'05o'clock", (2018, 5, 1))]);
}
