//! Calendar arithmetic that patterns need beyond [`crate::types::text`]: weekdays, days of the year, weeks.
//!
//! Weeks begin on Sunday and the week of 1 January is the year's first, as in Java's en_US.

pub(super) use crate::types::text::{DAY_MS, civil_from_days, days_from_civil, days_in_month};

/// 1 for Monday to 7 for Sunday.
pub(super) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// 1 for 1 January.
pub(super) fn day_of_year(days: i64) -> i64 {
    let (year, ..) = civil_from_days(days);
    days - days_from_civil(year, 1, 1) + 1
}

pub(super) fn is_leap(year: i64) -> bool {
    days_in_month(year, 2) == 29
}

/// The Sunday on or before a day.
pub(super) fn week_start(days: i64) -> i64 {
    days - iso_weekday(days) % 7
}

/// The first day of a week-based year: the Sunday on or before 1 January.
pub(super) fn week_year_start(year: i64) -> i64 {
    week_start(days_from_civil(year, 1, 1))
}

/// Week-based year and week, from 1.
pub(super) fn week_based(days: i64) -> (i64, i64) {
    let (mut year, ..) = civil_from_days(days);
    if days >= week_year_start(year + 1) {
        year += 1;
    }
    (year, (days - week_year_start(year)) / 7 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_sunday() {
        for (days, weekday, week) in
            [(0, 4, (1970, 1)), (-1, 3, (1970, 1)), (19_782, 4, (2024, 9)), (18_714, 7, (2021, 14)), (2_932_896, 5, (10_000, 1))]
        {
            assert_eq!((iso_weekday(days), week_based(days)), (weekday, week), "{days}");
        }
        assert_eq!((day_of_year(19_782), is_leap(2024), is_leap(1900)), (60, true, false));
    }
}
