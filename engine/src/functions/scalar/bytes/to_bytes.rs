//! TO_BYTES: text as bytes.

use super::encodings::Encoding;
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TO_BYTES",
    spelling: "to_bytes",
    category: Category::Bytes,
    description: "The bytes of a text in an encoding: hex, utf8, ascii or base64.",
    examples: &[example("LEN(TO_BYTES('hello', 'utf8'))", "5")],
    variants: &[ScalarVariant::plain(
        "Bytes of text.",
        &[param("value", ParamType::String, "The text."), param("encoding", ParamType::String, "hex, utf8, ascii or base64.")],
        BYTES,
        |args| Ok(Value::bytes(Encoding::parse(args.get(1)?)?.decode(args.get(0)?)?)),
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
            [("utf8", "hello"), ("hex", "68656C6c6F"), ("base64", "aGVsbG8="), ("ascii", "hello")]
                .map(|(encoding, x)| ([s(x), s(encoding)], b(b"hello"))),
        );
        for (text, encoding) in
            [("hello", "hex"), ("123", "hex"), ("0x12", "hex"), ("YQ=", "base64"), ("YQ==YQ==", "base64"), ("Y", "base64"), ("a", "")]
        {
            check_fails(&FUNCTION, &[s(text), s(encoding)]);
        }
        check_all(
            &FUNCTION,
            [("YQ", "base64", "a"), ("", "hex", ""), ("", "base64", "")].map(|(x, encoding, y)| ([s(x), s(encoding)], b(y.as_bytes()))),
        );
    }
}
