//! INITCAP: a string with each word capitalised.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "INITCAP",
    spelling: "initcap",
    category: Category::String,
    description: "The string with the first character of each word in capitals and the rest in small letters. White space before the first word is left out.",
    examples: &[example("INITCAP('hello wORLD')", "Hello World")],
    variants: &[ScalarVariant::plain("Capitalised words.", &[param("str", ParamType::String, "The string.")], STRING, eval)],
};

/// White space as Java's `\\s` has it.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

fn eval(args: &mut Args<'_>) -> Outcome {
    let text: &str = args.get(0)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches(is_blank);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(is_blank).unwrap_or(rest.len());
        let next = rest.get(end..).unwrap_or_default();
        let blanks = next.len() - next.trim_start_matches(is_blank).len();
        out.extend(first.to_uppercase());
        out.push_str(&rest.get(first.len_utf8()..end).unwrap_or_default().to_lowercase());
        out.push_str(next.get(..blanks).unwrap_or_default());
        rest = next.get(blanks..).unwrap_or_default();
    }
    Ok(Value::string(out))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            ("  padded  ", "Padded  "),
            ("hello wORLD", "Hello World"),
            ("o'neill mc-donald", "O'neill Mc-donald"),
            ("two  spaces", "Two  Spaces"),
            ("tab\tsep", "Tab\tSep"),
            ("Ünïcode é", "Ünïcode É"),
            ("", ""),
            ("1st place", "1st Place"),
            ("😀 smile", "😀 Smile"),
        ];
        check_all(&FUNCTION, calls.map(|(x, y)| ([s(x)], s(y))));
    }
}
