//! DATESUB: a date moved back by an interval.

use super::prelude::*;
use super::times::{INTERVAL, UNIT, interval_ms};
use crate::types::text::DAY_MS;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "DATESUB",
    spelling: "datesub",
    category: Category::DateTime,
    description: "Takes an interval from a date; the unit is written bare, as in DAYS.",
    examples: &[example("DATESUB(DAYS, 1, FROM_DAYS(1))", "1970-01-01")],
    variants: &[ScalarVariant::plain(
        "Subtracts an interval.",
        &[UNIT, INTERVAL, param("date", ParamType::Date, "Where it starts from.")],
        DATE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Days(days) = args.get(2)?;
    let ms = i64::from(days) * DAY_MS - interval_ms(args)?;
    // As Java's TimeUnit: what is left of a day is cut towards 1970.
    i32::try_from(ms / DAY_MS).map(Value::Date).map_err(|_| EvalError::new("the date is out of range"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn intervals() {
        check_all(
            &FUNCTION,
            [("DAYS", 366, 366), ("HOURS", 47, 1), ("DAYS", -5, -5)]
                .map(|(unit, n, days)| ([s(unit), Value::Int(n), Value::Date(0)], Value::Date(-days))),
        );
        check(&FUNCTION, &[s("DAYS"), Value::Int(1), NULL], NULL);
        check_fails(&FUNCTION, &[s("DAYS"), Value::Int(i32::MAX), Value::Date(-2)]);
    }
}
