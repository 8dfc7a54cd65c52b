//! GENERATE_SERIES: an array of evenly spaced numbers.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "GENERATE_SERIES",
    spelling: "generate_series",
    category: Category::Collections,
    description: "The numbers from a first to a last, both included, in steps of 1 (or -1 downwards) or as given.",
    examples: &[example("GENERATE_SERIES(1, 3)", "[1, 2, 3]"), example("GENERATE_SERIES(1, 10, 4)", "[1, 5, 9]")],
    variants: &[
        ScalarVariant::plain("INT in steps of one.", &[START, END], INTS, ints),
        ScalarVariant::plain("BIGINT in steps of one.", &[BIG_START, BIG_END], BIGINTS, bigints),
        ScalarVariant::plain("INT in steps.", &[START, END, STEP], INTS, ints),
        ScalarVariant::plain("BIGINT in steps.", &[BIG_START, BIG_END, STEP], BIGINTS, bigints),
    ],
};

/// The longest series, in items.
const MAX_ITEMS: usize = 10_000_000;

const START: Param = param("start", ParamType::Int, "The first number.");
const END: Param = param("end", ParamType::Int, "The number that the series does not pass.");
const BIG_START: Param = param("start", ParamType::BigInt, "The first number.");
const BIG_END: Param = param("end", ParamType::BigInt, "The number that the series does not pass.");
const STEP: Param = param("step", ParamType::Int, "The step: not 0, and in the direction of the end.");
const INTS: Returns = Returns::Type(ParamType::Array(&ParamType::Int));
const BIGINTS: Returns = Returns::Type(ParamType::Array(&ParamType::BigInt));

fn ints(args: &mut Args<'_>) -> Outcome {
    let numbers = series(args.get::<i32>(0)?.into(), args.get::<i32>(1)?.into(), args.opt(2)?)?;
    Ok(Value::array(numbers.filter_map(|n| i32::try_from(n).ok().map(Value::Int)).collect()))
}

fn bigints(args: &mut Args<'_>) -> Outcome {
    let numbers = series(args.get(0)?, args.get(1)?, args.opt(2)?)?;
    Ok(Value::array(numbers.map(Value::BigInt).collect()))
}

fn series(start: i64, end: i64, step: Option<i32>) -> Result<impl Iterator<Item = i64>, EvalError> {
    let step = i64::from(step.unwrap_or(if end < start { -1 } else { 1 }));
    if step == 0 || (step < 0) != (end < start) && end != start {
        return Err(EvalError::new(format!("GENERATE_SERIES step has wrong sign or is 0: {step}")));
    }
    let items = usize::try_from(start.abs_diff(end) / step.unsigned_abs()).unwrap_or(usize::MAX).saturating_add(1);
    if items > MAX_ITEMS {
        return Err(EvalError::new(format!("GENERATE_SERIES makes at most {MAX_ITEMS} items, not {items}")));
    }
    Ok((0..items).scan(start, move |next, _| {
        let current = *next;
        *next = next.wrapping_add(step);
        Some(current)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_all, check_fails, ints};
    use super::{FUNCTION, Value};

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [(1, 3, ints(&[1, 2, 3])), (3, 1, ints(&[3, 2, 1])), (1, 1, ints(&[1]))].map(|(a, b, y)| ([Value::Int(a), Value::Int(b)], y)),
        );
        check_all(
            &FUNCTION,
            [(1, 10, 4, ints(&[1, 5, 9])), (3, 1, -1, ints(&[3, 2, 1])), (-2, 2, 2, ints(&[-2, 0, 2]))]
                .map(|(a, b, n, y)| ([Value::Int(a), Value::Int(b), Value::Int(n)], y)),
        );
        check(
            &FUNCTION,
            &[Value::BigInt(i64::MAX - 1), Value::BigInt(i64::MAX)],
            Value::array(vec![Value::BigInt(i64::MAX - 1), Value::BigInt(i64::MAX)]),
        );
        for (a, b, n) in [(1, 10, 0), (3, 1, 1), (1, 3, -1)] {
            check_fails(&FUNCTION, &[Value::Int(a), Value::Int(b), Value::Int(n)]);
        }
        check_fails(&FUNCTION, &[Value::BigInt(i64::MIN), Value::BigInt(i64::MAX)]);
    }
}
