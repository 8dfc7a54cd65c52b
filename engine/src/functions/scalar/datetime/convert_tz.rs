//! CONVERT_TZ: a wall-clock time of one zone as that of another.

use super::prelude::*;
use super::times::zones;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "CONVERT_TZ",
    spelling: "convert_tz",
    category: Category::DateTime,
    description: "Takes a timestamp as the wall-clock time of one zone and gives that of another at the same instant.",
    examples: &[example("CONVERT_TZ(FROM_UNIXTIME(0), '+02:00', '+05:00')", "1970-01-01T03:00:00.000")],
    variants: &[ScalarVariant::prepared(
        "From zone to zone.",
        &[
            param("timestamp", ParamType::Timestamp, "The wall-clock time."),
            param("fromTimeZone", ParamType::String, "The zone that it is in."),
            param("toTimeZone", ParamType::String, "The zone that is asked for."),
        ],
        TIMESTAMP,
        prepare,
    )],
};

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let (sources, targets) = (zones(call, 1), zones(call, 2));
    Ok(Box::new(move |args| {
        let Instant(ms) = args.get(0)?;
        // Both offsets are those at the timestamp as it stands, as in ksqlDB: within hours of a change of the clocks the
        // result may be an hour off.
        let source = sources.get(args.get(1)?)?.offset_at(ms);
        let target = targets.get(args.get(2)?)?.offset_at(ms);
        Ok(Value::Timestamp(ms.saturating_add(i64::from(target - source) * 1000)))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn zones_of_all_kinds() {
        let calls = [
            (0, "UTC", "America/Los_Angeles", -28_800_000),
            (0, "America/Los_Angeles", "UTC", 28_800_000),
            (1_616_893_200_000, "America/Los_Angeles", "UTC", 1_616_918_400_000),
            (1_615_705_200_000, "America/Los_Angeles", "UTC", 1_615_734_000_000),
            (1_589_234_313_000, "+0200", "+0500", 1_589_245_113_000),
            (-1, "+02:00", "-03:30", -19_800_001),
        ];
        check_all(&FUNCTION, calls.map(|(ms, from, to, expected)| ([Value::Timestamp(ms), s(from), s(to)], Value::Timestamp(expected))));
        check_fails(&FUNCTION, &[Value::Timestamp(0), s("UTC"), s("Mars")]);
    }
}
