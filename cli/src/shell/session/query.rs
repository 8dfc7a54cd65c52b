//! Queries: rows until the answer ends, a limit is reached, or Ctrl-C.

use std::time::Duration;

use super::failure::Failure;
use super::progress::watched;
use super::stream::{Event, bare, event};
use super::{Limits, Session};
use crate::client::{ClientError, Lines};
use crate::shell::render::{Output, Rows, escaped};

/// How long the shell waits for the server to close a query.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Why an answer is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// All of it has come; a push query says why.
    Complete(Option<String>),
    Interrupted,
    RowLimit(u64),
    TimeLimit(Duration),
}

impl Session {
    /// Shows what a table or stream holds now.
    pub(super) async fn pull(&mut self, sql: &str) -> Result<(), Failure> {
        if let Some(action) = self.before_pull.clone() {
            let done = tokio::task::spawn_blocking(move || action());
            tokio::select! {
                _ = done => {}
                () = self.interrupts.next() => return Err(Failure::Interrupted),
            }
        }
        let (client, properties, variables) = (self.client.clone(), self.properties.clone(), self.variables.clone());
        let lines = self.limited(watched(&client, sql, client.query(sql, &properties, &variables))).await?;
        self.screen.begin_section();
        let mut answer = Answer { lines, is_push: false, query_id: String::new(), rows: None, limits: self.limits };
        let end = answer.show(self).await;
        let finished = answer.rows.as_mut().map(|rows| (rows.finish(), rows.count()));
        let count = match finished {
            Some((rest, count)) if end.is_ok() => {
                if let Some(rest) = rest {
                    self.screen.line(&rest)?;
                }
                Some(count)
            }
            _ => None,
        };
        match end? {
            End::Interrupted => Err(Failure::Interrupted),
            End::TimeLimit(limit) => {
                Err(Failure::Other(format!("The answer is not complete after {} ms (--query-timeout)", limit.as_millis())))
            }
            end @ (End::RowLimit(_) | End::Complete(_)) => {
                if let Some(count) = count
                    && !self.display.output.is_for_programs()
                {
                    self.screen.line(&counted(count))?;
                }
                self.screen.end_section()?;
                match end {
                    // There may be more.
                    End::RowLimit(limit) => self.note(&format!("Stopped after {} (--query-row-limit).", counted(limit))),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Shows changes as they happen.
    pub(super) async fn push(&mut self, sql: &str) -> Result<(), Failure> {
        let (client, properties, variables) = (self.client.clone(), self.properties.clone(), self.variables.clone());
        let lines = self.limited(client.stream(sql, &properties, &variables)).await?;
        let mut answer = Answer { lines, is_push: true, query_id: String::new(), rows: None, limits: self.limits };
        let end = answer.show(self).await;
        if !matches!(end, Ok(End::Complete(_))) && !answer.query_id.is_empty() {
            // The server may have ended the query by itself meanwhile.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, client.close(&answer.query_id)).await;
        }
        let why = match end? {
            End::Complete(None) => "The server closed the connection before it said that the query had ended.".to_owned(),
            End::Complete(Some(message)) => ended(&message),
            End::Interrupted => {
                self.note("Query stopped.")?;
                return Err(Failure::Interrupted);
            }
            End::RowLimit(limit) => format!("Query stopped after {} (--query-row-limit).", counted(limit)),
            End::TimeLimit(limit) => format!("Query stopped after {} ms (--query-timeout).", limit.as_millis()),
        };
        self.note(&why)
    }

    /// Shows the records of a topic.
    pub(super) async fn print(&mut self, sql: &str) -> Result<(), Failure> {
        let (client, properties, variables) = (self.client.clone(), self.properties.clone(), self.variables.clone());
        let mut lines = self.limited(client.stream(sql, &properties, &variables)).await?;
        let mut clock = Clock::new(self.limits);
        let mut count = 0;
        loop {
            match clock.next(self, &mut lines).await? {
                Taken::Line(line) => {
                    count += u64::from(line.starts_with("rowtime: "));
                    self.screen.line(&escaped(&line))?;
                    self.screen.flush()?;
                    if self.limits.rows == Some(count) {
                        return self.note(&format!("Stopped after {count} records (--query-row-limit)."));
                    }
                }
                Taken::End => return Ok(()),
                Taken::Interrupt => {
                    self.note("Stopped.")?;
                    return Err(Failure::Interrupted);
                }
                Taken::TimeLimit(limit) => return self.note(&format!("Stopped after {} ms (--query-timeout).", limit.as_millis())),
            }
        }
    }
}

/// The server's words for why a push query ended, as a sentence.
fn ended(message: &str) -> String {
    match message {
        "Limit Reached" => "Query ended: its LIMIT is reached.".to_owned(),
        "Query Completed" => "Query ended: it was terminated.".to_owned(),
        "Server is shutting down" => "Query ended: the server stopped.".to_owned(),
        other => format!("Query ended: {other}"),
    }
}

/// An answer on its way to the screen.
struct Answer {
    lines: Lines,
    is_push: bool,
    query_id: String,
    /// From the header on.
    rows: Option<Rows>,
    limits: Limits,
}

impl Answer {
    async fn show(&mut self, session: &mut Session) -> Result<End, Failure> {
        let raw = session.display.output == Output::Json;
        let mut clock = Clock::new(self.limits);
        let mut why = None;
        let mut count = 0_u64;
        loop {
            let line = match clock.next(session, &mut self.lines).await? {
                Taken::Line(line) => line,
                Taken::End => return Ok(End::Complete(why)),
                Taken::Interrupt => return Ok(End::Interrupted),
                Taken::TimeLimit(limit) => return Ok(End::TimeLimit(limit)),
            };
            let line = if self.is_push { bare(&line) } else { line.as_str() };
            let event = event(line)?;
            if raw && !matches!(event, Event::Empty | Event::Broken(_)) {
                session.screen.line(line)?;
            }
            match event {
                Event::Empty => {}
                Event::Header { query_id, names } => {
                    self.query_id = query_id;
                    if !raw {
                        let rows = Rows::new(names, session.display(), self.is_push);
                        if let Some(text) = rows.start() {
                            session.screen.line(&text)?;
                        }
                        self.rows = Some(rows);
                    }
                }
                Event::Row(cells) => {
                    count += 1;
                    if let Some(text) = self.rows.as_mut().and_then(|rows| rows.row(cells)) {
                        session.screen.line(&text)?;
                    }
                    if self.limits.rows == Some(count) {
                        return Ok(End::RowLimit(count));
                    }
                }
                Event::Final(message) => why = Some(message),
                Event::Broken(message) => return Err(Failure::Other(message)),
            }
            if self.is_push {
                session.screen.flush()?;
            }
        }
    }
}

/// `1 row`, `2 rows`.
fn counted(rows: u64) -> String {
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}

/// The next thing to happen while an answer comes in.
enum Taken {
    Line(String),
    End,
    Interrupt,
    TimeLimit(Duration),
}

/// Lines, Ctrl-C and the time limit, whichever comes first.
struct Clock {
    limit: Option<Duration>,
    deadline: Option<tokio::time::Instant>,
}

impl Clock {
    fn new(limits: Limits) -> Self {
        Clock { limit: limits.time, deadline: limits.time.map(|limit| tokio::time::Instant::now() + limit) }
    }

    async fn next(&mut self, session: &mut Session, lines: &mut Lines) -> Result<Taken, Failure> {
        let out_of_time = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = session.interrupts.next() => Ok(Taken::Interrupt),
            () = out_of_time => Ok(Taken::TimeLimit(self.limit.unwrap_or_default())),
            line = lines.next() => match line {
                Ok(Some(line)) => Ok(Taken::Line(line)),
                Ok(None) => Ok(Taken::End),
                Err(ClientError::Garbled(reason)) => Err(Failure::Other(format!("The answer ended before it was complete; the server may have stopped ({reason})"))),
                Err(error) => Err(error.into()),
            },
        }
    }
}
