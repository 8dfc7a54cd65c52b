//! UCASE: a string in capitals.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "UCASE",
    spelling: "ucase",
    category: Category::String,
    description: "The string in capitals.",
    examples: &[example("UCASE('straße')", "STRASSE")],
    variants: &[ScalarVariant::plain("In capitals.", &[param("input", ParamType::String, "The string.")], STRING, |args| {
        Ok(Value::string(args.get::<&str>(0)?.to_uppercase()))
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
            [("A-b_C d1", "A-B_C D1"), ("Ünïcode é", "ÜNÏCODE É"), ("straße", "STRASSE"), ("", "")].map(|(x, y)| ([s(x)], s(y))),
        );
        check(&FUNCTION, &[NULL], NULL);
        check_refused(&FUNCTION, &[s("a"), s("b")]);
    }
}
