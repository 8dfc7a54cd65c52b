//! REGEXP_REPLACE: all that a pattern matches replaced.

use super::prelude::*;
use super::regexps::{INPUT, PATTERN, patterns};
use crate::functions::java::{JavaRegex, RegexMatch};
use crate::functions::limits;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REGEXP_REPLACE",
    spelling: "regexp_replace",
    category: Category::String,
    description: "The string with all that a regular expression matches replaced. In the new text $1 and ${name} stand for groups; a backslash takes the meaning from the next character.",
    examples: &[example("REGEXP_REPLACE('bob@corp', '(\\w+)@(\\w+)', '$2 at $1')", "corp at bob")],
    variants: &[ScalarVariant::prepared(
        "Replaces what matches.",
        &[INPUT, PATTERN, param("newString", ParamType::String, "What takes its place.")],
        STRING,
        prepare,
    )],
};

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let patterns = patterns(call, 1);
    Ok(Box::new(move |args| {
        let regex = patterns.get(args.get(1)?)?;
        let (text, replacement): (&str, &str) = (args.get(0)?, args.get(2)?);
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for found in regex.all(text) {
            let captures = found.map_err(EvalError::new)?;
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(text.get(copied..whole.start()).unwrap_or_default());
            expand(replacement, &regex, &captures, &mut out)?;
            limits::check_bytes(out.len())?;
            copied = whole.end();
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Ok(Value::string(out))
    }))
}

/// Appends the replacement for one match.
fn expand(replacement: &str, regex: &JavaRegex, captures: &RegexMatch<'_>, out: &mut String) -> Result<(), EvalError> {
    let wrong = || EvalError::new(format!("Illegal group reference in '{replacement}'"));
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let special = rest.get(at + 1..).unwrap_or_default();
        if rest.as_bytes().get(at) == Some(&b'\\') {
            let escaped = special.chars().next().ok_or_else(wrong)?;
            out.push(escaped);
            rest = special.get(escaped.len_utf8()..).unwrap_or_default();
            continue;
        }
        let group;
        (group, rest) = if let Some(named) = special.strip_prefix('{') {
            let (name, behind) = named.split_once('}').ok_or_else(wrong)?;
            (regex.group_named(name).ok_or_else(wrong)?, behind)
        } else {
            numbered(special, regex.groups()).ok_or_else(wrong)?
        };
        out.push_str(captures.get(group).map_or("", |part| part.as_str()));
    }
    out.push_str(rest);
    Ok(())
}

/// The group number that a text begins with: as many digits as make one that exists.
fn numbered(text: &str, groups: usize) -> Option<(usize, &str)> {
    let mut number = usize::try_from(text.chars().next()?.to_digit(10)?).ok().filter(|number| *number <= groups)?;
    let mut length = 1;
    while let Some(digit) = text.as_bytes().get(length).filter(|b| b.is_ascii_digit()) {
        let longer = number * 10 + usize::from(digit - b'0');
        if longer > groups {
            break;
        }
        number = longer;
        length += 1;
    }
    Some((number, text.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            ("bob@corp", r"(\w+)@(\w+)", "$2 at $1", "corp at bob"),
            ("abz", "^a|z$", "#", "#b#"),
            ("A1b2", "[^a-z]+", "", "b"),
            ("é@x", r"(\w+)@(\w+)", "$2", "é@x"),
            ("abc", "(b)", "[$1]", "a[b]c"),
            ("abc", "(?<q>b)", "${q}!", "ab!c"),
            ("abc", "(b)", "$11", "ab1c"),
            ("abc", "b", r"\$1\\", r"a$1\c"),
            ("ab", "", "-", "-a-b-"),
            ("aaa", "a*", "b", "bb"),
            ("xaax", "a*", "-", "-x--x-"),
            ("", "x", "y", ""),
        ];
        check_all(&FUNCTION, calls.map(|(x, p, n, y)| ([s(x), s(p), s(n)], s(y))));
        for (pattern, replacement) in [("(", "x"), ("b", "$1"), ("b", "$x"), ("b", "${q}"), ("b", "$"), ("b", r"\")] {
            check_fails(&FUNCTION, &[s("abc"), s(pattern), s(replacement)]);
        }
        check(&FUNCTION, &[s("abc"), NULL, s("x")], NULL);
    }
}
