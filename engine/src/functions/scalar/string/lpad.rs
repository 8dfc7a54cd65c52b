//! LPAD: a string or bytes padded on the left.

use super::pad::{self, LENGTH, Side};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "LPAD",
    spelling: "lpad",
    category: Category::String,
    description: "Pads on the left to a length, or cuts to it. Null where the length is below 0 or the padding is empty.",
    examples: &[example("LPAD('abc', 6, 'xy')", "xyxabc")],
    variants: &[
        ScalarVariant::plain(
            "A string.",
            &[param("input", ParamType::String, "The string."), LENGTH, param("padding", ParamType::String, "What it is padded with.")],
            STRING,
            |args| pad::string(args, Side::Left),
        ),
        ScalarVariant::plain(
            "Bytes.",
            &[param("input", ParamType::Bytes, "The bytes."), LENGTH, param("padding", ParamType::Bytes, "What they are padded with.")],
            BYTES,
            |args| pad::bytes(args, Side::Left),
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [("abc", 6, "xy", "xyxabc"), ("abc", 2, "x", "ab"), ("abc", 0, "x", ""), ("", 3, "ab", "aba"), ("漢", 3, "é", "éé漢")];
        check_all(&FUNCTION, calls.map(|(x, n, p, y)| ([s(x), Value::Int(n), s(p)], s(y))));
        check_all(&FUNCTION, [("abc", -1, "x"), ("abc", 5, "")].map(|(x, n, p)| ([s(x), Value::Int(n), s(p)], NULL)));
        check(&FUNCTION, &[b(b"yes"), Value::Int(5), b(b"no")], b(b"noyes"));
        check_fails(&FUNCTION, &[s("a"), Value::Int(i32::MAX), s("b")]);
    }
}
