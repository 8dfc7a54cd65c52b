//! Scripts: several statements in one text, apart from each other, so that what comes before an error can run.

use std::sync::Arc;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::ast::{Explain, Span, SpannedStatement, Statement};
use crate::dialect::KsqlDialect;
use crate::error::{Fault, ParseError};
use crate::grammar::Grammar;
use crate::lexer::{Offsets, lex};
use crate::tokens::{is_word, near_token, span_of, sql_span};

/// Which statements are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statements {
    /// Those that a server runs.
    #[default]
    Server,
    /// Those and the ones of test scripts: `ASSERT` of values, sources and the processing log, `ADVANCE`, `RUN SCRIPT`.
    Test,
}

/// One statement of a script, not yet parsed.
#[derive(Debug, Clone)]
pub struct RawStatement {
    /// From its first token to its last, comments inside kept; without the semicolon.
    pub text: String,
    /// Where it stands in the script.
    pub span: Span,
    /// Whether a semicolon closes it. Only the last statement of a script can lack it.
    pub terminated: bool,
    tokens: Vec<TokenWithSpan>,
    script: Arc<str>,
}

impl RawStatement {
    /// Parses the statement; places are those of the script.
    pub fn parse(&self) -> Result<SpannedStatement, ParseError> {
        self.parse_as(Statements::Server)
    }

    /// Parses the statement as one of the given ones.
    pub fn parse_as(&self, known: Statements) -> Result<SpannedStatement, ParseError> {
        let dialect = KsqlDialect::default();
        let statement = Grammar::new(&dialect, self.tokens.clone(), known == Statements::Test).whole_statement();
        match statement {
            Ok(mut statement) => {
                self.fill_explained(&mut statement);
                Ok(SpannedStatement { statement, span: self.span, text: self.text.clone() })
            }
            Err(fault) => Err(fault.locate(&self.script)),
        }
    }

    /// The error of a statement without its semicolon, for where ksqlDB insists on one (its REST API does).
    pub fn check_terminated(&self) -> Result<(), ParseError> {
        if self.terminated {
            return Ok(());
        }
        if let Some(open) = self.tokens.iter().find(|token| token.token == Token::Char('/')) {
            return Err(near_token(open).locate(&self.script));
        }
        let end = Span { start: self.span.end, end: self.span.end };
        Err(Fault::syntax(end, "missing ';' at '<EOF>'").hint("A statement ends with a semicolon.").locate(&self.script))
    }

    /// Whether it begins as a query of SQL does, or as EXPLAIN of one, and is no push query. Whether it follows the grammar is
    /// another matter: what the dialect can't read of this kind may be SQL beyond the dialect.
    pub fn may_be_sql(&self) -> bool {
        let begins = |token: &Token| *token == Token::LParen || ["SELECT", "WITH", "VALUES"].iter().any(|word| is_word(token, word));
        let mut tokens = self.tokens.iter().map(|token| &token.token);
        let starts = match tokens.next() {
            Some(explain) if is_word(explain, "EXPLAIN") => tokens.next().is_some_and(|token| begins(token) || is_word(token, "ANALYZE")),
            Some(token) => begins(token),
            None => false,
        };
        starts && !self.tokens.iter().any(|token| is_word(&token.token, "EMIT"))
    }

    /// Gives explained statements their texts.
    fn fill_explained(&self, statement: &mut Statement) {
        // Places cost a walk through the script, which few statements need.
        if !matches!(statement, Statement::Explain(Explain::Statement(_))) {
            return;
        }
        let mut offsets = Offsets::new(&self.script);
        let mut statement = statement;
        let last = offsets.clone().advance(sql_span(self.span).end);
        while let Statement::Explain(Explain::Statement(inner)) = statement {
            let first = offsets.advance(sql_span(inner.span).start);
            inner.text = self.script.get(first..last).unwrap_or("").to_string();
            statement = &mut inner.statement;
        }
    }
}

/// Parts a script at its semicolons. Never fails: what can't be read ends up in a statement that doesn't parse.
/// A semicolon with nothing before it is a statement (which doesn't parse either).
pub fn split_script(text: &str) -> Vec<RawStatement> {
    let script: Arc<str> = Arc::from(text);
    let mut offsets = Offsets::new(text);
    let mut statements = Vec::new();
    let mut tokens: Vec<TokenWithSpan> = Vec::new();
    for token in lex(text) {
        let terminated = match token.token {
            Token::SemiColon => true,
            Token::EOF => false,
            _ => {
                tokens.push(token);
                continue;
            }
        };
        if tokens.is_empty() && !terminated {
            break;
        }
        // An empty statement is its semicolon's place.
        let start = tokens.first().map_or(token.span.start, |t| t.span.start);
        let end = tokens.last().map_or(token.span.start, |t| t.span.end);
        let (first, last) = (offsets.advance(start), offsets.advance(end));
        tokens.push(token);
        statements.push(RawStatement {
            text: text.get(first..last).unwrap_or("").to_string(),
            span: span_of(sqlparser::tokenizer::Span::new(start, end)),
            terminated,
            tokens: std::mem::take(&mut tokens),
            script: Arc::clone(&script),
        });
    }
    statements
}

/// Parses a whole script; the first error ends it.
pub fn parse_script(text: &str) -> Result<Vec<SpannedStatement>, ParseError> {
    split_script(text).iter().map(RawStatement::parse).collect()
}

/// Parses a whole test script; the first error ends it.
pub fn parse_test_script(text: &str) -> Result<Vec<SpannedStatement>, ParseError> {
    split_script(text).iter().map(|s| s.parse_as(Statements::Test)).collect()
}

/// Parses exactly one statement; its semicolon is optional.
pub fn parse_statement(text: &str) -> Result<SpannedStatement, ParseError> {
    match split_script(text).as_slice() {
        [one] => one.parse(),
        [] => Err(Fault::syntax(Span::default(), "Unknown statement ''").hint("There is no statement in the text.").locate(text)),
        [first, second, ..] => {
            first.parse()?;
            Err(Fault::syntax(second.span, "Expecting one statement").locate(text))
        }
    }
}

/// Parses all of a text as one part of the grammar.
pub(crate) fn parse_part<T>(text: &str, read: impl FnOnce(Grammar<'_>) -> Result<T, Fault>) -> Result<T, ParseError> {
    let dialect = KsqlDialect::default();
    let tokens = lex(text);
    let result = match tokens.iter().find(|t| t.token == Token::SemiColon) {
        Some(semicolon) => Err(near_token(semicolon)),
        None => read(Grammar::new(&dialect, tokens, false)),
    };
    result.map_err(|fault| fault.locate(text))
}
