//! COPY, read: what goes where, and how it is written.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Token;

use super::copy::{CopyFormat, Direction};
use super::error::PgError;
use super::kind::{Kind, expected, listed, no_list};
use super::names::{Named, Piece};

/// What COPY … TO sends: a query within parentheses, from this token to that one; or all of a stream or table.
#[derive(Debug, PartialEq, Eq)]
pub enum CopyOf {
    Query { first: usize, last: usize },
    Source { first: usize, last: usize },
}

/// Where rows of COPY … FROM go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyInto {
    pub target: Named,
    /// Empty: all.
    pub columns: Vec<Named>,
    pub format: CopyFormat,
}

/// `COPY { source [(columns)] | (query) } { TO STDOUT | FROM STDIN } [WITH] (options)`.
///
/// # Errors
/// It does not go on so.
pub fn copy(piece: &Piece) -> Result<Kind, PgError> {
    let token = |index: usize| piece.tokens.get(index).map(|token| &token.token);
    let (query, mut at) = if token(1) == Some(&Token::LParen) {
        let last = piece.closing(1).unwrap_or(piece.tokens.len().saturating_sub(1));
        (CopyOf::Query { first: 2, last }, last + 1)
    } else {
        let mut end = 1;
        while piece.tokens.len() > end && !piece.is(end, "TO") && !piece.is(end, "FROM") {
            end += 1;
        }
        (CopyOf::Source { first: 1, last: end }, end)
    };
    let direction = if piece.is(at, "FROM") { Direction::From } else { Direction::To };
    let (word, end) = if direction == Direction::From { ("FROM", "STDIN") } else { ("TO", "STDOUT") };
    if !piece.is(at, word) || !piece.is(at + 1, end) {
        let error = expected(piece, at, "TO STDOUT or FROM STDIN");
        let is_file = matches!(token(at + 1), Some(Token::SingleQuotedString(_))) || piece.is(at + 1, "PROGRAM");
        return Err(if is_file {
            error.hint("The server reads and writes no files here; psql's \\copy does on the client's side.")
        } else {
            error
        });
    }
    at += 2;
    let mut options = BTreeMap::new();
    let mut option: Option<String> = None;
    while let Some(next) = token(at) {
        match next {
            Token::Word(word) if word.quote_style.is_none() && option.as_deref() == Some("FORMAT") => {
                options.insert("FORMAT".to_owned(), word.value.to_ascii_uppercase());
                option = None;
            }
            Token::Word(word) => match word.value.to_ascii_uppercase().as_str() {
                "WITH" | "AS" => {}
                value @ ("TRUE" | "FALSE" | "ON" | "OFF" | "MATCH") if option.is_some() => {
                    options.insert(option.take().unwrap_or_default(), value.to_owned());
                }
                // The way of old: WITH CSV HEADER.
                format @ ("CSV" | "TEXT" | "BINARY") if option.is_none() => drop(options.insert("FORMAT".to_owned(), format.to_owned())),
                name => {
                    options.insert(name.to_owned(), "TRUE".to_owned());
                    option = Some(name.to_owned());
                }
            },
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => match option.take() {
                Some(name) => drop(options.insert(name, text.clone())),
                None => return Err(expected(piece, at, "the name of an option")),
            },
            Token::Number(number, _) if option.is_some() => {
                options.insert(option.take().unwrap_or_default(), number.clone());
            }
            Token::Comma | Token::LParen | Token::RParen => option = None,
            _ => return Err(expected(piece, at, "an option")),
        }
        at += 1;
    }
    let format = CopyFormat::of(&options, direction)?;
    match (direction, query) {
        (Direction::To, query) => Ok(Kind::Copy { query, format }),
        (Direction::From, CopyOf::Source { first, last }) => into(piece, first, last, format),
        (Direction::From, CopyOf::Query { first, .. }) => Err(expected(piece, first - 1, "the name of a stream or table")),
    }
}

/// `[public.]source [(column, …)]`, from this token to that one.
fn into(piece: &Piece, first: usize, last: usize, format: CopyFormat) -> Result<Kind, PgError> {
    let token = |index: usize| piece.tokens.get(index).map(|token| &token.token);
    let mut at = if piece.is(first, "public") && token(first + 1) == Some(&Token::Period) { first + 2 } else { first };
    let target = Named::of(piece, at).ok_or_else(|| expected(piece, at, "the name of a stream or table"))?;
    at += 1;
    let mut columns = Vec::new();
    if token(at) == Some(&Token::LParen) {
        let column = |piece: &Piece, at| Ok((Named::of(piece, at).ok_or_else(|| expected(piece, at, "the name of a column"))?, at + 1));
        (columns, at) = listed(piece, at, column, no_list)?;
    }
    if at != last {
        return Err(expected(piece, at, "FROM STDIN"));
    }
    Ok(Kind::CopyIn(CopyInto { target, columns, format }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::copy::Header;
    use crate::postgres::error::{NOT_SUPPORTED, SYNTAX_ERROR};
    use crate::postgres::names::pieces;

    fn of(sql: &str) -> Result<Kind, PgError> {
        copy(&pieces(sql).expect("read")[0])
    }

    #[test]
    fn what_is_sent_is_read() {
        let copied = |sql| match of(sql).expect("a copy") {
            Kind::Copy { query, format } => (query, format),
            other => panic!("{sql}: {other:?}"),
        };
        let (query, format) = copied("COPY (SELECT (1)) TO STDOUT (FORMAT csv, HEADER, DELIMITER ';')");
        assert_eq!(query, CopyOf::Query { first: 2, last: 6 });
        assert!(format.is_csv && format.header == Header::Names && format.delimiter == b';');
        assert_eq!(copied("COPY t (a, b) TO STDOUT").0, CopyOf::Source { first: 1, last: 7 });
        assert_eq!(copied("copy t to stdout with csv header").1.header, Header::Names);
    }

    #[test]
    fn what_is_taken_is_read() {
        let taken = |sql| match of(sql).expect("a copy") {
            Kind::CopyIn(into) => into,
            other => panic!("{sql}: {other:?}"),
        };
        let into = taken("COPY public.t (a, \"B c\") FROM STDIN WITH (FORMAT csv, HEADER match, NULL 'x')");
        let names: Vec<_> = into.columns.iter().map(|column| (column.word.as_str(), column.is_quoted)).collect();
        assert_eq!((into.target.word.as_str(), names), ("t", vec![("a", false), ("B c", true)]));
        assert_eq!((into.format.header, into.format.null.as_str()), (Header::Match, "x"));
        // As old drivers have it.
        let into = taken("COPY t FROM stdin WITH DELIMITER AS '|' NULL AS ''");
        assert_eq!((into.format.delimiter, into.format.null.as_str(), into.columns.len()), (b'|', "", 0));
        assert_eq!(taken("COPY t FROM STDIN (HEADER 0)").format.header, Header::None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (sql, code) in [
            ("COPY t TO '/etc/passwd'", SYNTAX_ERROR),
            ("COPY t FROM '/etc/passwd'", SYNTAX_ERROR),
            ("COPY t FROM PROGRAM 'x'", SYNTAX_ERROR),
            ("COPY (SELECT 1 TO STDOUT", SYNTAX_ERROR),
            ("COPY (SELECT 1) FROM STDIN", SYNTAX_ERROR),
            ("COPY t (a FROM STDIN", SYNTAX_ERROR),
            ("COPY t () FROM STDIN", SYNTAX_ERROR),
            ("COPY t u FROM STDIN", SYNTAX_ERROR),
            ("COPY FROM STDIN", SYNTAX_ERROR),
            ("COPY t TO STDOUT (FORMAT binary)", NOT_SUPPORTED),
            ("COPY t FROM STDIN (FORMAT binary)", NOT_SUPPORTED),
            ("COPY t FROM STDIN BINARY", NOT_SUPPORTED),
        ] {
            assert_eq!(of(sql).expect_err(sql).code, code, "{sql}");
        }
    }
}
