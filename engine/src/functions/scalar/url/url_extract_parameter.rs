//! URL_EXTRACT_PARAMETER: a parameter of the query of a URL.

use super::prelude::*;
use crate::functions::java::{Uri, decoded};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_PARAMETER",
    spelling: "url_extract_parameter",
    category: Category::Url,
    description: "The value of a parameter in the query of a URL, without escapes: all behind the first '=', empty where it stands without a value, null where it is not there.",
    examples: &[example("URL_EXTRACT_PARAMETER('http://a.com/b?c=1&d=2', 'd')", "2")],
    variants: &[ScalarVariant::plain(
        "The parameter.",
        &[param("url", ParamType::String, "The URL."), param("param", ParamType::String, "The parameter's name.")],
        STRING,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            let wanted: &str = args.get(1)?;
            let query = uri.query.map(decoded).unwrap_or_default();
            let found = query.split('&').find_map(|pair| match pair.split_once('=') {
                None if pair == wanted => Some(""),
                Some((name, value)) if name == wanted => Some(value),
                _ => None,
            });
            Ok(found.map_or(Value::Null, Value::string))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("x", s("1")), ("y", s("a b")), ("q", s("")), ("z", NULL), ("X", NULL)]
                .map(|(name, y)| ([s("http://a.com/p?x=1&y=a%20b&x=2&q"), s(name)], y)),
        );
        check_all(
            &FUNCTION,
            [("token", s("a=b==")), ("empty", s("")), ("", s("x"))]
                .map(|(name, y)| ([s("http://a.com/?token=a=b==&empty=&=x"), s(name)], y)),
        );
        check(&FUNCTION, &[s("http://a.com"), s("x")], NULL);
        check_fails(&FUNCTION, &[s("not a url with spaces"), s("x")]);
    }
}
