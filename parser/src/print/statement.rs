//! All other statements as text, without the semicolon.

use std::fmt::{self, Display, Formatter};

use crate::ast::{Advance, AdvanceTo, ConnectorKind, Explain, Ident, Interval, Print, Show, SpannedStatement, Statement, TestClock};

use super::Quoted;

impl Display for SpannedStatement {
    /// The statement as printed, not its own text.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.statement.fmt(f)
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Statement::CreateSource(s) => s.fmt(f),
            Statement::CreateAs(s) => s.fmt(f),
            Statement::InsertSelect(s) => s.fmt(f),
            Statement::InsertValues(s) => s.fmt(f),
            Statement::Select(query) => query.fmt(f),
            Statement::AlterSource(s) => s.fmt(f),
            Statement::DropSource(s) => s.fmt(f),
            Statement::CreateType { name, if_not_exists, data_type } => {
                write!(f, "CREATE TYPE {}{name} AS {data_type}", if *if_not_exists { "IF NOT EXISTS " } else { "" })
            }
            Statement::DropType { name, if_exists } => write!(f, "DROP TYPE {}{name}", if *if_exists { "IF EXISTS " } else { "" }),
            Statement::CreateConnector { kind, name, if_not_exists, properties } => {
                write!(f, "CREATE {kind} CONNECTOR {}{name} WITH {properties}", if *if_not_exists { "IF NOT EXISTS " } else { "" })
            }
            Statement::DropConnector { name, if_exists } => {
                write!(f, "DROP CONNECTOR {}{name}", if *if_exists { "IF EXISTS " } else { "" })
            }
            Statement::Show(show) => show.fmt(f),
            Statement::Describe { name, extended } => write!(f, "DESCRIBE {name}{}", suffix(*extended)),
            Statement::DescribeAll { kind, extended } => write!(f, "DESCRIBE {kind}S{}", suffix(*extended)),
            Statement::DescribeFunction { name } => write!(f, "DESCRIBE FUNCTION {name}"),
            Statement::DescribeConnector { name } => write!(f, "DESCRIBE CONNECTOR {name}"),
            Statement::Explain(Explain::Query(id)) => write!(f, "EXPLAIN {id}"),
            Statement::Explain(Explain::Statement(statement)) => write!(f, "EXPLAIN {}", statement.statement),
            Statement::Print(print) => print.fmt(f),
            Statement::Terminate { id } => query(f, "TERMINATE", id.as_ref()),
            Statement::Pause { id } => query(f, "PAUSE", id.as_ref()),
            Statement::Resume { id } => query(f, "RESUME", id.as_ref()),
            Statement::ReplayDeadLetters { of, into: None } => write!(f, "REPLAY DEAD LETTERS OF {of}"),
            Statement::ReplayDeadLetters { of, into: Some(into) } => write!(f, "REPLAY DEAD LETTERS OF {of} INTO {into}"),
            Statement::SetProperty { name, value } => write!(f, "SET {}={}", Quoted(name), Quoted(value)),
            Statement::UnsetProperty { name: Some(name) } => write!(f, "UNSET {}", Quoted(name)),
            Statement::UnsetProperty { name: None } => f.write_str("UNSET ALL"),
            Statement::AlterSystem { name, value } => write!(f, "ALTER SYSTEM {}={}", Quoted(name), Quoted(value)),
            Statement::DefineVariable { name, value } => write!(f, "DEFINE {name}={}", Quoted(value)),
            Statement::UndefineVariable { name } => write!(f, "UNDEFINE {name}"),
            _ => self.assertion(f),
        }
    }
}

impl Statement {
    fn assertion(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |exists: bool| if exists { "" } else { "NOT EXISTS " };
        match self {
            Statement::AssertTopic { topic, exists, properties, timeout } => {
                write!(f, "ASSERT {}TOPIC {topic}", not(*exists))?;
                if !properties.entries.is_empty() {
                    write!(f, " WITH {properties}")?;
                }
                until(f, timeout.as_ref())
            }
            Statement::AssertSchema { subject, id, exists, timeout } => {
                write!(f, "ASSERT {}SCHEMA", not(*exists))?;
                if let Some(subject) = subject {
                    write!(f, " SUBJECT {}", Quoted(subject))?;
                }
                if let Some(id) = id {
                    write!(f, " ID {id}")?;
                }
                until(f, timeout.as_ref())
            }
            Statement::AssertValues(values) => {
                f.write_str("ASSERT VALUES ")?;
                values.rest("VALUES", f)
            }
            Statement::AssertTombstone(values) => {
                f.write_str("ASSERT NULL VALUES ")?;
                values.rest("KEY", f)
            }
            Statement::AssertSource(source) => {
                write!(f, "ASSERT {} ", source.kind)?;
                source.rest(f)
            }
            Statement::AssertNoValues { source } => write!(f, "ASSERT NO VALUES {source}"),
            Statement::AssertProcessingLog { exists, contains } => {
                write!(f, "ASSERT {}PROCESSING LOG", if *exists { "" } else { "NO " })?;
                match contains {
                    Some(text) => write!(f, " CONTAINS {}", Quoted(text)),
                    None => Ok(()),
                }
            }
            Statement::Advance(Advance { clock, to }) => {
                f.write_str(match clock {
                    TestClock::StreamTime => "ADVANCE STREAM TIME ",
                    TestClock::WallClock => "ADVANCE WALL CLOCK ",
                })?;
                match to {
                    AdvanceTo::Moment(moment) => write!(f, "TO {moment}"),
                    AdvanceTo::By(interval) => write!(f, "BY {interval}"),
                }
            }
            Statement::RunScript { path } => write!(f, "RUN SCRIPT {}", Quoted(path)),
            // All others are printed by `Display`.
            _ => Ok(()),
        }
    }
}

fn suffix(extended: bool) -> &'static str {
    if extended { " EXTENDED" } else { "" }
}

fn query(f: &mut Formatter<'_>, verb: &str, id: Option<&Ident>) -> fmt::Result {
    match id {
        Some(id) => write!(f, "{verb} {id}"),
        None => write!(f, "{verb} ALL"),
    }
}

fn until(f: &mut Formatter<'_>, timeout: Option<&Interval>) -> fmt::Result {
    match timeout {
        Some(timeout) => write!(f, " TIMEOUT {timeout}"),
        None => Ok(()),
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Show::Properties => f.write_str("SHOW PROPERTIES"),
            Show::Topics { all, extended } => write!(f, "SHOW {}TOPICS{}", if *all { "ALL " } else { "" }, suffix(*extended)),
            Show::Streams { extended } => write!(f, "SHOW STREAMS{}", suffix(*extended)),
            Show::Tables { extended } => write!(f, "SHOW TABLES{}", suffix(*extended)),
            Show::Queries { extended } => write!(f, "SHOW QUERIES{}", suffix(*extended)),
            Show::Functions => f.write_str("SHOW FUNCTIONS"),
            Show::Types => f.write_str("SHOW TYPES"),
            Show::Variables => f.write_str("SHOW VARIABLES"),
            Show::Connectors { kind: None } => f.write_str("SHOW CONNECTORS"),
            Show::Connectors { kind: Some(ConnectorKind::Source) } => f.write_str("SHOW SOURCE CONNECTORS"),
            Show::Connectors { kind: Some(ConnectorKind::Sink) } => f.write_str("SHOW SINK CONNECTORS"),
            Show::ConnectorPlugins => f.write_str("SHOW CONNECTOR PLUGINS"),
            Show::Servers => f.write_str("SHOW SERVERS"),
            Show::DeadLetters { of, limit } => {
                f.write_str("SHOW DEAD LETTERS")?;
                if let Some(of) = of {
                    write!(f, " OF {of}")?;
                }
                limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
            }
        }
    }
}

impl Display for Print {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PRINT {}", self.topic)?;
        f.write_str(if self.from_beginning { " FROM BEGINNING" } else { "" })?;
        if let Some(interval) = self.interval {
            write!(f, " INTERVAL {interval}")?;
        }
        match self.limit {
            Some(limit) => write!(f, " LIMIT {limit}"),
            None => Ok(()),
        }
    }
}
