//! UUID: a random identifier, or one made of 16 bytes.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "UUID",
    spelling: "uuid",
    category: Category::String,
    description: "A random UUID as text, another one on every row; or the text of a UUID given as 16 bytes.",
    examples: &[example("LEN(UUID())", "36")],
    variants: &[
        ScalarVariant::plain("A random UUID.", &[], STRING, |_| Ok(Value::string(uuid::Uuid::new_v4().to_string()))),
        ScalarVariant::plain("The text of a UUID.", &[param("bytes", ParamType::Bytes, "16 bytes.")], STRING, from_bytes),
    ],
};

fn from_bytes(args: &mut Args<'_>) -> Outcome {
    let bytes: &[u8] = args.get(0)?;
    let uuid = uuid::Uuid::from_slice(bytes).map_err(|_| EvalError::new(format!("a UUID has 16 bytes, not {}", bytes.len())))?;
    Ok(Value::string(uuid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn random_and_given() {
        assert_ne!(call(&FUNCTION, &[], &[]), call(&FUNCTION, &[], &[]));
        check(
            &FUNCTION,
            &[b(&[0x55, 0x0e, 0x84, 0, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0, 0])],
            s("550e8400-e29b-41d4-a716-446655440000"),
        );
        check_fails(&FUNCTION, &[b(&[1, 2])]);
    }
}
