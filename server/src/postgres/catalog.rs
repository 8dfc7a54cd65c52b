//! The system's catalog (`pg_catalog`, `information_schema`), as clients ask it for streams, tables, columns and types: tables
//! as tables, streams as views. Its queries are DataFusion's, over a session that knows our names and types and none of our rows;
//! they run on a thread of their own, within a memory of their own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TableType, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use futures::StreamExt;
use pgwire::api::portal::Format as WireFormat;
use tidemill_engine::Engine;
use tidemill_engine::catalog::{Source, SourceKind};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::error::{
    CANCELLED, INTERNAL, NOT_SUPPORTED, PgError, SYNTAX_ERROR, UNKNOWN_COLUMN, UNKNOWN_FUNCTION, UNKNOWN_TABLE, WRONG_STATEMENT,
};
use super::message::Format;
use super::names::shown;
use super::output::AnswerColumn;
use super::rows::{Row, Rows};
use super::settings::SERVER_VERSION;
use super::types::ColumnType;

pub const DATABASE: &str = "tidemill";
const SCHEMA: &str = "public";
/// Memory of all such queries together, bytes.
const MEMORY_BYTES: usize = 64 << 20;
/// How long one may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Batches that wait for a client.
const WAITING_BATCHES: usize = 2;

/// See the module. Made when it is first asked for.
pub struct SystemCatalog {
    engine: Arc<Engine>,
    made: OnceLock<std::result::Result<Made, String>>,
}

struct Made {
    /// Taken when it is dropped.
    runtime: Option<Runtime>,
    session: SessionContext,
    parser: PostgresCompatibilityParser,
}

impl Drop for Made {
    fn drop(&mut self) {
        // What is dropped may be dropped where waiting is forbidden.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl SystemCatalog {
    pub fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new(SystemCatalog { engine, made: OnceLock::new() })
    }

    fn made(&self) -> std::result::Result<&Made, PgError> {
        let made = self.made.get_or_init(|| make(&self.engine).map_err(|error| error.to_string()));
        made.as_ref().map_err(|error| PgError::new(INTERNAL, format!("the system's catalog could not be made: {error}")))
    }

    /// Answers a query. The formats are those that the client wants columns in.
    ///
    /// # Errors
    /// It is wrong, or asks for what this catalog does not have.
    pub async fn ask(self: &Arc<Self>, text: &str, formats: &[Format]) -> std::result::Result<Rows, PgError> {
        let (planned, plan) = tokio::sync::oneshot::channel();
        let (sender, batches) = mpsc::channel(WAITING_BATCHES);
        let (text, formats) = (text.to_owned(), formats.to_vec());
        let this = self.clone();
        // Making the session takes a moment.
        let made = tokio::task::spawn_blocking(move || this.made().map(|_| ())).await;
        made.map_err(|error| PgError::new(INTERNAL, error.to_string()))??;
        let runtime = self.made()?.runtime.as_ref().ok_or_else(|| PgError::new(INTERNAL, "the server ends"))?;
        let this = self.clone();
        runtime.spawn(async move {
            let running = async {
                let (mut stream, fields, columns) = match this.begin(&text, &formats).await {
                    Ok(begun) => begun,
                    Err(error) => return drop(planned.send(Err(error))),
                };
                if planned.send(Ok(columns)).is_err() {
                    return;
                }
                while let Some(batch) = stream.next().await {
                    let batch = batch.map_err(|error| told(&error)).and_then(|batch| written(&fields, batch));
                    let failed = batch.is_err();
                    if sender.send(batch).await.is_err() || failed {
                        return;
                    }
                }
            };
            if tokio::time::timeout(TIMEOUT, running).await.is_err() {
                let error = PgError::new(CANCELLED, format!("a query of the system's catalog may take {} seconds", TIMEOUT.as_secs()));
                let _ = sender.send(Err(error)).await;
            }
        });
        match plan.await {
            Ok(columns) => Ok(Rows::catalog(columns?, batches)),
            Err(_) => Err(PgError::new(CANCELLED, "the query of the system's catalog broke off")),
        }
    }

    async fn begin(&self, text: &str, formats: &[Format]) -> std::result::Result<Begun, PgError> {
        let made = self.made()?;
        let statements = made.parser.parse(text).map_err(|error| PgError::new(SYNTAX_ERROR, error.to_string()))?;
        let [statement @ Statement::Query(_)] = statements.as_slice() else {
            return Err(PgError::new(NOT_SUPPORTED, "the system's catalog can only be asked"));
        };
        let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement.clone()));
        let state = made.session.state();
        let plan = state.statement_to_plan(statement).await.map_err(|error| told(&error))?;
        let frame = made.session.execute_logical_plan(plan).await.map_err(|error| told(&error))?;
        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
        let wanted: Vec<i16> =
            (0..schema.fields().len()).map(|index| if Format::of(formats, index) == Format::Binary { 1 } else { 0 }).collect();
        let fields = arrow_schema_to_pg_fields(&schema, &WireFormat::Individual(wanted), None).map_err(wire)?;
        let column = |field: &pgwire::api::results::FieldInfo| AnswerColumn {
            name: field.name().to_owned(),
            column_type: ColumnType::written(field.datatype().oid()),
        };
        let columns = fields.iter().map(column).collect();
        let stream = frame.execute_stream().await.map_err(|error| told(&error))?;
        Ok((stream, Arc::new(fields), columns))
    }
}

type Fields = Arc<Vec<pgwire::api::results::FieldInfo>>;
type Begun = (datafusion::execution::SendableRecordBatchStream, Fields, Vec<AnswerColumn>);

fn written(fields: &Fields, batch: RecordBatch) -> std::result::Result<Vec<Row>, PgError> {
    let count = u16::try_from(fields.len()).unwrap_or(u16::MAX);
    encode_recordbatch(fields.clone(), batch).map(|row| row.map(|row| Row::Written(count, row.data.freeze())).map_err(wire)).collect()
}

fn wire(error: pgwire::error::PgWireError) -> PgError {
    PgError::new(INTERNAL, error.to_string())
}

/// What DataFusion says.
fn told(error: &DataFusionError) -> PgError {
    let message = error.find_root().strip_backtrace();
    let message = message.lines().next().unwrap_or_default().trim_start_matches("Error during planning: ");
    let code = match error.find_root() {
        DataFusionError::SchemaError(..) => UNKNOWN_COLUMN,
        DataFusionError::Plan(message) if message.contains("nvalid function") => UNKNOWN_FUNCTION,
        DataFusionError::Plan(message) if message.contains("not found") => UNKNOWN_TABLE,
        DataFusionError::NotImplemented(_) => NOT_SUPPORTED,
        DataFusionError::External(inner) if inner.downcast_ref::<NoRows>().is_some() => NOT_SUPPORTED,
        _ => WRONG_STATEMENT,
    };
    PgError::new(code, message)
}

fn make(engine: &Arc<Engine>) -> Result<Made> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_name("pg-catalog")
        // Planning goes down as deep as a query nests.
        .thread_stack_size(16 << 20)
        .enable_time()
        .build()
        .map_err(|error| DataFusionError::Execution(format!("no thread: {error}")))?;
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(DATABASE, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(1);
    let environment = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_BYTES))).build_arc()?;
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(environment).with_default_features().build();
    let session = SessionContext::new_with_state(state);
    let provider = MemoryCatalogProvider::new();
    provider.register_schema(SCHEMA, Arc::new(Sources { engine: engine.clone() }))?;
    session.register_catalog(DATABASE, Arc::new(provider));
    setup_pg_catalog(&session, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    for (name, value) in CONSTANTS {
        session.register_udf(ScalarUDF::new_from_impl(Constant::new(name, value())));
    }
    Ok(Made { runtime: Some(runtime), session, parser: PostgresCompatibilityParser::new() })
}

type MakeValue = fn() -> ScalarValue;

/// Functions whose answer is always the same, whatever they are given.
const CONSTANTS: &[(&str, MakeValue)] = &[
    ("version", || {
        let version = format!("PostgreSQL {SERVER_VERSION} (Tidemill {})", env!("CARGO_PKG_VERSION"));
        ScalarValue::Utf8(Some(version))
    }),
    ("obj_description", || ScalarValue::Utf8(None)),
    ("col_description", || ScalarValue::Utf8(None)),
    ("shobj_description", || ScalarValue::Utf8(None)),
    ("pg_get_viewdef", || ScalarValue::Utf8(None)),
    ("pg_get_indexdef", || ScalarValue::Utf8(None)),
    ("pg_get_ruledef", || ScalarValue::Utf8(None)),
    ("pg_get_triggerdef", || ScalarValue::Utf8(None)),
    ("pg_get_serial_sequence", || ScalarValue::Utf8(None)),
    ("pg_get_function_result", || ScalarValue::Utf8(None)),
    ("pg_get_function_arguments", || ScalarValue::Utf8(None)),
    ("pg_get_function_identity_arguments", || ScalarValue::Utf8(None)),
    ("pg_tablespace_location", || ScalarValue::Utf8(Some(String::new()))),
    ("set_config", || ScalarValue::Utf8(None)),
    ("current_setting", || ScalarValue::Utf8(None)),
    ("to_regtype", || ScalarValue::Int32(None)),
    ("to_regclass", || ScalarValue::Int32(None)),
    ("pg_is_in_recovery", || ScalarValue::Boolean(Some(false))),
    ("pg_advisory_unlock_all", || ScalarValue::Utf8(Some(String::new()))),
    ("pg_function_is_visible", || ScalarValue::Boolean(Some(true))),
    ("pg_type_is_visible", || ScalarValue::Boolean(Some(true))),
    ("pg_opclass_is_visible", || ScalarValue::Boolean(Some(true))),
    ("pg_collation_is_visible", || ScalarValue::Boolean(Some(true))),
    ("pg_conversion_is_visible", || ScalarValue::Boolean(Some(true))),
    ("pg_operator_is_visible", || ScalarValue::Boolean(Some(true))),
];

/// A function of [`CONSTANTS`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl Constant {
    fn new(name: &'static str, value: ScalarValue) -> Self {
        use datafusion::logical_expr::TypeSignature::{Nullary, VariadicAny};
        Constant { name, value, signature: Signature::one_of(vec![VariadicAny, Nullary], Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// Our streams and tables: their names and columns.
struct Sources {
    engine: Arc<Engine>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources {
    fn find(&self, name: &str) -> Option<Arc<Source>> {
        let catalog = self.engine.catalog();
        catalog.sources().find(|source| shown(&source.name) == name).cloned()
    }
}

#[async_trait]
impl SchemaProvider for Sources {
    fn table_names(&self) -> Vec<String> {
        self.engine.catalog().sources().map(|source| shown(&source.name)).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.find(name).map(|source| Arc::new(Described::of(&source)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// A stream or table without its rows.
#[derive(Debug)]
struct Described {
    schema: SchemaRef,
    kind: TableType,
}

impl Described {
    fn of(source: &Source) -> Self {
        let keys: Vec<&str> = source.schema.key.iter().map(|column| column.name.as_str()).collect();
        let is_table = source.kind == SourceKind::Table;
        let field = |column: &tidemill_engine::types::Column| {
            // What clients get as JSON is a text to them.
            let data_type = match tidemill_query::arrow_type(&column.sql_type) {
                DataType::Map(..) | DataType::Struct(_) => DataType::Utf8,
                DataType::Decimal256(..) => DataType::Decimal128(38, 0),
                simple => simple,
            };
            Field::new(shown(&column.name), data_type, !(is_table && keys.contains(&column.name.as_str())))
        };
        let schema = Schema::new(source.schema.columns().map(field).collect::<Vec<_>>());
        Described { schema: Arc::new(schema), kind: if is_table { TableType::Base } else { TableType::View } }
    }
}

/// Asked for rows in a query of the system's catalog.
#[derive(Debug, thiserror::Error)]
#[error("streams and tables can't be asked for rows in one query with the system's catalog")]
struct NoRows;

#[async_trait]
impl TableProvider for Described {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        self.kind
    }

    async fn scan(&self, _: &dyn Session, _: Option<&Vec<usize>>, _: &[Expr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::External(Box::new(NoRows)))
    }
}
