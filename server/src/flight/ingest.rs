//! Rows that come in batches for a stream or a table: the way of the insert API, many at a time.

use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use hyper::Method;
use tidemill_engine::catalog::Catalog;
use tidemill_engine::engine::{EngineError, Inserting, Unwritten};
use tidemill_engine::types::{Column, Value};
use tidemill_query::sql_type;
use tonic::Status;

use super::incoming::{self, Batches, SLICE_ROWS};
use super::values::of_column;
use super::{Who, error};
use crate::access::of_path;
use crate::app::App;
use crate::blocking::Kind;
use crate::rows::RowWriter;
use crate::statements::guard;

/// Writes the rows of batches; how many.
///
/// # Errors
/// They may not, or can't, be written: those before the first that can't be are.
pub async fn ingest(app: &Arc<App>, command: &CommandStatementIngest, mut batches: Batches, who: &Who) -> Result<i64, Status> {
    appends(command)?;
    let needed = of_path(&Method::POST, &["inserts-stream"]);
    who.principal.check(needed, "inserting rows").map_err(Status::permission_denied)?;
    if app.reads_only() {
        return Err(error::api(&guard::reads_only(app, "")));
    }
    if !app.config.flag("ksql.insert.into.values.enabled") {
        return Err(Status::invalid_argument("Inserting rows is switched off by ksql.insert.into.values.enabled=false"));
    }
    let target = target(&app.engine.catalog(), &command.table);
    let (engine, named) = (app.engine.clone(), target.clone());
    let prepared = app.blocking.run(Kind::Statement, move || engine.inserting(&named)?.as_insert_into()).await;
    let mut inserting = prepared.map_err(|broken| error::broken(&broken))?.map_err(|refused| error::engine(&refused))?;
    let mut written: i64 = 0;
    let mut ousted = who.principal.ousted(needed);
    loop {
        let next = tokio::select! {
            biased;
            why = &mut ousted => return Err(Status::unauthenticated(format!("{why} ({written} rows are written)"))),
            next = batches.next() => next,
        };
        let Some(batch) = next else { break };
        let batch = batch?;
        let schema = batch.schema();
        let taking: Arc<Taking> = Taking::new(&inserting, &schema)?.into();
        for from in (0..batch.num_rows()).step_by(SLICE_ROWS) {
            let rows = incoming::rows(&batch, from)?;
            let taking = taking.clone();
            let wrote = app.blocking.run(Kind::Statement, move || (taking.write(&mut inserting, rows), inserting)).await;
            let (count, failure);
            ((count, failure), inserting) = wrote.map_err(|broken| error::broken(&broken))?;
            written = written.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
            if let Some(failure) = failure {
                let status = error::engine(&failure);
                return Err(error::status(
                    status.code(),
                    &format!("row {}: {} ({written} rows before it are written)", written + 1, status.message()),
                ));
            }
        }
    }
    Ok(written)
}

/// # Errors
/// More is asked for than to append rows to what is there.
fn appends(command: &CommandStatementIngest) -> Result<(), Status> {
    let refused = |message: &str| Err(Status::unimplemented(message));
    if command.temporary {
        return refused("there are no temporary streams or tables");
    }
    if command.transaction_id.is_some() {
        return refused("there are no transactions: each row takes effect by itself, at once");
    }
    let Some(options) = &command.table_definition_options else { return Ok(()) };
    if options.if_not_exist == TableNotExistOption::Create as i32 {
        return refused(
            "ingesting creates no stream or table, since rows do not say its topic, key and format: create it by CREATE STREAM, and ingest in mode \
             'append'",
        );
    }
    match options.if_exists {
        exists if exists == TableExistsOption::Replace as i32 => refused("ingesting replaces nothing; ingest in mode 'append'"),
        exists if exists == TableExistsOption::Fail as i32 => refused("ingesting goes to what is there; ingest in mode 'append'"),
        _ => Ok(()),
    }
}

/// The stream or table that is meant: by its exact name, or as a statement would write it.
fn target(catalog: &Catalog, name: &str) -> String {
    if catalog.source(name).is_some() { format!("`{name}`") } else { name.to_owned() }
}

/// What becomes of the columns of a batch.
struct Taking {
    /// For each of them: the column that it is for, and its slot; `None`: one that stands in no record (a header's).
    columns: Vec<Option<(usize, Column)>>,
    /// Slots of a row.
    width: usize,
    writer: RowWriter,
}

impl Taking {
    /// Columns go by name, as the insert API reads them.
    fn new(inserting: &Inserting, batch: &Schema) -> Result<Self, Status> {
        let source = inserting.source();
        let all: Vec<&str> = source.schema.columns().map(|column| column.name.as_str()).collect();
        let slots = |name: &str| inserting.schema().columns().cloned().enumerate().find(|(_, column)| column.name == name);
        let found = batch.fields().iter().map(|field| {
            let (name, upper) = (field.name(), field.name().to_uppercase());
            match all.iter().find(|column| *column == name).or_else(|| all.iter().find(|column| **column == upper)) {
                Some(column) => Ok(slots(column)),
                None => {
                    let message = format!("{} has no column '{name}'; its columns are {}", source.name, all.join(", "));
                    Err(Status::invalid_argument(message))
                }
            }
        });
        let writer = RowWriter::new(batch.fields().iter().map(|field| sql_type(field.data_type())).collect());
        Ok(Taking { columns: found.collect::<Result<_, _>>()?, width: inserting.schema().width(), writer })
    }

    /// Writes rows up to the first that can't be written: how many were, and what is wrong with that one.
    fn write(&self, inserting: &mut Inserting, rows: Vec<Vec<Value>>) -> (usize, Option<EngineError>) {
        let mut written = 0;
        for row in rows {
            let pushed = self.row(row).and_then(|row| inserting.push_keyed(row));
            if pushed.is_err() || inserting.is_full() {
                // Those before it are written first, which may fail as well.
                let (count, failure) = write(inserting);
                written += count;
                if let Some(failure) = failure.or(pushed.err()) {
                    return (written, Some(failure));
                }
            }
        }
        let (count, failure) = write(inserting);
        (written + count, failure)
    }

    /// A row as one of the stream or table.
    fn row(&self, given: Vec<Value>) -> Result<Vec<Value>, EngineError> {
        let mut row = vec![Value::Null; self.width];
        for (index, (value, column)) in given.into_iter().zip(&self.columns).enumerate() {
            if let Some((slot, column)) = column
                && let Some(slot) = row.get_mut(*slot)
            {
                *slot = of_column(value, index, column, &self.writer).map_err(EngineError::user)?;
            }
        }
        Ok(row)
    }
}

/// Writes the rows that wait: how many were written, and what is wrong with the next one.
fn write(inserting: &mut Inserting) -> (usize, Option<EngineError>) {
    match inserting.write() {
        Ok(count) => (count, None),
        Err(Unwritten { written, error }) => (written, Some(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_flight::sql::TableDefinitionOptions;

    #[test]
    fn only_appending_is_carried_out() {
        let of = |if_not_exist: TableNotExistOption, if_exists: TableExistsOption| CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions { if_not_exist: if_not_exist as i32, if_exists: if_exists as i32 }),
            table: "S".to_owned(),
            ..CommandStatementIngest::default()
        };
        assert!(appends(&of(TableNotExistOption::Fail, TableExistsOption::Append)).is_ok());
        for refused in [
            of(TableNotExistOption::Create, TableExistsOption::Fail),
            of(TableNotExistOption::Create, TableExistsOption::Append),
            of(TableNotExistOption::Fail, TableExistsOption::Replace),
            CommandStatementIngest { temporary: true, ..CommandStatementIngest::default() },
            CommandStatementIngest { transaction_id: Some(Default::default()), ..CommandStatementIngest::default() },
        ] {
            assert_eq!(appends(&refused).expect_err("refused").code(), tonic::Code::Unimplemented);
        }
    }
}
