//! CHR: characters by their codes.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "CHR",
    spelling: "chr",
    category: Category::String,
    description: "The character of a Unicode code point, or the text of UTF-16 escapes, the first of which stands at its beginning; further ones may be any of Java's, such as \\n. Null where there is none.",
    examples: &[example("CHR(65)", "A"), example("CHR('\\u6f22')", "漢")],
    variants: &[
        ScalarVariant::plain("Of a code point.", &[param("decimalCode", ParamType::Int, "The code point.")], STRING, |args| {
            let code = u32::try_from(args.get::<i32>(0)?).ok().and_then(char::from_u32);
            Ok(code.map_or(Value::Null, |c| Value::string(Text::from(c.encode_utf8(&mut [0; 4]) as &str))))
        }),
        ScalarVariant::plain(
            "Of UTF-16 escapes.",
            &[param("utf16Code", ParamType::String, "The escapes, such as \\u0041.")],
            STRING,
            escapes,
        ),
    ],
};

fn escapes(args: &mut Args<'_>) -> Outcome {
    let text: &str = args.get(0)?;
    if text.len() < 6 || !text.starts_with("\\u") {
        return Ok(Value::Null);
    }
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(escape) = rest.strip_prefix("\\u") {
            let escape = escape.trim_start_matches('u');
            let escape = escape.strip_prefix('+').unwrap_or(escape);
            let digits = escape.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
            units.push(unit.ok_or_else(|| EvalError::new(format!("{text} is no sequence of UTF-16 escapes")))?);
            rest = escape.get(4..).unwrap_or_default();
        } else if let Some(escape) = rest.strip_prefix('\\') {
            let (unit, behind) = other_escape(escape);
            units.extend(unit);
            rest = behind;
        } else {
            units.extend_from_slice(first.encode_utf16(&mut [0; 2]));
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    Ok(Value::string(String::from_utf16_lossy(&units)))
}

/// The character of one of Java's other escapes, from behind its backslash, and what follows. A backslash that escapes
/// nothing is left out.
fn other_escape(escape: &str) -> (Option<u16>, &str) {
    let is_octal = |c: &char| ('0'..='7').contains(c);
    // Three digits at most, and no more than \377.
    let most = if escape.starts_with(['0', '1', '2', '3']) { 3 } else { 2 };
    let octal = escape.chars().take(most).take_while(is_octal).count();
    if octal > 0 {
        let (digits, behind) = escape.split_at(octal);
        return (u16::from_str_radix(digits, 8).ok(), behind);
    }
    let unit = match escape.chars().next() {
        Some('b') => 8,
        Some('t') => u16::from(b'\t'),
        Some('n') => u16::from(b'\n'),
        Some('f') => 12,
        Some('r') => u16::from(b'\r'),
        Some(c @ ('\\' | '"' | '\'')) => c as u16,
        _ => return (None, escape),
    };
    (Some(unit), escape.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("\\u0041\\u0042", s("AB")), ("\\ud83d\\ude00", s("😀")), ("A", NULL), ("\\u00", NULL), ("", NULL), ("bogus!", NULL)]
                .map(|(x, y)| ([s(x)], y)),
        );
        check_all(&FUNCTION, [(75, s("K")), (128_512, s("😀")), (-1, NULL), (0xD800, NULL)].map(|(x, y)| ([Value::Int(x)], y)));
        for (escape, text) in [("\\uu+0042", "AB"), ("\\n\\t\\\\", "A\n\t\\"), ("\\101\\47\\4123", "AA'!23"), ("\\x\\", "Ax"), ("é", "Aé")]
        {
            check(&FUNCTION, &[s(&format!("\\u0041{escape}"))], s(text));
        }
        check_fails(&FUNCTION, &[s("\\u00zz")]);
    }
}
