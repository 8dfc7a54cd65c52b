//! The fields that a pattern names, and their values in a date, a time and an offset.

use super::calendar;

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Field {
    NanoOfSecond,
    NanoOfDay,
    MilliOfSecond,
    MilliOfDay,
    SecondOfMinute,
    MinuteOfHour,
    HourOfAmPm,
    ClockHourOfAmPm,
    HourOfDay,
    ClockHourOfDay,
    AmPmOfDay,
    /// Monday is 1.
    DayOfWeek,
    /// Which seven days of the month, counted from its first: day 9 is in the second.
    AlignedDayOfWeekInMonth,
    DayOfMonth,
    DayOfYear,
    EpochDay,
    ModifiedJulianDay,
    MonthOfYear,
    YearOfEra,
    Year,
    Era,
    OffsetSeconds,
    QuarterOfYear,
    /// Sunday is 1.
    LocalDayOfWeek,
    WeekOfMonth,
    WeekOfYear,
    WeekBasedYear,
}

/// A point in time as a pattern sees it: what is `None` has no such fields.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub date: Option<i64>,
    /// Nanoseconds of the day.
    pub nanos: Option<i64>,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

impl Moment {
    /// The field's value; `None` where the moment has no such field.
    pub fn get(&self, field: Field) -> Option<i64> {
        match field {
            Field::OffsetSeconds => self.offset.map(i64::from),
            _ if field.is_time() => self.nanos.and_then(|nanos| time_field(nanos, field)),
            _ => self.date.and_then(|days| date_field(days, field)),
        }
    }
}

impl Field {
    /// Part of a time of day.
    pub fn is_time(self) -> bool {
        self <= Field::AmPmOfDay
    }

    /// The values that the field can have, and its name for messages.
    pub fn range(self) -> (i64, i64) {
        match self {
            Field::NanoOfSecond => (0, 999_999_999),
            Field::NanoOfDay => (0, 86_399_999_999_999),
            Field::MilliOfSecond => (0, 999),
            Field::MilliOfDay => (0, 86_399_999),
            Field::SecondOfMinute | Field::MinuteOfHour => (0, 59),
            Field::HourOfAmPm => (0, 11),
            Field::ClockHourOfAmPm => (1, 12),
            Field::HourOfDay => (0, 23),
            Field::ClockHourOfDay => (1, 24),
            Field::AmPmOfDay | Field::Era => (0, 1),
            Field::DayOfWeek | Field::AlignedDayOfWeekInMonth | Field::LocalDayOfWeek => (1, 7),
            Field::DayOfMonth => (1, 31),
            Field::DayOfYear => (1, 366),
            Field::EpochDay | Field::ModifiedJulianDay => (-365_243_219_162, 365_241_780_471),
            Field::MonthOfYear => (1, 12),
            Field::YearOfEra => (1, 1_000_000_000),
            Field::Year | Field::WeekBasedYear => (-999_999_999, 999_999_999),
            Field::OffsetSeconds => (-64_800, 64_800),
            Field::QuarterOfYear => (1, 4),
            Field::WeekOfMonth => (0, 6),
            Field::WeekOfYear => (1, 53),
        }
    }

    /// The value, if the field can have it.
    ///
    /// # Errors
    /// Names the field, its range and the value.
    pub fn check(self, value: i64) -> Result<i64, String> {
        let (min, max) = self.range();
        if (min..=max).contains(&value) {
            Ok(value)
        } else {
            Err(format!("Invalid value for {self:?} (valid values {min} - {max}): {value}"))
        }
    }
}

fn time_field(nanos: i64, field: Field) -> Option<i64> {
    let seconds = nanos / 1_000_000_000;
    let hour = seconds / 3600;
    Some(match field {
        Field::NanoOfSecond => nanos % 1_000_000_000,
        Field::NanoOfDay => nanos,
        Field::MilliOfSecond => nanos / 1_000_000 % 1000,
        Field::MilliOfDay => nanos / 1_000_000,
        Field::SecondOfMinute => seconds % 60,
        Field::MinuteOfHour => seconds / 60 % 60,
        Field::HourOfAmPm => hour % 12,
        Field::ClockHourOfAmPm => (hour + 11) % 12 + 1,
        Field::HourOfDay => hour,
        Field::ClockHourOfDay => (hour + 23) % 24 + 1,
        Field::AmPmOfDay => hour / 12,
        _ => return None,
    })
}

fn date_field(days: i64, field: Field) -> Option<i64> {
    let (year, month, day) = calendar::civil_from_days(days);
    let (month, day) = (i64::from(month), i64::from(day));
    Some(match field {
        Field::DayOfWeek => calendar::iso_weekday(days),
        Field::LocalDayOfWeek => calendar::iso_weekday(days) % 7 + 1,
        Field::AlignedDayOfWeekInMonth => (day - 1) % 7 + 1,
        Field::DayOfMonth => day,
        Field::DayOfYear => calendar::day_of_year(days),
        Field::EpochDay => days,
        Field::ModifiedJulianDay => days + 40_587,
        Field::MonthOfYear => month,
        Field::QuarterOfYear => (month - 1) / 3 + 1,
        Field::Year => year,
        Field::YearOfEra => {
            if year > 0 {
                year
            } else {
                1 - year
            }
        }
        Field::Era => i64::from(year > 0),
        Field::WeekOfMonth => {
            let first = calendar::days_from_civil(year, u32::try_from(month).ok()?, 1);
            (days - calendar::week_start(first)) / 7 + 1
        }
        Field::WeekOfYear => calendar::week_based(days).1,
        Field::WeekBasedYear => calendar::week_based(days).0,
        _ => return None,
    })
}
