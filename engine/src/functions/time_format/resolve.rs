//! From the fields that a text gave to a date and a time, by the rules of Java's SMART resolver: a day past the month's
//! end becomes its last, 24:00 is the next day's midnight, contradictions are errors.

use super::calendar::{self, DAY_MS};
use super::field::{Field, Moment};
use super::parse::Parsed;

const NANOS_PER_DAY: i64 = DAY_MS * 1_000_000;

/// What fields say together. `left` are those that make no whole date or time.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolved {
    /// Days since 1970-01-01.
    pub date: Option<i64>,
    /// Nanoseconds of the day.
    pub nanos: Option<i64>,
    pub left: Parsed,
}

/// Resolves the fields.
///
/// # Errors
/// A value out of its field's range, or fields that contradict each other.
pub(super) fn resolve(mut parsed: Parsed) -> Result<Resolved, String> {
    let date = resolve_date(&mut parsed)?;
    resolve_time_fields(&mut parsed)?;
    let time = resolve_time(&mut parsed)?;
    for (field, value) in &parsed.fields {
        if field.is_time() {
            field.check(*value)?;
        }
    }
    let (mut nanos, mut next_day) = (time, false);
    if nanos == Some(NANOS_PER_DAY) {
        (nanos, next_day) = (Some(0), true);
    }
    let moment = Moment { date, nanos, offset: None };
    for (field, value) in &parsed.fields {
        if let Some(derived) = moment.get(*field)
            && derived != *value
        {
            return Err(format!("Conflict found: Field {field:?} {value} differs from {field:?} {derived}"));
        }
    }
    parsed.fields.retain(|(field, _)| moment.get(*field).is_none());
    let date = if next_day { date.map(|days| days + 1) } else { date };
    Ok(Resolved { date, nanos, left: parsed })
}

fn set(parsed: &mut Parsed, field: Field, value: i64, from: Field) -> Result<(), String> {
    if parsed.set(field, value) { Ok(()) } else { Err(format!("Conflict found: {field:?} differs from the value that {from:?} gives")) }
}

fn resolve_date(parsed: &mut Parsed) -> Result<Option<i64>, String> {
    if let Some(day) = parsed.take(Field::LocalDayOfWeek) {
        let day = Field::LocalDayOfWeek.check(day)?;
        set(parsed, Field::DayOfWeek, (day + 5) % 7 + 1, Field::LocalDayOfWeek)?;
    }
    if let Some(day) = parsed.take(Field::ModifiedJulianDay) {
        return Ok(Some(Field::EpochDay.check(day.saturating_sub(40_587))?));
    }
    if let Some(of_era) = parsed.take(Field::YearOfEra) {
        let of_era = Field::YearOfEra.check(of_era)?;
        let year = match parsed.take(Field::Era) {
            Some(0) => 1 - of_era,
            Some(_) => of_era,
            None if parsed.get(Field::Year).is_none_or(|year| year > 0) => of_era,
            None => 1 - of_era,
        };
        set(parsed, Field::Year, year, Field::YearOfEra)?;
    }
    if let Some(date) = resolve_week_date(parsed)? {
        return Ok(Some(date));
    }
    let Some(year) = parsed.get(Field::Year) else { return Ok(None) };
    if let (Some(month), Some(day)) = (parsed.get(Field::MonthOfYear), parsed.get(Field::DayOfMonth)) {
        let year = Field::Year.check(year)?;
        let month = u32::try_from(Field::MonthOfYear.check(month)?).unwrap_or(1);
        let day = u32::try_from(Field::DayOfMonth.check(day)?).unwrap_or(1);
        let day = day.min(calendar::days_in_month(year, month));
        for field in [Field::Year, Field::MonthOfYear, Field::DayOfMonth] {
            parsed.take(field);
        }
        return Ok(Some(calendar::days_from_civil(year, month, day)));
    }
    if let Some(day) = parsed.get(Field::DayOfYear) {
        let year = Field::Year.check(year)?;
        let day = Field::DayOfYear.check(day)?;
        if day == 366 && !calendar::is_leap(year) {
            return Err(format!("Invalid date 'DayOfYear 366' as '{year}' is not a leap year"));
        }
        for field in [Field::Year, Field::DayOfYear] {
            parsed.take(field);
        }
        return Ok(Some(calendar::days_from_civil(year, 1, 1) + day - 1));
    }
    Ok(None)
}

/// Dates by week: week-based year, week and weekday; or year, month, week of the month and weekday.
fn resolve_week_date(parsed: &mut Parsed) -> Result<Option<i64>, String> {
    let Some(weekday) = parsed.get(Field::DayOfWeek) else { return Ok(None) };
    let from_sunday = Field::DayOfWeek.check(weekday)? % 7;
    if let (Some(year), Some(week)) = (parsed.get(Field::WeekBasedYear), parsed.get(Field::WeekOfYear)) {
        let year = Field::WeekBasedYear.check(year)?;
        let week = Field::WeekOfYear.check(week)?;
        let date = calendar::week_year_start(year) + (week - 1) * 7 + from_sunday;
        for field in [Field::WeekBasedYear, Field::WeekOfYear, Field::DayOfWeek] {
            parsed.take(field);
        }
        return Ok(Some(date));
    }
    if let (Some(year), Some(month), Some(week)) = (parsed.get(Field::Year), parsed.get(Field::MonthOfYear), parsed.get(Field::WeekOfMonth))
    {
        let month = u32::try_from(Field::MonthOfYear.check(month)?).unwrap_or(1);
        let week = Field::WeekOfMonth.check(week)?;
        let first = calendar::days_from_civil(Field::Year.check(year)?, month, 1);
        let date = calendar::week_start(first) + (week - 1) * 7 + from_sunday;
        for field in [Field::Year, Field::MonthOfYear, Field::WeekOfMonth, Field::DayOfWeek] {
            parsed.take(field);
        }
        return Ok(Some(date));
    }
    Ok(None)
}

/// Splits and joins time fields until only hours, minutes, seconds and nanoseconds are left, or halves of them.
fn resolve_time_fields(parsed: &mut Parsed) -> Result<(), String> {
    for (clock, plain, full) in [(Field::ClockHourOfDay, Field::HourOfDay, 24), (Field::ClockHourOfAmPm, Field::HourOfAmPm, 12)] {
        if let Some(hour) = parsed.take(clock) {
            if hour != 0 {
                clock.check(hour)?;
            }
            set(parsed, plain, if hour == full { 0 } else { hour }, clock)?;
        }
    }
    if let (Some(half), Some(hour)) = (parsed.get(Field::AmPmOfDay), parsed.get(Field::HourOfAmPm)) {
        parsed.take(Field::AmPmOfDay);
        parsed.take(Field::HourOfAmPm);
        let hour = Field::AmPmOfDay.check(half)? * 12 + Field::HourOfAmPm.check(hour)?;
        set(parsed, Field::HourOfDay, hour, Field::AmPmOfDay)?;
    }
    let no_time = [Field::HourOfDay, Field::MinuteOfHour, Field::SecondOfMinute, Field::NanoOfSecond]
        .iter()
        .all(|field| parsed.get(*field).is_none());
    if no_time && let Some(half) = parsed.take(Field::AmPmOfDay) {
        // A half of the day alone is its middle.
        set(parsed, Field::HourOfDay, Field::AmPmOfDay.check(half)? * 12 + 6, Field::AmPmOfDay)?;
    }
    if let Some(nanos) = parsed.take(Field::NanoOfDay) {
        let nanos = Field::NanoOfDay.check(nanos)?;
        set_seconds(parsed, nanos / 1_000_000_000, Field::NanoOfDay)?;
        set(parsed, Field::NanoOfSecond, nanos % 1_000_000_000, Field::NanoOfDay)?;
    }
    if let Some(millis) = parsed.take(Field::MilliOfDay) {
        let millis = Field::MilliOfDay.check(millis)?;
        set_seconds(parsed, millis / 1000, Field::MilliOfDay)?;
        set(parsed, Field::MilliOfSecond, millis % 1000, Field::MilliOfDay)?;
    }
    if let (Some(nanos), Some(millis)) = (parsed.get(Field::NanoOfSecond), parsed.get(Field::MilliOfSecond)) {
        parsed.take(Field::MilliOfSecond);
        if Field::NanoOfSecond.check(nanos)? / 1_000_000 != millis {
            return Err("Conflict found: MilliOfSecond differs from NanoOfSecond".to_owned());
        }
    }
    if let Some(millis) = parsed.take(Field::MilliOfSecond) {
        set(parsed, Field::NanoOfSecond, millis * 1_000_000, Field::MilliOfSecond)?;
    }
    Ok(())
}

fn set_seconds(parsed: &mut Parsed, seconds: i64, from: Field) -> Result<(), String> {
    set(parsed, Field::HourOfDay, seconds / 3600, from)?;
    set(parsed, Field::MinuteOfHour, seconds / 60 % 60, from)?;
    set(parsed, Field::SecondOfMinute, seconds % 60, from)
}

/// The time of day, where there are an hour and no gaps below it. A whole day means 24:00.
fn resolve_time(parsed: &mut Parsed) -> Result<Option<i64>, String> {
    let Some(hour) = parsed.get(Field::HourOfDay) else { return Ok(None) };
    let (minute, second, nano) = (parsed.get(Field::MinuteOfHour), parsed.get(Field::SecondOfMinute), parsed.get(Field::NanoOfSecond));
    if (minute.is_none() && (second.is_some() || nano.is_some())) || (minute.is_some() && second.is_none() && nano.is_some()) {
        return Ok(None);
    }
    for field in [Field::HourOfDay, Field::MinuteOfHour, Field::SecondOfMinute, Field::NanoOfSecond] {
        parsed.take(field);
    }
    let (minute, second, nano) = (minute.unwrap_or(0), second.unwrap_or(0), nano.unwrap_or(0));
    if (hour, minute, second, nano) == (24, 0, 0, 0) {
        return Ok(Some(NANOS_PER_DAY));
    }
    let seconds = Field::HourOfDay.check(hour)? * 3600 + Field::MinuteOfHour.check(minute)? * 60 + Field::SecondOfMinute.check(second)?;
    Ok(Some(seconds * 1_000_000_000 + Field::NanoOfSecond.check(nano)?))
}

/// Fills up what is missing from 1970-01-01T00:00: milliseconds since the epoch of the local time.
///
/// # Errors
/// A value that its field can't have, the 366th day without a year, or a date too far away.
pub(super) fn local_ms(resolved: &Resolved) -> Result<i64, String> {
    let left = &resolved.left;
    let mut nanos = resolved.nanos.unwrap_or(0);
    if resolved.nanos.is_none() {
        nanos = left.get(Field::NanoOfSecond).unwrap_or(0);
        for (field, unit) in [
            (Field::SecondOfMinute, 1),
            (Field::MinuteOfHour, 60),
            (Field::HourOfAmPm, 3600),
            (Field::HourOfDay, 3600),
            (Field::AmPmOfDay, 43_200),
        ] {
            nanos += left.get(field).unwrap_or(0) * unit * 1_000_000_000;
        }
    }
    let days = match resolved.date {
        Some(days) => days,
        None => partial_date(left)?,
    };
    days.checked_mul(DAY_MS).and_then(|ms| ms.checked_add(nanos / 1_000_000)).ok_or_else(|| "The timestamp is out of range".to_owned())
}

/// A date of which parts are missing, put onto 1970-01-01 one after the other.
fn partial_date(left: &Parsed) -> Result<i64, String> {
    let mut days = 0;
    if let Some(weekday) = left.get(Field::DayOfWeek) {
        days += Field::DayOfWeek.check(weekday)? - calendar::iso_weekday(days);
    }
    if let Some(aligned) = left.get(Field::AlignedDayOfWeekInMonth) {
        let current = Moment { date: Some(days), ..Moment::default() }.get(Field::AlignedDayOfWeekInMonth).unwrap_or(1);
        days += Field::AlignedDayOfWeekInMonth.check(aligned)? - current;
    }
    let (mut year, mut month, mut day) = calendar::civil_from_days(days);
    if let Some(of_month) = left.get(Field::DayOfMonth) {
        day = u32::try_from(Field::DayOfMonth.check(of_month)?).unwrap_or(1);
        if day > calendar::days_in_month(year, month) {
            return Err(format!("Invalid date: day {day} of month {month}"));
        }
    }
    if let Some(of_year) = left.get(Field::DayOfYear) {
        if of_year == 366 {
            return Err("Leap day cannot be parsed without supplying the year field".to_owned());
        }
        (year, month, day) = calendar::civil_from_days(calendar::days_from_civil(year, 1, 1) + Field::DayOfYear.check(of_year)? - 1);
    }
    if let Some(of_year) = left.get(Field::MonthOfYear) {
        month = u32::try_from(Field::MonthOfYear.check(of_year)?).unwrap_or(1);
        day = day.min(calendar::days_in_month(year, month));
    }
    if let Some(new_year) = left.get(Field::Year) {
        year = Field::Year.check(new_year)?;
        day = day.min(calendar::days_in_month(year, month));
    }
    if left.get(Field::Era) == Some(0) && year > 0 {
        year = 1 - year;
    }
    Ok(calendar::days_from_civil(year, month, day))
}
