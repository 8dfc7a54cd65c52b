//! TRIM: a string without blanks around it.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TRIM",
    spelling: "trim",
    category: Category::String,
    description: "The string without characters up to the blank (U+0020) at its beginning and end. Other white space stays.",
    examples: &[example("TRIM('  a b  ')", "a b")],
    variants: &[ScalarVariant::plain("Without blanks around it.", &[param("input", ParamType::String, "The string.")], STRING, |args| {
        Ok(Value::string(args.get::<&str>(0)?.trim_matches(|c| c <= ' ')))
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
            [("  padded  ", "padded"), ("\t tab \n", "tab"), ("\u{a0}nbsp\u{a0}", "\u{a0}nbsp\u{a0}"), ("", "")]
                .map(|(x, y)| ([s(x)], s(y))),
        );
    }
}
