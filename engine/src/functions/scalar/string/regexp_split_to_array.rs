//! REGEXP_SPLIT_TO_ARRAY: a string split where a pattern matches.

use super::prelude::*;
use super::regexps::{INPUT, PATTERN, patterns};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REGEXP_SPLIT_TO_ARRAY",
    spelling: "regexp_split_to_array",
    category: Category::String,
    description: "The parts of a string between matches of a regular expression; each character on its own where the expression is empty. With an expression that matches the empty string, empty parts at the end are left out.",
    examples: &[example("REGEXP_SPLIT_TO_ARRAY('a1b22c', '\\d+')", "[a, b, c]")],
    variants: &[ScalarVariant::prepared("The parts.", &[INPUT, PATTERN], Returns::Type(ParamType::Array(&ParamType::String)), prepare)],
};

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let patterns = patterns(call, 1);
    Ok(Box::new(move |args| {
        let (text, pattern): (&str, &str) = (args.get(0)?, args.get(1)?);
        let regex = patterns.get(pattern)?;
        let matches_nothing = regex.first("").map_err(EvalError::new)?.is_some();
        let parts = if matches_nothing { regex.split(text) } else { regex.split_all(text) };
        Ok(Value::array(parts.map_err(EvalError::new)?.into_iter().map(Value::string).collect()))
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
        // What matches the empty string splits as Java's Pattern does, anything else as Guava's Splitter.
        let empty_matches: [(&str, &str, &[&str]); 14] = [
            ("aabcc", "[a-b]*", &["", "", "c", "c"]),
            ("xaay", "a*", &["x", "", "y"]),
            ("aaa", "a*", &[]),
            ("", "a*", &[""]),
            ("", "", &[""]),
            ("é😀", "", &["é", "😀"]),
            ("AB", "^", &["AB"]),
            ("AB", "$", &["AB"]),
            ("abc", "()", &["a", "b", "c"]),
            ("ab cd", r"\b", &["ab", " ", "cd"]),
            ("abab", "(?=b)", &["a", "ba", "b"]),
            ("baba", "(?=b)", &["ba", "ba"]),
            ("ab", "(?<=b)", &["ab"]),
            ("abc", "(?<=b)", &["ab", "c"]),
        ];
        check_all(&FUNCTION, empty_matches.map(|(x, p, parts)| ([s(x), s(p)], strings(parts))));
        check_fails(&FUNCTION, &[s("a"), s("(")]);
    }
}
