//! Dates, times and timestamps: reading, writing, adding, zones.

mod convert_tz;
mod dateadd;
mod datesub;
mod datetostring;
mod format_date;
mod format_time;
mod format_timestamp;
mod from_days;
mod from_unixtime;
mod parse_date;
mod parse_time;
mod parse_timestamp;
mod stringtodate;
mod stringtotimestamp;
mod timeadd;
mod times;
mod timestampadd;
mod timestampsub;
mod timestamptostring;
mod timesub;
mod unix_date;
mod unix_timestamp;

use super::{ScalarFunction, prelude};

#[cfg(test)]
use super::testing;

/// The functions of this room, by name. Adding one is its file and one line here.
pub(super) static ALL: &[&ScalarFunction] = &[
    &convert_tz::FUNCTION,
    &dateadd::FUNCTION,
    &datesub::FUNCTION,
    &datetostring::FUNCTION,
    &format_date::FUNCTION,
    &format_time::FUNCTION,
    &format_timestamp::FUNCTION,
    &from_days::FUNCTION,
    &from_unixtime::FUNCTION,
    &parse_date::FUNCTION,
    &parse_time::FUNCTION,
    &parse_timestamp::FUNCTION,
    &stringtodate::FUNCTION,
    &stringtotimestamp::FUNCTION,
    &timeadd::FUNCTION,
    &timestampadd::FUNCTION,
    &timestampsub::FUNCTION,
    &timestamptostring::FUNCTION,
    &timesub::FUNCTION,
    &unix_date::FUNCTION,
    &unix_timestamp::FUNCTION,
];
