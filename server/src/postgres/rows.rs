//! Rows on their way to a client: of a query, of a push query, of the system's catalog, or of a list that is there. At most a batch
//! of them is at hand; the next one is made when these are sent.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_engine::engine::{PushQuery, PushRow};
use tidemill_engine::types::{SqlType, Value};
use tidemill_query::Answer;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::error::{INTERNAL, PgError, SHUTDOWN};
use super::names::shown;
use super::output::AnswerColumn;
use super::types::ColumnType;
use crate::app::App;
use crate::blocking::Kind;
use crate::limits::PullPermit;

/// Rows of a push query that are taken at a time.
const MAX_PUSHED: usize = 1_000;

/// A row, or one that is written already: fields, each with its length.
#[derive(Debug)]
pub enum Row {
    Values(Vec<Value>),
    Written(u16, Bytes),
}

/// See the module. Dropping it ends what makes them.
pub struct Rows {
    pub columns: Vec<AnswerColumn>,
    pub types: Vec<SqlType>,
    /// What completes them: `SELECT`, `FETCH`, …
    pub tag: &'static str,
    ready: VecDeque<Row>,
    source: Source,
}

enum Source {
    Asked(Answer, PullPermit),
    Pushed(Pushed),
    Catalog(mpsc::Receiver<Result<Vec<Row>, PgError>>),
    /// No more than what is at hand.
    Done,
}

struct Pushed {
    app: Arc<App>,
    query: Option<PushQuery>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Pushed {
    /// Ends the query beside this thread: that waits for its tasks.
    fn drop(&mut self) {
        if let Some(query) = self.query.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let blocking = self.app.blocking.clone();
            runtime.spawn(async move { blocking.run(Kind::End, move || drop(query)).await });
        }
    }
}

fn columns<'a>(named: impl Iterator<Item = (&'a str, &'a SqlType)>) -> (Vec<AnswerColumn>, Vec<SqlType>) {
    named.map(|(name, sql_type)| (AnswerColumn { name: shown(name), column_type: ColumnType::of(sql_type) }, sql_type.clone())).unzip()
}

/// Columns of the dialect, as clients are shown them.
pub fn answer_columns(given: &[tidemill_engine::types::Column]) -> Vec<AnswerColumn> {
    columns(given.iter().map(|column| (column.name.as_str(), &column.sql_type))).0
}

impl Rows {
    pub fn asked(answer: Answer, permit: PullPermit) -> Self {
        let (columns, types) = columns(answer.columns.iter().map(|column| (column.name.as_str(), &column.sql_type)));
        Rows { columns, types, tag: "SELECT", ready: VecDeque::new(), source: Source::Asked(answer, permit) }
    }

    pub fn pushed(app: Arc<App>, query: PushQuery, permit: OwnedSemaphorePermit) -> Self {
        let (columns, types) = columns(query.columns.iter().map(|column| (column.name.as_str(), &column.sql_type)));
        let source = Source::Pushed(Pushed { app, query: Some(query), _permit: permit });
        Rows { columns, types, tag: "SELECT", ready: VecDeque::new(), source }
    }

    /// A list of texts.
    pub fn listed(names: Vec<String>, rows: Vec<Vec<Option<String>>>, tag: &'static str) -> Self {
        let types = vec![SqlType::String; names.len()];
        let columns = names.into_iter().map(|name| AnswerColumn { name, column_type: ColumnType::of(&SqlType::String) }).collect();
        let value = |text: Option<String>| text.map_or(Value::Null, Value::string);
        let ready = rows.into_iter().map(|row| Row::Values(row.into_iter().map(value).collect())).collect();
        Rows { columns, types, tag, ready, source: Source::Done }
    }

    pub fn catalog(columns: Vec<AnswerColumn>, batches: mpsc::Receiver<Result<Vec<Row>, PgError>>) -> Self {
        let types = vec![SqlType::String; columns.len()];
        Rows { columns, types, tag: "SELECT", ready: VecDeque::new(), source: Source::Catalog(batches) }
    }

    /// The next row of those at hand.
    pub fn pop(&mut self) -> Option<Row> {
        self.ready.pop_front()
    }

    /// Puts a row back that was not sent.
    pub fn unpop(&mut self, row: Row) {
        self.ready.push_front(row);
    }

    /// Whether no row is at hand.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether no more rows come than those at hand.
    pub fn is_done(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Whether rows come as things happen, so that each is wanted at once.
    pub fn is_live(&self) -> bool {
        matches!(self.source, Source::Pushed(_))
    }

    /// Bytes of rows were sent.
    pub fn sent(&self, bytes: usize) {
        if let Source::Asked(_, permit) = &self.source {
            permit.answered(bytes);
        }
    }

    /// Makes more rows, or finds out that there are no more. May be given up and taken up again.
    ///
    /// # Errors
    /// What made them broke off.
    pub async fn fill(&mut self) -> Result<(), PgError> {
        let end = match &mut self.source {
            Source::Done => return Ok(()),
            Source::Asked(answer, _) => match answer.next_rows().await {
                Some(Ok(rows)) => {
                    self.ready.extend(rows.into_iter().map(Row::Values));
                    return Ok(());
                }
                Some(Err(error)) => Err(error.into()),
                None => Ok(()),
            },
            Source::Catalog(batches) => match batches.recv().await {
                Some(Ok(rows)) => {
                    self.ready.extend(rows);
                    return Ok(());
                }
                Some(Err(error)) => Err(error),
                None => Ok(()),
            },
            Source::Pushed(pushed) => {
                let Some(query) = &mut pushed.query else { return Ok(()) };
                let mut next = query.next().await;
                loop {
                    match next {
                        Some(PushRow::Row { values, .. }) => self.ready.push_back(Row::Values(values)),
                        Some(PushRow::Ended { error: Some(error) }) => break Err(PgError::new(INTERNAL, error)),
                        Some(PushRow::Ended { error: None }) | None if pushed.app.is_closing() => {
                            break Err(PgError::fatal(SHUTDOWN, "terminating connection: the server is shutting down"));
                        }
                        Some(PushRow::LimitReached | PushRow::Ended { error: None }) | None => break Ok(()),
                    }
                    if self.ready.len() >= MAX_PUSHED {
                        return Ok(());
                    }
                    match query.try_next() {
                        None => return Ok(()),
                        more => next = more,
                    }
                }
            }
        };
        self.source = Source::Done;
        end
    }
}
