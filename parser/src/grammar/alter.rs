//! ALTER and DROP.

use sqlparser::tokenizer::Token;

use crate::ast::{AlterSource, DataType, DropSource, Ident, SourceKind, Statement};
use crate::dialect::data_type;
use crate::error::Fault;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

impl Grammar<'_> {
    /// After ALTER.
    pub(super) fn alter(&mut self) -> Result<Statement> {
        let kind = match self.p.expect_one(&["STREAM", "TABLE", "SYSTEM"])? {
            "STREAM" => SourceKind::Stream,
            "TABLE" => SourceKind::Table,
            _ => {
                let (name, value) = self.assignment()?;
                return Ok(Statement::AlterSystem { name, value });
            }
        };
        let name = self.source_name()?;
        let mut add = vec![self.added_column()?];
        while self.p.eat_token(&Token::Comma) {
            add.push(self.added_column()?);
        }
        Ok(Statement::AlterSource(AlterSource { kind, name, add }))
    }

    /// `ADD [COLUMN] name type`. COLUMN is also a name: it is one if only a type follows.
    fn added_column(&mut self) -> Result<(Ident, DataType)> {
        if let Some(what) = self.p.eat_one(&["DROP", "RENAME", "ALTER", "MODIFY", "CHANGE"]) {
            let fault = Fault::syntax(self.p.here(), format!("ALTER … {what} is not supported: columns can only be added"));
            return Err(fault.hint("CREATE OR REPLACE, or a new stream or table over the same topic, may have other columns."));
        }
        self.p.expect("ADD")?;
        let followed = matches!((&self.p.ahead(1).token, &self.p.ahead(2).token), (Token::Word(_), Token::Word(_)));
        if followed {
            self.p.eat("COLUMN");
        }
        let name = self.p.identifier("the name of a column")?;
        Ok((name, data_type(&mut self.p)?))
    }

    /// After DROP.
    pub(super) fn drop(&mut self) -> Result<Statement> {
        if let Some(foreign) = self.foreign_thing() {
            return Err(foreign);
        }
        let kind = match self.p.expect_one(&["STREAM", "TABLE", "TYPE", "CONNECTOR"])? {
            "STREAM" => SourceKind::Stream,
            "TABLE" => SourceKind::Table,
            "TYPE" => {
                let if_exists = self.if_exists();
                return Ok(Statement::DropType { if_exists, name: self.p.identifier("the name of a type")? });
            }
            _ => {
                let if_exists = self.if_exists();
                return Ok(Statement::DropConnector { if_exists, name: self.connector_name()? });
            }
        };
        let if_exists = self.if_exists();
        let name = self.source_name()?;
        let delete_topic = self.p.eat("DELETE");
        if delete_topic {
            self.p.expect("TOPIC")?;
        }
        Ok(Statement::DropSource(DropSource { kind, if_exists, name, delete_topic }))
    }
}
