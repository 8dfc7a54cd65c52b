//! ARRAY_JOIN: the items of an array as one text.

use super::prelude::*;
use crate::functions::java::decimal_text;
use crate::functions::limits;
use crate::types::text::{write_double, write_i32, write_i64};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_JOIN",
    spelling: "array_join",
    category: Category::Collections,
    description: "The items of an array of simple values as text, with a comma or another delimiter between them. Nulls show as null; a null delimiter is an empty one.",
    examples: &[example("ARRAY_JOIN(ARRAY[1, 2], '-')", "1-2")],
    variants: &[
        ScalarVariant::plain("With commas.", &[ARRAY], STRING, |args| join(args, ",")).called_on_null(),
        ScalarVariant::plain(
            "With a delimiter.",
            &[ARRAY, param("delimiter", ParamType::String, "What stands between items.")],
            STRING,
            |args| join(args, ""),
        )
        .called_on_null(),
    ],
};

const ARRAY: Param = param("array", ParamType::Array(&ParamType::Var('T')), "The array.");

/// Joins argument 0 with argument 1, or with `default` where that is null or not given.
fn join(args: &mut Args<'_>, default: &str) -> Outcome {
    let Some(items) = args.opt::<&[Value]>(0)? else { return Ok(Value::Null) };
    let delimiter = args.opt::<&str>(1)?.unwrap_or(default);
    let mut out = Text::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(delimiter);
        }
        match item {
            Value::Null => out.push_str("null"),
            Value::Boolean(v) => out.push_str(if *v { "true" } else { "false" }),
            Value::Int(v) => write_i32(*v, &mut out),
            Value::BigInt(v) => write_i64(*v, &mut out),
            Value::Double(v) => write_double(*v, &mut out),
            Value::Decimal(v) => out.push_str(&decimal_text(v)),
            Value::String(v) => out.push_str(v),
            _ => return Err(EvalError::new("ARRAY_JOIN takes arrays of BOOLEAN, numbers and STRING only")),
        }
        limits::check_bytes(out.len())?;
    }
    Ok(Value::String(out))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[strings(&["a", "", "b"])], s("a,,b"));
        check(&FUNCTION, &[Value::array(vec![Value::Boolean(true), NULL]), s("|")], s("true|null"));
        check(&FUNCTION, &[Value::array(vec![Value::Double(1.23), Value::Double(0.0)]), s(" ")], s("1.23 0.0"));
        check(&FUNCTION, &[Value::array(vec![dec("123.45"), dec("1.50")]), NULL], s("123.451.50"));
        check(&FUNCTION, &[NULL, s("-")], NULL);
        check_fails(&FUNCTION, &[Value::array(vec![ints(&[1])])]);
    }
}
