//! INSERT INTO, of a query or of values.

use sqlparser::tokenizer::Token;

use crate::ast::{Expr, Ident, InsertSelect, InsertValues, Statement};
use crate::error::Fault;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

impl Grammar<'_> {
    /// After INSERT.
    pub(super) fn insert(&mut self) -> Result<Statement> {
        self.p.expect("INTO")?;
        let target = self.source_name()?;
        if self.p.at("WITH") || self.p.at("SELECT") {
            let properties = self.with_properties()?;
            let query = self.query()?;
            return Ok(Statement::InsertSelect(InsertSelect { target, properties, query }));
        }
        let columns = self.column_names()?;
        if !self.p.at("VALUES") {
            let words: &[&str] = if columns.is_empty() { &["VALUES", "SELECT", "WITH"] } else { &["VALUES"] };
            return Err(self.p.unexpected(words));
        }
        self.p.skip();
        let values = self.values()?;
        if self.p.at_token(&Token::Comma) {
            let fault = Fault::syntax(self.p.here(), "Several rows in one INSERT are not supported");
            return Err(fault.hint("Write an INSERT INTO … VALUES for each row."));
        }
        Ok(Statement::InsertValues(InsertValues { target, columns, values }))
    }

    /// `(a, b)` if it is next.
    pub(super) fn column_names(&mut self) -> Result<Vec<Ident>> {
        if self.p.at_token(&Token::LParen) { self.parenthesized(|g| g.p.identifier("the name of a column")) } else { Ok(Vec::new()) }
    }

    /// `(1, 'a')`, or `()`.
    pub(super) fn values(&mut self) -> Result<Vec<Expr>> {
        if self.p.at_token(&Token::LParen) && self.p.ahead(1).token == Token::RParen {
            self.p.skip();
            self.p.skip();
            return Ok(Vec::new());
        }
        self.parenthesized(Self::value_expression)
    }
}
