//! ASSERT: on topics and schemas everywhere, on rows, sources and the processing log in test scripts; and ADVANCE, which only these know.

use sqlparser::tokenizer::Token;

use crate::ast::{Advance, AdvanceTo, AssertValues, ExprKind, Interval, Properties, SourceKind, Statement, TestClock};
use crate::error::Fault;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

impl Grammar<'_> {
    /// After ASSERT.
    pub(super) fn assert(&mut self) -> Result<Statement> {
        if self.test_statements
            && let Some(statement) = self.test_assert()?
        {
            return Ok(statement);
        }
        let exists = !self.p.eat_all(&["NOT", "EXISTS"]);
        if self.p.expect_one(&["TOPIC", "SCHEMA"])? == "TOPIC" {
            let topic = self.resource_name("the name of a topic")?;
            let properties: Properties = self.with_properties()?;
            return Ok(Statement::AssertTopic { topic, exists, properties, timeout: self.timeout()? });
        }
        let subject = if self.p.eat("SUBJECT") { Some(self.resource_name("a subject")?.name) } else { None };
        let id = if self.p.eat("ID") { Some(self.schema_id()?) } else { None };
        Ok(Statement::AssertSchema { subject, id, exists, timeout: self.timeout()? })
    }

    fn schema_id(&mut self) -> Result<i64> {
        let literal = self.literal()?;
        match literal.kind {
            ExprKind::Integer(id) => Ok(id.into()),
            ExprKind::BigInt(id) => Ok(id),
            _ => Err(Fault::invalid(literal.span, "The id of a schema is a whole number")),
        }
    }

    fn timeout(&mut self) -> Result<Option<Interval>> {
        if self.p.eat("TIMEOUT") { self.interval("The timeout").map(Some) } else { Ok(None) }
    }

    fn test_assert(&mut self) -> Result<Option<Statement>> {
        if self.p.eat_all(&["NULL", "VALUES"]) {
            return Ok(Some(Statement::AssertTombstone(self.asserted_values("KEY")?)));
        }
        if self.p.eat_all(&["NO", "VALUES"]) {
            return Ok(Some(Statement::AssertNoValues { source: self.source_name()? }));
        }
        let exists = !self.p.eat_all(&["NO", "PROCESSING"]);
        if !exists || self.p.eat("PROCESSING") {
            self.p.expect("LOG")?;
            let contains = if self.p.eat("CONTAINS") { Some(self.p.string()?) } else { None };
            return Ok(Some(Statement::AssertProcessingLog { exists, contains }));
        }
        Ok(match self.p.eat_one(&["VALUES", "STREAM", "TABLE"]) {
            Some("VALUES") => Some(Statement::AssertValues(self.asserted_values("VALUES")?)),
            Some("STREAM") => Some(Statement::AssertSource(self.asserted_source(SourceKind::Stream)?)),
            Some(_) => Some(Statement::AssertSource(self.asserted_source(SourceKind::Table)?)),
            None => None,
        })
    }

    fn asserted_values(&mut self, before: &str) -> Result<AssertValues> {
        let source = self.source_name()?;
        let columns = self.column_names()?;
        self.p.expect(before)?;
        let mut rows = vec![self.values()?];
        while self.p.eat_token(&Token::Comma) {
            rows.push(self.values()?);
        }
        Ok(AssertValues { source, columns, rows })
    }

    /// After ADVANCE.
    pub(super) fn advance(&mut self) -> Result<Statement> {
        let clock = match self.p.expect_one(&["STREAM", "WALL"])? {
            "STREAM" => {
                self.p.expect("TIME")?;
                TestClock::StreamTime
            }
            _ => {
                self.p.expect("CLOCK")?;
                TestClock::WallClock
            }
        };
        let to = match self.p.expect_one(&["TO", "BY"])? {
            "TO" => AdvanceTo::Moment(self.literal()?),
            _ => AdvanceTo::By(self.interval("The time to advance by")?),
        };
        Ok(Statement::Advance(Advance { clock, to }))
    }
}
