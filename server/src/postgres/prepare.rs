//! PREPARE and EXECUTE as statements: what they name is held as what clients prepare by the protocol, and by the same names.

use bytes::Bytes;
use sqlparser::tokenizer::Token;

use super::error::{NOT_SUPPORTED, PROTOCOL, PgError, SYNTAX_ERROR, UNKNOWN_SETTING};
use super::kind::{Kind, expected, kind, listed, name, no_list};
use super::message::Format;
use super::names::{Piece, parameter};
use super::params::literal;
use super::session::{Session, Stop};
use super::statement::Outcome;
use super::types::{
    ARRAYS, BOOL, BYTEA, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, JSON, JSONB, NUMERIC, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, UNKNOWN, UUID,
    VARCHAR,
};

/// `PREPARE name [(type, …)] AS statement`.
#[derive(Debug, PartialEq, Eq)]
pub struct Preparing {
    name: String,
    types: Vec<u32>,
    /// The token with which the statement begins.
    statement: usize,
}

/// `EXECUTE name [(value, …)]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Executing {
    pub name: String,
    values: Vec<Given>,
}

/// A value that is given for a parameter.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Null,
    /// Of whichever type the parameter is, unless one is said.
    Text(String, Option<u32>),
    /// As it is written.
    Literal(String),
    /// A parameter of the EXECUTE itself.
    Parameter(usize),
}

impl Preparing {
    /// # Errors
    /// It does not go on so.
    pub fn of(piece: &Piece) -> Result<Self, PgError> {
        let called = name(piece, 1).ok_or_else(|| expected(piece, 1, "the name of a prepared statement"))?;
        let (mut at, mut types) = (2, Vec::new());
        if is_token(piece, at, &Token::LParen) {
            (types, at) = listed(piece, at, type_at, no_list)?;
        }
        if !piece.is(at, "AS") {
            return Err(expected(piece, at, "AS and a statement"));
        }
        if piece.tokens.len() <= at + 1 {
            return Err(expected(piece, at + 1, "a statement"));
        }
        Ok(Preparing { name: called, types, statement: at + 1 })
    }
}

impl Executing {
    /// # Errors
    /// It does not go on so.
    pub fn of(piece: &Piece) -> Result<Self, PgError> {
        let called = name(piece, 1).ok_or_else(|| expected(piece, 1, "the name of a prepared statement"))?;
        let (mut at, mut values) = (2, Vec::new());
        if is_token(piece, at, &Token::LParen) {
            (values, at) = listed(piece, at, value_at, no_value)?;
        }
        if piece.tokens.len() > at {
            return Err(expected(piece, at, "the end of the statement"));
        }
        Ok(Executing { name: called, values })
    }
}

fn is_token(piece: &Piece, index: usize, token: &Token) -> bool {
    piece.tokens.get(index).is_some_and(|found| found.token == *token)
}

fn no_value(piece: &Piece, index: usize) -> PgError {
    let message = "EXECUTE takes values: numbers, texts, TRUE, FALSE, NULL, with ::type where one is meant; no other expressions";
    PgError::new(NOT_SUPPORTED, message).at_char(piece.before + piece.characters_before(index) + 1)
}

/// A type's number, and the token behind it.
fn type_at(piece: &Piece, index: usize) -> Result<(u32, usize), PgError> {
    let word = name(piece, index).ok_or_else(|| expected(piece, index, "a type"))?;
    let mut next = index + 1;
    let mut oid = match word.as_str() {
        "boolean" | "bool" => BOOL,
        "smallint" | "int2" => INT2,
        "integer" | "int" | "int4" => INT4,
        "bigint" | "int8" => INT8,
        "real" | "float4" => FLOAT4,
        "double" | "float8" | "float" => FLOAT8,
        "numeric" | "decimal" | "dec" => NUMERIC,
        "text" | "string" => TEXT,
        "varchar" | "character" | "char" => VARCHAR,
        "bytea" | "bytes" => BYTEA,
        "date" => DATE,
        "time" => TIME,
        "timestamp" => TIMESTAMP,
        "timestamptz" => TIMESTAMPTZ,
        "json" => JSON,
        "jsonb" => JSONB,
        "uuid" => UUID,
        "unknown" => UNKNOWN,
        other => {
            let at = piece.before + piece.characters_before(index) + 1;
            return Err(PgError::new(UNKNOWN_SETTING, format!("type \"{other}\" does not exist")).at_char(at));
        }
    };
    if piece.is(next, "PRECISION") || piece.is(next, "VARYING") {
        next += 1;
    }
    if is_token(piece, next, &Token::LParen) {
        next = piece.closing(next).ok_or_else(|| expected(piece, next, "a closing parenthesis"))? + 1;
    }
    if (piece.is(next, "WITH") || piece.is(next, "WITHOUT")) && piece.is(next + 1, "TIME") && piece.is(next + 2, "ZONE") {
        if oid == TIMESTAMP && piece.is(next, "WITH") {
            oid = TIMESTAMPTZ;
        }
        next += 3;
    }
    if is_token(piece, next, &Token::LBracket) && is_token(piece, next + 1, &Token::RBracket) {
        let array = ARRAYS.iter().find(|(item, _)| *item == oid).map(|(_, array)| *array);
        oid = array.ok_or_else(|| PgError::new(NOT_SUPPORTED, format!("arrays of {word} are no parameters")))?;
        next += 2;
    }
    Ok((oid, next))
}

/// A value, and the token behind it.
fn value_at(piece: &Piece, index: usize) -> Result<(Given, usize), PgError> {
    let token = |index: usize| piece.tokens.get(index).map(|token| &token.token);
    let (value, mut next) = match token(index) {
        Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => (Given::Text(text.clone(), None), index + 1),
        Some(Token::Number(number, _)) => (Given::Text(number.clone(), None), index + 1),
        Some(sign @ (Token::Minus | Token::Plus)) => match token(index + 1) {
            Some(Token::Number(number, _)) => {
                let sign = if *sign == Token::Minus { "-" } else { "" };
                (Given::Text(format!("{sign}{number}"), None), index + 2)
            }
            _ => return Err(no_value(piece, index)),
        },
        Some(Token::Placeholder(placed)) => match parameter(placed) {
            Some(number) => (Given::Parameter(number), index + 1),
            None => return Err(no_value(piece, index)),
        },
        Some(Token::Word(_)) if piece.is(index, "NULL") => (Given::Null, index + 1),
        Some(Token::Word(_)) if piece.is(index, "TRUE") => (Given::Text("true".to_owned(), None), index + 1),
        Some(Token::Word(_)) if piece.is(index, "FALSE") => (Given::Text("false".to_owned(), None), index + 1),
        // DATE '2020-01-01'.
        Some(Token::Word(_)) => match type_at(piece, index) {
            Ok((oid, behind)) => match token(behind) {
                Some(Token::SingleQuotedString(text)) => (Given::Text(text.clone(), Some(oid)), behind + 1),
                _ => return Err(no_value(piece, index)),
            },
            Err(_) => return Err(no_value(piece, index)),
        },
        _ => return Err(no_value(piece, index)),
    };
    let is_number = matches!(token(index), Some(Token::Number(..) | Token::Minus | Token::Plus));
    let mut oid = None;
    while is_token(piece, next, &Token::DoubleColon) {
        let (said, behind) = type_at(piece, next + 1)?;
        (oid, next) = (Some(said), behind);
    }
    let value = match value {
        Given::Text(text, said) => match oid.or(said) {
            None if is_number => Given::Literal(text),
            oid => Given::Text(text, oid),
        },
        other => other,
    };
    Ok((value, next))
}

impl Session {
    /// # Errors
    /// It is no statement that can be prepared, or there is one of that name.
    pub fn prepare(&mut self, piece: &Piece, preparing: &Preparing) -> Result<(), PgError> {
        let statement = piece.behind(preparing.statement);
        let what = kind(&statement, &self.app.engine.catalog())?;
        if !matches!(what, Kind::Query | Kind::Catalog | Kind::Statement) {
            let first = statement.word(0).unwrap_or_default();
            let at = statement.before + 1;
            return Err(PgError::new(SYNTAX_ERROR, format!("PREPARE takes a query, an INSERT or a statement of the dialect, not {first}"))
                .at_char(at));
        }
        self.hold(preparing.name.clone(), Some((statement, what)), preparing.types.clone())
    }

    /// Carries a prepared statement out. `params` are the literals of the EXECUTE's own parameters.
    ///
    /// # Errors
    /// There is none of that name, a value is none of its parameter's type, or what it says is wrong.
    pub async fn execute_prepared(
        &mut self,
        piece: &Piece,
        executing: &Executing,
        params: Option<&[String]>,
        formats: &[Format],
    ) -> Result<Outcome, Stop> {
        let prepared = self.prepared(&executing.name)?;
        let Some((statement, what)) = &prepared.what else { return Ok(Outcome::Done(String::new())) };
        if matches!(what, Kind::Execute(_)) {
            return Err(PgError::new(NOT_SUPPORTED, "EXECUTE of an EXECUTE is not built").into());
        }
        let (wanted, given) = (prepared.count(), executing.values.len());
        if wanted != given {
            let message = format!("wrong number of parameters for prepared statement \"{}\"", executing.name);
            let hint = format!("Expected {wanted} parameters but got {given}.");
            return Err(PgError::new(SYNTAX_ERROR, message).hint(hint).at_char(piece.before + 1).into());
        }
        if executing.values.iter().any(|value| matches!(value, Given::Text(_, None))) {
            // Of which types the parameters are.
            Box::pin(self.described(&prepared)).await?;
        }
        let mut literals = Vec::with_capacity(given);
        for (index, value) in executing.values.iter().enumerate() {
            let of_text = |text: &str, oid: u32| literal(Some(Bytes::copy_from_slice(text.as_bytes())), oid, Format::Text);
            let declared = prepared.declared(index);
            literals.push(match value {
                Given::Null => "NULL".to_owned(),
                Given::Text(text, said) => of_text(text, said.unwrap_or_else(|| prepared.parameter(index)))?,
                Given::Literal(number) => match declared {
                    Some(oid) => of_text(number, oid)?,
                    None if number.starts_with('-') => format!("({number})"),
                    None => number.clone(),
                },
                Given::Parameter(number) => match params {
                    Some(params) => {
                        params.get(number - 1).cloned().ok_or_else(|| PgError::new("42P02", format!("there is no parameter ${number}")))?
                    }
                    None => return Err(PgError::new(PROTOCOL, format!("there is no parameter ${number}")).into()),
                },
            });
        }
        let begun = Box::pin(self.start(statement, what, Some(&literals), formats)).await;
        begun.map_err(|stop| match stop {
            // Its place is one of another text.
            Stop::Error(error) => Stop::Error(PgError { at: None, ..error }),
            end => end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::names::pieces;

    fn read(sql: &str) -> Piece {
        pieces(sql).expect("read").remove(0)
    }

    #[test]
    fn statements_are_prepared_with_types() {
        let of = |sql: &str| Preparing::of(&read(sql)).unwrap_or_else(|error| panic!("{sql}: {}", error.message));
        let made = of("PREPARE \"P\" (int, double precision, varchar(3), timestamp with time zone, text[]) AS SELECT $1");
        assert_eq!((made.name.as_str(), made.types), ("P", vec![INT4, FLOAT8, VARCHAR, TIMESTAMPTZ, 1009]));
        assert_eq!(of("PREPARE p AS SELECT 1"), Preparing { name: "p".to_owned(), types: vec![], statement: 3 });
        for sql in [
            "PREPARE",
            "PREPARE p",
            "PREPARE p AS",
            "PREPARE p (int AS SELECT 1",
            "PREPARE p () AS SELECT 1",
            "PREPARE p (nope) AS SELECT 1",
        ] {
            assert!(Preparing::of(&read(sql)).is_err(), "{sql}");
        }
    }

    #[test]
    fn values_are_read() {
        let of = |sql: &str| Executing::of(&read(sql)).unwrap_or_else(|error| panic!("{sql}: {}", error.message)).values;
        let text = |text: &str, oid| Given::Text(text.to_owned(), oid);
        assert_eq!(
            of("EXECUTE p('it''s', -1.5, NULL, true, '5'::int, DATE '2020-01-01', $2, 7::bigint)"),
            [
                text("it's", None),
                Given::Literal("-1.5".to_owned()),
                Given::Null,
                text("true", None),
                text("5", Some(INT4)),
                text("2020-01-01", Some(DATE)),
                Given::Parameter(2),
                text("7", Some(INT8)),
            ]
        );
        assert_eq!(of("EXECUTE p"), []);
        for sql in ["EXECUTE", "EXECUTE p(", "EXECUTE p()", "EXECUTE p(1 + 1)", "EXECUTE p(now())", "EXECUTE p(a)", "EXECUTE p(1) x"] {
            assert!(Executing::of(&read(sql)).is_err(), "{sql}");
        }
    }
}
