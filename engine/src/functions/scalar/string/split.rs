//! SPLIT: a string or bytes split at a delimiter.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SPLIT",
    spelling: "split",
    category: Category::String,
    description: "The parts of a string or of bytes between delimiters; each character or byte on its own where the delimiter is empty.",
    examples: &[example("SPLIT('a,b,,c', ',')", "[a, b, , c]")],
    variants: &[
        ScalarVariant::plain(
            "Of a string.",
            &[param("string", ParamType::String, "The string."), param("delimiter", ParamType::String, "What stands between the parts.")],
            Returns::Type(ParamType::Array(&ParamType::String)),
            string,
        ),
        ScalarVariant::plain(
            "Of bytes.",
            &[param("bytes", ParamType::Bytes, "The bytes."), param("delimiter", ParamType::Bytes, "What stands between the parts.")],
            Returns::Type(ParamType::Array(&ParamType::Bytes)),
            bytes,
        ),
    ],
};

fn string(args: &mut Args<'_>) -> Outcome {
    let (text, delimiter): (&str, &str) = (args.get(0)?, args.get(1)?);
    if delimiter.is_empty() && !text.is_empty() {
        return Ok(Value::array(text.chars().map(|c| Value::string(Text::from(c.encode_utf8(&mut [0; 4]) as &str))).collect()));
    }
    let parts = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
    Ok(Value::array(parts.into_iter().map(Value::string).collect()))
}

fn bytes(args: &mut Args<'_>) -> Outcome {
    let (bytes, delimiter): (&[u8], &[u8]) = (args.get(0)?, args.get(1)?);
    if delimiter.is_empty() && !bytes.is_empty() {
        return Ok(Value::array(bytes.iter().map(|byte| Value::bytes([*byte])).collect()));
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(bytes, delimiter).filter(|_| !delimiter.is_empty()) {
        parts.push(Value::bytes(bytes.get(start..at).unwrap_or_default()));
        start = at + delimiter.len();
    }
    parts.push(Value::bytes(bytes.get(start..).unwrap_or_default()));
    Ok(Value::array(parts))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls: [(&str, &str, &[&str]); 9] = [
            ("a,b,,c,,", ",", &["a", "b", "", "c", "", ""]),
            (",", ",", &["", ""]),
            ("", ",", &[""]),
            ("abc", "", &["a", "b", "c"]),
            ("", "", &[""]),
            ("a.b|c", ".", &["a", "b|c"]),
            ("a||b", "||", &["a", "b"]),
            ("漢字", "字", &["漢", ""]),
            (".abc$$", "$$", &[".abc", ""]),
        ];
        check_all(&FUNCTION, calls.map(|(x, d, parts)| ([s(x), s(d)], strings(parts))));
        check(&FUNCTION, &[b(b",,"), b(b",")], Value::array(vec![b(b""), b(b""), b(b"")]));
        check(&FUNCTION, &[b(b"ab"), b(b"")], Value::array(vec![b(b"a"), b(b"b")]));
        check(&FUNCTION, &[b(b""), b(b"")], Value::array(vec![b(b"")]));
    }
}
