//! REGEXP_EXTRACT: what a pattern finds first.

use super::prelude::*;
use super::regexps::{GROUP, INPUT, PATTERN, group, patterns};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REGEXP_EXTRACT",
    spelling: "regexp_extract",
    category: Category::String,
    description: "The first part of a string that a regular expression matches, or one of its groups; null where nothing matches.",
    examples: &[example("REGEXP_EXTRACT('(\\w+)-(\\d+)', 'abc-12', 2)", "12")],
    variants: &[
        ScalarVariant::prepared("The first match.", &[PATTERN, INPUT], STRING, prepare),
        ScalarVariant::prepared("A group of the first match.", &[PATTERN, INPUT, GROUP], STRING, prepare),
    ],
};

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let patterns = patterns(call, 0);
    Ok(Box::new(move |args| {
        let regex = patterns.get(args.get(0)?)?;
        let Some(group) = group(args, &regex)? else { return Ok(Value::Null) };
        let found = regex.first(args.get(1)?).map_err(EvalError::new)?;
        Ok(found.and_then(|captures| captures.get(group).map(|part| Value::string(part.as_str()))).unwrap_or_default())
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            ("abc-12", 0, s("abc-12")),
            ("xx 9-7 8-6", 1, s("9")),
            ("xx 9-7 8-6", 2, s("7")),
            ("abc-12", 3, NULL),
            ("", 0, NULL),
            ("é-1", 1, NULL),
        ];
        check_all(&FUNCTION, calls.map(|(x, n, y)| ([s(r"(\w+)-(\d+)"), s(x), Value::Int(n)], y)));
        check(&FUNCTION, &[s(r".*-(\d+)"), s("xx 9-7 8-6")], s("xx 9-7 8-6"));
        check(&FUNCTION, &[s("(a)(b)?"), s("a"), Value::Int(2)], NULL);
        check_fails(&FUNCTION, &[s("["), s("a")]);
        check_fails(&FUNCTION, &[s("(a)"), s("a"), Value::Int(-1)]);
    }
}
