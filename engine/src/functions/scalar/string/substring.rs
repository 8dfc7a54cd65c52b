//! SUBSTRING: part of a string or of bytes.

use super::prelude::*;
use crate::functions::java::{cut, len_utf16};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SUBSTRING",
    spelling: "substring",
    category: Category::String,
    description: "The part from a position on, counted from 1; a negative position counts from the end. A length below 0 counts as 0.",
    examples: &[example("SUBSTRING('hello', 2)", "ello"), example("SUBSTRING('hello', -3, 2)", "ll")],
    variants: &[
        ScalarVariant::plain("Of a string, to its end.", &[STR, POS], STRING, of_string),
        ScalarVariant::plain("Of a string.", &[STR, POS, LENGTH], STRING, of_string),
        ScalarVariant::plain("Of bytes, to their end.", &[BYTE, POS], BYTES, of_bytes),
        ScalarVariant::plain("Of bytes.", &[BYTE, POS, LENGTH], BYTES, of_bytes),
    ],
};

const STR: Param = param("str", ParamType::String, "The string.");
const BYTE: Param = param("bytes", ParamType::Bytes, "The bytes.");
const POS: Param = param("pos", ParamType::Int, "Where the part begins, from 1; negative: from the end.");
const LENGTH: Param = param("length", ParamType::Int, "How long the part is.");

/// The range from 0 that arguments 1 and 2 mean in something of `size`. A length beyond the end, however large, means all
/// that is left; in ksqlDB, one close to the largest INT overflows and gives nothing.
fn range(args: &Args<'_>, size: usize) -> Result<(usize, usize), EvalError> {
    let position: i32 = args.get(1)?;
    let offset = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if position < 0 { size.saturating_sub(offset) } else { offset.saturating_sub(1).min(size) };
    let length = match args.opt::<i32>(2)? {
        Some(length) => usize::try_from(length).unwrap_or(0),
        None => size,
    };
    Ok((start, start.saturating_add(length).min(size)))
}

fn of_string(args: &mut Args<'_>) -> Outcome {
    let text: &str = args.get(0)?;
    let (start, end) = range(args, len_utf16(text))?;
    Ok(Value::String(cut(text, start, end)))
}

fn of_bytes(args: &mut Args<'_>) -> Outcome {
    let bytes: &[u8] = args.get(0)?;
    let (start, end) = range(args, bytes.len())?;
    Ok(Value::bytes(bytes.get(start..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [(1, "hello"), (0, "hello"), (-1, "o"), (-5, "hello"), (-6, "hello"), (5, "o"), (6, "")]
                .map(|(p, y)| ([s("hello"), Value::Int(p)], s(y))),
        );
        let calls = [
            (1, 2, "he"),
            (0, 2, "he"),
            (-3, 2, "ll"),
            (-3, 10, "llo"),
            (2, 0, ""),
            (2, -1, ""),
            (6, 1, ""),
            (10, 1, ""),
            (-10, 3, "hel"),
            (i32::MIN, i32::MAX, "hello"),
        ];
        check_all(&FUNCTION, calls.map(|(p, n, y)| ([s("hello"), Value::Int(p), Value::Int(n)], s(y))));
        check(&FUNCTION, &[s("漢字テスト"), Value::Int(2), Value::Int(3)], s("字テス"));
        check(&FUNCTION, &[b(b"hello"), Value::Int(-2), Value::Int(5)], b(b"lo"));
        check(&FUNCTION, &[b(b"hello"), Value::Int(9)], b(b""));
        check(&FUNCTION, &[s("a"), NULL], NULL);
    }
}
