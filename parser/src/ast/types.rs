//! SQL types as written, before user types are resolved.

use super::Ident;

/// A type as written. `Custom` is a user type made by `CREATE TYPE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    Boolean,
    Int,
    BigInt,
    Double,
    /// Precision and scale, in digits.
    Decimal {
        precision: u32,
        scale: u32,
    },
    String,
    Bytes,
    Time,
    Date,
    Timestamp,
    Array(Box<DataType>),
    Map(Box<DataType>, Box<DataType>),
    Struct(Vec<(Ident, DataType)>),
    Custom(Ident),
}

/// Unit of a duration in windows and in date functions (`TIMESTAMPADD(HOURS, 1, ts)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntervalUnit {
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
    /// Only in date functions.
    Weeks,
    /// Only in date functions.
    Months,
    /// Only in date functions.
    Years,
}
