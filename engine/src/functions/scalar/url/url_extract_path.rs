//! URL_EXTRACT_PATH: the path of a URL.

use super::prelude::*;
use crate::functions::java::{Uri, decoded};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_PATH",
    spelling: "url_extract_path",
    category: Category::Url,
    description: "The path of a URL, without escapes; null where it has none, as in mailto:x.",
    examples: &[example("URL_EXTRACT_PATH('http://a.com/b/c?d')", "/b/c")],
    variants: &[ScalarVariant::plain(
        "The path of a URL, without escapes; null where it has none, as in mailto:x.",
        &[param("url", ParamType::String, "The URL.")],
        STRING,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            Ok(uri.path.map_or(Value::Null, |part| Value::string(decoded(part))))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("http://user:pw@example.com:8080/a/b%20c?x=%C3%A9#frag%20x")], s("/a/b c"));
        check_all(
            &FUNCTION,
            [("https://example.com", s("")), ("mailto:bob@example.com", NULL), ("//host/p", s("/p")), ("", s(""))]
                .map(|(x, y)| ([s(x)], y)),
        );
        check_fails(&FUNCTION, &[s("not a url with spaces")]);
    }
}
