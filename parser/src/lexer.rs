//! Text to tokens, with sqlparser's tokenizer and what ksql sees differently mended afterwards.
//!
//! What comes out has no blanks and comments, keeps sqlparser's keyword only on the words that its expression parser
//! must know (so that `CEIL`, `INTERVAL` or `COLLATE` are plain names), and ends with one `EOF` token that stands at
//! the end of the text. Text that is no token (an unclosed string, say) becomes a `Char` token, so that it is
//! reported where the grammar meets it and what stands before it can still run.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use crate::dialect::KsqlDialect;

/// `IS DISTINCT FROM` and `IS NOT DISTINCT FROM` as one operator each, so that their right side has the precedence of a comparison's.
pub(crate) const IS_DISTINCT_FROM: &str = "IS DISTINCT FROM";
pub(crate) const IS_NOT_DISTINCT_FROM: &str = "IS NOT DISTINCT FROM";

/// What may stand before a text's first character.
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// All tokens of a text, with their places.
pub(crate) fn lex(text: &str) -> Vec<TokenWithSpan> {
    let dialect = KsqlDialect::default();
    let mut raw = Vec::new();
    let complete = Tokenizer::new(&dialect, text).tokenize_with_location_into_buf(&mut raw).is_ok();
    let end = end_of(text);
    let reached = raw.last().map_or(Location::new(1, 1), |t| t.span.end);
    let mut tokens = Vec::with_capacity(raw.len() / 2 + 2);
    for token in raw {
        mend(token, &mut tokens);
    }
    if !complete {
        // The tokens are contiguous, so what could not be read starts where the last one ended.
        let rest = text.get(Offsets::new(text).advance(reached)..).unwrap_or("");
        let first = rest.chars().next().unwrap_or(' ');
        tokens.push(TokenWithSpan { token: Token::Char(first), span: Span::new(reached, end) });
    }
    tokens.push(TokenWithSpan { token: Token::EOF, span: Span::new(end, end) });
    tokens
}

/// The place after the last character.
fn end_of(text: &str) -> Location {
    let lines = text.bytes().filter(|b| *b == b'\n').count();
    let last = text.rsplit('\n').next().unwrap_or("");
    Location::new(lines as u64 + 1, last.chars().count() as u64 + 1)
}

fn word(value: impl Into<String>) -> Token {
    Token::Word(Word { value: value.into(), quote_style: None, keyword: Keyword::NoKeyword })
}

/// Adds a token, or what ksql sees in its place.
fn mend(token: TokenWithSpan, tokens: &mut Vec<TokenWithSpan>) {
    let TokenWithSpan { token, span } = token;
    let Span { start, end } = span;
    let mut push = |token, start, end| tokens.push(TokenWithSpan { token, span: Span::new(start, end) });
    let after = |n: u64| Location::new(start.line, start.column + n);
    match token {
        Token::Whitespace(
            Whitespace::Space
            | Whitespace::Newline
            | Whitespace::Tab
            | Whitespace::SingleLineComment { .. }
            | Whitespace::MultiLineComment(_),
        ) => {}
        // Editors on Windows begin files of text with it.
        Token::Char(BYTE_ORDER_MARK) if start == Location::new(1, 1) => {}
        Token::Word(w) if w.quote_style.is_none() => {
            let distinct_from = w.value.eq_ignore_ascii_case("FROM").then(|| take_is_distinct(tokens)).flatten();
            match distinct_from {
                Some((operator, start)) => {
                    let token = Token::CustomBinaryOperator(operator.to_string());
                    tokens.push(TokenWithSpan { token, span: Span::new(start, end) });
                }
                None => {
                    let keyword = if serves_expressions(w.keyword) { w.keyword } else { Keyword::NoKeyword };
                    tokens.push(TokenWithSpan { token: Token::Word(Word { keyword, ..w }), span });
                }
            }
        }
        // `ARRAY<ARRAY<INT>>` closes twice.
        Token::ShiftRight => {
            push(Token::Gt, start, after(1));
            push(Token::Gt, after(1), end);
        }
        Token::Number(digits, true) => push(word(format!("{digits}L")), start, end),
        Token::NationalStringLiteral(text) => {
            push(word("N"), start, after(1));
            push(Token::SingleQuotedString(text), after(1), end);
        }
        Token::HexStringLiteral(digits) if end.column == after(digits.len() as u64 + 2).column => {
            push(word(format!("0x{digits}")), start, end);
        }
        Token::HexStringLiteral(text) => {
            push(word("X"), start, after(1));
            push(Token::SingleQuotedString(text), after(1), end);
        }
        other => push(other, start, end),
    }
}

/// Takes `IS [NOT] DISTINCT` off the end of the tokens; gives the operator and its start.
fn take_is_distinct(tokens: &mut Vec<TokenWithSpan>) -> Option<(&'static str, Location)> {
    let is = |back: usize, text: &str| {
        let found = tokens.len().checked_sub(back).and_then(|i| tokens.get(i));
        matches!(found, Some(TokenWithSpan { token: Token::Word(w), .. }) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(text))
    };
    if !is(1, "DISTINCT") {
        return None;
    }
    let (operator, words) = match (is(2, "IS"), is(2, "NOT") && is(3, "IS")) {
        (true, _) => (IS_DISTINCT_FROM, 2),
        (_, true) => (IS_NOT_DISTINCT_FROM, 3),
        _ => return None,
    };
    let first = tokens.len() - words;
    let start = tokens.get(first)?.span.start;
    tokens.truncate(first);
    Some((operator, start))
}

/// The keywords that sqlparser's expression parser has to recognise.
fn serves_expressions(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(keyword, AND | OR | NOT | IN | BETWEEN | LIKE | ESCAPE | IS | NULL | TRUE | FALSE | CASE | WHEN | THEN | ELSE | END)
}

/// Turns places into byte offsets, for places asked in the order of the text; one pass over the text in all.
#[derive(Clone)]
pub(crate) struct Offsets<'a> {
    text: &'a str,
    byte: usize,
    at: Location,
}

impl<'a> Offsets<'a> {
    pub fn new(text: &'a str) -> Self {
        Offsets { text, byte: 0, at: Location::new(1, 1) }
    }

    /// The byte offset of a place at or after the one asked before.
    pub fn advance(&mut self, to: Location) -> usize {
        let mut rest = self.text.get(self.byte..).unwrap_or("").chars();
        while (self.at.line, self.at.column) < (to.line, to.column) {
            match rest.next() {
                Some('\n') => self.at = Location::new(self.at.line + 1, 1),
                Some(_) => self.at.column += 1,
                None => break,
            }
        }
        self.byte = self.text.len() - rest.as_str().len();
        self.byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        lex(sql).iter().map(|t| t.token.to_string()).collect()
    }

    #[test]
    fn tokens_are_as_ksql_sees_them() {
        for (sql, expected) in [
            ("a --x\n/* y; */ b", "a|b|EOF"),
            ("ARRAY<ARRAY<INT>>", "ARRAY|<|ARRAY|<|INT|>|>|EOF"),
            ("a IS NOT DISTINCT FROM b is distinct from c", "a|IS NOT DISTINCT FROM|b|IS DISTINCT FROM|c|EOF"),
            ("SELECT DISTINCT FROM", "SELECT|DISTINCT|FROM|EOF"),
            ("1R 1e5 .5 1.50 10L x'61' n'a' 0x1F", "1R|1e5|.5|1.50|10L|X|'61'|N|'a'|0x1F|EOF"),
            ("`a``b` \"C\" 'it''s'", "`a`b`|\"C\"|'it's'|EOF"),
            ("a->b := x=>y || z", "a|->|b|:=|x|=>|y||||z|EOF"),
            ("$${x}", "$$|{|x|}|EOF"),
            ("a 'open", "a|'|EOF"),
            ("a /* open", "a|/|EOF"),
            ("a `open", "a|`|EOF"),
            ("\u{FEFF}a", "a|EOF"),
            ("a\u{FEFF}", "a|\u{FEFF}|EOF"),
        ] {
            assert_eq!(texts(sql).join("|"), expected, "{sql}");
        }
    }

    #[test]
    fn offsets_follow_lines_and_wide_characters() {
        let text = "é\nab\ncd";
        let mut offsets = Offsets::new(text);
        assert_eq!(offsets.advance(Location::new(1, 2)), 2);
        assert_eq!(offsets.advance(Location::new(3, 2)), 7);
        assert_eq!(offsets.advance(Location::new(9, 9)), 8);
    }
}
