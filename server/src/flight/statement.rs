//! A statement: what it is, what is known of it beforehand, and what comes of it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use tidemill_engine::types::{SqlType, Value};
use tidemill_parser::ast::Statement;
use tidemill_parser::split_script;
use tidemill_query::{Described, Question, arrow_type, sql_type};
use tonic::Status;

use super::handle::Handle;
use super::incoming::{self, Batches, SLICE_ROWS};
use super::placeholders::{count, placeholders, replaced};
use super::sending::{self, Data};
use super::values::{json, literal};
use super::{Who, error};
use crate::access::Role;
use crate::app::App;
use crate::blocking::Kind;
use crate::entities::{KsqlEntity, Listing, Said, said};
use crate::query::{self, Prepared, QueryRequest};
use crate::request::{KsqlRequest, Settings};
use crate::statements::{self, Caller};

/// Rows that are bound to one statement.
const MAX_BOUND_ROWS: usize = 10_000;
/// Parameters of a statement.
const MAX_PARAMETERS: usize = 10_000;

/// A statement that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Rows, once. `$1` and so on stand for its parameters.
    Query { text: String, parameters: usize },
    /// Anything else of the dialect.
    Statement { text: String, parameters: usize },
}

/// Rows bound to a statement's parameters, with their columns' types.
#[derive(Debug, Default)]
pub struct Bound {
    pub types: Vec<SqlType>,
    pub rows: Vec<Vec<Value>>,
}

/// A text with its semicolon.
fn closed(text: &str) -> String {
    // On a line of its own: a comment may be last.
    if text.trim_end().ends_with(';') { text.to_owned() } else { format!("{text}\n;") }
}

/// # Errors
/// It is none, or of a kind that this protocol has no place for.
pub async fn understand(app: &Arc<App>, text: &str) -> Result<Asked, Status> {
    let places = placeholders(text);
    let parameters = count(&places);
    if parameters > MAX_PARAMETERS {
        return Err(Status::invalid_argument(format!("a statement has up to {MAX_PARAMETERS} parameters; this one has {parameters}")));
    }
    if parameters > 0 {
        let numbered = replaced(text, &places, |number| format!("${}", number + 1).into());
        let raw = split_script(&numbered);
        let [raw] = raw.as_slice() else {
            return Err(Status::invalid_argument(format!("one statement at a time has parameters; these are {}", raw.len())));
        };
        if !raw.may_be_sql() {
            return Ok(Asked::Statement { text: text.to_owned(), parameters });
        }
        tidemill_query::check(&raw.text).map_err(|wrong| error::query(&wrong.quoting(&raw.text)))?;
        return Ok(Asked::Query { text: raw.text.clone(), parameters });
    }
    let request = QueryRequest { sql: closed(text), properties: Settings::new(), variables: Settings::new() };
    let prepared = query::prepare(app, &Arc::new(request)).await.map_err(|refused| error::api(&refused))?;
    let shown = prepared.text;
    match prepared.statement {
        Prepared::Pull(_) | Prepared::Known(_) | Prepared::Ask => Ok(Asked::Query { text: shown, parameters }),
        Prepared::Push(_) => Err(Status::unimplemented(
            "push queries (EMIT CHANGES) are not answered over Flight SQL; ask by REST (/query-stream), or by a cursor of PostgreSQL's protocol",
        )),
        Prepared::Print(_) => Err(Status::unimplemented("PRINT is not answered over Flight SQL; ask by REST, or query the stream")),
        Prepared::Analyze(_) => {
            Err(Status::unimplemented("EXPLAIN ANALYZE of a persistent query is not answered over Flight SQL; ask by REST or in the shell"))
        }
        Prepared::Other => {
            let parsed = split_script(&shown).first().and_then(|raw| raw.parse().ok());
            match parsed.map(|spanned| spanned.statement) {
                Some(
                    Statement::SetProperty { .. }
                    | Statement::UnsetProperty { .. }
                    | Statement::DefineVariable { .. }
                    | Statement::UndefineVariable { .. },
                ) => Err(Status::unimplemented("there are no sessions over Flight SQL: what one statement sets, another would not see")),
                // As it was given: what is shown of a statement is without its values.
                _ => Ok(Asked::Statement { text: text.to_owned(), parameters }),
            }
        }
    }
}

/// The columns and parameters of a query, found out without running it.
///
/// # Errors
/// It is wrong or refused.
pub async fn describe(app: &Arc<App>, text: &str, bound: &Bound) -> Result<Described, Status> {
    let (session, permit) = query::permitted(app, text, &Settings::new()).map_err(|refused| error::api(&refused))?;
    let question = Question { text: text.to_owned(), parameters: one_row(bound)?, session: session.properties().clone() };
    let described = app.queries.describe(question).await.map_err(|wrong| error::query(&wrong));
    drop(permit);
    described
}

/// The schema of a statement's parameters.
pub fn parameter_schema(types: &[Option<SqlType>], count: usize) -> Schema {
    let of = |index: usize| types.get(index).and_then(Option::as_ref).map_or(DataType::Null, arrow_type);
    Schema::new((0..count).map(|index| Field::new(format!("${}", index + 1), of(index), true)).collect::<Vec<_>>())
}

/// Runs a query; what comes of it.
///
/// # Errors
/// It is wrong or refused. What goes wrong later stands behind the batches.
pub async fn ask(app: &Arc<App>, text: String, bound: &Bound, who: &Who) -> Result<Data, Status> {
    let (session, permit) = query::permitted(app, &text, &Settings::new()).map_err(|refused| error::api(&refused))?;
    let question = Question { text, parameters: one_row(bound)?, session: session.properties().clone() };
    let answer = app.queries.ask(question).await.map_err(|wrong| error::query(&wrong))?;
    Ok(sending::answer(answer, permit, who.peer, who.principal.ousted(Role::Read)))
}

/// What stands for a query's parameters.
fn one_row(bound: &Bound) -> Result<Vec<(SqlType, Value)>, Status> {
    match bound.rows.as_slice() {
        [] => Ok(Vec::new()),
        [row] => Ok(bound.types.iter().cloned().zip(row.iter().cloned()).collect()),
        rows => Err(Status::invalid_argument(format!("a query takes one row of parameters; {} are bound to it", rows.len()))),
    }
}

/// The script that a statement is with its parameters: once for each row.
fn script(text: &str, parameters: usize, bound: &Bound) -> Result<String, Status> {
    if parameters == 0 {
        return Ok(closed(text));
    }
    if bound.types.len() != parameters || bound.rows.is_empty() {
        let message = format!("the statement has {parameters} parameters; {} are bound to it", bound.types.len());
        return Err(Status::invalid_argument(message));
    }
    let places = placeholders(text);
    let writer = crate::rows::RowWriter::new(bound.types.clone());
    let mut script = String::new();
    for row in &bound.rows {
        let values = json(row, &writer);
        let literals = values.iter().zip(&bound.types).map(|(value, sql_type)| literal(value, sql_type));
        let literals = literals.collect::<Result<Vec<_>, _>>()?;
        let written = replaced(text, &places, |number| literals.get(number).map_or("NULL", String::as_str).to_owned().into());
        script.push_str(&closed(&written));
        script.push('\n');
    }
    Ok(script)
}

/// Runs a statement. It goes on where its client leaves: it is written down already.
///
/// # Errors
/// It is wrong or refused.
pub async fn run(app: &Arc<App>, text: &str, parameters: usize, bound: &Bound, who: &Who) -> Result<Vec<KsqlEntity>, Status> {
    let ksql = script(text, parameters, bound)?;
    let request = KsqlRequest { ksql, properties: Settings::new(), variables: Settings::new(), command_sequence_number: None };
    let caller = Caller::new(who.peer, who.principal.clone(), None);
    let running = app.clone();
    let ran = app.blocking.run(Kind::Statement, move || statements::run(&running, &request, &caller)).await;
    ran.map_err(|broken| error::broken(&broken))?.map_err(|refused| error::api(&refused))
}

/// Rows that a statement inserts; -1: none, or nobody knows.
pub fn inserted(text: &str, bound: &Bound) -> i64 {
    let mut words = text.split_ascii_whitespace();
    let is_insert = words.next().is_some_and(|word| word.eq_ignore_ascii_case("INSERT"))
        && words.any(|word| word.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("VALUES")));
    if is_insert { i64::try_from(bound.rows.len().max(1)).unwrap_or(-1) } else { -1 }
}

/// What a statement answers, as a batch of texts.
///
/// # Errors
/// It can't be put into one.
pub fn listed(app: &App, entities: &[KsqlEntity]) -> Result<RecordBatch, Status> {
    let done = |message: String| Listing { names: vec!["message".to_owned()], rows: vec![vec![Some(message)]], verb: "" };
    let listing = match entities.last() {
        None => Listing { names: vec!["message".to_owned()], rows: Vec::new(), verb: "" },
        Some(entity) => match said(&app.engine.catalog(), entity).0 {
            Said::Rows(listing) => listing,
            Said::Done(message) => done(message),
        },
    };
    let column = |index: usize| {
        let texts = listing.rows.iter().map(|row| row.get(index).and_then(Option::as_deref));
        Arc::new(StringArray::from_iter(texts)) as ArrayRef
    };
    let columns = (0..listing.names.len()).map(column).collect();
    let fields: Vec<Field> = listing.names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(listing.rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(|wrong| Status::internal(wrong.to_string()))
}

/// Reads the rows that are bound to a statement.
///
/// # Errors
/// They can't be read, or are too many.
pub async fn bound(mut batches: Batches) -> Result<Bound, Status> {
    let mut bound = Bound::default();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        bound.types = batch.schema().fields().iter().map(|field| sql_type(field.data_type())).collect();
        if bound.rows.len().saturating_add(batch.num_rows()) > MAX_BOUND_ROWS {
            return Err(Status::invalid_argument(format!(
                "up to {MAX_BOUND_ROWS} rows of parameters are bound to a statement; rows are ingested in any number"
            )));
        }
        for from in (0..batch.num_rows()).step_by(SLICE_ROWS) {
            bound.rows.extend(incoming::rows(&batch, from)?);
        }
    }
    Ok(bound)
}

/// What was bound to the statement of a handle.
///
/// # Errors
/// As of [`bound`].
pub async fn bound_to(handle: &Handle) -> Result<Bound, Status> {
    let messages = handle.bound.clone().into_iter().map(Ok);
    bound(Batches::new(futures::stream::iter(messages))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_written_for_each_row() {
        let bound = Bound {
            types: vec![SqlType::BigInt, SqlType::String],
            rows: vec![vec![Value::BigInt(1), Value::string("a;'b")], vec![Value::BigInt(-2), Value::Null]],
        };
        let text = "INSERT INTO s VALUES (?, ?)";
        assert_eq!(
            script(text, 2, &bound).expect("a script"),
            "INSERT INTO s VALUES (1, 'a;''b')\n;\nINSERT INTO s VALUES ((-2), NULL)\n;\n"
        );
        assert_eq!(inserted(text, &bound), 2);
        assert_eq!(inserted("CREATE STREAM s (a INT) WITH (x='VALUES')", &Bound::default()), -1);
        assert!(script(text, 2, &Bound::default()).expect_err("none are bound").message().contains("2 parameters"));
        assert!(one_row(&bound).is_err());
    }
}
