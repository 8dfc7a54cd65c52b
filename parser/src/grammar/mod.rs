//! Statements: tokens to the tree. Expressions go to sqlparser's parser with the ksql dialect.
//!
//! One file for each family of statements; this one holds what they share.

mod admin;
mod alter;
mod asserts;
mod create;
mod insert;
mod join;
mod properties;
mod query;
mod statement;
mod unsupported;
mod window;

use sqlparser::ast::Expr as Sql;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::ast::{ColumnDef, DataType, Expr, Ident, Location, Statement};
use crate::dialect::{COMPARISON, Converter, KsqlDialect, MAX_NESTING, data_type};
use crate::error::Fault;
use crate::tokens::{TokenExt, fault_of, span_of};

pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// One statement's tokens, being read.
pub(crate) struct Grammar<'a> {
    p: Parser<'a>,
    dialect: &'a KsqlDialect,
    /// Whether statements that only test scripts hold are known.
    test_statements: bool,
    /// EXPLAIN inside EXPLAIN counts up to a limit.
    depth: usize,
}

impl<'a> Grammar<'a> {
    pub fn new(dialect: &'a KsqlDialect, tokens: Vec<TokenWithSpan>, test_statements: bool) -> Self {
        let p = Parser::new(dialect).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
        Grammar { p, dialect, test_statements, depth: 0 }
    }

    /// The tokens as one statement.
    pub fn whole_statement(mut self) -> Result<Statement> {
        let statement = self.statement()?;
        self.end()?;
        Ok(statement)
    }

    /// The tokens as one expression.
    pub fn whole_expression(mut self) -> Result<Expr> {
        let expr = self.expression()?;
        self.end()?;
        Ok(expr)
    }

    /// The tokens as one type.
    pub fn whole_type(mut self) -> Result<DataType> {
        let data_type = data_type(&mut self.p)?;
        self.end()?;
        Ok(data_type)
    }

    /// The tokens as columns, without parentheses around them.
    pub fn whole_columns(mut self) -> Result<Vec<ColumnDef>> {
        let mut columns = Vec::new();
        while columns.is_empty() || self.p.eat_token(&Token::Comma) {
            columns.push(self.column()?);
        }
        self.end()?;
        Ok(columns)
    }

    /// Nothing follows.
    fn end(&mut self) -> Result<()> {
        if self.p.at_end() {
            return Ok(());
        }
        // What may follow the parts of one statement or another.
        const CLAUSES: &[&str] = &["WITH", "AS", "ADD", "COLUMN", "EXTENDED", "EXISTS", "DELETE", "FROM", "LIMIT", "TIMEOUT", "VALUES"];
        let stands = || format!("'{}' can't stand here: the statement should end before it.", self.p.found());
        let hint = self.meant(CLAUSES).unwrap_or_else(stands);
        // As in ksqlDB, one token too many at the end is named so.
        let one_too_many = matches!(self.p.ahead(1).token, Token::EOF | Token::SemiColon);
        let message = if one_too_many { "Expecting ';'" } else { "" };
        Err(Fault::syntax(self.p.here(), message).hint(hint))
    }

    /// Any expression.
    fn expression(&mut self) -> Result<Expr> {
        self.convert(|p| p.parse_expr())
    }

    /// An expression that is no comparison and no logic, as grouping and partitioning take.
    fn value_expression(&mut self) -> Result<Expr> {
        self.convert(|p| p.parse_subexpr(COMPARISON))
    }

    fn convert(&mut self, read: impl FnOnce(&mut Parser<'a>) -> std::result::Result<Sql, ParserError>) -> Result<Expr> {
        self.dialect.start();
        let sql = read(&mut self.p).map_err(|e| fault_of(&self.p, e))?;
        Converter { dialect: self.dialect }.expression(&sql)
    }

    /// Items parted by commas, in parentheses; `closing` says what is expected after an item.
    fn parenthesized<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.p.expect_symbol(&Token::LParen)?;
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            if self.p.eat_token(&Token::RParen) {
                return Ok(items);
            }
            if !self.p.eat_token(&Token::Comma) {
                return Err(self.p.expecting("{',', ')'}"));
            }
        }
    }

    /// The name of a stream or table.
    fn source_name(&mut self) -> Result<Ident> {
        self.p.identifier("the name of a stream or table")
    }

    /// A name or a text, in the case it is written in.
    fn resource_name(&mut self, what: &str) -> Result<Ident> {
        match &self.p.ahead(0).token {
            Token::SingleQuotedString(text) => {
                let name = Ident { name: text.clone(), span: self.p.here() };
                self.p.skip();
                Ok(name)
            }
            _ => self.p.exact_identifier(what),
        }
    }

    /// `IF NOT EXISTS`, taken if it is next.
    fn if_not_exists(&mut self) -> bool {
        self.p.eat_all(&["IF", "NOT", "EXISTS"])
    }

    /// `IF EXISTS`, taken if it is next.
    fn if_exists(&mut self) -> bool {
        self.p.eat_all(&["IF", "EXISTS"])
    }

    /// Where the last token taken ended.
    fn last_end(&self) -> Location {
        span_of(self.p.get_current_token().span).end
    }
}
