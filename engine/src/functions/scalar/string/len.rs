//! LEN: the length of a string or of bytes.

use super::prelude::*;
use crate::functions::java::len_utf16;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "LEN",
    spelling: "len",
    category: Category::String,
    description: "The length of a string in UTF-16 units, or of bytes.",
    examples: &[example("LEN('hello')", "5")],
    variants: &[
        ScalarVariant::plain("Of a string.", &[param("input", ParamType::String, "The string.")], INT, |args| {
            count(len_utf16(args.get(0)?))
        }),
        ScalarVariant::plain("Of bytes.", &[param("input", ParamType::Bytes, "The bytes.")], INT, |args| {
            count(args.get::<&[u8]>(0)?.len())
        }),
    ],
};

fn count(length: usize) -> Outcome {
    i32::try_from(length).map(Value::Int).map_err(|_| EvalError::new("the value is too long"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(&FUNCTION, [("ABC", 3), ("", 0), ("😀x", 3), ("漢", 1)].map(|(x, n)| ([s(x)], Value::Int(n))));
        check(&FUNCTION, &[b(&[1, 2])], Value::Int(2));
    }
}
