//! CONCAT: strings or bytes joined.

use super::prelude::*;
use crate::functions::limits;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "CONCAT",
    spelling: "concat",
    category: Category::String,
    description: "The arguments one behind the other; nulls are left out.",
    examples: &[example("CONCAT('a', NULL, 'b')", "ab")],
    variants: &[
        ScalarVariant::plain("Of strings.", &[param("inputs", ParamType::String, "The strings.")], STRING, strings_joined)
            .variadic(0)
            .called_on_null(),
        ScalarVariant::plain("Of bytes.", &[param("inputs", ParamType::Bytes, "The bytes.")], BYTES, bytes_joined)
            .variadic(0)
            .called_on_null(),
    ],
};

fn strings_joined(args: &mut Args<'_>) -> Outcome {
    let mut out = Text::new();
    for index in 0..args.values.len() {
        out.push_str(args.opt(index)?.unwrap_or_default());
        limits::check_bytes(out.len())?;
    }
    Ok(Value::String(out))
}

fn bytes_joined(args: &mut Args<'_>) -> Outcome {
    let mut out = Vec::new();
    for index in 0..args.values.len() {
        out.extend_from_slice(args.opt(index)?.unwrap_or_default());
        limits::check_bytes(out.len())?;
    }
    Ok(Value::bytes(out))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("x"), s("-"), NULL, s("-")], s("x--"));
        check(&FUNCTION, &[NULL], s(""));
        check(&FUNCTION, &[b(b"yes"), NULL, b(b"no")], b(b"yesno"));
    }
}
