//! URL_EXTRACT_PORT: the port of a URL.

use super::prelude::*;
use crate::functions::java::Uri;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_PORT",
    spelling: "url_extract_port",
    category: Category::Url,
    description: "The port that a URL names; null where it names none.",
    examples: &[example("URL_EXTRACT_PORT('http://a.com:8080/b')", "8080")],
    variants: &[ScalarVariant::plain(
        "The port that a URL names; null where it names none.",
        &[param("url", ParamType::String, "The URL.")],
        INT,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            Ok(uri.port.map_or(Value::Null, Value::Int))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("http://user:pw@example.com:8080/a/b%20c?x=%C3%A9#frag%20x")], Value::Int(8080));
        check_all(&FUNCTION, [("http://test@confluent.io", NULL), ("http://[::1]:99/i", Value::Int(99))].map(|(x, y)| ([s(x)], y)));
        check_fails(&FUNCTION, &[s("not a url with spaces")]);
    }
}
