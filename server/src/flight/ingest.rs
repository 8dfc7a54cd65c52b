//! Rows that come in batches for a stream or a table: the way of the insert API, many at a time.

use std::sync::Arc;

use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use hyper::Method;
use serde_json::{Map, Value as Json};
use tidemill_engine::catalog::Catalog;
use tidemill_engine::engine::{EngineError, Inserting};
use tidemill_engine::types::Value;
use tidemill_query::sql_type;
use tonic::Status;

use super::incoming::{self, Batches, SLICE_ROWS};
use super::values::json;
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
    let prepared = app.blocking.run(Kind::Statement, move || engine.inserting(&named)).await;
    let inserting = prepared.map_err(|broken| error::broken(&broken))?.map_err(|refused| error::engine(&refused))?;
    let inserting = Arc::new(inserting);
    let mut written: i64 = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let schema = batch.schema();
        let names = names(&app.engine.catalog(), &target, schema.fields().iter().map(|field| field.name().as_str()))?;
        let names: Arc<[String]> = names.into();
        let writer = RowWriter::new(schema.fields().iter().map(|field| sql_type(field.data_type())).collect());
        for from in (0..batch.num_rows()).step_by(SLICE_ROWS) {
            let rows = incoming::rows(&batch, from)?;
            let (inserting, names, writer) = (inserting.clone(), names.clone(), writer.clone());
            let wrote = app.blocking.run(Kind::Statement, move || write(&inserting, &names, &writer, &rows)).await;
            let (count, failure) = wrote.map_err(|broken| error::broken(&broken))?;
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

/// The columns that names of a batch are for, as the insert API reads them.
fn names<'a>(catalog: &Catalog, target: &str, given: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Status> {
    let exact = target.trim_matches('`');
    let source = catalog.source(exact).or_else(|| catalog.source(&exact.to_uppercase()));
    let Some(source) = source else { return Err(Status::not_found(format!("there is no stream or table {target} any more"))) };
    let columns: Vec<&str> = source.schema.columns().map(|column| column.name.as_str()).collect();
    let found = given.map(|name| {
        let upper = name.to_uppercase();
        match columns.iter().find(|column| **column == name).or_else(|| columns.iter().find(|column| **column == upper)) {
            Some(column) => Ok(format!("`{column}`")),
            None => Err(Status::invalid_argument(format!("{target} has no column '{name}'; its columns are {}", columns.join(", ")))),
        }
    });
    found.collect()
}

/// Writes rows up to the first that can't be written: how many were, and what is wrong with that one.
fn write(inserting: &Inserting, names: &[String], writer: &RowWriter, rows: &[Vec<Value>]) -> (usize, Option<EngineError>) {
    for (count, row) in rows.iter().enumerate() {
        let object: Map<String, Json> = names.iter().cloned().zip(json(row, writer)).collect();
        if let Err(error) = inserting.insert(&object) {
            return (count, Some(error));
        }
    }
    (rows.len(), None)
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
