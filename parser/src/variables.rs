//! `${name}`: variables of a session, put into a statement's text before it is parsed.

use std::collections::BTreeMap;

use crate::ast::{Location, Span};
use crate::error::{Fault, ParseError};

/// Puts the values of variables in the place of `${name}`, inside quotes too. `$${name}` stands for the text `${name}`.
/// What is no reference (`${`, `${1}`) stays as it is; values are not searched for further references.
///
/// # Errors
/// A reference to a variable that is not defined.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, ParseError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else {
            result += before;
            result += "${";
            rest = after;
            continue;
        };
        rest = after.get(name.len() + 1..).unwrap_or("");
        if let Some(escaped) = before.strip_suffix('$') {
            result += escaped;
            result += &format!("${{{name}}}");
            continue;
        }
        result += before;
        match lookup(name, variables) {
            Some(value) => result += value,
            None => return Err(undefined(text, text.len() - after.len() - 2, name, variables)),
        }
    }
    result += rest;
    Ok(result)
}

/// A variable by its name, or by its name in another case.
fn lookup<'v>(name: &str, variables: &'v BTreeMap<String, String>) -> Option<&'v String> {
    variables.get(name).or_else(|| variables.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@'))
}

fn undefined(text: &str, byte: usize, name: &str, variables: &BTreeMap<String, String>) -> ParseError {
    let before = text.get(..byte).unwrap_or("");
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let start = Location {
        line: count(before.matches('\n').count() + 1),
        column: count(before.rsplit('\n').next().unwrap_or("").chars().count() + 1),
    };
    let end = Location { line: start.line, column: start.column.saturating_add(count(name.len() + 3)) };
    let fault = Fault::invalid(Span { start, end }, format!("Undefined variable '{name}'"));
    match crate::did_you_mean(name, variables.keys().map(String::as_str)) {
        Some(meant) => fault.hint(format!("Did you mean '{meant}'?")),
        None => fault.hint(format!("Set it with DEFINE {name} = '…'; (write $${{{name}}} for the text itself).")),
    }
    .locate(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, ParseError> {
        let variables = [("topic", "orders"), ("n", "5"), ("ref", "${n}")];
        substitute(text, &variables.map(|(k, v)| (k.to_string(), v.to_string())).into())
    }

    #[test]
    fn references_become_values() {
        for (text, expected) in [
            ("SELECT ${n} FROM ${topic};", "SELECT 5 FROM orders;"),
            ("WITH (kafka_topic='${topic}_${n}')", "WITH (kafka_topic='orders_5')"),
            ("$${n} and ${N}", "${n} and 5"),
            ("${ref}", "${n}"),
            ("no $ { reference ${ here ${1} ${a b}", "no $ { reference ${ here ${1} ${a b}"),
            ("é${n}é", "é5é"),
        ] {
            assert_eq!(with(text).expect(text), expected);
        }
    }

    #[test]
    fn an_undefined_variable_is_named_with_its_place() {
        let error = with("SELECT 1\nFROM é${topc};").expect_err("undefined");
        assert_eq!((error.span.start.line, error.span.start.column), (2, 7));
        assert!(error.message.contains("'topc'") && error.suggestion.as_deref() == Some("Did you mean 'topic'?"));
    }
}
