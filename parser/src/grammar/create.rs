//! CREATE, and the columns it declares.

use sqlparser::tokenizer::Token;

use crate::ast::{ColumnDef, ColumnRole, ConnectorKind, CreateAs, CreateSource, Ident, SourceKind, Statement};
use crate::dialect::data_type;
use crate::tokens::TokenExt;

use super::properties::NameCase;
use super::{Grammar, Result};

/// What stands before the name.
struct Head {
    kind: SourceKind,
    or_replace: bool,
    read_only: bool,
}

impl Grammar<'_> {
    /// After CREATE.
    pub(super) fn create(&mut self) -> Result<Statement> {
        let or_replace = self.p.eat_all(&["OR", "REPLACE"]);
        if !or_replace {
            if self.p.eat("TYPE") {
                return self.create_type();
            }
            if self.p.eat_all(&["SOURCE", "CONNECTOR"]) {
                return self.create_connector(ConnectorKind::Source);
            }
            if self.p.eat("SINK") {
                self.p.expect("CONNECTOR")?;
                return self.create_connector(ConnectorKind::Sink);
            }
        }
        if self.p.at("CONNECTOR") {
            let fault = self.p.near();
            return Err(fault.hint("CREATE SOURCE CONNECTOR brings records into topics, CREATE SINK CONNECTOR takes them elsewhere."));
        }
        let read_only = self.p.eat("SOURCE");
        let words: &[&str] = match (or_replace, read_only) {
            (false, true) => &["STREAM", "TABLE", "CONNECTOR"],
            (true, true) => &["STREAM", "TABLE"],
            (true, false) => &["STREAM", "TABLE", "SOURCE"],
            (false, false) => &["STREAM", "TABLE", "SOURCE", "SINK", "TYPE", "OR"],
        };
        let kind = match self.p.eat_one(&["STREAM", "TABLE"]) {
            Some("STREAM") => SourceKind::Stream,
            Some(_) => SourceKind::Table,
            None => return Err(self.foreign_thing().unwrap_or_else(|| self.p.unexpected(words))),
        };
        self.create_source(Head { kind, or_replace, read_only })
    }

    fn create_source(&mut self, head: Head) -> Result<Statement> {
        let Head { kind, or_replace, read_only } = head;
        let if_not_exists = self.if_not_exists();
        let name = self.source_name()?;
        let columns = if self.p.at_token(&Token::LParen) { self.columns()? } else { Vec::new() };
        let properties = self.with_properties()?;
        if self.p.at("AS") {
            if read_only {
                return Err(self.p.near().hint("CREATE SOURCE declares a source that exists; it can't be made by a query."));
            }
            if !columns.is_empty() {
                return Err(self.p.near().hint("With AS the columns come from the query; leave out the list of columns."));
            }
            self.p.skip();
            let query = self.query()?;
            return Ok(Statement::CreateAs(CreateAs { kind, or_replace, if_not_exists, name, properties, query }));
        }
        Ok(Statement::CreateSource(CreateSource { kind, or_replace, read_only, if_not_exists, name, columns, properties }))
    }

    /// The source that ASSERT STREAM or ASSERT TABLE describes, after that word.
    pub(super) fn asserted_source(&mut self, kind: SourceKind) -> Result<CreateSource> {
        let name = self.source_name()?;
        let columns = if self.p.at_token(&Token::LParen) { self.columns()? } else { Vec::new() };
        let properties = self.with_properties()?;
        Ok(CreateSource { kind, or_replace: false, read_only: false, if_not_exists: false, name, columns, properties })
    }

    fn columns(&mut self) -> Result<Vec<ColumnDef>> {
        self.parenthesized(Self::column)
    }

    /// `name type [KEY | PRIMARY KEY | HEADERS | HEADER('k')]`.
    pub(super) fn column(&mut self) -> Result<ColumnDef> {
        let name = self.p.identifier("the name of a column")?;
        let data_type = data_type(&mut self.p)?;
        let role = self.column_role()?;
        if let Some(foreign) = self.foreign_constraint() {
            return Err(foreign);
        }
        Ok(ColumnDef { name, data_type, role })
    }

    fn column_role(&mut self) -> Result<ColumnRole> {
        Ok(match self.p.eat_one(&["PRIMARY", "KEY", "HEADERS", "HEADER"]) {
            Some("PRIMARY") => {
                self.p.expect("KEY")?;
                ColumnRole::PrimaryKey
            }
            Some("KEY") => ColumnRole::Key,
            Some("HEADERS") => ColumnRole::Headers,
            Some(_) => {
                self.p.expect_symbol(&Token::LParen)?;
                let key = self.p.string()?;
                self.p.expect_symbol(&Token::RParen)?;
                ColumnRole::Header(key)
            }
            None => ColumnRole::Value,
        })
    }

    fn create_type(&mut self) -> Result<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.p.identifier("the name of a type")?;
        self.p.expect("AS")?;
        Ok(Statement::CreateType { name, if_not_exists, data_type: data_type(&mut self.p)? })
    }

    fn create_connector(&mut self, kind: ConnectorKind) -> Result<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.connector_name()?;
        let properties = self.expect_properties(NameCase::AsQuoted)?;
        Ok(Statement::CreateConnector { kind, name, if_not_exists, properties })
    }

    pub(super) fn connector_name(&mut self) -> Result<Ident> {
        self.p.identifier("the name of a connector")
    }
}
