//! Time zones by the ids that Java takes: regions (`Europe/Paris`), offsets (`+02:00`, `-0330`), offsets behind a prefix
//! (`UTC+2`).

use std::fmt;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

use super::calendar::{DAY_MS, civil_from_days, days_from_civil, is_leap, iso_weekday};

/// The largest offset from UTC, in seconds.
const MAX_OFFSET_SECONDS: i32 = 18 * 3600;

/// Ids that the zone database has and Java leaves out.
const NOT_IN_JAVA: &[&str] = &["EST", "MST", "HST", "ROC"];

/// Where the zone database's rules still change; later years repeat them.
const LAST_RULE_YEAR: i64 = 2092;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// A region with its rules.
    Region(Tz),
    /// Seconds east of UTC.
    Offset(i32),
    /// The same behind `UTC`, `GMT` or `UT`, which stays part of the id.
    Prefixed(&'static str, i32),
}

impl Zone {
    /// Coordinated universal time, as the region `UTC`.
    pub const UTC: Zone = Zone::Region(Tz::UTC);

    /// Greenwich, which is what ksqlDB's functions write in where no zone is given: `VV z` prints `GMT GMT`.
    pub const GMT: Zone = Zone::Region(Tz::GMT);

    /// The zone of an id, as Java's `ZoneId.of` reads it (case counts).
    ///
    /// # Errors
    /// Names the id.
    pub fn parse(id: &str) -> Result<Zone, String> {
        let unknown = || format!("Unknown time-zone ID: {id}");
        if id == "Z" {
            return Ok(Zone::Offset(0));
        }
        if id.starts_with(['+', '-']) {
            return parse_offset(id).map(Zone::Offset).ok_or_else(unknown);
        }
        for prefix in ["UTC", "GMT", "UT"] {
            if let Some(rest) = id.strip_prefix(prefix)
                && rest.starts_with(['+', '-'])
            {
                return parse_offset(rest).map(|offset| Zone::Prefixed(prefix, offset)).ok_or_else(unknown);
            }
        }
        if id == "UT" {
            return Ok(Zone::Prefixed("UT", 0));
        }
        if NOT_IN_JAVA.contains(&id) {
            return Err(unknown());
        }
        id.strip_prefix("SystemV/").and_then(system_v).unwrap_or(id).parse::<Tz>().map(Zone::Region).map_err(|_| unknown())
    }

    /// Seconds east of UTC at an instant (milliseconds since the epoch).
    pub fn offset_at(&self, ms: i64) -> i32 {
        match self {
            Zone::Offset(seconds) | Zone::Prefixed(_, seconds) => *seconds,
            Zone::Region(tz) => {
                let at = DateTime::from_timestamp_millis(with_rules(ms)).unwrap_or_default();
                tz.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
            }
        }
    }

    /// The instant of a local date and time, both in milliseconds since the epoch. A time that the clocks skip moves on by
    /// as much as they do; one that comes twice is the first.
    pub fn instant_of_local(&self, local_ms: i64) -> i64 {
        let to_instant = |offset: i32| local_ms.saturating_sub(i64::from(offset) * 1000);
        let before = self.offset_at(local_ms.saturating_sub(DAY_MS));
        let after = self.offset_at(local_ms.saturating_add(DAY_MS));
        let holds = |offset: i32| self.offset_at(to_instant(offset)) == offset;
        if before != after && !holds(before) && holds(after) { to_instant(after) } else { to_instant(before) }
    }

    /// The zone's short name at an instant: `BST`, `UTC`; an offset's own spelling.
    pub fn short_name(&self, ms: i64) -> String {
        match self {
            Zone::Region(tz) => {
                let at = DateTime::from_timestamp_millis(with_rules(ms)).unwrap_or_default();
                match tz.offset_from_utc_datetime(&at.naive_utc()).abbreviation() {
                    Some(name) if !name.starts_with(['+', '-']) => name.to_owned(),
                    _ => localized_offset(self.offset_at(ms), true),
                }
            }
            _ => self.to_string(),
        }
    }

    /// The zone that short names such as `CEST` are read as.
    pub(super) fn by_short_name(name: &str) -> Option<Zone> {
        let region = match name.to_ascii_uppercase().as_str() {
            "UTC" | "GMT" => return Some(Zone::Region(if name.eq_ignore_ascii_case("UTC") { Tz::UTC } else { Tz::GMT })),
            "EST" | "EDT" => Tz::America__New_York,
            "CST" | "CDT" => Tz::America__Chicago,
            "MST" | "MDT" => Tz::America__Denver,
            "PST" | "PDT" => Tz::America__Los_Angeles,
            "AKST" | "AKDT" => Tz::America__Anchorage,
            "HST" => Tz::Pacific__Honolulu,
            "BST" => Tz::Europe__London,
            "WET" | "WEST" => Tz::Atlantic__Canary,
            "CET" | "CEST" => Tz::Europe__Paris,
            "EET" | "EEST" => Tz::Europe__Bucharest,
            "MSK" => Tz::Europe__Moscow,
            "IST" => Tz::Asia__Kolkata,
            "SGT" => Tz::Asia__Singapore,
            "HKT" => Tz::Asia__Hong_Kong,
            "JST" => Tz::Asia__Tokyo,
            "KST" => Tz::Asia__Seoul,
            "AWST" => Tz::Australia__Perth,
            "ACST" | "ACDT" => Tz::Australia__Adelaide,
            "AEST" | "AEDT" => Tz::Australia__Sydney,
            "NZST" | "NZDT" => Tz::Pacific__Auckland,
            "SAST" => Tz::Africa__Johannesburg,
            _ => return None,
        };
        Some(Zone::Region(region))
    }
}

impl fmt::Display for Zone {
    /// The id, as `VV` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Region(tz) => f.write_str(tz.name()),
            Zone::Offset(0) => f.write_str("Z"),
            Zone::Offset(seconds) => f.write_str(&colon_offset(*seconds)),
            Zone::Prefixed(prefix, 0) => f.write_str(prefix),
            Zone::Prefixed(prefix, seconds) => write!(f, "{prefix}{}", colon_offset(*seconds)),
        }
    }
}

/// `+02:00`, or `+02:00:30` where there are seconds.
fn colon_offset(seconds: i32) -> String {
    let magnitude = seconds.abs();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (magnitude / 3600, magnitude / 60 % 60, magnitude % 60);
    if rest == 0 { format!("{sign}{hours:02}:{minutes:02}") } else { format!("{sign}{hours:02}:{minutes:02}:{rest:02}") }
}

/// `GMT+2` (short) or `GMT+02:00`.
pub(super) fn localized_offset(seconds: i32, full: bool) -> String {
    if seconds == 0 {
        return "GMT".to_owned();
    }
    if full {
        return format!("GMT{}", colon_offset(seconds));
    }
    let magnitude = seconds.abs();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (magnitude / 3600, magnitude / 60 % 60, magnitude % 60);
    match (minutes, rest) {
        (0, 0) => format!("GMT{sign}{hours}"),
        (_, 0) => format!("GMT{sign}{hours}:{minutes:02}"),
        _ => format!("GMT{sign}{hours}:{minutes:02}:{rest:02}"),
    }
}

/// Seconds of `+h`, `+hh`, `+hhmm`, `+hh:mm`, `+hhmmss` and `+hh:mm:ss`.
fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = if let Some(rest) = text.strip_prefix('-') { (-1, rest) } else { (1, text.strip_prefix('+')?) };
    let part = |range: std::ops::Range<usize>| {
        let digits = digits.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i32>().ok())?
    };
    let colon = |at: usize| digits.as_bytes().get(at) == Some(&b':');
    let (hours, minutes, seconds) = match digits.len() {
        1 => (part(0..1)?, 0, 0),
        2 => (part(0..2)?, 0, 0),
        4 => (part(0..2)?, part(2..4)?, 0),
        5 if colon(2) => (part(0..2)?, part(3..5)?, 0),
        6 => (part(0..2)?, part(2..4)?, part(4..6)?),
        8 if colon(2) && colon(5) => (part(0..2)?, part(3..5)?, part(6..8)?),
        _ => return None,
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= MAX_OFFSET_SECONDS).then_some(sign * total)
}

/// Java's `SystemV/` names of American zones, which always keep the present rules here.
fn system_v(name: &str) -> Option<&'static str> {
    Some(match name {
        "AST4ADT" => "America/Halifax",
        "EST5EDT" => "America/New_York",
        "CST6CDT" => "America/Chicago",
        "MST7MDT" => "America/Denver",
        "PST8PDT" => "America/Los_Angeles",
        "YST9YDT" => "America/Anchorage",
        "AST4" => "America/Puerto_Rico",
        "EST5" => "America/Panama",
        "CST6" => "America/Regina",
        "MST7" => "America/Phoenix",
        "PST8" => "Pacific/Pitcairn",
        "YST9" => "Pacific/Gambier",
        "HST10" => "Pacific/Honolulu",
        _ => return None,
    })
}

/// An instant in a year whose rules are known: later years stand for one of the last 28 with the same calendar.
fn with_rules(ms: i64) -> i64 {
    let days = ms.div_euclid(DAY_MS);
    let (year, month, day) = civil_from_days(days);
    if (-200_000..=LAST_RULE_YEAR).contains(&year) {
        return ms;
    }
    if year < 0 {
        return -10_000_000_000_000;
    }
    let january = iso_weekday(days_from_civil(year, 1, 1));
    let same =
        (LAST_RULE_YEAR - 27..=LAST_RULE_YEAR).find(|y| is_leap(*y) == is_leap(year) && iso_weekday(days_from_civil(*y, 1, 1)) == january);
    days_from_civil(same.unwrap_or(LAST_RULE_YEAR), month, day) * DAY_MS + ms.rem_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_java_reads_them() {
        for (id, shown) in [
            ("UTC", "UTC"),
            ("Z", "Z"),
            ("UT", "UT"),
            ("EST5EDT", "EST5EDT"),
            ("UTC+2", "UTC+02:00"),
            ("UTC+0200", "UTC+02:00"),
            ("GMT0", "GMT0"),
            ("GMT+0", "GMT"),
            ("Etc/GMT+2", "Etc/GMT+2"),
            ("+2", "+02:00"),
            ("+0200", "+02:00"),
            ("+02:00:30", "+02:00:30"),
            ("-03:30", "-03:30"),
            ("+18:00", "+18:00"),
            ("US/Pacific", "US/Pacific"),
        ] {
            assert_eq!(Zone::parse(id).map(|zone| zone.to_string()), Ok(shown.to_owned()), "{id}");
        }
        for id in ["EST", "MST", "ROC", "+19", "+18:01", "utc", "europe/paris", "Nowhere/City", "PST", "", "+1:00", "+"] {
            assert!(Zone::parse(id).is_err(), "{id}");
        }
    }

    #[test]
    fn rules_go_on_for_ever() {
        let paris = Zone::Region(Tz::Europe__Paris);
        for (date, offset) in [
            ((2021, 7, 1), 7200),
            ((2021, 1, 1), 3600),
            ((2099, 7, 1), 7200),
            ((2500, 7, 1), 7200),
            ((2500, 12, 1), 3600),
            ((250_000_000, 7, 1), 7200),
        ] {
            assert_eq!(paris.offset_at(days_from_civil(date.0, date.1, date.2) * DAY_MS), offset, "{date:?}");
        }
    }

    #[test]
    fn skipped_times_move_on_and_double_ones_are_the_first() {
        let paris = Zone::Region(Tz::Europe__Paris);
        let local = |y, m, d, minutes: i64| days_from_civil(y, m, d) * DAY_MS + minutes * 60_000;
        assert_eq!(paris.instant_of_local(local(2021, 3, 28, 150)), 1_616_895_000_000);
        assert_eq!(paris.instant_of_local(local(2021, 10, 31, 150)), 1_635_640_200_000);
        assert_eq!(paris.instant_of_local(local(2021, 3, 28, 119)), 1_616_893_140_000);
        assert_eq!(paris.instant_of_local(local(2021, 3, 28, 180)), 1_616_893_200_000);
        assert_eq!(paris.instant_of_local(local(2021, 10, 31, 180)), 1_635_645_600_000);
    }
}
