//! RPAD: a string or bytes padded on the right.

use super::pad::{Side, pad};
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
            string,
        ),
        ScalarVariant::plain(
            "Bytes.",
            &[param("input", ParamType::Bytes, "The bytes."), LENGTH, param("padding", ParamType::Bytes, "What they are padded with.")],
            BYTES,
            bytes,
        ),
    ],
};

const LENGTH: Param = param("targetLen", ParamType::Int, "The length that comes out, at most 2^24.");

fn string(args: &mut Args<'_>) -> Outcome {
    let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    let padded = pad(&units(args.get(0)?), args.get(1)?, &units(args.get(2)?), Side::Right)?;
    Ok(padded.map_or(Value::Null, |units| Value::string(String::from_utf16_lossy(&units))))
}

fn bytes(args: &mut Args<'_>) -> Outcome {
    let padded = pad(args.get::<&[u8]>(0)?, args.get(1)?, args.get(2)?, Side::Right)?;
    Ok(padded.map_or(Value::Null, Value::bytes))
}

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
