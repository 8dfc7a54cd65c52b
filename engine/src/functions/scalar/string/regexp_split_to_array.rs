//! REGEXP_SPLIT_TO_ARRAY: a string split where a pattern matches.

use super::prelude::*;
use super::regexps::{INPUT, PATTERN, patterns};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REGEXP_SPLIT_TO_ARRAY",
    spelling: "regexp_split_to_array",
    category: Category::String,
    description: "The parts of a string between matches of a regular expression; each character on its own where the expression is empty. One that matches nothing at all is an error.",
    examples: &[example("REGEXP_SPLIT_TO_ARRAY('a1b22c', '\\d+')", "[a, b, c]")],
    variants: &[ScalarVariant::prepared("The parts.", &[INPUT, PATTERN], Returns::Type(ParamType::Array(&ParamType::String)), prepare)],
};

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let patterns = patterns(call, 1);
    Ok(Box::new(move |args| {
        let (text, pattern): (&str, &str) = (args.get(0)?, args.get(1)?);
        if (pattern.is_empty() || pattern == "()") && !text.is_empty() {
            return Ok(Value::array(text.chars().map(|c| Value::string(Text::from(c.encode_utf8(&mut [0; 4]) as &str))).collect()));
        }
        if pattern.is_empty() || pattern == "()" {
            return Ok(Value::array(vec![args.take(0)]));
        }
        let regex = patterns.get(pattern)?;
        if regex.first("").map_err(EvalError::new)?.is_some() {
            return Err(EvalError::new(format!("The pattern may not match the empty string: {pattern}")));
        }
        let mut parts = Vec::new();
        let mut copied = 0;
        for found in regex.all(text) {
            if let Some(whole) = found.map_err(EvalError::new)?.get(0) {
                parts.push(Value::string(text.get(copied..whole.start()).unwrap_or_default()));
                copied = whole.end();
            }
        }
        parts.push(Value::string(text.get(copied..).unwrap_or_default()));
        Ok(Value::array(parts))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls: [(&str, &str, &[&str]); 8] = [
            ("a1b22c", r"\d+", &["a", "b", "c"]),
            ("1a2", r"\d", &["", "a", ""]),
            ("abc", "", &["a", "b", "c"]),
            ("abc", "x", &["abc"]),
            ("", "x", &[""]),
            ("a,b,,c,,", ",", &["a", "b", "", "c", "", ""]),
            ("a.b", ".", &["", "", "", ""]),
            ("aabcda", "(ab|cd)", &["a", "", "a"]),
        ];
        check_all(&FUNCTION, calls.map(|(x, p, parts)| ([s(x), s(p)], strings(parts))));
        check_fails(&FUNCTION, &[s("a"), s("(")]);
        check_fails(&FUNCTION, &[s("a"), s("x*")]);
    }
}
