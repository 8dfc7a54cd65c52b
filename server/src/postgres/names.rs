//! A statement's text on its way to the dialect: tokens, names, parameters, and the way back for places.
//!
//! Here unquoted names work in any case of letters: a name that the dialect would not find as it is written is the one stream,
//! table or column that differs from it in its letters' case only, if there is one. Names in capitals are shown to clients in
//! small letters, as PostgreSQL has them, so quoted names in small letters mean them, too.

use std::collections::BTreeSet;

use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use tidemill_engine::catalog::Catalog;

use super::error::{At, PgError, SYNTAX_ERROR};

/// Tokens of a statement at most.
const MAX_TOKENS: usize = 200_000;

/// Words that are no names unless they are quoted.
const RESERVED: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CHANGES",
    "CROSS",
    "CURRENT",
    "DESC",
    "DISTINCT",
    "ELSE",
    "EMIT",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "FALSE",
    "FETCH",
    "FILTER",
    "FINAL",
    "FOLLOWING",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECEDING",
    "RECURSIVE",
    "RIGHT",
    "ROWS",
    "SELECT",
    "THEN",
    "TRUE",
    "UNBOUNDED",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// One statement of what was sent.
#[derive(Debug, Clone)]
pub struct Piece {
    pub text: String,
    /// Characters that stand before it.
    pub before: usize,
    /// Without blanks and comments; places are those of `text`.
    pub tokens: Vec<TokenWithSpan>,
    /// Bytes that stand before each token.
    pub starts: Vec<usize>,
}

impl Piece {
    /// The word at a place, in capitals, where it is not quoted.
    pub fn word(&self, index: usize) -> Option<String> {
        match self.tokens.get(index).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
            _ => None,
        }
    }

    /// Whether such a word stands there, in any case of letters and not quoted.
    pub fn is(&self, index: usize, word: &str) -> bool {
        matches!(self.tokens.get(index).map(|token| &token.token), Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// The parenthesis that closes another one.
    pub fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => continue,
            }
            if depth == 0 {
                return Some(index);
            }
        }
        None
    }

    /// Characters that stand before a token, or altogether.
    pub fn characters_before(&self, index: usize) -> usize {
        self.text.chars().count() - self.rest(index).chars().count()
    }

    /// The text from a token on.
    pub fn rest(&self, index: usize) -> &str {
        self.starts.get(index).and_then(|start| self.text.get(*start..)).unwrap_or_default()
    }

    /// A piece that begins later.
    pub fn behind(&self, index: usize) -> Piece {
        let rest = self.rest(index);
        Piece::new(rest.to_owned(), self.before + self.characters_before(index)).unwrap_or_else(|_| self.clone())
    }

    fn new(text: String, before: usize) -> Result<Piece, PgError> {
        let tokens = tokens(&text)?;
        let mut places = Places::new(&text);
        let starts = tokens.iter().map(|token| places.byte(token.span.start)).collect();
        Ok(Piece { before, tokens, starts, text })
    }
}

/// Parts what was sent at its semicolons.
///
/// # Errors
/// It can't be read as tokens: a quote is not closed.
pub fn pieces(text: &str) -> Result<Vec<Piece>, PgError> {
    let all = tokens(text)?;
    let mut places = Places::new(text);
    let mut pieces = Vec::new();
    let mut open: Option<Location> = None;
    let mut end = Location { line: 1, column: 1 };
    for token in &all {
        if token.token == Token::SemiColon {
            if let Some(start) = open.take() {
                pieces.push(piece(text, &mut places, start, end)?);
            }
            continue;
        }
        open.get_or_insert(token.span.start);
        end = token.span.end;
    }
    if let Some(start) = open {
        pieces.push(piece(text, &mut places, start, end)?);
    }
    Ok(pieces)
}

fn piece(text: &str, places: &mut Places<'_>, start: Location, end: Location) -> Result<Piece, PgError> {
    let (first, before) = (places.byte(start), places.chars);
    let last = places.byte(end);
    Piece::new(text.get(first..last).unwrap_or_default().to_owned(), before)
}

fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, PgError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().map_err(|error| {
        let at = Places::new(text).char(error.location);
        PgError::new(SYNTAX_ERROR, error.message).at_char(at + 1)
    })?;
    if tokens.len() > MAX_TOKENS {
        return Err(PgError::new(SYNTAX_ERROR, format!("a statement of {} tokens; {MAX_TOKENS} are allowed", tokens.len())));
    }
    Ok(tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect())
}

/// Turns places into offsets, for places that are asked for in the order of the text.
struct Places<'a> {
    text: &'a str,
    at: Location,
    bytes: usize,
    chars: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Places { text, at: Location { line: 1, column: 1 }, bytes: 0, chars: 0 }
    }

    fn byte(&mut self, to: Location) -> usize {
        for c in self.text.get(self.bytes..).unwrap_or_default().chars() {
            if (self.at.line, self.at.column) >= (to.line, to.column) {
                break;
            }
            self.bytes += c.len_utf8();
            self.chars += 1;
            if c == '\n' {
                self.at = Location { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.bytes
    }

    fn char(mut self, to: Location) -> usize {
        self.byte(to);
        self.chars
    }
}

/// A statement as the dialect reads it, and the way back.
#[derive(Debug, Clone, Default)]
pub struct Translated {
    pub text: String,
    /// Places of the new text where something else stood, with the characters of both.
    edits: Vec<(usize, usize, usize)>,
}

impl Translated {
    /// An error of the new text, at its place in the one that was sent.
    pub fn placed(&self, piece: &Piece, error: PgError) -> PgError {
        let Some(At::Line(line, column)) = error.at else { return error };
        let new = Places::new(&self.text).char(Location { line: u64::from(line), column: u64::from(column) });
        let mut shift: (usize, usize) = (0, 0);
        for (at, old, replaced) in &self.edits {
            if *at >= new {
                break;
            }
            // Within what was put in, its beginning is meant.
            if new < at + replaced {
                return PgError { at: Some(At::Char(piece.before + (at + shift.0).saturating_sub(shift.1) + 1)), ..error };
            }
            shift = (shift.0 + old, shift.1 + replaced);
        }
        PgError { at: Some(At::Char(piece.before + (new + shift.0).saturating_sub(shift.1) + 1)), ..error }
    }
}

/// Writes a statement for the dialect. `params` are the literals of its parameters, where they are known.
///
/// # Errors
/// There is no such parameter.
pub fn translate(piece: &Piece, catalog: &Catalog, params: Option<&[String]>) -> Result<Translated, PgError> {
    let names = Known::of(piece, catalog);
    let mut places = Places::new(&piece.text);
    let mut out = Translated { text: String::with_capacity(piece.text.len() + 16), edits: Vec::new() };
    let mut copied = (0, 0);
    let mut new_chars = 0;
    let mut skip = 0;
    for (index, token) in piece.tokens.iter().enumerate() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let next = |n: usize| piece.tokens.get(index + n).map(|token| &token.token);
        let after_dot = index.checked_sub(1).and_then(|before| piece.tokens.get(before)).is_some_and(|t| t.token == Token::Period);
        let (new, end) = match &token.token {
            Token::Placeholder(name) => match (params, parameter(name)) {
                (Some(params), Some(number)) => match params.get(number - 1) {
                    Some(literal) => (Some(literal.clone()), token.span.end),
                    None => {
                        let at = piece.before + Places::new(&piece.text).char(token.span.start) + 1;
                        return Err(PgError::new("42P02", format!("there is no parameter {name}")).at_char(at));
                    }
                },
                _ => (None, token.span.end),
            },
            // All streams and tables are of one schema, which clients like to name.
            Token::Word(word) if word.value.eq_ignore_ascii_case("public") && !after_dot && next(1) == Some(&Token::Period) => {
                let is_source = matches!(next(2), Some(Token::Word(source)) if names.is_source(&source.value));
                match piece.tokens.get(index + 1).filter(|_| is_source) {
                    Some(dot) => {
                        skip = 1;
                        (Some(String::new()), dot.span.end)
                    }
                    None => (None, token.span.end),
                }
            }
            Token::Word(word) => {
                let is_call = next(1) == Some(&Token::LParen);
                let new = if word.quote_style.is_none() && (is_call || is_reserved(&word.value)) {
                    None
                } else {
                    names.meant(&word.value, word.quote_style.is_some())
                };
                (new.map(|name| format!("`{}`", name.replace('`', "``"))), token.span.end)
            }
            _ => (None, token.span.end),
        };
        let Some(new) = new else { continue };
        let (start, start_chars) = (places.byte(token.span.start), places.chars);
        out.text.push_str(piece.text.get(copied.0..start).unwrap_or_default());
        new_chars += start_chars - copied.1;
        out.text.push_str(&new);
        copied = (places.byte(end), places.chars);
        let length = new.chars().count();
        out.edits.push((new_chars, copied.1 - start_chars, length));
        new_chars += length;
    }
    out.text.push_str(piece.text.get(copied.0..).unwrap_or_default());
    Ok(out)
}

/// The number of `$1`.
pub fn parameter(name: &str) -> Option<usize> {
    name.strip_prefix('$').and_then(|number| number.parse().ok()).filter(|number| (1..=usize::from(u16::MAX)).contains(number))
}

/// How many parameters a statement has.
pub fn parameters(piece: &Piece) -> usize {
    let numbers = piece.tokens.iter().filter_map(|token| match &token.token {
        Token::Placeholder(name) => parameter(name),
        _ => None,
    });
    numbers.max().unwrap_or(0)
}

fn is_reserved(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    RESERVED.binary_search(&word.as_str()).is_ok()
}

/// The names that a statement may mean.
struct Known<'a> {
    sources: Vec<&'a str>,
    names: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(piece: &Piece, catalog: &'a Catalog) -> Self {
        let words: BTreeSet<String> = piece
            .tokens
            .iter()
            .filter_map(|token| match &token.token {
                Token::Word(word) => Some(word.value.to_ascii_uppercase()),
                _ => None,
            })
            .collect();
        let named: Vec<_> = catalog.sources().filter(|source| words.contains(&source.name.to_ascii_uppercase())).collect();
        let columns = named.iter().flat_map(|source| source.schema.columns().map(|column| column.name.as_str()));
        let names = columns.chain(named.iter().map(|source| source.name.as_str())).chain(PSEUDO).collect();
        Known { sources: named.iter().map(|source| source.name.as_str()).collect(), names }
    }

    fn is_source(&self, word: &str) -> bool {
        self.sources.iter().any(|source| source.eq_ignore_ascii_case(word))
    }

    /// The name that is meant, where it has to be written otherwise.
    fn meant(&self, word: &str, is_quoted: bool) -> Option<&'a str> {
        let read = if is_quoted { word.to_owned() } else { word.to_ascii_uppercase() };
        // With capitals in quotes it is said exactly.
        let is_exact = is_quoted && word.chars().any(|c| c.is_ascii_uppercase());
        if is_exact || self.names.contains(read.as_str()) {
            return None;
        }
        let mut near = self.names.iter().filter(|name| name.eq_ignore_ascii_case(word));
        match (near.next(), near.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }
}

/// A name as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub word: String,
    pub is_quoted: bool,
    /// The character of the text where it stands, from 1.
    pub at: usize,
}

impl Named {
    /// The name that is the token at a place.
    pub fn of(piece: &Piece, index: usize) -> Option<Named> {
        match piece.tokens.get(index).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_some() || !is_reserved(&word.value) => Some(Named {
                word: word.value.clone(),
                is_quoted: word.quote_style.is_some(),
                at: piece.before + piece.characters_before(index) + 1,
            }),
            _ => None,
        }
    }

    /// Which of some names is meant.
    pub fn among<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let known = Known { sources: Vec::new(), names: names.collect() };
        let read = if self.is_quoted { self.word.clone() } else { self.word.to_ascii_uppercase() };
        let exact = known.names.get(read.as_str()).copied();
        exact.or_else(|| known.meant(&self.word, self.is_quoted))
    }
}

/// Columns that every row has.
const PSEUDO: [&str; 5] = ["ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"];

/// A name as clients are shown it.
pub fn shown(name: &str) -> String {
    if name.chars().any(char::is_lowercase) { name.to_owned() } else { name.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_in_order() {
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn statements_are_parted_with_their_places() {
        let pieces = pieces("SELECT ';' -- x;\n , 'ä';; /* ; */ SHOW x").expect("read");
        let parts: Vec<_> = pieces.iter().map(|piece| (piece.text.as_str(), piece.before)).collect();
        assert_eq!(parts, [("SELECT ';' -- x;\n , 'ä'", 0), ("SHOW x", 34)]);
        let second = translate(&pieces[1], &Catalog::default(), None).expect("no parameters");
        let error = second.placed(&pieces[1], PgError { at: Some(At::Line(1, 6)), ..PgError::new(SYNTAX_ERROR, "x") });
        assert_eq!(error.at, Some(At::Char(40)));
        let error = super::pieces("SELECT 'x").expect_err("not closed");
        assert_eq!(error.code, SYNTAX_ERROR);
        assert!(matches!(error.at, Some(At::Char(_))));
    }

    #[test]
    fn parameters_become_literals_and_places_find_back() {
        let piece = &pieces("SELECT $1, '$2', $2 + nope").expect("read")[0];
        assert_eq!(parameters(piece), 2);
        let catalog = Catalog::default();
        let translated = translate(piece, &catalog, Some(&["'a long text'".to_owned(), "(-5)".to_owned()])).expect("all there");
        assert_eq!(translated.text, "SELECT 'a long text', '$2', (-5) + nope");
        let at = |column| translated.placed(piece, PgError { at: Some(At::Line(1, column)), ..PgError::new(SYNTAX_ERROR, "x") }).at;
        assert_eq!(at(36), Some(At::Char(23)), "nope");
        assert_eq!(at(8), Some(At::Char(8)), "the beginning of the first");
        assert_eq!(at(12), Some(At::Char(8)), "within the first");
        assert!(translate(piece, &catalog, Some(&["1".to_owned()])).is_err_and(|error| error.code == "42P02"));
    }

    #[test]
    fn names_are_shown_as_they_are_typed() {
        assert_eq!(["PAGE_VIEWS", "Mixed", "lower", "KSQL_COL_0"].map(shown), ["page_views", "Mixed", "lower", "ksql_col_0"]);
    }
}
