//! `${name}`: variables of a session, put into a statement's text before it is parsed.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Token;

use crate::ast::{Location, Span};
use crate::error::{Fault, ParseError};
use crate::lexer::lex;

/// The property that turns substitution off for a session where it is `false`.
pub const SUBSTITUTION_PROPERTY: &str = "ksql.variable.substitution.enable";

/// How much values may add to a text, in bytes. Each `DEFINE b = '${a}${a}'` makes the next value twice as long.
const MAX_ADDED_BYTES: usize = 1 << 23;

/// Puts the values of variables in the place of `${name}`. `$${name}` stands for the text `${name}`.
///
/// A value can't break out of its place: inside quotes its quotes are doubled; elsewhere it must be one name or one
/// literal. Comments stay as they are, and so does what is no reference (`${`, `${1}`), and within a string literal a
/// reference to a variable that is not defined. Values are not searched for further references.
///
/// # Errors
/// A reference to a variable that is not defined, outside of string literals; a value that is neither a name nor a literal
/// where one must stand; values that are too long altogether.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, ParseError> {
    let mut result = String::with_capacity(text.len());
    let mut context = Context::Plain;
    let mut rest = text;
    let mut added = 0;
    while let Some(first) = rest.chars().next() {
        let place = text.len() - rest.len();
        if context.substitutes() {
            if let Some(name) = reference(rest.strip_prefix('$').unwrap_or("")) {
                // Doubled: the text itself, without the first sign.
                let escaped = rest.get(1..).unwrap_or("");
                let length = name.len() + "${}".len();
                result += escaped.get(..length).unwrap_or("");
                rest = escaped.get(length..).unwrap_or("");
                continue;
            }
            if let Some(name) = reference(rest) {
                let length = name.len() + "${}".len();
                let value = match value_of(name, variables) {
                    // Within a text, `${x}` may be meant for others (connectors, templates).
                    Err(_) if context == Context::Quotes('\'') => {
                        result += rest.get(..length).unwrap_or("");
                        rest = rest.get(length..).unwrap_or("");
                        continue;
                    }
                    found => found.and_then(|value| {
                        added += value.len();
                        if added > MAX_ADDED_BYTES {
                            let message = format!("The values of variables add more than {MAX_ADDED_BYTES} bytes to the statement");
                            return Err(Fault::invalid(Span::default(), message));
                        }
                        context.fit(name, value)
                    }),
                };
                result += &value.map_err(|fault| Fault { span: span_at(text, place, length), ..fault }.locate(text))?;
                rest = rest.get(length..).unwrap_or("");
                continue;
            }
        }
        context = context.after(rest, first);
        result.push(first);
        rest = rest.get(first.len_utf8()..).unwrap_or("");
    }
    Ok(result)
}

/// The name, among those of the variables that are defined, that stands for the same variable: case doesn't tell variables
/// apart.
pub fn same_variable<'v>(name: &str, mut defined: impl Iterator<Item = &'v String>) -> Option<&'v String> {
    defined.find(|other| other.eq_ignore_ascii_case(name))
}

/// What the scan stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Plain,
    /// Inside quotes of this kind. A doubled quote closes them and opens them again, which comes to the same.
    Quotes(char),
    LineComment,
    BlockComment,
    /// One character before the end of a block comment, or after the start of one.
    BlockEdge {
        closes: bool,
    },
}

impl Context {
    fn substitutes(self) -> bool {
        matches!(self, Context::Plain | Context::Quotes(_))
    }

    /// After the first character of `rest`.
    fn after(self, rest: &str, first: char) -> Context {
        match self {
            Context::Plain if matches!(first, '\'' | '`' | '"') => Context::Quotes(first),
            Context::Plain if rest.starts_with("--") => Context::LineComment,
            Context::Plain if rest.starts_with("/*") => Context::BlockEdge { closes: false },
            Context::Quotes(quote) if first == quote => Context::Plain,
            Context::LineComment if first == '\n' => Context::Plain,
            Context::BlockComment if rest.starts_with("*/") => Context::BlockEdge { closes: true },
            Context::BlockEdge { closes: true } => Context::Plain,
            Context::BlockEdge { closes: false } => Context::BlockComment,
            same => same,
        }
    }

    /// The value as it can stand here.
    fn fit(self, name: &str, value: &str) -> Result<String, Fault> {
        match self {
            Context::Quotes(quote) => Ok(value.replace(quote, &format!("{quote}{quote}"))),
            _ if is_name_or_literal(value) => Ok(value.to_string()),
            _ => {
                let message = format!("The value of variable '{name}' is neither a name nor a literal: {value}");
                Err(Fault::invalid(Span::default(), message).hint("A value with other text can only stand inside quotes."))
            }
        }
    }
}

/// The name in the reference that a text begins with.
fn reference(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("${")?;
    // Looked for no further than the name goes: a text may open many and close none.
    let end = inside.bytes().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@')))?;
    let (name, behind) = inside.split_at_checked(end)?;
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (begins && behind.starts_with('}')).then_some(name)
}

/// A variable by its name, or by its name in another case.
fn value_of<'v>(name: &str, variables: &'v BTreeMap<String, String>) -> Result<&'v str, Fault> {
    if let Some(value) = same_variable(name, variables.keys()).and_then(|name| variables.get(name)) {
        return Ok(value);
    }
    let fault = Fault::invalid(Span::default(), format!("Undefined variable '{name}'"));
    Err(match crate::did_you_mean(name, variables.keys().map(String::as_str)) {
        Some(meant) => fault.hint(format!("Did you mean '{meant}'?")),
        None => fault.hint(format!("Set it with DEFINE {name} = '…'; (write $${{{name}}} for the text itself).")),
    })
}

/// One word, quoted name, text or number, which may have a minus.
fn is_name_or_literal(value: &str) -> bool {
    let tokens: Vec<Token> = lex(value).into_iter().map(|t| t.token).collect();
    // A comment would hide what follows.
    let bare = !value.contains("--") && !value.contains("/*") || value.starts_with(['\'', '`', '"']);
    bare && matches!(
        tokens.as_slice(),
        [Token::Word(_) | Token::SingleQuotedString(_) | Token::Number(..), Token::EOF] | [Token::Minus, Token::Number(..), Token::EOF]
    )
}

fn span_at(text: &str, byte: usize, length: usize) -> Span {
    let before = text.get(..byte).unwrap_or("");
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = count(before.matches('\n').count()).saturating_add(1);
    let column = count(before.rsplit('\n').next().unwrap_or("").chars().count()).saturating_add(1);
    Span { start: Location { line, column }, end: Location { line, column: column.saturating_add(count(length)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, ParseError> {
        let variables = [
            ("topic", "orders"),
            ("n", "5"),
            ("minus", "-5"),
            ("ref", "a${n}"),
            ("quote", "it's"),
            ("text", "'it''s'"),
            ("evil", "s; DROP STREAM s"),
            ("hidden", "s -- x"),
            ("hidden_too", "'a' /* x"),
        ];
        substitute(text, &variables.map(|(k, v)| (k.to_string(), v.to_string())).into())
    }

    #[test]
    fn references_become_values() {
        for (text, expected) in [
            ("SELECT ${n}, ${minus} FROM ${topic} WHERE a = ${text};", "SELECT 5, -5 FROM orders WHERE a = 'it''s';"),
            ("WITH (kafka_topic='${topic}_${n}')", "WITH (kafka_topic='orders_5')"),
            ("'${quote} ${evil}' `${quote}`", "'it''s s; DROP STREAM s' `it's`"),
            ("'a''${ref}'", "'a''a${n}'"),
            ("$${n} and '$${n}' and ${N}", "${n} and '${n}' and 5"),
            ("no $ { reference ${ here ${1} ${a b} $$", "no $ { reference ${ here ${1} ${a b} $$"),
            ("-- ${none}\n${n} /*/ ${none} */ ${n}", "-- ${none}\n5 /*/ ${none} */ 5"),
            ("/**/${n}", "/**/5"),
            ("WITH ('table.name.format' = '${none}_${n}', 'x' = '$${n}')", "WITH ('table.name.format' = '${none}_5', 'x' = '${n}')"),
            ("é${n}é", "é5é"),
        ] {
            assert_eq!(with(text).unwrap_or_else(|e| panic!("{e}")), expected);
        }
    }

    #[test]
    fn values_that_double_again_and_again_come_to_an_end() {
        let long = BTreeMap::from([("a".to_owned(), "x".repeat(MAX_ADDED_BYTES / 2))]);
        assert!(substitute("'${a}' '${a}'", &long).is_ok());
        let error = substitute("'${a}' '${a}' '${a}'", &long).expect_err("too long");
        assert!(error.to_string().contains("more than 8388608 bytes"), "{error}");
        // Each begins a reference and none ends it: the text is read once.
        let open = "${".repeat(1_000_000);
        assert_eq!(substitute(&open, &long).as_deref(), Ok(open.as_str()));
    }

    #[test]
    fn an_undefined_variable_is_named_with_its_place() {
        assert!(with("SELECT * FROM `${topc}`;").is_err());
        let error = with("SELECT 1\nFROM é${topc};").expect_err("undefined");
        assert_eq!((error.span.start.line, error.span.start.column), (2, 7));
        assert!(error.message.contains("'topc'") && error.suggestion.as_deref() == Some("Did you mean 'topic'?"));
    }

    #[test]
    fn a_value_stays_in_its_place() {
        for text in ["SELECT * FROM ${evil}", "${hidden}", "${hidden_too}", "${quote}"] {
            let error = with(text).expect_err(text).to_string();
            assert!(error.contains("neither a name nor a literal"), "{error}");
        }
    }
}
