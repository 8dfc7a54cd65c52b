//! UNIX_DATE: days since 1970-01-01, of today or of a date.

use super::prelude::*;
use crate::clock::{Clock, SystemClock};
use crate::types::text::DAY_MS;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "UNIX_DATE",
    spelling: "unix_date",
    category: Category::DateTime,
    description: "Days since 1970-01-01: of a date, or of today in UTC.",
    examples: &[example("UNIX_DATE(FROM_DAYS(10))", "10")],
    variants: &[
        ScalarVariant::plain("Of today, by the machine's clock.", &[], INT, |_| {
            let days = i32::try_from(SystemClock.now_ms().div_euclid(DAY_MS));
            days.map(Value::Int).map_err(|_| EvalError::new("the clock is out of range"))
        }),
        ScalarVariant::plain("Of a date.", &[param("date", ParamType::Date, "The date.")], INT, |args| {
            let Days(days) = args.get(0)?;
            Ok(Value::Int(days))
        }),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn today_and_given() {
        check(&FUNCTION, &[Value::Date(10)], Value::Int(10));
        assert!(matches!(call(&FUNCTION, &[], &[]), Ok(Value::Int(days)) if days > 19_000));
    }
}
