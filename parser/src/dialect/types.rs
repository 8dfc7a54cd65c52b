//! Types as written: in columns, in casts, in `CREATE TYPE`.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::ast::{DataType, Ident, IntervalUnit};
use crate::error::Fault;
use crate::tokens::{TokenExt, is_word};

use super::MAX_DEPTH;

/// A type.
pub(crate) fn data_type(p: &mut Parser<'_>) -> Result<DataType, Fault> {
    nested(p, MAX_DEPTH)
}

fn nested(p: &mut Parser<'_>, levels: usize) -> Result<DataType, Fault> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(Fault::invalid(p.here(), format!("Types nest at most {MAX_DEPTH} levels deep")));
    };
    let mut result = plain(p, levels)?;
    // The older way to write ARRAY<INT>: INT ARRAY.
    while p.at("ARRAY") && !matches!(p.ahead(1).token, Token::Lt | Token::LBracket) {
        p.skip();
        result = DataType::Array(Box::new(result));
    }
    Ok(result)
}

fn plain(p: &mut Parser<'_>, levels: usize) -> Result<DataType, Fault> {
    let generic = matches!(p.ahead(1).token, Token::Lt);
    if generic && p.eat("ARRAY") {
        p.expect_symbol(&Token::Lt)?;
        let element = nested(p, levels)?;
        close(p)?;
        return Ok(DataType::Array(Box::new(element)));
    }
    if generic && p.eat("MAP") {
        p.expect_symbol(&Token::Lt)?;
        let key = nested(p, levels)?;
        p.expect_symbol(&Token::Comma)?;
        let value = nested(p, levels)?;
        close(p)?;
        return Ok(DataType::Map(Box::new(key), Box::new(value)));
    }
    if p.at("STRUCT") && matches!(p.ahead(1).token, Token::Neq) {
        p.skip();
        p.skip();
        return Ok(DataType::Struct(Vec::new()));
    }
    if generic && p.eat("STRUCT") {
        return structure(p, levels);
    }
    if p.eat("DECIMAL") {
        return decimal(p);
    }
    if p.at("NULL") {
        return Err(p.near().hint("NULL is not a type."));
    }
    named(p)
}

/// The fields of a STRUCT, after the word itself.
fn structure(p: &mut Parser<'_>, levels: usize) -> Result<DataType, Fault> {
    p.expect_symbol(&Token::Lt)?;
    let mut fields = Vec::new();
    if !p.at_token(&Token::Gt) {
        loop {
            let name = p.identifier("the name of a field")?;
            fields.push((name, nested(p, levels)?));
            if !p.eat_token(&Token::Comma) {
                break;
            }
        }
    }
    close(p)?;
    Ok(DataType::Struct(fields))
}

/// The `>` that closes a type's parameters.
fn close(p: &mut Parser<'_>) -> Result<(), Fault> {
    if p.eat_token(&Token::Gt) { Ok(()) } else { Err(p.expecting("{',', '>'}")) }
}

/// `(precision, scale)`, after DECIMAL.
fn decimal(p: &mut Parser<'_>) -> Result<DataType, Fault> {
    let digits = |p: &mut Parser<'_>, what: &str| {
        let place = p.here();
        let number = p.whole_number(what)?;
        u32::try_from(number).map_err(|_| Fault::invalid(place, format!("Invalid numeric literal: {number}")))
    };
    p.expect_symbol(&Token::LParen)?;
    let precision = digits(p, "the precision")?;
    p.expect_symbol(&Token::Comma)?;
    let scale = digits(p, "the scale")?;
    p.expect_symbol(&Token::RParen)?;
    Ok(DataType::Decimal { precision, scale })
}

/// A type without structure, or one that `CREATE TYPE` made.
fn named(p: &mut Parser<'_>) -> Result<DataType, Fault> {
    let quoted = matches!(&p.ahead(0).token, Token::Word(w) if w.quote_style.is_some());
    let name = p.identifier("a type")?;
    if p.eat_token(&Token::LParen) {
        parameters(p)?;
    }
    Ok(match built_in(&name.name) {
        Some(data_type) if !quoted => data_type,
        _ => DataType::Custom(Ident { ..name }),
    })
}

/// The built-in type of this upper-case name.
pub(crate) fn built_in(name: &str) -> Option<DataType> {
    Some(match name {
        "BOOLEAN" => DataType::Boolean,
        "INT" | "INTEGER" => DataType::Int,
        "BIGINT" => DataType::BigInt,
        "DOUBLE" => DataType::Double,
        "VARCHAR" | "STRING" => DataType::String,
        "BYTES" => DataType::Bytes,
        "TIME" => DataType::Time,
        "DATE" => DataType::Date,
        "TIMESTAMP" => DataType::Timestamp,
        _ => return None,
    })
}

/// Parameters of a type that has none in ksql (`VARCHAR(255)`) are read and mean nothing, as in ksqlDB.
fn parameters(p: &mut Parser<'_>) -> Result<(), Fault> {
    loop {
        let token = &p.ahead(0).token;
        if !is_word(token, "STRING") && !matches!(token, Token::Number(digits, _) if digits.bytes().all(|b| b.is_ascii_digit())) {
            return Err(p.expecting("{'STRING', INTEGER_VALUE}"));
        }
        p.skip();
        if p.eat_token(&Token::RParen) {
            return Ok(());
        }
        if !p.eat_token(&Token::Comma) {
            return Err(p.expecting("{',', ')'}"));
        }
    }
}

/// The unit of this upper-case name, singular or plural.
pub(crate) fn unit_of(name: &str) -> Option<IntervalUnit> {
    Some(match name {
        "MILLISECOND" | "MILLISECONDS" => IntervalUnit::Milliseconds,
        "SECOND" | "SECONDS" => IntervalUnit::Seconds,
        "MINUTE" | "MINUTES" => IntervalUnit::Minutes,
        "HOUR" | "HOURS" => IntervalUnit::Hours,
        "DAY" | "DAYS" => IntervalUnit::Days,
        "WEEK" | "WEEKS" => IntervalUnit::Weeks,
        "MONTH" | "MONTHS" => IntervalUnit::Months,
        "YEAR" | "YEARS" => IntervalUnit::Years,
        _ => return None,
    })
}
