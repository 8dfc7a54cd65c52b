//! URL_EXTRACT_HOST: the host of a URL.

use super::prelude::*;
use crate::functions::java::Uri;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_HOST",
    spelling: "url_extract_host",
    category: Category::Url,
    description: "The host of a URL; null where there is none.",
    examples: &[example("URL_EXTRACT_HOST('http://a.com:80/b')", "a.com")],
    variants: &[ScalarVariant::plain(
        "The host of a URL; null where there is none.",
        &[param("url", ParamType::String, "The URL.")],
        STRING,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            Ok(uri.host.map_or(Value::Null, Value::string))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("http://user:pw@example.com:8080/a/b%20c?x=%C3%A9#frag%20x")], s("example.com"));
        check_all(&FUNCTION, [("http://test@confluent.io", s("confluent.io")), ("/just/path", NULL)].map(|(x, y)| ([s(x)], y)));
        check_fails(&FUNCTION, &[s("not a url with spaces")]);
    }
}
