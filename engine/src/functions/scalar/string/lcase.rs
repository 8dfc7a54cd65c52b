//! LCASE: a string in small letters.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "LCASE",
    spelling: "lcase",
    category: Category::String,
    description: "The string in small letters.",
    examples: &[example("LCASE('ABC')", "abc")],
    variants: &[ScalarVariant::plain("In small letters.", &[param("input", ParamType::String, "The string.")], STRING, |args| {
        Ok(Value::string(args.get::<&str>(0)?.to_lowercase()))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("A-b_C d1", "a-b_c d1"), ("İstanbul", "i\u{307}stanbul"), ("ΑΣ", "ας"), ("", "")].map(|(x, y)| ([s(x)], s(y))),
        );
    }
}
