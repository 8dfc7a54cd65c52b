//! Which statement it is.

use sqlparser::tokenizer::Token;

use crate::ast::Statement;
use crate::error::Fault;
use crate::suggest::did_you_mean;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

/// What a statement can begin with, besides the words of test scripts.
const STARTS: &[&str] = &[
    "SELECT",
    "CREATE",
    "INSERT",
    "DROP",
    "ALTER",
    "SHOW",
    "LIST",
    "DESCRIBE",
    "EXPLAIN",
    "PRINT",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "REPLAY",
    "SET",
    "UNSET",
    "DEFINE",
    "UNDEFINE",
    "ASSERT",
];

impl Grammar<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        if self.p.at("SELECT") {
            return Ok(Statement::Select(self.query()?));
        }
        if self.test_statements && self.p.eat_all(&["RUN", "SCRIPT"]) {
            return Ok(Statement::RunScript { path: self.p.string()? });
        }
        if self.test_statements && self.p.eat("ADVANCE") {
            return self.advance();
        }
        match self.p.eat_one(STARTS) {
            Some("CREATE") => self.create(),
            Some("INSERT") => self.insert(),
            Some("DROP") => self.drop(),
            Some("ALTER") => self.alter(),
            Some("SHOW" | "LIST") => self.show(),
            Some("DESCRIBE") => self.describe(),
            Some("EXPLAIN") => self.explain(),
            Some("PRINT") => self.print(),
            Some("TERMINATE") => Ok(Statement::Terminate { id: self.query_id()? }),
            Some("PAUSE") => Ok(Statement::Pause { id: self.query_id()? }),
            Some("RESUME") => Ok(Statement::Resume { id: self.query_id()? }),
            Some("REPLAY") => self.replay(),
            Some("SET") => self.set(),
            Some("UNSET") => self.unset(),
            Some("DEFINE") => self.define(),
            Some("UNDEFINE") => Ok(Statement::UndefineVariable { name: self.variable_name()? }),
            Some("ASSERT") => self.assert(),
            _ => Err(self.unknown()),
        }
    }

    /// Whether the next token begins a statement and something follows it.
    pub(super) fn at_statement(&self) -> bool {
        STARTS.iter().any(|s| self.p.at(s)) && !matches!(self.p.ahead(1).token, Token::EOF | Token::SemiColon)
    }

    fn unknown(&self) -> Fault {
        if let Some(fault) = self.foreign_statement() {
            return fault;
        }
        let found = if matches!(self.p.ahead(0).token, Token::EOF) { ";".to_string() } else { self.p.found() };
        let mut message = format!("Unknown statement '{found}'");
        if self.p.at("RUN") {
            return Fault::syntax(self.p.here(), message).hint("RUN SCRIPT is a command of the shell and of `tidemill run`.");
        }
        if self.p.at_token(&Token::Char('/')) {
            return self.p.near();
        }
        if self.p.at("SPOOL") {
            return Fault::syntax(self.p.here(), message).hint("SPOOL is a command of the shell.");
        }
        if let Some(meant) = did_you_mean(&found, STARTS.iter().copied()) {
            message += &format!("\nDid you mean '{meant}'?");
        } else if self.p.nth_is_reserved(0) {
            message += &format!("\n{}", self.p.reserved().message);
        }
        Fault::syntax(self.p.here(), message)
    }
}
