//! MASK_KEEP_RIGHT: a string masked but for its last characters.

use super::masking::{COUNT, DIGITS, INPUT, LOWER, Mask, OTHER, UPPER, count, mask};
use super::prelude::*;
use crate::functions::java::len_utf16;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "MASK_KEEP_RIGHT",
    spelling: "MASK_KEEP_RIGHT",
    category: Category::String,
    description: "The string with all but its last n characters masked.",
    examples: &[example("MASK_KEEP_RIGHT('AbC-12', 3)", "XxX-12")],
    variants: &[
        ScalarVariant::plain("With X, x, n and -.", &[INPUT, COUNT], STRING, eval).called_on_null(),
        ScalarVariant::plain("With other characters.", &[INPUT, COUNT, UPPER, LOWER, DIGITS, OTHER], STRING, eval).called_on_null(),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Some(text) = args.opt(0)? else { return Ok(Value::Null) };
    Ok(mask(text, Mask::of(args, 2)?, 0, len_utf16(text).saturating_sub(count(args)?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(&FUNCTION, [(3, "XxX-12"), (0, "XxX-nn"), (100, "AbC-12")].map(|(n, y)| ([s("AbC-12"), Value::Int(n)], s(y))));
        check(&FUNCTION, &[s(""), Value::Int(2)], s(""));
        check(&FUNCTION, &[NULL, Value::Int(2)], NULL);
        check_fails(&FUNCTION, &[s("AbC-12"), Value::Int(-1)]);
        check_fails(&FUNCTION, &[s("AbC-12"), NULL]);
    }
}
