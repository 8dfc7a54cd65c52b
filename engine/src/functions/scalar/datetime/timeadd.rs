//! TIMEADD: a time of day, around midnight if need be, moved on by an interval.

use super::prelude::*;
use super::times::{INTERVAL, UNIT, interval_ms};
use crate::types::text::DAY_MS;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TIMEADD",
    spelling: "timeadd",
    category: Category::DateTime,
    description: "Adds an interval to a time of day, around midnight if need be,; the unit is written bare, as in DAYS.",
    examples: &[example("TIMEADD(HOURS, 1, PARSE_TIME('23:30', 'HH:mm'))", "00:30")],
    variants: &[ScalarVariant::plain(
        "Adds an interval.",
        &[UNIT, INTERVAL, param("time", ParamType::Time, "Where it starts from.")],
        TIME,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let TimeOfDay(ms) = args.get(2)?;
    let moved = (i64::from(ms) + interval_ms(args)?).rem_euclid(DAY_MS);
    i32::try_from(moved).map(Value::Time).map_err(|_| EvalError::new("the time is out of range"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn intervals() {
        check_all(
            &FUNCTION,
            [("HOURS", 25, 86_399_999, 3_599_999), ("MILLISECONDS", -5, 2, 86_399_997), ("SECONDS", 1, 0, 1000)]
                .map(|(unit, n, from, to)| ([s(unit), Value::Int(n), Value::Time(from)], Value::Time(to))),
        );
        check(&FUNCTION, &[s("HOURS"), NULL, Value::Time(0)], NULL);
    }
}
