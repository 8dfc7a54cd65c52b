//! What the date and time functions share: patterns and zones made once, units, parameters.

use std::sync::Arc;

use super::prelude::*;
use crate::functions::time_format::{TimePattern, Zone};

pub(super) const FORMAT: Param = param("formatPattern", ParamType::String, "A pattern of Java's DateTimeFormatter.");
pub(super) const ZONE: Param =
    param("timeZone", ParamType::String, "A time zone's id, such as 'Europe/Paris' or '+02:00'; UTC where it is not given.");
pub(super) const UNIT: Param = param("unit", ParamType::Unit, "DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS.");
pub(super) const INTERVAL: Param = param("interval", ParamType::Int, "How many units.");

/// Patterns by their text.
pub(super) type Patterns = Memo<TimePattern>;
/// Zones by their id.
pub(super) type Zones = Memo<Zone>;

/// Patterns for a call whose argument `index` is the pattern.
pub(super) fn patterns(call: &ConstArgs<'_>, index: usize) -> Patterns {
    Memo::new(call.constant(index), |text| {
        TimePattern::compile(text).map_err(|why| EvalError::new(format!("Invalid pattern '{text}': {why}")))
    })
}

/// Zones for a call whose argument `index` is the zone.
pub(super) fn zones(call: &ConstArgs<'_>, index: usize) -> Zones {
    Memo::new(call.constant(index), |id| Zone::parse(id).map_err(EvalError::new))
}

/// The zone in argument `index`; Greenwich where there is no such argument.
pub(super) fn zone_of(zones: &Zones, args: &Args<'_>, index: usize) -> Result<Zone, EvalError> {
    if args.values.len() <= index { Ok(Zone::GMT) } else { zones.get(args.get(index)?).map(|zone| *zone) }
}

/// The pattern in argument 1.
pub(super) fn pattern_of(patterns: &Patterns, args: &Args<'_>) -> Result<Arc<TimePattern>, EvalError> {
    patterns.get(args.get(1)?)
}

/// Writes an argument by a pattern; the inner error says why the pattern does not suit.
pub(super) type Format = fn(&Args<'_>, &TimePattern, &Zone) -> Result<Result<String, String>, EvalError>;

/// A kernel that writes argument 0 by the pattern in argument 1, in the zone of argument 2 if there is one.
pub(super) fn formatter(call: &ConstArgs<'_>, format: Format) -> Result<Kernel, EvalError> {
    let (patterns, zones) = (patterns(call, 1), zones(call, 2));
    Ok(Box::new(move |args| {
        let zone = zone_of(&zones, args, 2)?;
        let pattern = pattern_of(&patterns, args)?;
        format(args, &pattern, &zone)?.map(Value::string).map_err(EvalError::new)
    }))
}

/// A kernel that reads the text in argument 0 by the pattern in argument 1, in the zone of argument 2 if there is one.
pub(super) fn parser(call: &ConstArgs<'_>, parse: fn(&str, &TimePattern, &Zone) -> Result<Value, String>) -> Result<Kernel, EvalError> {
    let (patterns, zones) = (patterns(call, 1), zones(call, 2));
    Ok(Box::new(move |args| {
        let zone = zone_of(&zones, args, 2)?;
        let pattern = pattern_of(&patterns, args)?;
        parse(args.get(0)?, &pattern, &zone).map_err(EvalError::new)
    }))
}

/// Milliseconds in the interval of argument 1 in units of argument 0: exact for every INT. (In ksqlDB, TIMEADD and TIMESUB
/// count nanoseconds, and more than 292 years of them stand still.)
pub(super) fn interval_ms(args: &Args<'_>) -> Result<i64, EvalError> {
    let unit: &str = args.get(0)?;
    let interval: i32 = args.get(1)?;
    let unit_ms = match unit {
        "DAYS" => 86_400_000,
        "HOURS" => 3_600_000,
        "MINUTES" => 60_000,
        "SECONDS" => 1000,
        "MILLISECONDS" => 1,
        _ => return Err(EvalError::new(format!("the unit {unit} has no fixed length: use DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS"))),
    };
    Ok(i64::from(interval) * unit_ms)
}
