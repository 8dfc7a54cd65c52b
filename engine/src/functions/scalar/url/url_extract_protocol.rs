//! URL_EXTRACT_PROTOCOL: the protocol of a URL.

use super::prelude::*;
use crate::functions::java::Uri;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_PROTOCOL",
    spelling: "url_extract_protocol",
    category: Category::Url,
    description: "The protocol (scheme) of a URL; null where it has none.",
    examples: &[example("URL_EXTRACT_PROTOCOL('https://a.com')", "https")],
    variants: &[ScalarVariant::plain(
        "The protocol (scheme) of a URL; null where it has none.",
        &[param("url", ParamType::String, "The URL.")],
        STRING,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            Ok(uri.scheme.map_or(Value::Null, Value::string))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("http://user:pw@example.com:8080/a/b%20c?x=%C3%A9#frag%20x")], s("http"));
        check_all(&FUNCTION, [("www.confluent.io", NULL), ("mailto:x", s("mailto"))].map(|(x, y)| ([s(x)], y)));
        check_fails(&FUNCTION, &[s("not a url with spaces")]);
    }
}
