//! What a text that is still being typed waits for.

use sqlparser::tokenizer::Token;

use crate::lexer::lex;

/// What is open at the end of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Open {
    /// Nothing but, perhaps, the statement itself.
    Statement,
    /// A text or a quoted name, with the quote that closes it.
    Quote(char),
    /// A comment that `*/` closes.
    Comment,
    /// `(`, the innermost one.
    Paren,
    /// `[`, the innermost one.
    Bracket,
}

/// What is open at the end of a text: the innermost thing.
pub fn open(text: &str) -> Open {
    let mut brackets = Vec::new();
    for token in lex(text) {
        match token.token {
            Token::LParen => brackets.push(Open::Paren),
            Token::LBracket => brackets.push(Open::Bracket),
            Token::RParen | Token::RBracket => {
                brackets.pop();
            }
            Token::SemiColon => brackets.clear(),
            // What the tokenizer could not end stands as its first character.
            Token::Char(quote @ ('\'' | '`' | '"')) => return Open::Quote(quote),
            Token::Char('/') => return Open::Comment,
            _ => {}
        }
    }
    brackets.pop().unwrap_or(Open::Statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_open_thing_is_told() {
        for (text, expected) in [
            ("", Open::Statement),
            ("SELECT a", Open::Statement),
            ("SELECT 'it''s", Open::Quote('\'')),
            ("SELECT `a", Open::Quote('`')),
            ("SELECT \"a", Open::Quote('"')),
            ("SELECT f(a, ARRAY[1", Open::Bracket),
            ("SELECT f(a, ARRAY[1]", Open::Paren),
            ("SELECT f(a); SELECT", Open::Statement),
            ("SELECT ( ; SELECT", Open::Statement),
            ("SELECT /* x", Open::Comment),
            ("SELECT 1 / 2", Open::Statement),
            ("-- it's", Open::Statement),
        ] {
            assert_eq!(open(text), expected, "{text}");
        }
    }
}
