//! MASK: a string with its characters masked.

use super::masking::{DIGITS, INPUT, LOWER, Mask, OTHER, UPPER, mask};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "MASK",
    spelling: "MASK",
    category: Category::String,
    description: "The string with capitals, small letters, digits and all else replaced: by X, x, n and - unless others are given.",
    examples: &[example("MASK('AbC-12')", "XxX-nn"), example("MASK('My Test $123', '*', NULL, '1', NULL)", "*y *est $111")],
    variants: &[
        ScalarVariant::plain("With X, x, n and -.", &[INPUT], STRING, eval).called_on_null(),
        ScalarVariant::plain("With other characters.", &[INPUT, UPPER, LOWER, DIGITS, OTHER], STRING, eval).called_on_null(),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Some(text) = args.opt(0)? else { return Ok(Value::Null) };
    Ok(mask(text, Mask::of(args, 1)?, 0, usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("AbC-12 é漢", "XxX-nn-x-"), ("", ""), ("😀", "--"), ("lower UPPER 0", "xxxxx-XXXXX-n"), ("٣", "n")]
                .map(|(x, y)| ([s(x)], s(y))),
        );
        check(&FUNCTION, &[s("My Test $123"), s("*"), NULL, s("1"), NULL], s("*y *est $111"));
        check(&FUNCTION, &[NULL], NULL);
    }
}
