//! TIMESTAMPADD: a timestamp moved on by an interval.

use super::prelude::*;
use super::times::{INTERVAL, UNIT, interval_ms};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TIMESTAMPADD",
    spelling: "timestampadd",
    category: Category::DateTime,
    description: "Adds an interval to a timestamp; the unit is written bare, as in DAYS.",
    examples: &[example("TIMESTAMPADD(SECONDS, 5, FROM_UNIXTIME(10000))", "1970-01-01T00:00:15.000")],
    variants: &[ScalarVariant::plain(
        "Adds an interval.",
        &[UNIT, INTERVAL, param("timestamp", ParamType::Timestamp, "Where it starts from.")],
        TIMESTAMP,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Instant(ms) = args.get(2)?;
    Ok(Value::Timestamp(ms.wrapping_add(interval_ms(args)?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn intervals() {
        let calls = [("MILLISECONDS", 1), ("SECONDS", 1000), ("MINUTES", 60_000), ("HOURS", 3_600_000), ("DAYS", 86_400_000)];
        check_all(&FUNCTION, calls.map(|(unit, ms)| ([s(unit), Value::Int(2), Value::Timestamp(0)], Value::Timestamp(2 * ms))));
        check(&FUNCTION, &[s("DAYS"), Value::Int(i32::MAX), Value::Timestamp(0)], Value::Timestamp(185_542_587_100_800_000));
        check(&FUNCTION, &[s("DAYS"), NULL, Value::Timestamp(0)], NULL);
        check_fails(&FUNCTION, &[s("YEARS"), Value::Int(1), Value::Timestamp(0)]);
    }
}
