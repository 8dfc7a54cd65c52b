//! RPAD: a string or bytes padded on the right.

use super::pad::{self, LENGTH, Side};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "RPAD",
    spelling: "rpad",
    category: Category::String,
    description: "Pads on the right to a length, or cuts to it. Null where the length is below 0 or the padding is empty.",
    examples: &[example("RPAD('abc', 6, 'xy')", "abcxyx")],
    variants: &[
        ScalarVariant::plain(
            "A string.",
            &[param("input", ParamType::String, "The string."), LENGTH, param("padding", ParamType::String, "What it is padded with.")],
            STRING,
            |args| pad::string(args, Side::Right),
        ),
        ScalarVariant::plain(
            "Bytes.",
            &[param("input", ParamType::Bytes, "The bytes."), LENGTH, param("padding", ParamType::Bytes, "What they are padded with.")],
            BYTES,
            |args| pad::bytes(args, Side::Right),
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [("abc", 6, "xy", "abcxyx"), ("abc", 2, "x", "ab"), ("abc", 0, "x", ""), ("", 3, "ab", "aba"), ("漢", 3, "é", "漢éé")];
        check_all(&FUNCTION, calls.map(|(x, n, p, y)| ([s(x), Value::Int(n), s(p)], s(y))));
        check_all(&FUNCTION, [("abc", -1, "x"), ("abc", 5, "")].map(|(x, n, p)| ([s(x), Value::Int(n), s(p)], NULL)));
        check(&FUNCTION, &[b(b"yes"), Value::Int(5), b(b"no")], b(b"yesno"));
        check_fails(&FUNCTION, &[s("a"), Value::Int(i32::MAX), s("b")]);
    }
}
