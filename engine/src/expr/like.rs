//! `text LIKE pattern [ESCAPE c]`: `%` is any run of characters, `_` any one; line breaks are characters as others are.
//! (ksqlDB's `%` and `_` stop at a line break, which is a known fault there: `'a\nb' LIKE '%'` is false.)
//!
//! A null text or pattern fails it, and so does a pattern that ends in its escape character.
//!
//! Patterns that are known beforehand become a comparison, a prefix, a suffix or a search where they can.

use memchr::memmem;
use tidemill_parser::ast::Expr;

use crate::functions::EvalError;
use crate::types::{SqlType, Text, Value};

use super::compile::compile as compile_expr;
use super::compiled::type_name;
use super::operand::Operand;
use super::{Compiled, Eval, ExprError, Scope};

/// Compiles LIKE or NOT LIKE.
pub(super) fn compile(
    expr: &Expr,
    operand: &Expr,
    pattern: &Expr,
    escape: Option<char>,
    negated: bool,
    scope: &Scope<'_>,
) -> Result<Compiled, ExprError> {
    let text = compile_expr(operand, scope)?;
    let pattern = compile_expr(pattern, scope)?;
    for (part, may_be_null) in [(&text, false), (&pattern, true)] {
        if part.sql_type != Some(SqlType::String) && !(may_be_null && part.sql_type.is_none()) {
            let found = type_name(part.sql_type.as_ref());
            let message = format!("The column type for Like condition must be VARCHAR. The column type is {found}. expression: {expr}");
            return Err(ExprError::code(message, expr.span));
        }
    }
    let constant = text.is_constant() && pattern.is_constant();
    let text_operand = Operand::<Text>::new(text);
    let null = EvalError::null_operand;
    let eval: Eval<bool> = match pattern.constant() {
        Some(Value::String(pattern)) => {
            let matcher = Matcher::new(pattern, escape);
            Box::new(move |env| {
                let text = text_operand.get_ref(env)?.ok_or_else(null)?;
                Ok(Some(matcher.as_ref().map_err(EvalError::clone)?.matches(&text) != negated))
            })
        }
        _ => {
            let pattern = Operand::<Text>::new(pattern);
            Box::new(move |env| {
                let text = text_operand.get_ref(env)?.ok_or_else(null)?;
                let pattern = pattern.get_ref(env)?.ok_or_else(null)?;
                Ok(Some(Matcher::new(&pattern, escape)?.matches(&text) != negated))
            })
        }
    };
    Ok(Compiled::typed(SqlType::Boolean, eval).folded(constant))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `_`
    AnyOne,
    /// `%`
    AnyRun,
}

/// A pattern, prepared.
enum Matcher {
    Exact(String),
    /// `%`
    Anything,
    /// `text%`
    Prefix(String),
    /// `%text`
    Suffix(String),
    /// `%text%`
    Contains(Box<memmem::Finder<'static>>),
    General(Vec<Token>),
}

impl Matcher {
    fn new(pattern: &str, escape: Option<char>) -> Result<Self, EvalError> {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                c if Some(c) == escape => {
                    Token::Char(chars.next().ok_or_else(|| EvalError::new("LIKE pattern must not end with escape character"))?)
                }
                '%' => Token::AnyRun,
                '_' => Token::AnyOne,
                c => Token::Char(c),
            });
        }
        tokens.dedup_by(|a, b| *a == Token::AnyRun && *b == Token::AnyRun);
        let literal = |tokens: &[Token]| -> Option<String> {
            tokens.iter().map(|token| if let Token::Char(c) = token { Some(*c) } else { None }).collect()
        };
        let simple = match tokens.as_slice() {
            [Token::AnyRun] => Some(Matcher::Anything),
            [Token::AnyRun, middle @ .., Token::AnyRun] => {
                literal(middle).map(|text| Matcher::Contains(Box::new(memmem::Finder::new(text.as_bytes()).into_owned())))
            }
            [Token::AnyRun, rest @ ..] => literal(rest).map(Matcher::Suffix),
            [rest @ .., Token::AnyRun] => literal(rest).map(Matcher::Prefix),
            all => literal(all).map(Matcher::Exact),
        };
        Ok(simple.unwrap_or(Matcher::General(tokens)))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Matcher::Exact(wanted) => text == wanted,
            Matcher::Anything => true,
            Matcher::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Matcher::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Matcher::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Matcher::General(tokens) => general(tokens, text),
        }
    }
}

/// Matches token by token; on a mismatch the last `%` takes one character more.
fn general(tokens: &[Token], text: &str) -> bool {
    let mut at = 0;
    let mut rest = text;
    // Behind the last `%`: its token, and the text that it has not taken yet.
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let next = rest.chars().next();
        let step = match (tokens.get(at), next) {
            (None, None) => return true,
            (Some(Token::AnyRun), _) => {
                at += 1;
                retry = Some((at, rest));
                continue;
            }
            (Some(Token::AnyOne), Some(_)) => true,
            (Some(Token::Char(wanted)), Some(c)) => *wanted == c,
            _ => false,
        };
        if let Some(c) = next
            && step
        {
            at += 1;
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            continue;
        }
        let Some((behind, left)) = retry else {
            return false;
        };
        let Some(taken) = left.chars().next() else {
            return false;
        };
        rest = left.get(taken.len_utf8()..).unwrap_or_default();
        at = behind;
        retry = Some((behind, rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("a", "a%", true),
            ("ABC", "a%", false),
            ("abc", "_b_", true),
            ("xbé", "_b_", true),
            ("", "%", true),
            ("", "_", false),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "%d%", false),
            ("abc", "abc", true),
            ("a\nb", "%", true),
            ("a\nb", "a%", true),
            ("a\nb", "a_b", true),
            ("a\u{2028}b", "%b", true),
            ("â", "%", true),
            ("a\nb", "a\nb", true),
            ("ca\nbd", "%a\nb%", true),
            ("😀", "_", true),
            ("foobar", "%o%a%", true),
            ("foobar", "f%b_r", true),
            ("foobar", "f%b_", false),
            ("aaab", "%ab", true),
            ("%", "!%", true),
            ("x", "!%", false),
            ("a_b", "a!_b", true),
            ("axb", "a!_b", false),
            ("!", "!!", true),
            ("a\nalert\nb", "%alert%", true),
            ("a\r\nb", "a__b", true),
            ("a\nb\nc", "a%b_c", true),
            ("a\nb", "a%x", false),
            ("foobar", "%%bar", true),
        ] {
            assert_eq!(Matcher::new(pattern, Some('!')).map(|matcher| matcher.matches(text)), Ok(expected), "{text:?} LIKE {pattern:?}");
        }
    }
}
