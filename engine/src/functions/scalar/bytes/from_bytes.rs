//! FROM_BYTES: bytes as text.

use super::encodings::Encoding;
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FROM_BYTES",
    spelling: "from_bytes",
    category: Category::Bytes,
    description: "The text of bytes in an encoding: hex, utf8, ascii or base64. What is no text becomes U+FFFD.",
    examples: &[example("FROM_BYTES(TO_BYTES('hi', 'utf8'), 'hex')", "6869")],
    variants: &[ScalarVariant::plain(
        "Text of bytes.",
        &[param("value", ParamType::Bytes, "The bytes."), param("encoding", ParamType::String, "hex, utf8, ascii or base64.")],
        STRING,
        |args| Ok(Value::string(Encoding::parse(args.get(1)?)?.encode(args.get(0)?))),
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("utf8", "hello"), ("HEX", "68656C6C6F"), ("base64", "aGVsbG8="), ("ascii", "hello")]
                .map(|(encoding, y)| ([b(b"hello"), s(encoding)], s(y))),
        );
        check_fails(&FUNCTION, &[b(b"hello"), s("nope")]);
    }
}
