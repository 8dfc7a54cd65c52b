//! Statements that look at the server or steer it: SHOW, DESCRIBE, EXPLAIN, PRINT, TERMINATE, SET, DEFINE, ….

use sqlparser::tokenizer::Token;

use crate::ast::{ConnectorKind, Explain, Ident, Print, Show, SourceKind, Span, SpannedStatement, Statement};
use crate::error::Fault;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

/// EXPLAINs in one another.
const MAX_EXPLAINS: usize = 10;

impl Grammar<'_> {
    /// After SHOW or LIST.
    pub(super) fn show(&mut self) -> Result<Statement> {
        if self.p.eat_all(&["ALL", "TOPICS"]) {
            return Ok(Statement::Show(Show::Topics { all: true, extended: self.p.eat("EXTENDED") }));
        }
        if self.p.eat_all(&["DEAD", "LETTERS"]) {
            let of = if self.p.eat("OF") { Some(self.p.identifier("the id of a query")?) } else { None };
            let limit = if self.p.eat("LIMIT") { Some(self.p.count("LIMIT")?) } else { None };
            return Ok(Statement::Show(Show::DeadLetters { of, limit }));
        }
        if self.p.eat("SERVERS") {
            return Ok(Statement::Show(Show::Servers));
        }
        const WHAT: &[&str] = &[
            "TOPICS",
            "STREAMS",
            "TABLES",
            "QUERIES",
            "PROPERTIES",
            "FUNCTIONS",
            "TYPES",
            "VARIABLES",
            "CONNECTORS",
            "CONNECTOR",
            "SOURCE",
            "SINK",
            "ALL",
        ];
        if let Some(foreign) = self.foreign_thing() {
            return Err(foreign);
        }
        Ok(Statement::Show(match self.p.expect_one(WHAT)? {
            "TOPICS" => Show::Topics { all: false, extended: self.p.eat("EXTENDED") },
            "STREAMS" => Show::Streams { extended: self.p.eat("EXTENDED") },
            "TABLES" => Show::Tables { extended: self.p.eat("EXTENDED") },
            "QUERIES" => Show::Queries { extended: self.p.eat("EXTENDED") },
            "PROPERTIES" => Show::Properties,
            "FUNCTIONS" => Show::Functions,
            "TYPES" => Show::Types,
            "VARIABLES" => Show::Variables,
            "CONNECTORS" => Show::Connectors { kind: None },
            "CONNECTOR" => {
                self.p.expect("PLUGINS")?;
                Show::ConnectorPlugins
            }
            "ALL" => return Err(self.p.unexpected(&["TOPICS"])),
            of => {
                self.p.expect("CONNECTORS")?;
                Show::Connectors { kind: Some(if of == "SINK" { ConnectorKind::Sink } else { ConnectorKind::Source }) }
            }
        }))
    }

    /// After REPLAY.
    pub(super) fn replay(&mut self) -> Result<Statement> {
        for word in ["DEAD", "LETTERS", "OF"] {
            self.p.expect(word)?;
        }
        let of = self.p.identifier("the id of a query")?;
        let into = if self.p.eat("INTO") { Some(self.p.identifier("the id of a query")?) } else { None };
        Ok(Statement::ReplayDeadLetters { of, into })
    }

    /// After DESCRIBE.
    pub(super) fn describe(&mut self) -> Result<Statement> {
        let named = matches!(self.p.ahead(1).token, Token::Word(_));
        if named && !self.p.nth_is(1, "EXTENDED") {
            if self.p.eat("FUNCTION") {
                return Ok(Statement::DescribeFunction { name: self.p.identifier("the name of a function")? });
            }
            if self.p.eat("CONNECTOR") {
                return Ok(Statement::DescribeConnector { name: self.connector_name()? });
            }
        }
        for (word, kind) in [("STREAMS", SourceKind::Stream), ("TABLES", SourceKind::Table)] {
            if self.p.eat(word) {
                return Ok(Statement::DescribeAll { kind, extended: self.p.eat("EXTENDED") });
            }
        }
        let is_before_name = self.p.at("EXTENDED") && named;
        let name = self.source_name().map_err(|fault| match is_before_name {
            true => fault.hint("EXTENDED stands behind the name: DESCRIBE name EXTENDED."),
            false => fault,
        })?;
        Ok(Statement::Describe { name, extended: self.p.eat("EXTENDED") })
    }

    /// After EXPLAIN: a statement, or the id of a query.
    pub(super) fn explain(&mut self) -> Result<Statement> {
        if !self.at_statement() {
            return Ok(Statement::Explain(Explain::Query(self.p.identifier("a statement or the id of a query")?)));
        }
        self.depth += 1;
        if self.depth > MAX_EXPLAINS {
            return Err(Fault::invalid(self.p.here(), format!("At most {MAX_EXPLAINS} EXPLAINs in one another")));
        }
        let start = self.p.here().start;
        let statement = self.statement()?;
        let span = Span { start, end: self.last_end() };
        // The text is cut out of the source by whoever has it.
        Ok(Statement::Explain(Explain::Statement(Box::new(SpannedStatement { statement, span, text: String::new() }))))
    }

    /// After PRINT.
    pub(super) fn print(&mut self) -> Result<Statement> {
        let topic = self.resource_name("the name of a topic")?;
        let from_beginning = self.p.eat("FROM");
        if from_beginning {
            self.p.expect("BEGINNING")?;
        }
        let interval = if self.p.eat_one(&["INTERVAL", "SAMPLE"]).is_some() { Some(self.p.count("INTERVAL")?) } else { None };
        let limit = if self.p.eat("LIMIT") { Some(self.p.count("LIMIT")?) } else { None };
        Ok(Statement::Print(Print { topic, from_beginning, interval, limit }))
    }

    /// The id of a query, or none for ALL.
    pub(super) fn query_id(&mut self) -> Result<Option<Ident>> {
        if self.p.eat("ALL") { Ok(None) } else { self.p.identifier("the id of a query, or ALL").map(Some) }
    }

    /// `'name' = 'value'`.
    pub(super) fn assignment(&mut self) -> Result<(String, String)> {
        let name = self.p.string()?;
        self.p.expect_symbol(&Token::Eq)?;
        Ok((name, self.p.string()?))
    }

    /// After SET.
    pub(super) fn set(&mut self) -> Result<Statement> {
        let (name, value) = self.assignment()?;
        Ok(Statement::SetProperty { name, value })
    }

    /// After UNSET.
    pub(super) fn unset(&mut self) -> Result<Statement> {
        let name = if self.p.eat("ALL") { None } else { Some(self.p.string()?) };
        Ok(Statement::UnsetProperty { name })
    }

    /// After DEFINE.
    pub(super) fn define(&mut self) -> Result<Statement> {
        let name = self.variable_name()?;
        self.p.expect_symbol(&Token::Eq)?;
        Ok(Statement::DefineVariable { name, value: self.p.string()? })
    }

    /// A variable's name keeps its case, and is never quoted.
    pub(super) fn variable_name(&mut self) -> Result<String> {
        match &self.p.ahead(0).token {
            Token::Word(w) if w.quote_style.is_none() && !w.value.starts_with(|c: char| c.is_ascii_digit()) => {
                let name = w.value.clone();
                self.p.skip();
                Ok(name)
            }
            _ => Err(self.p.expecting("IDENTIFIER").hint("A variable's name has letters, digits and _, and starts with no digit.")),
        }
    }
}
