//! One statement: kept in the session, or sent to the endpoint that it belongs to.

use std::path::Path;
use std::time::Duration;

use tidemill_parser::ast::Statement;
use tidemill_parser::{ParseError, RawStatement, Statements, split_script};

use super::failure::{Ending, Failure};
use super::{MAX_SCRIPT_DEPTH, Session};
use crate::client::{ClientError, Settings};
use crate::shell::entities::{describe, failed_queries, reason};
use crate::shell::render::{Block, Output, escaped};

/// How long a statement may take where no limit is set: a server that hangs must not hold a script for ever.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(300);

/// What is said of statements that only tests know.
const BELONGS_TO_TESTS: &str = "This statement belongs to tests: tidemill test FILE runs a file of them, with --server URL on a server";

impl Session {
    pub(super) async fn run_statement(&mut self, raw: &RawStatement) -> Result<(), Failure> {
        self.interrupts.forget().await;
        // A semicolon alone is no mistake at a prompt.
        if raw.text.is_empty() {
            return Ok(());
        }
        let text = self.substituted(&raw.text).map_err(in_statement)?;
        // The server puts the variables in by itself.
        let sql = format!("{};", raw.text);
        let parsed = if text == raw.text {
            match raw.parse_as(Statements::Test) {
                Ok(parsed) => parsed,
                Err(error) if raw.may_be_sql() => return self.ask(&sql, error).await,
                Err(error) => return Err(Failure::Parse(error)),
            }
        } else {
            let put_in = split_script(&text);
            let put_in = put_in.first().unwrap_or(raw);
            match put_in.parse_as(Statements::Test) {
                Ok(parsed) => parsed,
                Err(_) if put_in.may_be_sql() => return self.pull(&sql).await,
                Err(error) => return Err(in_statement(Failure::Parse(error))),
            }
        };
        match parsed.statement {
            Statement::SetProperty { name, value } => self.set(name, value).await,
            Statement::UnsetProperty { name } => self.unset(name.as_deref()),
            Statement::DefineVariable { name, value } => self.define(name, value),
            Statement::UndefineVariable { name } => self.undefine(&name),
            Statement::RunScript { path } => self.run_script(Path::new(&path)).await,
            Statement::Select(query) if query.emit.is_none() => self.pull(&sql).await,
            Statement::Select(_) => self.push(&sql).await,
            Statement::Print(_) => self.print(&sql).await,
            Statement::AssertValues(_)
            | Statement::AssertTombstone(_)
            | Statement::AssertSource(_)
            | Statement::AssertNoValues { .. }
            | Statement::AssertProcessingLog { .. }
            | Statement::Advance(_) => Err(Failure::Other(BELONGS_TO_TESTS.to_owned())),
            _ => self.send(&sql).await,
        }
    }

    /// What the dialect can't read may be SQL beyond it, which the server knows. Where it is none either, the server says of it what
    /// was found here, and the place in the script is known here.
    async fn ask(&mut self, sql: &str, error: ParseError) -> Result<(), Failure> {
        match self.pull(sql).await {
            Err(Failure::Client(ClientError::Refused(reason))) if reason.contains(&error.message) && is_same_kind(&reason, &error) => {
                Err(Failure::Parse(error))
            }
            // Nobody is asked what is wrong for certain.
            Err(Failure::Client(ClientError::Unreachable { .. })) => Err(Failure::Parse(error)),
            other => other,
        }
    }

    /// A script within a script.
    pub(super) async fn run_script(&mut self, path: &Path) -> Result<(), Failure> {
        if self.depth >= MAX_SCRIPT_DEPTH {
            return Err(Failure::Other(format!("RUN SCRIPT nests deeper than {MAX_SCRIPT_DEPTH}")));
        }
        self.depth += 1;
        let ending = Box::pin(self.run_file(path)).await;
        self.depth -= 1;
        match ending {
            // `exit` ends the script that it stands in.
            Ending::Done | Ending::Left => Ok(()),
            Ending::Failed => Err(Failure::Said),
            Ending::Interrupted => Err(Failure::Interrupted),
            Ending::Unread => Err(Failure::Screen(crate::shell::screen::ScreenError::Closed)),
        }
    }

    /// A statement of `/ksql`.
    async fn send(&mut self, sql: &str) -> Result<(), Failure> {
        let (client, properties, variables) = (self.client.clone(), self.properties.clone(), self.variables.clone());
        let entities = self.limited(client.statements(sql, &properties, &variables)).await?;
        self.screen.begin_section();
        for entity in entities {
            if self.display.output == Output::Json {
                self.screen.line(&entity.to_string())?;
                continue;
            }
            for block in describe(&entity) {
                match block {
                    Block::Table(table) => {
                        let text = table.draw(&self.display());
                        self.screen.line(&text)?;
                    }
                    Block::Text(text) => self.note(&text)?,
                }
            }
            for id in failed_queries(&entity) {
                let explain = format!("EXPLAIN {id};");
                let reasons = self.limited(client.statements(&explain, &Settings::new(), &Settings::new())).await.unwrap_or_default();
                for reason in reasons.iter().filter_map(reason) {
                    self.note(&escaped(&format!("{id} failed: {reason}")))?;
                }
            }
        }
        self.screen.end_section()?;
        Ok(())
    }

    /// A request that has its answer within the time limit, or is cancelled.
    pub async fn limited<T>(&mut self, request: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
        let limit = self.limits.time.unwrap_or(STATEMENT_PATIENCE);
        tokio::select! {
            answer = request => Ok(answer?),
            () = self.interrupts.next() => {
                self.screen.complain("Cancelled. The server may still carry out what it was asked.");
                Err(Failure::Interrupted)
            }
            () = tokio::time::sleep(limit) => {
                let hint = if self.limits.time.is_some() { " (--query-timeout)" } else { "; --query-timeout sets another limit" };
                Err(Failure::Other(format!("No answer after {} ms{hint}. The server may still carry out what it was asked.", limit.as_millis())))
            }
        }
    }

    /// Asks the server whether it would take a property with a value.
    pub async fn check_property(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let client = self.client.clone();
        self.limited(client.check_property(name)).await?;
        let literal = |text: &str| text.replace('\'', "''");
        let sql = format!("SET '{}'='{}';", literal(name), literal(value));
        // Values are put in where they stand, without a search for variables.
        let properties = Settings::from_iter([(tidemill_parser::SUBSTITUTION_PROPERTY.to_owned(), "false".to_owned())]);
        self.limited(client.statements(&sql, &properties, &Settings::new())).await.map(|_| ())
    }
}

/// Whether what the server says is what the parser says here, from a text that begins elsewhere.
fn is_same_kind(reason: &str, error: &ParseError) -> bool {
    error.suggestion.as_ref().is_none_or(|suggestion| reason.contains(suggestion.as_str()))
}

/// An error whose places count from the statement's start.
fn in_statement(failure: Failure) -> Failure {
    Failure::Other(failure.to_string())
}
