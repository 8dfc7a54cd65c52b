//! Takes queries, gives back streams of batches. Nothing of it is made before the first query asks: the threads, DataFusion's
//! session with all functions, the folder for what is spilled.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use tidemill_engine::Engine;
use tidemill_engine::engine::SessionProperties;
use tidemill_engine::types::{Column, Value};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::catalog::{self, CATALOG, SCHEMA};
use crate::cooperation::Yielding;
use crate::dialect::{self, Explain};
use crate::error::{QueryError, told};
use crate::explain;
use crate::moment::SharedMoment;
use crate::rewrite;
use crate::types::sql_type;
use crate::{aggregates, functions, values};

/// Threads that read stores and topics for queries.
const READING_THREADS: usize = 16;
/// Batches that wait for a client.
const WAITING_BATCHES: usize = 2;
/// Bytes that all queries may spill.
const MAX_SPILLED_BYTES: u64 = 16 << 30;
/// Consumers of memory that a message names.
const NAMED_CONSUMERS: usize = 3;

/// What queries may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory that all queries share, bytes.
    pub memory_bytes: usize,
    /// How long a query may take, from when it is given to when its last row is.
    pub timeout: Duration,
    /// Where what does not fit into memory goes; made when it is needed, and emptied when the first query comes.
    pub spill_folder: PathBuf,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct QueryService(Arc<Service>);

struct Service {
    engine: Arc<Engine>,
    settings: Settings,
    ready: OnceLock<Result<Ready, QueryError>>,
}

struct Ready {
    /// Taken when the service is dropped.
    runtime: Option<Runtime>,
    session: SessionState,
}

impl Drop for Ready {
    fn drop(&mut self) {
        // What is dropped may be dropped where waiting is forbidden.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An answer under way. Dropping it ends the query.
pub struct Answer {
    pub columns: Vec<Column>,
    batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    running: AbortHandle,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Answer {
    /// The next batch; `None` at the end.
    pub async fn next_batch(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.batches.recv().await
    }

    /// The next rows; `None` at the end.
    pub async fn next_rows(&mut self) -> Option<Result<Vec<Vec<Value>>, QueryError>> {
        let batch = self.next_batch().await?;
        Some(batch.and_then(|batch| values::rows(&batch).map_err(|error| QueryError::user(error.to_string()))))
    }
}

impl QueryService {
    pub fn new(engine: Arc<Engine>, settings: Settings) -> Self {
        QueryService(Arc::new(Service { engine, settings, ready: OnceLock::new() }))
    }

    /// Runs a query.
    ///
    /// # Errors
    /// It is wrong, with the place where. What goes wrong later comes out of the answer.
    pub async fn ask(&self, text: &str, session: SessionProperties) -> Result<Answer, QueryError> {
        let service = &self.0;
        if service.ready.get().is_none() {
            // That takes a moment.
            let making = service.clone();
            let made = tokio::task::spawn_blocking(move || making.ready().map(|_| ())).await;
            made.map_err(|error| QueryError::internal(format!("making the session broke off: {error}")))??;
        }
        let ready = service.ready()?;
        let runtime = ready.runtime.as_ref().ok_or_else(|| QueryError::internal("the service ends"))?;
        let (planned, plan) = oneshot::channel();
        let (sender, batches) = mpsc::channel(WAITING_BATCHES);
        let asked = Asked {
            engine: service.engine.clone(),
            base: ready.session.clone(),
            text: text.to_owned(),
            session,
            settings: service.settings.clone(),
            deadline: Instant::now() + service.settings.timeout,
        };
        let running = runtime.spawn(asked.run(planned, sender)).abort_handle();
        // Ends the query where its client leaves before it is planned.
        let mut answer = Answer { columns: Vec::new(), batches, running };
        answer.columns = plan.await.map_err(|_| QueryError::internal("planning the query broke off"))??;
        Ok(answer)
    }
}

impl Service {
    fn ready(&self) -> Result<&Ready, QueryError> {
        self.ready.get_or_init(|| self.make_ready()).as_ref().map_err(Clone::clone)
    }

    fn make_ready(&self) -> Result<Ready, QueryError> {
        let threads = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(READING_THREADS)
            .thread_name("query")
            .enable_time()
            .build()
            .map_err(|error| QueryError::internal(format!("no threads for queries: {error}")))?;
        // What a killed process left behind.
        let _ = std::fs::remove_dir_all(&self.settings.spill_folder);
        std::fs::create_dir_all(&self.settings.spill_folder)
            .map_err(|error| QueryError::internal(format!("'{}' can't be made: {error}", self.settings.spill_folder.display())))?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.settings.spill_folder.clone()]))
            .with_max_temp_directory_size(MAX_SPILLED_BYTES);
        let named = NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(NonZeroUsize::MIN);
        let pool = TrackConsumersPool::new(FairSpillPool::new(self.settings.memory_bytes), named);
        let environment = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk).build_arc();
        let environment = environment.map_err(|error| told(&error, self.settings.memory_bytes))?;
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false)
            .with_target_partitions(threads);
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.parse_float_as_decimal = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        options.execution.enforce_batch_size_in_joins = true;
        let mut session = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(environment)
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(Yielding))
            .build();
        for function in functions::all() {
            session.register_udf(function).map_err(|error| told(&error, self.settings.memory_bytes))?;
        }
        for function in aggregates::all() {
            session.register_udaf(function).map_err(|error| told(&error, self.settings.memory_bytes))?;
        }
        Ok(Ready { runtime: Some(runtime), session })
    }
}

/// A query on its way.
struct Asked {
    engine: Arc<Engine>,
    base: SessionState,
    text: String,
    session: SessionProperties,
    settings: Settings,
    deadline: Instant,
}

/// A query that can be run.
pub(crate) struct Planned {
    pub state: SessionState,
    pub logical: LogicalPlan,
    pub physical: Arc<dyn ExecutionPlan>,
    pub explain: Option<Explain>,
}

impl Asked {
    async fn run(self, planned: oneshot::Sender<Result<Vec<Column>, QueryError>>, rows: mpsc::Sender<Result<RecordBatch, QueryError>>) {
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let limit = self.settings.memory_bytes;
        let plan = match tokio::time::timeout_at(deadline, self.plan()).await {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => {
                let _ = planned.send(Err(error.quoting(&self.text)));
                return;
            }
            Err(_) => {
                let _ = planned.send(Err(self.too_long()));
                return;
            }
        };
        let mut stream = match plan.explain {
            Some(explain) => {
                let explained = tokio::time::timeout_at(deadline, explain::explain(&plan, explain)).await;
                match explained {
                    Ok(Ok(batch)) => {
                        let columns = columns(&batch.schema());
                        let _ = planned.send(Ok(columns));
                        let _ = rows.send(Ok(batch)).await;
                    }
                    Ok(Err(error)) => drop(planned.send(Err(told(&error, limit)))),
                    Err(_) => drop(planned.send(Err(self.too_long()))),
                }
                return;
            }
            None => match execute_stream(plan.physical.clone(), plan.state.task_ctx()) {
                Ok(stream) => stream,
                Err(error) => {
                    let _ = planned.send(Err(told(&error, limit)));
                    return;
                }
            },
        };
        if planned.send(Ok(named_columns(&plan))).is_err() {
            return;
        }
        loop {
            let next = tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => Some(Err(self.too_long())),
                next = stream.next() => next.map(|batch| batch.map_err(|error| told(&error, limit))),
            };
            let Some(next) = next else { return };
            let failed = next.is_err();
            // A client that reads slowly has its time, too.
            match tokio::time::timeout_at(deadline, rows.send(next)).await {
                Ok(Ok(())) if !failed => {}
                Err(_) if !failed => {
                    drop(stream);
                    let _ = rows.send(Err(self.too_long())).await;
                    return;
                }
                _ => return,
            }
        }
    }

    fn too_long(&self) -> QueryError {
        QueryError::limit(format!(
            "The query took longer than the {} ms that tidemill.query.timeout.ms allows. Raise that, or ask for less at a time",
            self.settings.timeout.as_millis()
        ))
    }

    async fn plan(&self) -> Result<Planned, QueryError> {
        let limit = self.settings.memory_bytes;
        let parsed = dialect::parse(&self.text)?;
        let (explain, all_columns) = (parsed.explain, parsed.names_pseudo_columns);
        let catalog = self.engine.catalog();
        let rewritten = rewrite::rewrite(parsed, &catalog)?;
        let moment = Arc::new(SharedMoment::new(self.engine.clone()));
        let list = catalog::of(&catalog, &moment, &self.session, all_columns);
        // Not built anew: the names that DataFusion's functions have besides would take the dialect's places again.
        let mut state = self.base.clone();
        state.register_catalog_list(list);
        for function in rewritten.functions {
            state.register_udf(function).map_err(|error| told(&error, limit))?;
        }
        let statement = datafusion::sql::parser::Statement::Statement(Box::new(ast::Statement::Query(rewritten.query)));
        let logical = state.statement_to_plan(statement).await.map_err(|error| told(&error, limit))?;
        let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_queries.verify_plan(&logical).map_err(|error| told(&error, limit))?;
        let physical = state.create_physical_plan(&logical).await.map_err(|error| told(&error, limit))?;
        Ok(Planned { state, logical, physical, explain })
    }
}

fn columns(schema: &arrow::datatypes::Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| Column::new(field.name(), sql_type(field.data_type()))).collect()
}

/// The columns of the answer. Those of several sources that have one name bear their source's before it.
fn named_columns(plan: &Planned) -> Vec<Column> {
    let mut columns = columns(&plan.physical.schema());
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    for (column, (qualifier, _)) in columns.iter_mut().zip(plan.logical.schema().iter()) {
        let is_twice = names.iter().filter(|name| **name == column.name).count() > 1;
        if let (true, Some(qualifier)) = (is_twice, qualifier) {
            column.name = format!("{}_{}", qualifier.table(), column.name);
        }
    }
    columns
}
