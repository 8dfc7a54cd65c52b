//! ENCODE: a string from one encoding to another.

use super::super::bytes::encodings::{Encoding, decode_loose_base64, decode_loose_hex};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ENCODE",
    spelling: "encode",
    category: Category::String,
    description: "The string, taken as text of one encoding, in another: hex, utf8, ascii or base64, two different ones. Hex may stand as 0x… or X'…'; what is no base64 is passed over where base64 is read.",
    examples: &[example("ENCODE('Example!', 'utf8', 'hex')", "4578616d706c6521")],
    variants: &[ScalarVariant::plain(
        "From one encoding to another.",
        &[
            param("str", ParamType::String, "The string."),
            param("inputEncoding", ParamType::String, "The encoding that it is in."),
            param("outputEncoding", ParamType::String, "The encoding that is asked for."),
        ],
        STRING,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let (text, from, to): (&str, &str, &str) = (args.get(0)?, args.get(1)?, args.get(2)?);
    let (from, to) = (Encoding::parse(from)?, Encoding::parse(to)?);
    let bytes = match from {
        // ksqlDB has no such pairs.
        same if same == to => return Err(EvalError::new("The encodings must be two of hex, utf8, ascii and base64")),
        Encoding::Base64 => decode_loose_base64(text),
        Encoding::Hex => decode_loose_hex(text)?,
        Encoding::Utf8 | Encoding::Ascii => from.decode(text)?,
    };
    let encoded = to.encode(&bytes);
    Ok(Value::string(if to == Encoding::Hex { encoded.to_ascii_lowercase() } else { encoded }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            ("4578616d706C6521", "hex", "ascii", "Example!"),
            ("ce95", "hex", "utf8", "Ε"),
            ("é漢", "utf8", "hex", "c3a9e6bca2"),
            ("é漢", "ascii", "HEX", "3f3f"),
            ("Example!", "utf8", "base64", "RXhhbXBsZSE="),
            ("RXhhbXBsZSE=", "base64", "utf8", "Example!"),
            ("é", "utf8", "ascii", "\u{FFFD}\u{FFFD}"),
            ("0x578", "hex", "utf8", "\u{5}x"),
            ("RXhh bXBs\nZSE", "base64", "utf8", "Example!"),
            ("?", "base64", "hex", ""),
        ];
        check_all(&FUNCTION, calls.map(|(x, from, to, y)| ([s(x), s(from), s(to)], s(y))));
        check_fails(&FUNCTION, &[s("a"), s("base64"), s("null")]);
        check_fails(&FUNCTION, &[s("zz"), s("hex"), s("utf8")]);
        check_fails(&FUNCTION, &[s("a"), s("utf8"), s("UTF8")]);
    }
}
