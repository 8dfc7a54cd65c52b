//! DATE, TIME and TIMESTAMP as ISO-8601 text.

use super::{DAY_MS, TextOut, civil_from_days};

/// Appends a DATE as `LocalDate.toString` does: `2020-02-29`, `+10000-01-01`, `-0001-01-01`.
pub fn write_date(days: i32, out: &mut impl TextOut) {
    let (year, month, day) = civil_from_days(i64::from(days));
    write_year(year, out);
    two_digits(b'-', month, out);
    two_digits(b'-', day, out);
}

/// Appends a TIME to the second, the seconds only where there are any: `10:11`, `10:11:12`. (ksqlDB drops the milliseconds.)
pub fn write_time(ms_of_day: i32, out: &mut impl TextOut) {
    let seconds = i64::from(ms_of_day).rem_euclid(DAY_MS) / 1000;
    write_pair((seconds / 3600) as u32, out);
    two_digits(b':', (seconds / 60 % 60) as u32, out);
    if seconds % 60 != 0 {
        two_digits(b':', (seconds % 60) as u32, out);
    }
}

/// Appends a TIMESTAMP to the millisecond, UTC: `2020-02-29T10:11:12.345`.
pub fn write_timestamp(ms: i64, out: &mut impl TextOut) {
    let (year, month, day) = civil_from_days(ms.div_euclid(DAY_MS));
    let of_day = ms.rem_euclid(DAY_MS);
    // The pattern's year is that of its era: 1 BC is the year 1.
    write_year(if year > 0 { year } else { 1 - year }, out);
    two_digits(b'-', month, out);
    two_digits(b'-', day, out);
    two_digits(b'T', (of_day / 3_600_000) as u32, out);
    two_digits(b':', (of_day / 60_000 % 60) as u32, out);
    two_digits(b':', (of_day / 1000 % 60) as u32, out);
    let millis = (of_day % 1000) as u32;
    out.push_ascii(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis)]);
}

/// At least four digits; a sign where there are more or the year is before 0.
fn write_year(year: i64, out: &mut impl TextOut) {
    let magnitude = year.unsigned_abs();
    if year < 0 {
        out.push_text("-");
    } else if magnitude > 9999 {
        out.push_text("+");
    }
    if magnitude > 9999 {
        out.push_ascii(itoa::Buffer::new().format(magnitude).as_bytes());
    } else {
        let year = magnitude as u32;
        out.push_ascii(&[digit(year / 1000), digit(year / 100), digit(year / 10), digit(year)]);
    }
}

fn two_digits(before: u8, value: u32, out: &mut impl TextOut) {
    out.push_ascii(&[before, digit(value / 10), digit(value)]);
}

fn write_pair(value: u32, out: &mut impl TextOut) {
    out.push_ascii(&[digit(value / 10), digit(value)]);
}

/// The last digit of a number.
fn digit(value: u32) -> u8 {
    b'0' + (value % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_and_timestamps() {
        let text = |write: &dyn Fn(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            out
        };
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_162, "0001-01-01"),
            (-719_528, "0000-01-01"),
            (-719_893, "-0001-01-01"),
            (2_932_897, "+10000-01-01"),
        ] {
            assert_eq!(text(&|out| write_date(days, out)), expected);
        }
        for (ms, expected) in [(0, "00:00"), (1, "00:00"), (36_660_000, "10:11"), (36_672_345, "10:11:12"), (86_399_999, "23:59:59")] {
            assert_eq!(text(&|out| write_time(ms, out)), expected);
        }
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000"),
            (-1, "1969-12-31T23:59:59.999"),
            (1_582_971_072_345, "2020-02-29T10:11:12.345"),
            (253_402_300_800_000, "+10000-01-01T00:00:00.000"),
            (i64::MAX, "+292278994-08-17T07:12:55.807"),
        ] {
            assert_eq!(text(&|out| write_timestamp(ms, out)), expected);
        }
        write_timestamp(i64::MIN, &mut String::new());
        write_date(i32::MIN, &mut String::new());
        write_time(i32::MIN, &mut String::new());
    }
}
