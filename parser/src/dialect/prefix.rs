//! What an operand may begin with: a word (a column, a call, a cast, a constructor, …), a parenthesis, or a literal.

use sqlparser::ast::{Expr, Ident as SqlIdent, Value};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::ast::{CastTarget, DataType, Ident, IntervalUnit, Span};
use crate::error::Fault;
use crate::keywords::{is_reserved, takes_unit};
use crate::tokens::{TokenExt, fault_of, span_of};

use super::nodes::NodeKind;
use super::{KsqlDialect, data_type, unit_of};

/// The operand that the next token begins; none where sqlparser reads it without help (signs).
pub(super) fn parse(d: &KsqlDialect, p: &mut Parser<'_>) -> Option<Result<Expr, Fault>> {
    Some(match &p.ahead(0).token {
        Token::Word(word) if word.quote_style.is_some() => name_led(d, p),
        Token::Word(word) => {
            let word = word.value.to_ascii_uppercase();
            word_led(d, p, &word)
        }
        Token::LParen => parenthesized(p),
        Token::Number(..) | Token::SingleQuotedString(_) => own(p, |p| p.parse_value().map(Expr::Value)),
        Token::Minus | Token::Plus => return None,
        // `struct->*`.
        Token::Mul if p.get_current_token().token == Token::Arrow => {
            let span = p.here();
            p.skip();
            Ok(d.keep(NodeKind::Star, span))
        }
        _ => Err(p.near()),
    })
}

/// Runs one of sqlparser's own methods.
fn own<T>(p: &mut Parser<'_>, read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>) -> Result<T, Fault> {
    read(p).map_err(|e| fault_of(p, e))
}

fn expression(p: &mut Parser<'_>) -> Result<Expr, Fault> {
    own(p, |p| p.parse_expr())
}

fn word_led(d: &KsqlDialect, p: &mut Parser<'_>, word: &str) -> Result<Expr, Fault> {
    let next = p.ahead(1).token.clone();
    match (word, next) {
        ("NULL" | "TRUE" | "FALSE", _) => own(p, |p| p.parse_value().map(Expr::Value)),
        ("NOT", _) => {
            p.skip();
            own(p, |p| p.parse_not())
        }
        ("CASE", _) => {
            p.skip();
            own(p, |p| p.parse_case_expr())
        }
        ("CAST", _) => cast(d, p),
        ("ARRAY", Token::LBracket) => array(d, p),
        ("MAP", Token::LParen) => map(d, p),
        ("STRUCT", Token::LParen) => structure(d, p),
        ("SELECT", _) => Err(p.near().hint("A query can't stand inside an expression.")),
        ("EXISTS", _) => Err(p.near().hint("EXISTS is not supported. A join keeps the rows that have a match.")),
        _ if is_reserved(word) => Err(p.near()),
        (_, Token::SingleQuotedString(text)) => typed_literal(d, p, word, text),
        _ => name_led(d, p),
    }
}

/// A column, `source.column` or a call.
fn name_led(d: &KsqlDialect, p: &mut Parser<'_>) -> Result<Expr, Fault> {
    let quoting = |p: &Parser<'_>| (p.ahead(0).span, if let Token::Word(w) = &p.ahead(0).token { w.quote_style } else { None });
    let (place, quote_style) = quoting(p);
    let name = p.identifier("an expression")?;
    let ident = SqlIdent { value: name.name.clone(), quote_style, span: place };
    match p.ahead(0).token {
        Token::LParen => call(d, p, name),
        Token::Period if !matches!(p.ahead(1).token, Token::Mul) => {
            p.skip();
            let (place, quote_style) = quoting(p);
            let column = p.identifier("a column")?;
            let column = SqlIdent { value: column.name, quote_style, span: place };
            Ok(Expr::CompoundIdentifier(vec![ident, column]))
        }
        _ => Ok(Expr::Identifier(ident)),
    }
}

/// One expression in parentheses.
fn parenthesized(p: &mut Parser<'_>) -> Result<Expr, Fault> {
    p.skip();
    let inner = expression(p)?;
    match p.ahead(0).token {
        Token::RParen => {
            p.skip();
            Ok(Expr::Nested(Box::new(inner)))
        }
        Token::Comma => Err(p.missing("')'")),
        _ => Err(p.near().hint("Expecting ')'.")),
    }
}

/// From the start of one token to the end of the last one taken.
fn until_here(p: &Parser<'_>, start: Span) -> Span {
    Span { start: start.start, end: span_of(p.get_current_token().span).end }
}

/// Items parted by commas up to `close`, which is taken; the opening token has been taken.
fn list<T>(p: &mut Parser<'_>, close: &Token, mut item: impl FnMut(&mut Parser<'_>, &[T]) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    let mut items = Vec::new();
    if p.eat_token(close) {
        return Ok(items);
    }
    loop {
        let next = item(p, &items)?;
        items.push(next);
        if p.eat_token(close) {
            return Ok(items);
        }
        if !p.eat_token(&Token::Comma) {
            return Err(p.near().hint(format!("Expecting ',' or '{close}'.")));
        }
    }
}

/// The arguments of a call, after its name.
fn call(d: &KsqlDialect, p: &mut Parser<'_>, name: Ident) -> Result<Expr, Fault> {
    p.skip();
    if p.at_token(&Token::Mul) && p.ahead(1).token == Token::RParen {
        let star = d.keep(NodeKind::Star, p.here());
        p.skip();
        p.skip();
        let span = until_here(p, name.span);
        return Ok(d.keep(NodeKind::Call { name, args: vec![star] }, span));
    }
    if p.at("DISTINCT") {
        let fault =
            p.near().hint(format!("{}(DISTINCT …) is not supported. COUNT_DISTINCT and COLLECT_SET take each value once.", name.name));
        return Err(fault);
    }
    let mut lambdas = false;
    let args = list(p, &Token::RParen, |p, before: &[Expr]| {
        // As in ksqlDB's grammar a lambda is never first, and only lambdas follow one.
        if !before.is_empty() && at_lambda(p) {
            lambdas = true;
            return lambda(d, p);
        }
        if lambdas {
            return Err(p.near().hint("Only lambdas can follow a lambda."));
        }
        match unit_argument(p, before.is_empty() && takes_unit(&name.name)) {
            Some(unit) => {
                let span = p.here();
                p.skip();
                Ok(d.keep(NodeKind::Unit(unit), span))
            }
            None => expression(p),
        }
    })?;
    let span = until_here(p, name.span);
    Ok(d.keep(NodeKind::Call { name, args }, span))
}

/// The unit that the next argument is. Names that can also be columns count only where the function `wants` a unit.
fn unit_argument(p: &Parser<'_>, wants: bool) -> Option<IntervalUnit> {
    let Token::Word(word) = &p.ahead(0).token else { return None };
    let alone = matches!(p.ahead(1).token, Token::Comma | Token::RParen);
    let name = word.value.to_ascii_uppercase();
    if word.quote_style.is_none() && alone && (wants || is_reserved(&name)) { unit_of(&name) } else { None }
}

/// Whether `x =>` or `(x, y) =>` comes next.
fn at_lambda(p: &Parser<'_>) -> bool {
    if !p.at_token(&Token::LParen) {
        return p.nth_is_name(0) && p.ahead(1).token == Token::RArrow;
    }
    let mut n = 1;
    while p.nth_is_name(n) {
        match p.ahead(n + 1).token {
            Token::Comma => n += 2,
            Token::RParen => return p.ahead(n + 2).token == Token::RArrow,
            _ => return false,
        }
    }
    false
}

fn lambda(d: &KsqlDialect, p: &mut Parser<'_>) -> Result<Expr, Fault> {
    let start = p.here();
    let params = if p.eat_token(&Token::LParen) {
        list(p, &Token::RParen, |p, _| p.identifier("a parameter"))?
    } else {
        vec![p.identifier("a parameter")?]
    };
    p.expect_symbol(&Token::RArrow)?;
    let body = expression(p)?;
    let span = until_here(p, start);
    Ok(d.keep(NodeKind::Lambda { params, body }, span))
}

/// `CAST(expression AS type)`.
fn cast(d: &KsqlDialect, p: &mut Parser<'_>) -> Result<Expr, Fault> {
    let start = p.here();
    p.skip();
    p.expect_symbol(&Token::LParen)?;
    let expr = expression(p)?;
    p.expect("AS")?;
    let target = p.here();
    if p.at("NULL") {
        return Err(p.near().hint("NULL is not a type."));
    }
    let data_type = data_type(p)?;
    let to = CastTarget { data_type, span: until_here(p, target) };
    p.expect_symbol(&Token::RParen)?;
    let span = until_here(p, start);
    Ok(d.keep(NodeKind::Cast { expr, to }, span))
}

/// `DATE '2020-01-31'` and its like: a cast of the text.
fn typed_literal(d: &KsqlDialect, p: &mut Parser<'_>, word: &str, text: String) -> Result<Expr, Fault> {
    let start = p.here();
    let data_type = match word {
        "DATE" => DataType::Date,
        "TIME" => DataType::Time,
        "TIMESTAMP" => DataType::Timestamp,
        _ => return Err(Fault::invalid(start, format!("Unknown type: {word}")).hint("Only DATE, TIME and TIMESTAMP can precede a text.")),
    };
    p.skip();
    let value = Value::SingleQuotedString(text).with_span(p.ahead(0).span);
    p.skip();
    let to = CastTarget { data_type, span: start };
    let span = until_here(p, start);
    Ok(d.keep(NodeKind::Cast { expr: Expr::Value(value), to }, span))
}

/// `ARRAY[a, b]`.
fn array(d: &KsqlDialect, p: &mut Parser<'_>) -> Result<Expr, Fault> {
    let start = p.here();
    p.skip();
    p.skip();
    let items = list(p, &Token::RBracket, |p, _| expression(p))?;
    let span = until_here(p, start);
    Ok(d.keep(NodeKind::Array(items), span))
}

/// `MAP(k := v, …)`.
fn map(d: &KsqlDialect, p: &mut Parser<'_>) -> Result<Expr, Fault> {
    let start = p.here();
    p.skip();
    p.skip();
    let entries = list(p, &Token::RParen, |p, _| {
        let key = expression(p)?;
        p.expect_symbol(&Token::Assignment)?;
        Ok((key, expression(p)?))
    })?;
    let span = until_here(p, start);
    Ok(d.keep(NodeKind::Map(entries), span))
}

/// `STRUCT(f := v, …)`.
fn structure(d: &KsqlDialect, p: &mut Parser<'_>) -> Result<Expr, Fault> {
    let start = p.here();
    p.skip();
    p.skip();
    let fields = list(p, &Token::RParen, |p, _| {
        let name = p.identifier("the name of a field")?;
        p.expect_symbol(&Token::Assignment)?;
        Ok((name, expression(p)?))
    })?;
    let span = until_here(p, start);
    Ok(d.keep(NodeKind::Struct(fields), span))
}
