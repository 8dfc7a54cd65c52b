//! URL_DECODE_PARAM: text out of a query.

use super::prelude::*;
use crate::functions::java::decoded;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_DECODE_PARAM",
    spelling: "url_decode_param",
    category: Category::Url,
    description: "The text that application/x-www-form-urlencoded stands for: + as a blank, %XX as bytes of UTF-8.",
    examples: &[example("URL_DECODE_PARAM('a+b%26c')", "a b&c")],
    variants: &[ScalarVariant::plain("Decoded text.", &[param("input", ParamType::String, "The encoded text.")], STRING, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let text: &str = args.get(0)?;
    let bytes = text.as_bytes();
    let is_escape = |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if let Some(at) = (0..bytes.len()).find(|at| bytes.get(*at) == Some(&b'%') && !is_escape(*at)) {
        return Err(EvalError::new(format!("Illegal hex characters in escape (%) pattern at {at}: {text}")));
    }
    Ok(Value::string(decoded(&text.replace('+', " "))))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("%3Ffoo+%24bar", "?foo $bar"), ("é漢😀", "é漢😀"), ("%E6%BC%A2", "漢"), ("", "")].map(|(x, y)| ([s(x)], s(y))),
        );
        check_fails(&FUNCTION, &[s("%zz")]);
        check_fails(&FUNCTION, &[s("%")]);
    }
}
