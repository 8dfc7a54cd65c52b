//! CONCAT_WS: strings or bytes joined with a separator.

use super::prelude::*;
use crate::functions::limits;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "CONCAT_WS",
    spelling: "concat_ws",
    category: Category::String,
    description: "The second and further arguments with the first between them. Nulls are left out; a null separator makes null.",
    examples: &[example("CONCAT_WS(', ', 'a', NULL, 'b')", "a, b")],
    variants: &[
        ScalarVariant::plain(
            "Of strings.",
            &[param("separator", ParamType::String, "What stands between."), param("inputs", ParamType::String, "The strings.")],
            STRING,
            strings_joined,
        )
        .variadic(1)
        .called_on_null(),
        ScalarVariant::plain(
            "Of bytes.",
            &[param("separator", ParamType::Bytes, "What stands between."), param("inputs", ParamType::Bytes, "The bytes.")],
            BYTES,
            bytes_joined,
        )
        .variadic(1)
        .called_on_null(),
    ],
};

/// # Errors
/// There is nothing to join.
fn check_count(args: &Args<'_>) -> Result<(), EvalError> {
    if args.values.len() < 2 { Err(EvalError::new("Function Concat_WS expects at least two input arguments.")) } else { Ok(()) }
}

/// # Errors
/// The parts with separators between them are too long.
fn check_length(parts: impl ExactSizeIterator<Item = usize>, separator: usize) -> Result<(), EvalError> {
    let separators = separator.saturating_mul(parts.len().saturating_sub(1));
    limits::check_bytes(parts.fold(separators, usize::saturating_add))
}

fn strings_joined(args: &mut Args<'_>) -> Outcome {
    check_count(args)?;
    let Some(separator) = args.opt::<&str>(0)? else { return Ok(Value::Null) };
    let mut parts = Vec::new();
    for index in 1..args.values.len() {
        parts.extend(args.opt::<&str>(index)?);
    }
    check_length(parts.iter().map(|part| part.len()), separator.len())?;
    Ok(Value::string(parts.join(separator)))
}

fn bytes_joined(args: &mut Args<'_>) -> Outcome {
    check_count(args)?;
    let Some(separator) = args.opt::<&[u8]>(0)? else { return Ok(Value::Null) };
    let mut parts = Vec::new();
    for index in 1..args.values.len() {
        parts.extend(args.opt::<&[u8]>(index)?);
    }
    check_length(parts.iter().map(|part| part.len()), separator.len())?;
    Ok(Value::bytes(parts.join(separator)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s(", "), s("a"), NULL, s("b")], s("a, b"));
        check(&FUNCTION, &[s(", "), NULL, NULL], s(""));
        check(&FUNCTION, &[s(", "), s(""), s("")], s(", "));
        check(&FUNCTION, &[NULL, s("a")], NULL);
        check_fails(&FUNCTION, &[s(",")]);
        check(&FUNCTION, &[b(b"a"), b(b"b"), b(b"yes"), NULL, b(b"no")], b(b"bayesano"));
    }
}
