//! REPLACE: all occurrences of a text replaced.

use super::prelude::*;
use crate::functions::limits;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REPLACE",
    spelling: "replace",
    category: Category::String,
    description: "The string with each occurrence of a text replaced by another.",
    examples: &[example("REPLACE('anaconda', 'a', 'o')", "onocondo")],
    variants: &[ScalarVariant::plain(
        "Replaces a text.",
        &[
            param("str", ParamType::String, "The string."),
            param("oldStr", ParamType::String, "What is replaced."),
            param("newStr", ParamType::String, "What takes its place."),
        ],
        STRING,
        replace,
    )],
};

fn replace(args: &mut Args<'_>) -> Outcome {
    let (text, old, new): (&str, &str, &str) = (args.get(0)?, args.get(1)?, args.get(2)?);
    // Occurrences are counted only where so many as there could be would make too much.
    if new.len() > old.len() && (text.len() + 1).saturating_mul(new.len()) > limits::MAX_BYTES {
        let longer = text.matches(old).count().saturating_mul(new.len() - old.len());
        limits::check_bytes(text.len().saturating_add(longer))?;
    }
    Ok(Value::string(text.replace(old, new)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("anaconda"), s("a"), s("o")], s("onocondo"));
        check(&FUNCTION, &[s("ab"), s(""), s("-")], s("-a-b-"));
        check(&FUNCTION, &[s("a"), NULL, s("o")], NULL);
    }

    #[test]
    fn what_would_be_too_long() {
        let (text, new) = ("ab".repeat(40_000), "x".repeat(2_000));
        check_fails(&FUNCTION, &[s(&text), s("a"), s(&new)]);
        check_fails(&FUNCTION, &[s(&text), s(""), s(&new)]);
        check(&FUNCTION, &[s(&text), s("c"), s(&new)], s(&text));
    }
}
