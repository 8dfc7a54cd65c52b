//! The place of what an error names, where DataFusion does not say it: the only token of the query's text that it can be.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use tidemill_parser::ast::Span;

use crate::dialect::{AnySql, span_of};

/// What an error is about.
#[derive(Debug, PartialEq, Eq)]
enum About<'m> {
    /// The function of a call, in any case of letters.
    Call(&'m str),
    /// A field or a column.
    Name(&'m str),
    Text(&'m str),
    Number(&'m str),
    Division,
}

/// Where in a text stands what a message is about; `None` where it says nothing of that, or where it may be one of several.
pub(crate) fn place(message: &str, text: &str) -> Option<Span> {
    let about = about(message)?;
    let tokens = Tokenizer::new(&AnySql, text).tokenize_with_location().ok()?;
    let tokens: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut found = tokens.iter().enumerate().filter(|(index, token)| {
        let calls = || tokens.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        match (&about, &token.token) {
            (About::Call(name), Token::Word(word)) => word.value.eq_ignore_ascii_case(name) && calls(),
            (About::Name(name), Token::Word(word)) => match word.quote_style {
                Some(_) => word.value == *name,
                None => word.value.eq_ignore_ascii_case(name),
            },
            (About::Text(text), Token::SingleQuotedString(found)) => found == text,
            (About::Number(number), Token::Number(found, _)) => found == number,
            (About::Division, Token::Div | Token::Mod) => true,
            _ => false,
        }
    });
    let (_, first) = found.next()?;
    found.next().is_none().then(|| span_of(first.span))
}

fn about(message: &str) -> Option<About<'_>> {
    let between = |before: &str, behind: &str| message.split_once(before)?.1.split_once(behind).map(|(between, _)| between);
    if message.starts_with("Divide by zero") {
        return Some(About::Division);
    }
    if message.starts_with("Function '") {
        return between("Function '", "' does not accept").map(About::Call);
    }
    if message.starts_with("Field ") {
        return between("Field ", " not found in struct").map(About::Name);
    }
    if message.starts_with("Order by column out of bounds") {
        return between("specified: ", ",").map(About::Number);
    }
    between("Cannot cast string '", "' to value").map(About::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(message: &str, text: &str) -> Option<u32> {
        place(message, text).map(|span| span.start.column)
    }

    #[test]
    fn the_only_token_that_it_can_be_is_the_place() {
        let refused = "Function 'ucase' does not accept parameters (STRING, INTEGER).";
        assert_eq!(column(refused, "SELECT 'UCASE(', UCASE(item, 3) FROM t"), Some(18));
        assert_eq!(column(refused, "SELECT UCASE(a), UCASE(item, 3) FROM t"), None, "it may be either");
        assert_eq!(column("Field CTY not found in struct", "SELECT addr->cty FROM t"), Some(14));
        assert_eq!(column("Field cty not found in struct", "SELECT addr->`CTY` FROM t"), None);
        assert_eq!(column("Cast error: Cannot cast string 'abc' to value of BIGINT type", "SELECT a FROM t WHERE b = 'abc'"), Some(27));
        assert_eq!(column("Order by column out of bounds, specified: 7, max: 1", "SELECT a FROM t\nORDER BY 7"), Some(10));
        assert_eq!(column("Divide by zero error", "SELECT a / 0 FROM t"), Some(10));
        assert_eq!(column("Divide by zero error", "SELECT a / 0, b % 0 FROM t"), None);
        assert_eq!(column("Something else", "SELECT something FROM t"), None);
    }
}
