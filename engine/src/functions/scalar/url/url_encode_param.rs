//! URL_ENCODE_PARAM: text as it may stand in a query.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_ENCODE_PARAM",
    spelling: "url_encode_param",
    category: Category::Url,
    description: "The text as application/x-www-form-urlencoded: blanks as +, other than letters, digits and .-*_ as %XX of their UTF-8.",
    examples: &[example("URL_ENCODE_PARAM('a b&c')", "a+b%26c")],
    variants: &[ScalarVariant::plain("Encoded text.", &[param("input", ParamType::String, "The text.")], STRING, |args| {
        let text: &str = args.get(0)?;
        Ok(Value::string(url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("?foo $bar", "%3Ffoo+%24bar"), ("é漢😀", "%C3%A9%E6%BC%A2%F0%9F%98%80"), ("~-_.*", "%7E-_.*"), ("", "")]
                .map(|(x, y)| ([s(x)], s(y))),
        );
    }
}
