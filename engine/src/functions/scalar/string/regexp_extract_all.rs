//! REGEXP_EXTRACT_ALL: all that a pattern finds.

use super::prelude::*;
use super::regexps::{GROUP, INPUT, PATTERN, group, patterns};
use crate::functions::java::RegexMatch;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REGEXP_EXTRACT_ALL",
    spelling: "regexp_extract_all",
    category: Category::String,
    description: "All parts of a string that a regular expression matches, or one of its groups in each; null for a group that took no part.",
    examples: &[example("REGEXP_EXTRACT_ALL('\\d', 'a1b2')", "[1, 2]")],
    variants: &[
        ScalarVariant::prepared("All matches.", &[PATTERN, INPUT], RESULT, prepare),
        ScalarVariant::prepared("A group of all matches.", &[PATTERN, INPUT, GROUP], RESULT, prepare),
    ],
};

const RESULT: Returns = Returns::Type(ParamType::Array(&ParamType::String));

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let patterns = patterns(call, 0);
    Ok(Box::new(move |args| {
        let regex = patterns.get(args.get(0)?)?;
        let Some(group) = group(args, &regex)? else { return Ok(Value::Null) };
        let part = |captures: RegexMatch<'_>| captures.get(group).map_or(Value::Null, |part| Value::string(part.as_str()));
        regex.all(args.get(1)?).map(|found| found.map(part)).collect::<Result<Vec<_>, _>>().map(Value::array).map_err(EvalError::new)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("test."), s("some_test_string_testabab")], strings(&["test_", "testa"]));
        check(&FUNCTION, &[s(r"(\w+) (\w*)"), s("apurva mehta agavra "), Value::Int(2)], strings(&["mehta", ""]));
        check(&FUNCTION, &[s("(a)(b)?"), s("ab a"), Value::Int(2)], Value::array(vec![s("b"), NULL]));
        check(&FUNCTION, &[s("a*"), s("baac")], strings(&["", "aa", "", ""]));
        check(&FUNCTION, &[s("x"), s("")], Value::array(vec![]));
        check(&FUNCTION, &[s("x"), s("x"), Value::Int(1)], NULL);
    }
}
