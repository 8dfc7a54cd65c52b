//! From fields to a date as Java's lenient `GregorianCalendar` does it: of several ways to name a day the one counts
//! whose field was set last, values past their range carry over, dates before 15 October 1582 are Julian. Weeks begin on
//! Sunday, and the week of 1 January is the first.

use super::super::calendar::{DAY_MS, days_from_civil, days_in_month};
use super::super::zone::Zone;

/// 15 October 1582, the first day of the Gregorian calendar, in days since 1970-01-01.
const CUTOVER: i64 = -141_427;
const CUTOVER_YEAR: i64 = 1582;
/// 1 January of the year 1 in the Julian calendar, in days since 1970-01-01.
const JULIAN_EPOCH: i64 = -719_164;

/// A field of the calendar, numbered as there: months from 0, weekdays from 1 for Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Era,
    Year,
    Month,
    DayOfMonth,
    DayOfYear,
    DayOfWeek,
    DayOfWeekInMonth,
    WeekOfMonth,
    WeekOfYear,
    AmPm,
    Hour,
    HourOfDay,
    Minute,
    Second,
    Millisecond,
}

/// The fields that were set, in that order.
#[derive(Debug, Default)]
pub(super) struct Fields {
    set: Vec<(Field, i64)>,
    pub zone: Option<Zone>,
}

/// What names the day.
enum Day {
    OfMonth,
    OfYear,
    WeekOfMonth,
    WeekdayInMonth,
    WeekOfYear,
}

impl Fields {
    pub fn set(&mut self, field: Field, value: i64) {
        self.set.retain(|(other, _)| *other != field);
        self.set.push((field, value));
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.set.iter().find(|(other, _)| *other == field).map(|(_, value)| *value)
    }

    /// When the field was set: 0 is never.
    fn stamp(&self, field: Field) -> usize {
        self.set.iter().position(|(other, _)| *other == field).map_or(0, |index| index + 1)
    }

    /// When the later of two fields was set; 0 where one never was.
    fn together(&self, one: Field, other: Field) -> usize {
        let (one, other) = (self.stamp(one), self.stamp(other));
        if one == 0 || other == 0 { 0 } else { one.max(other) }
    }

    /// Milliseconds since the epoch.
    ///
    /// # Errors
    /// The date is too far away.
    pub fn resolve(&self) -> Result<i64, String> {
        let of_day = self.time_of_day();
        let year = self.get(Field::Year).unwrap_or(1970);
        let year = if self.get(Field::Era) == Some(0) { 1 - year } else { year };
        let gregorian = self.date(year, days_from_civil, days_in_month);
        let julian = self.date(year, julian_days, julian_days_in_month);
        let carried = of_day.div_euclid(DAY_MS);
        let by_year = matches!(self.day(), Day::OfYear | Day::WeekOfYear);
        let days = if year > CUTOVER_YEAR && gregorian + carried >= CUTOVER {
            gregorian
        } else if year < CUTOVER_YEAR || by_year {
            julian
        } else if gregorian + carried >= CUTOVER && julian + carried >= CUTOVER {
            gregorian
        } else {
            julian
        };
        let local = days.checked_mul(DAY_MS).and_then(|ms| ms.checked_add(of_day)).ok_or("The date is out of range")?;
        Ok(self.zone.map_or(local, |zone| zone.instant_of_local(local)))
    }

    fn time_of_day(&self) -> i64 {
        // An hour of a half counts together with its half, where there is an hour of the day as well.
        let of_half = self.together(Field::Hour, Field::AmPm);
        let hour_of_day = self.stamp(Field::HourOfDay);
        let hours = if hour_of_day > 0 && hour_of_day >= of_half {
            self.get(Field::HourOfDay).unwrap_or(0)
        } else {
            self.get(Field::Hour).unwrap_or(0) + 12 * self.get(Field::AmPm).unwrap_or(0)
        };
        let part = |field: Field| self.get(field).unwrap_or(0);
        ((hours * 60 + part(Field::Minute)) * 60 + part(Field::Second)) * 1000 + part(Field::Millisecond)
    }

    /// Which fields name the day: those that were set last. A week counts together with its weekday.
    fn day(&self) -> Day {
        let weekday = self.stamp(Field::DayOfWeek);
        let week = |field: Field| self.together(field, Field::DayOfWeek);
        let (of_month, of_year) = (self.stamp(Field::DayOfMonth), self.stamp(Field::DayOfYear));
        let (mut in_month, mut weekday_in_month, mut in_year) =
            (week(Field::WeekOfMonth), week(Field::DayOfWeekInMonth), week(Field::WeekOfYear));
        let mut best = [of_month, in_month, weekday_in_month, of_year, in_year].into_iter().max().unwrap_or(0);
        if best == 0 {
            // No whole combination: a week alone, or a weekday as the first one in the month.
            in_month = self.stamp(Field::WeekOfMonth);
            weekday_in_month = self.stamp(Field::DayOfWeekInMonth).max(weekday);
            in_year = self.stamp(Field::WeekOfYear);
            best = in_month.max(weekday_in_month).max(in_year);
            if best == 0 {
                return Day::OfMonth;
            }
        }
        let after_year = |field: Field| self.stamp(field) >= self.stamp(Field::WeekOfYear);
        if best == of_month {
            Day::OfMonth
        } else if best == in_month && after_year(Field::WeekOfMonth) {
            if in_month == weekday_in_month && self.stamp(Field::WeekOfMonth) < self.stamp(Field::DayOfWeekInMonth) {
                Day::WeekdayInMonth
            } else {
                Day::WeekOfMonth
            }
        } else if best == weekday_in_month && after_year(Field::DayOfWeekInMonth) {
            Day::WeekdayInMonth
        } else if best == of_year {
            Day::OfYear
        } else {
            Day::WeekOfYear
        }
    }

    /// Days since 1970-01-01, where months begin and last as the calendar's functions say.
    fn date(&self, year: i64, first_day: fn(i64, u32, u32) -> i64, month_days: fn(i64, u32) -> u32) -> i64 {
        let day = self.day();
        let weekday = self.get(Field::DayOfWeek);
        let with_month = !matches!(day, Day::OfYear | Day::WeekOfYear);
        let month = if with_month { self.get(Field::Month).unwrap_or(0) } else { 0 };
        let year = year + month.div_euclid(12);
        let month = u32::try_from(month.rem_euclid(12)).unwrap_or(0) + 1;
        let first = first_day(year, month, 1);
        match day {
            Day::OfMonth => first + self.get(Field::DayOfMonth).unwrap_or(1) - 1,
            Day::OfYear => first + self.get(Field::DayOfYear).unwrap_or(1) - 1,
            Day::WeekOfMonth | Day::WeekOfYear => {
                let week = if with_month { Field::WeekOfMonth } else { Field::WeekOfYear };
                // The Sunday on or before the first day begins its week, for a first week may have a single day.
                let sunday = on_or_before(first, 1);
                let begin = weekday.map_or(sunday, |weekday| on_or_before(sunday + 6, weekday));
                begin + 7 * (self.get(week).unwrap_or(1) - 1)
            }
            Day::WeekdayInMonth => {
                let weekday = weekday.unwrap_or(1);
                match self.get(Field::DayOfWeekInMonth).unwrap_or(1) {
                    nth @ 0.. => on_or_before(first + 7 * nth - 1, weekday),
                    nth => on_or_before(first + i64::from(month_days(year, month)) + 7 * (nth + 1) - 1, weekday),
                }
            }
        }
    }
}

/// The last day that is a given weekday (1 for Sunday; others carry over) and not after `days`.
fn on_or_before(days: i64, weekday: i64) -> i64 {
    // 1 January 1970 was a Thursday.
    days - (days + 4 - (weekday - 1)).rem_euclid(7)
}

fn julian_days(year: i64, month: u32, day: u32) -> i64 {
    let before = year - 1;
    let months: i64 = (1..month).map(|month| i64::from(julian_days_in_month(year, month))).sum();
    JULIAN_EPOCH + before * 365 + before.div_euclid(4) + months + i64::from(day) - 1
}

fn julian_days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year.rem_euclid(4) == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
