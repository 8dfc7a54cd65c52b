//! Text to sqlparser's tree: SQL as DataFusion knows it, with the dialect's names and spellings.
//!
//! Unquoted names are upper case from the tokens on, so that nothing behind has to know of letters' cases. Spellings that
//! sqlparser has no node for (lambdas, `MAP(k := v)`, `STRUCT(f := v)`) are read here.

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, ObjectName, OneOrManyWithParens, Value,
};
use datafusion::sql::sqlparser::dialect::{Dialect, Precedence};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{self, Token, TokenWithSpan, Tokenizer};
use tidemill_parser::ast::{Location, Span};

use crate::error::QueryError;

/// Levels that a query may nest.
const MAX_DEPTH: usize = 100;
/// Tokens that a query may have.
const MAX_TOKENS: usize = 100_000;

/// A query that was read.
pub(crate) struct Parsed {
    pub query: Box<ast::Query>,
    pub explain: Option<Explain>,
    /// Whether columns that every row has, beside those of the schema, are named somewhere.
    pub names_pseudo_columns: bool,
}

/// EXPLAIN: the plan, or the plan with what running it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    Plan,
    Analyze,
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
}

/// What a text is, before anything of it is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub explain: Option<Explain>,
    pub has_limit: bool,
}

/// Whether a text follows the grammar of queries.
///
/// # Errors
/// Where it does not.
pub fn check(text: &str) -> Result<Shape, QueryError> {
    let parsed = parse(text)?;
    Ok(Shape { explain: parsed.explain, has_limit: parsed.query.limit_clause.is_some() || parsed.query.fetch.is_some() })
}

/// Reads a query.
///
/// # Errors
/// Where it does not follow the grammar.
pub(crate) fn parse(text: &str) -> Result<Parsed, QueryError> {
    let mut tokens = Tokenizer::new(&AnySql, text)
        .tokenize_with_location()
        .map_err(|error| QueryError::user(format!("Syntax Error\n{}", error.message)).at(at(error.location)))?;
    if tokens.len() > MAX_TOKENS {
        return Err(QueryError::user(format!("The query has {} tokens; {MAX_TOKENS} are allowed", tokens.len())));
    }
    let mut names_pseudo_columns = false;
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token
            && word.quote_style.is_none()
        {
            word.value.make_ascii_uppercase();
            names_pseudo_columns |= matches!(word.value.as_str(), "ROWTIME" | "ROWPARTITION" | "ROWOFFSET");
        }
    }
    let mut explain = None;
    let significant = |tokens: &[TokenWithSpan], n: usize| {
        tokens.iter().enumerate().filter(|(_, token)| !matches!(token.token, Token::Whitespace(_))).nth(n).map(|(index, _)| index)
    };
    let word_at = |tokens: &[TokenWithSpan], n: usize, word: &str| {
        significant(tokens, n).and_then(|index| tokens.get(index)).is_some_and(|token| is_word(&token.token, word))
    };
    if word_at(&tokens, 0, "EXPLAIN") {
        let analyze = word_at(&tokens, 1, "ANALYZE");
        explain = Some(if analyze { Explain::Analyze } else { Explain::Plan });
        let skipped = significant(&tokens, if analyze { 2 } else { 1 }).unwrap_or(tokens.len());
        tokens.drain(..skipped);
    }
    let dialect = AnySql;
    let mut parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let read = parser.parse_query().and_then(|query| {
        while parser.consume_token(&Token::SemiColon) {}
        match parser.peek_token().token {
            Token::EOF => Ok(query),
            _ => parser.expected("end of the query", parser.peek_token()),
        }
    });
    let query = read.map_err(|error| syntax(&error))?;
    Ok(Parsed { query, explain, names_pseudo_columns })
}

/// sqlparser's message with its place taken out of the text.
fn syntax(error: &ParserError) -> QueryError {
    let message = match error {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => return QueryError::user(format!("The query nests deeper than {MAX_DEPTH} levels")),
    };
    let (text, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let mut numbers = place.split(", Column: ").filter_map(|number| number.trim().parse::<u64>().ok());
    let found = QueryError::user(format!("Syntax Error\n{text}"));
    match (numbers.next(), numbers.next()) {
        (Some(line), Some(column)) => found.at(at(tokenizer::Location { line, column })),
        _ => found,
    }
}

fn at(place: tokenizer::Location) -> Span {
    let location =
        Location { line: u32::try_from(place.line).unwrap_or(u32::MAX), column: u32::try_from(place.column).unwrap_or(u32::MAX) };
    Span { start: location, end: location }
}

/// A place of sqlparser's.
pub(crate) fn span_of(span: tokenizer::Span) -> Span {
    Span { start: at(span.start).start, end: at(span.end).start }
}

/// Calls a function of DataFusion's or the dialect's by its name in lower case.
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A text literal.
pub(crate) fn text(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

/// SQL with the dialect's lexical rules and spellings.
#[derive(Debug)]
pub(crate) struct AnySql;

impl Dialect for AnySql {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        matches!(ch, '"' | '`')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || matches!(ch, '_' | '@' | '$')
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        false
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_boolean_literals(&self) -> bool {
        true
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        // What parts a name from its value is no operator.
        if parser.peek_token_ref().token == Token::Assignment {
            return Some(Ok(0));
        }
        // A field binds tighter than arithmetic.
        (parser.peek_token_ref().token == Token::Arrow).then(|| Ok(self.prec_value(Precedence::DoubleColon)))
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if let Some(params) = lambda_params(parser) {
            return Some(lambda(parser, params));
        }
        match constructor(parser)? {
            Constructor::Map => Some(map(parser)),
            Constructor::Struct => Some(structure(parser)),
        }
    }
}

/// The tokens of `x =>` or `(x, y) =>`, if that comes next.
fn lambda_params(parser: &Parser<'_>) -> Option<usize> {
    let token = |n| parser.peek_nth_token(n).token;
    match token(0) {
        Token::Word(_) => (token(1) == Token::RArrow).then_some(1),
        Token::LParen => {
            let mut n = 1;
            while matches!(token(n), Token::Word(_)) {
                match token(n + 1) {
                    Token::Comma => n += 2,
                    Token::RParen => return (token(n + 2) == Token::RArrow).then_some(n + 2),
                    _ => return None,
                }
            }
            None
        }
        _ => None,
    }
}

fn lambda(parser: &mut Parser<'_>, params: usize) -> Result<Expr, ParserError> {
    let mut names = Vec::new();
    for _ in 0..params {
        let token = parser.next_token();
        if let Token::Word(word) = token.token {
            names.push(LambdaFunctionParameter {
                name: Ident { value: word.value, quote_style: word.quote_style, span: token.span },
                data_type: None,
            });
        }
    }
    parser.expect_token(&Token::RArrow)?;
    let body = Box::new(parser.parse_expr()?);
    Ok(Expr::Lambda(LambdaFunction { params: OneOrManyWithParens::Many(names), body, syntax: LambdaSyntax::Arrow }))
}

enum Constructor {
    Map,
    Struct,
}

/// Whether `MAP(… := …)` or `STRUCT(… := …)` comes next.
fn constructor(parser: &Parser<'_>) -> Option<Constructor> {
    let first = parser.peek_token_ref();
    let found = if is_word(&first.token, "MAP") {
        Constructor::Map
    } else if is_word(&first.token, "STRUCT") {
        Constructor::Struct
    } else {
        return None;
    };
    if parser.peek_nth_token(1).token != Token::LParen {
        return None;
    }
    let (mut n, mut open) = (2, 0_usize);
    loop {
        match parser.peek_nth_token(n).token {
            Token::LParen | Token::LBracket => open += 1,
            Token::RParen if open == 0 => return None,
            Token::RParen | Token::RBracket => open = open.saturating_sub(1),
            Token::Assignment if open == 0 => return Some(found),
            Token::EOF => return None,
            _ => {}
        }
        n += 1;
    }
}

fn entries<T>(
    parser: &mut Parser<'_>,
    mut name: impl FnMut(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<Vec<(T, Expr)>, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let mut entries = Vec::new();
    loop {
        let name = name(parser)?;
        parser.expect_token(&Token::Assignment)?;
        entries.push((name, parser.parse_expr()?));
        if !parser.consume_token(&Token::Comma) {
            parser.expect_token(&Token::RParen)?;
            return Ok(entries);
        }
    }
}

fn map(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let (keys, values) = entries(parser, |parser| parser.parse_expr())?.into_iter().unzip();
    Ok(call("map", vec![call("make_array", keys), call("make_array", values)]))
}

fn structure(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let fields = entries(parser, |parser| parser.parse_identifier())?;
    Ok(call("named_struct", fields.into_iter().flat_map(|(name, value)| [text(name.value), value]).collect()))
}
