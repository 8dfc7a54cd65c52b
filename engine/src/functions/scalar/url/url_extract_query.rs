//! URL_EXTRACT_QUERY: the query of a URL.

use super::prelude::*;
use crate::functions::java::{Uri, decoded};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_QUERY",
    spelling: "url_extract_query",
    category: Category::Url,
    description: "The part of a URL behind ?, without escapes; null where there is none.",
    examples: &[example("URL_EXTRACT_QUERY('http://a.com/b?c=1')", "c=1")],
    variants: &[ScalarVariant::plain(
        "The part of a URL behind ?, without escapes; null where there is none.",
        &[param("url", ParamType::String, "The URL.")],
        STRING,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            Ok(uri.query.map_or(Value::Null, |part| Value::string(decoded(part))))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("http://user:pw@example.com:8080/a/b%20c?x=%C3%A9#frag%20x")], s("x=é"));
        check_all(&FUNCTION, [("ftp://host/path;p?", s("")), ("http://a/b", NULL), ("/just/path?a+b", s("a+b"))].map(|(x, y)| ([s(x)], y)));
        check_fails(&FUNCTION, &[s("not a url with spaces")]);
    }
}
