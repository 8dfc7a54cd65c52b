//! What the grammar asks of sqlparser's token stream: words by their text, names, numbers, and errors that say what stands there.

use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{self, Token, TokenWithSpan, Word};

use crate::ast::{Ident, Location, Span};
use crate::error::Fault;
use crate::keywords::is_reserved;
use crate::suggest::did_you_mean;

/// sqlparser's place as ours.
pub(crate) fn span_of(span: tokenizer::Span) -> Span {
    let location = |l: tokenizer::Location| Location {
        line: u32::try_from(l.line).unwrap_or(u32::MAX),
        column: u32::try_from(l.column).unwrap_or(u32::MAX),
    };
    Span { start: location(span.start), end: location(span.end) }
}

/// Our place as sqlparser's.
pub(crate) fn sql_span(span: Span) -> tokenizer::Span {
    let location = |l: Location| tokenizer::Location::new(l.line.into(), l.column.into());
    tokenizer::Span::new(location(span.start), location(span.end))
}

/// Whether a token is the given word, unquoted.
pub(crate) fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(text))
}

/// The name that a word stands for: unquoted ones in upper case.
pub(crate) fn name_of(word: &Word) -> String {
    match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_ascii_uppercase(),
    }
}

/// The token as an error quotes it.
fn shown(token: &Token) -> String {
    match token {
        Token::EOF => "<EOF>".to_string(),
        other => other.to_string(),
    }
}

/// sqlparser's parser, asked in the grammar's terms. `n` counts tokens ahead, the next one being 0.
pub(crate) trait TokenExt {
    fn ahead(&self, n: usize) -> &TokenWithSpan;
    fn skip(&mut self);

    /// Whether the nth token ahead is this word, unquoted.
    fn nth_is(&self, n: usize, word: &str) -> bool {
        is_word(&self.ahead(n).token, word)
    }

    fn at(&self, word: &str) -> bool {
        self.nth_is(0, word)
    }

    fn at_token(&self, token: &Token) -> bool {
        self.ahead(0).token == *token
    }

    /// Whether the statement is over.
    fn at_end(&self) -> bool {
        matches!(self.ahead(0).token, Token::EOF | Token::SemiColon)
    }

    /// Takes this word if it is next.
    fn eat(&mut self, word: &str) -> bool {
        let found = self.at(word);
        if found {
            self.skip();
        }
        found
    }

    /// Takes these words if they are next, or none of them.
    fn eat_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(n, w)| self.nth_is(n, w));
        if found {
            words.iter().for_each(|_| self.skip());
        }
        found
    }

    /// Takes this token if it is next.
    fn eat_token(&mut self, token: &Token) -> bool {
        let found = self.at_token(token);
        if found {
            self.skip();
        }
        found
    }

    /// Takes the one of these words that is next.
    fn eat_one<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        let found = words.iter().find(|w| self.at(w)).copied();
        if found.is_some() {
            self.skip();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if self.eat(word) { Ok(()) } else { Err(self.unexpected(&[word])) }
    }

    fn expect_all(&mut self, words: &[&str]) -> Result<(), Fault> {
        words.iter().try_for_each(|w| self.expect(w))
    }

    fn expect_symbol(&mut self, token: &Token) -> Result<(), Fault> {
        if self.eat_token(token) { Ok(()) } else { Err(self.near().or_hint(format!("Expecting '{token}'."))) }
    }

    /// One of these words, taken; an error naming them otherwise.
    fn expect_one<'w>(&mut self, words: &[&'w str]) -> Result<&'w str, Fault> {
        self.eat_one(words).ok_or_else(|| self.unexpected(words))
    }

    /// The place of the next token.
    fn here(&self) -> Span {
        span_of(self.ahead(0).span)
    }

    /// The next token as an error quotes it.
    fn found(&self) -> String {
        shown(&self.ahead(0).token)
    }

    /// «Syntax error at or near …» the next token.
    fn near(&self) -> Fault {
        near_token(self.ahead(0))
    }

    /// `near`, with the nearest of the words that may stand here, or all of them.
    fn unexpected(&self, words: &[&str]) -> Fault {
        let fault = self.near();
        if let Some(meant) = did_you_mean(&self.found(), words.iter().copied()) {
            return fault.or_hint(format!("Did you mean '{meant}'?"));
        }
        match words {
            [] => fault,
            [one] => fault.or_hint(format!("Expecting {one}.")),
            several => fault.or_hint(format!("Expecting one of {}.", several.join(", "))),
        }
    }

    /// «Expecting …», with what may stand here as one text (`{',', ')'}`).
    fn expecting(&self, what: &str) -> Fault {
        Fault::syntax(self.here(), format!("Expecting {what}"))
    }

    /// «missing … at …» the next token.
    fn missing(&self, what: &str) -> Fault {
        Fault::syntax(self.here(), format!("missing {what} at '{}'", self.found()))
    }

    /// The words for a reserved word where a name must stand.
    fn reserved(&self) -> Fault {
        let word = self.found();
        let message = format!(
            "\"{word}\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by escaping it as '{word}' "
        );
        Fault::syntax(self.here(), message).or_hint(format!("Write `{word}` in back-quotes to use it as a name."))
    }

    /// Whether the nth token ahead can be a name: quoted, or not reserved.
    fn nth_is_name(&self, n: usize) -> bool {
        match &self.ahead(n).token {
            Token::Word(w) => w.quote_style.is_some() || (!is_reserved(&w.value.to_ascii_uppercase()) && is_plain(&w.value)),
            _ => false,
        }
    }

    /// Whether the nth token ahead is an unquoted reserved word.
    fn nth_is_reserved(&self, n: usize) -> bool {
        matches!(&self.ahead(n).token, Token::Word(w) if w.quote_style.is_none() && is_reserved(&w.value.to_ascii_uppercase()))
    }

    /// A name; `what` it names is said where none stands.
    fn identifier(&mut self, what: &str) -> Result<Ident, Fault> {
        self.name(what, name_of)
    }

    /// A name that keeps its case even unquoted.
    fn exact_identifier(&mut self, what: &str) -> Result<Ident, Fault> {
        self.name(what, |w| w.value.clone())
    }

    fn name(&mut self, what: &str, name_of: fn(&Word) -> String) -> Result<Ident, Fault> {
        if self.nth_is_reserved(0) {
            return Err(self.reserved());
        }
        match &self.ahead(0).token {
            Token::Word(w) if self.nth_is_name(0) => {
                let name = name_of(w);
                if name.is_empty() {
                    return Err(Fault::invalid(self.here(), "A name can't be empty"));
                }
                let span = self.here();
                self.skip();
                Ok(Ident { name, span })
            }
            _ => Err(self.near().or_hint(format!("Expecting {what}."))),
        }
    }

    /// A string literal's text.
    fn string(&mut self) -> Result<String, Fault> {
        match &self.ahead(0).token {
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.skip();
                Ok(text)
            }
            _ => Err(self.expecting("STRING").or_hint("A text in single quotes must stand here.")),
        }
    }

    /// A whole number of at most 64 bits without a sign.
    fn whole_number(&mut self, what: &str) -> Result<u64, Fault> {
        match &self.ahead(0).token {
            Token::Number(digits, _) if is_whole(digits) => {
                let number = digits.parse().map_err(|_| Fault::invalid(self.here(), format!("Invalid numeric literal: {digits}")))?;
                self.skip();
                Ok(number)
            }
            _ => Err(self.near().or_hint(format!("Expecting {what}, a whole number."))),
        }
    }

    /// The number of a clause that counts something (`LIMIT 5`), after its word.
    fn count(&mut self, clause: &str) -> Result<u64, Fault> {
        let negative = self.at_token(&Token::Minus);
        match &self.ahead(usize::from(negative)).token {
            Token::Number(digits, _) if !is_whole(digits) => {
                Err(Fault::value(self.here(), format!("Value must be integer for command: {clause}")))
            }
            Token::Number(..) if negative => Err(Fault::value(self.here(), format!("Value can't be negative for command: {clause}"))),
            _ => self.whole_number(&format!("the number of {clause}")),
        }
    }
}

impl TokenExt for Parser<'_> {
    fn ahead(&self, n: usize) -> &TokenWithSpan {
        // The tokens hold no blanks, so the nth is found at once; sqlparser's own peeking counts.
        self.token_at(self.index() + n)
    }

    fn skip(&mut self) {
        self.advance_token();
    }
}

fn is_whole(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether an unquoted word is a name (`1.5A` reads as a word, but is none).
fn is_plain(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@'))
}

/// «Syntax error at or near …» a token.
pub(crate) fn near_token(token: &TokenWithSpan) -> Fault {
    let span = span_of(token.span);
    let Location { line, column } = span.start;
    let fault = Fault::syntax(span, format!("Syntax error at or near '{}' at line {line}:{column}", shown(&token.token)));
    match &token.token {
        Token::Char('\'') => fault.hint("The text that starts here has no closing single quote."),
        Token::Char('`' | '"') => fault.hint("The quoted name that starts here has no closing quote."),
        Token::Char('/') => fault.hint("The comment that starts here is never closed by */."),
        Token::Placeholder(p) if p == "$" => fault.hint("A variable is written ${name}, and must have been defined."),
        _ => fault,
    }
}

/// What went wrong in sqlparser's parser.
pub(crate) fn fault_of(parser: &Parser<'_>, error: ParserError) -> Fault {
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
        ParserError::RecursionLimitExceeded => {
            let message = format!("Expressions nest at most {} levels deep", crate::dialect::MAX_DEPTH);
            return Fault::invalid(parser.here(), message);
        }
    };
    match Fault::decode(&text) {
        Some(fault) => fault,
        None => native_fault(parser, &text),
    }
}

/// From sqlparser's own text: «Expected: X, found: Y at Line: L, Column: C».
fn native_fault(parser: &Parser<'_>, text: &str) -> Fault {
    let place = text.rsplit_once(" at Line: ").and_then(|(_, place)| place.split_once(", Column: "));
    let place = place.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    // The token that sqlparser complains of is the next one or the one just taken.
    let candidates = [parser.get_current_token(), parser.ahead(0)];
    let token = place
        .and_then(|(line, column): (u64, u64)| candidates.into_iter().find(|t| (t.span.start.line, t.span.start.column) == (line, column)))
        .unwrap_or(parser.ahead(0));
    let fault = near_token(token);
    let expected = text.strip_prefix("Expected: ").and_then(|t| t.split_once(", found: ")).map(|(expected, _)| expected);
    match expected {
        Some(expected) if expected.starts_with("[NOT] NULL") => fault.hint("Expecting [NOT] NULL or [NOT] DISTINCT FROM after IS."),
        Some(expected) if fault.hint.is_none() => fault.hint(format!("Expecting {expected}.")),
        _ => fault,
    }
}
