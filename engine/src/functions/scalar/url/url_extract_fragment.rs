//! URL_EXTRACT_FRAGMENT: the fragment of a URL.

use super::prelude::*;
use crate::functions::java::{Uri, decoded};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "URL_EXTRACT_FRAGMENT",
    spelling: "url_extract_fragment",
    category: Category::Url,
    description: "The part of a URL behind #, without escapes; null where there is none.",
    examples: &[example("URL_EXTRACT_FRAGMENT('http://a.com/b#c')", "c")],
    variants: &[ScalarVariant::plain(
        "The part of a URL behind #, without escapes; null where there is none.",
        &[param("url", ParamType::String, "The URL.")],
        STRING,
        |args| {
            let uri = Uri::parse(args.get(0)?).map_err(EvalError::new)?;
            Ok(uri.fragment.map_or(Value::Null, |part| Value::string(decoded(part))))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("http://user:pw@example.com:8080/a/b%20c?x=%C3%A9#frag%20x")], s("frag x"));
        check_all(&FUNCTION, [("http://www.nofragment.com", NULL), ("", NULL)].map(|(x, y)| ([s(x)], y)));
        check_fails(&FUNCTION, &[s("not a url with spaces")]);
    }
}
