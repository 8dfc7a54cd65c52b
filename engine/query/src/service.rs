//! Takes queries, gives back streams of batches. Nothing of it is made before the first query asks: the threads, DataFusion's
//! session with all functions, the folder for what is spilled.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use tidemill_engine::Engine;
use tidemill_engine::engine::{NotAnswered, SessionProperties};
use tidemill_engine::types::{Column, SqlType, Value};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::aggregates::scalar;
use crate::catalog::{self, CATALOG, SCHEMA};
use crate::cooperation::Yielding;
use crate::dialect::{self, Explain};
use crate::error::{QueryError, told};
use crate::explain;
use crate::memory::{self, QueryMemory};
use crate::moment::SharedMoment;
use crate::remote::{Answers, ScanPage, ScanPeers, ScanQuestion};
use crate::rewrite;
use crate::running::{Running, RunningQuery, UnderWay};
use crate::types::sql_type;
use crate::{aggregates, bounded, functions, parameters, values};

/// Threads for each core. A query has as many at work as there are cores, but some joins don't give way for seconds: others must not
/// have to wait for these.
const THREADS_A_CORE: usize = 8;
/// Threads that read stores and topics for queries.
const READING_THREADS: usize = 16;
/// Stack of a thread, of which only what is used takes memory: planning goes down as deep as a query nests.
const STACK_BYTES: usize = 32 << 20;
/// Batches that wait for a client.
const WAITING_BATCHES: usize = 2;
/// The part of the memory that one sort keeps for merging, and how much that is at most.
const MERGING_SHARE: usize = 32;
const MAX_MERGING_BYTES: usize = 8 << 20;
/// Bytes that all queries may spill.
const MAX_SPILLED_BYTES: u64 = 16 << 30;
/// Consumers of memory that a message names.
const NAMED_CONSUMERS: usize = 3;
/// Parameters of a query.
const MAX_PARAMETERS: usize = 65_535;

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
    running: Arc<Running>,
    /// The way to other servers, once it is there …
    peers: OnceLock<Arc<dyn ScanPeers>>,
    /// … and what answers them.
    answers: Arc<Answers>,
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

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    pub text: String,
    /// What stands for `$1` and so on, with its type.
    pub parameters: Vec<(SqlType, Value)>,
    pub session: SessionProperties,
}

/// What is known of a query before it is run.
#[derive(Debug, Clone)]
pub struct Described {
    /// The types of `$1` and so on; `None`: the query allows any.
    pub parameters: Vec<Option<SqlType>>,
    pub columns: Vec<Column>,
    pub schema: SchemaRef,
}

/// An answer under way. Dropping it ends the query.
pub struct Answer {
    /// Its columns, in the dialect's types.
    pub columns: Vec<Column>,
    /// The same in Arrow's: the batches have these types, the names stand here.
    pub schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    memory: QueryMemory,
    /// Of the batch that was taken last, bytes.
    at_hand: usize,
    running: AbortHandle,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Answer {
    /// Counts the memory that the query has.
    pub fn memory(&self) -> QueryMemory {
        self.memory.clone()
    }

    /// The next batch; `None` at the end.
    pub async fn next_batch(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.memory.gone(std::mem::take(&mut self.at_hand));
        let batch = self.batches.recv().await;
        if let Some(Ok(batch)) = &batch {
            self.at_hand = memory::bytes_of(batch);
        }
        batch
    }

    /// The next rows; `None` at the end.
    pub async fn next_rows(&mut self) -> Option<Result<Vec<Vec<Value>>, QueryError>> {
        let batch = self.next_batch().await?;
        Some(batch.and_then(|batch| values::rows(&batch).map_err(|error| QueryError::user(error.to_string()))))
    }
}

impl QueryService {
    pub fn new(engine: Arc<Engine>, settings: Settings) -> Self {
        Self::answering(engine.clone(), settings, Answers::new(engine))
    }

    /// With what answers other servers.
    pub(crate) fn answering(engine: Arc<Engine>, settings: Settings, answers: Answers) -> Self {
        let answers = Arc::new(answers);
        let (running, peers, ready) = Default::default();
        QueryService(Arc::new(Service { engine, settings, running, peers, answers, ready }))
    }

    /// How servers that share the service are asked for what they have of tables; once.
    pub fn set_peers(&self, peers: Arc<dyn ScanPeers>) {
        let _ = self.0.peers.set(peers);
    }

    /// Answers another server from partitions that are here. Blocks, and never asks anybody else.
    ///
    /// # Errors
    /// Some of it is not here, or can't be read.
    pub fn answer_scan(&self, question: &ScanQuestion) -> Result<ScanPage, NotAnswered> {
        self.0.answers.answer(question)
    }

    /// Another server's scan wants nothing more.
    pub fn end_scan(&self, scan: &str) {
        self.0.answers.end(scan);
    }

    /// Lets go of scans of other servers that have not come back within [`crate::HOLD`]; how long the next one is still kept, where
    /// one is.
    pub fn forget_scans(&self) -> Option<Duration> {
        self.0.answers.forget()
    }

    /// Scans of other servers that a snapshot is kept for.
    pub fn held_scans(&self) -> usize {
        self.0.answers.held()
    }

    /// Runs a query.
    ///
    /// # Errors
    /// It is wrong, with the place where. What goes wrong later comes out of the answer.
    pub async fn ask(&self, question: Question) -> Result<Answer, QueryError> {
        let service = self.0.clone();
        let ready = self.made_ready().await?;
        let (planned, plan) = oneshot::channel();
        let (sender, batches) = mpsc::channel(WAITING_BATCHES);
        let asked = service.asked(ready, question);
        let memory = asked.memory.clone();
        let running = ready.runtime()?.spawn(asked.run(planned, sender)).abort_handle();
        // Ends the query where its client leaves before it is planned.
        let mut answer = Answer { columns: Vec::new(), schema: Arc::new(Schema::empty()), batches, memory, at_hand: 0, running };
        (answer.columns, answer.schema) = plan.await.map_err(|_| QueryError::internal("planning the query broke off"))??;
        Ok(answer)
    }

    /// Says what a query's parameters and columns are, without running it. Parameters that are given say their types.
    ///
    /// # Errors
    /// It is wrong, with the place where.
    pub async fn describe(&self, question: Question) -> Result<Described, QueryError> {
        let service = self.0.clone();
        let ready = self.made_ready().await?;
        let asked = service.asked(ready, question);
        let running = ready.runtime()?.spawn(asked.describe());
        running.await.map_err(|_| QueryError::internal("planning the query broke off"))?
    }

    /// The queries that are under way, the oldest first.
    pub fn running(&self) -> Vec<RunningQuery> {
        self.0.running.all()
    }

    async fn made_ready(&self) -> Result<&Ready, QueryError> {
        let service = &self.0;
        if service.ready.get().is_none() {
            // That takes a moment.
            let making = service.clone();
            let made = tokio::task::spawn_blocking(move || making.ready().map(|_| ())).await;
            made.map_err(|error| QueryError::internal(format!("making the session broke off: {error}")))??;
        }
        service.ready()
    }
}

impl Ready {
    fn runtime(&self) -> Result<&Runtime, QueryError> {
        self.runtime.as_ref().ok_or_else(|| QueryError::internal("the service ends"))
    }
}

impl Service {
    fn asked(&self, ready: &Ready, question: Question) -> Asked {
        Asked {
            engine: self.engine.clone(),
            peers: self.peers.get().cloned(),
            answers: self.answers.clone(),
            base: ready.session.clone(),
            under_way: UnderWay::begin(&self.running, &question.text),
            question,
            memory: QueryMemory::default(),
            deadline: Instant::now() + self.settings.timeout,
            settings: self.settings.clone(),
        }
    }

    fn ready(&self) -> Result<&Ready, QueryError> {
        self.ready.get_or_init(|| self.make_ready()).as_ref().map_err(Clone::clone)
    }

    fn make_ready(&self) -> Result<Ready, QueryError> {
        let threads = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.saturating_mul(THREADS_A_CORE))
            .max_blocking_threads(READING_THREADS)
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
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
        // What a sort keeps for merging what it has spilled; each thread's.
        options.execution.sort_spill_reservation_bytes = (self.settings.memory_bytes / MERGING_SHARE).min(MAX_MERGING_BYTES);
        let mut session = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(environment)
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(Yielding))
            .build();
        let known = session.scalar_functions().clone();
        for function in bounded::all(|name| known.get(name).cloned()) {
            session.register_udf(function).map_err(|error| told(&error, self.settings.memory_bytes))?;
        }
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
    peers: Option<Arc<dyn ScanPeers>>,
    answers: Arc<Answers>,
    base: SessionState,
    question: Question,
    settings: Settings,
    memory: QueryMemory,
    deadline: Instant,
    under_way: UnderWay,
}

/// What an answer's rows consist of.
type Columns = (Vec<Column>, SchemaRef);

/// A query that can be run.
pub(crate) struct Planned {
    pub state: SessionState,
    pub logical: LogicalPlan,
    pub physical: Arc<dyn ExecutionPlan>,
    pub explain: Option<Explain>,
}

impl Asked {
    async fn run(self, planned: oneshot::Sender<Result<Columns, QueryError>>, rows: mpsc::Sender<Result<RecordBatch, QueryError>>) {
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let limit = self.settings.memory_bytes;
        let plan = match tokio::time::timeout_at(deadline, self.plan()).await {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => {
                let _ = planned.send(Err(error.quoting(&self.question.text)));
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
                        let schema = batch.schema();
                        let _ = planned.send(Ok((columns(&schema), schema)));
                        self.memory.waits(&batch);
                        let _ = rows.send(Ok(batch)).await;
                    }
                    Ok(Err(error)) => drop(planned.send(Err(told(&error, limit).quoting(&self.question.text)))),
                    Err(_) => drop(planned.send(Err(self.too_long()))),
                }
                return;
            }
            None => match execute_stream(plan.physical.clone(), Arc::new(self.memory.counting(TaskContext::from(&plan.state)))) {
                Ok(stream) => stream,
                Err(error) => {
                    let _ = planned.send(Err(told(&error, limit).quoting(&self.question.text)));
                    return;
                }
            },
        };
        if planned.send(Ok(named_columns(&plan.physical.schema(), &plan.logical))).is_err() {
            return;
        }
        loop {
            let next = tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => Some(Err(self.too_long())),
                next = stream.next() => next.map(|batch| batch.map_err(|error| told(&error, limit).quoting(&self.question.text))),
            };
            let Some(next) = next else { return };
            let failed = next.is_err();
            if let Ok(batch) = &next {
                self.memory.waits(batch);
            }
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

    async fn describe(self) -> Result<Described, QueryError> {
        let described = async {
            let logical = self.logical().await?;
            let limit = self.settings.memory_bytes;
            let types = logical.plan.get_parameter_types().map_err(|error| told(&error, limit))?;
            let count = types.keys().filter_map(|name| name.strip_prefix('$')?.parse::<usize>().ok()).max().unwrap_or(0);
            if count > MAX_PARAMETERS {
                return Err(QueryError::user(format!("${count} is out of range: a query has up to {MAX_PARAMETERS} parameters")));
            }
            let parameter = |index: usize| types.get(&format!("${}", index + 1)).and_then(Option::as_ref).map(sql_type);
            let parameters = (0..count.max(self.question.parameters.len())).map(parameter).collect();
            let (columns, schema) = match logical.explain {
                Some(_) => (columns(&explain::schema()), explain::schema()),
                None => named_columns(logical.plan.schema().as_arrow(), &logical.plan),
            };
            Ok(Described { parameters, columns, schema })
        };
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let described = tokio::time::timeout_at(deadline, described).await.unwrap_or_else(|_| Err(self.too_long()));
        described.map_err(|error| error.quoting(&self.question.text))
    }

    async fn logical(&self) -> Result<Logical, QueryError> {
        let limit = self.settings.memory_bytes;
        let Question { text, parameters, session } = &self.question;
        if parameters.len() > MAX_PARAMETERS {
            return Err(QueryError::user(format!("{} parameters are given; {MAX_PARAMETERS} are allowed", parameters.len())));
        }
        let parsed = dialect::parse(text)?;
        let (explain, all_columns) = (parsed.explain, parsed.names_pseudo_columns);
        let catalog = self.engine.catalog();
        let rewritten = rewrite::rewrite(parsed, &catalog)?;
        let (peers, here) = (self.peers.clone(), self.answers.clone());
        let moment = Arc::new(SharedMoment::new(self.engine.clone(), self.under_way.progress(), peers, here));
        let list = catalog::of(&catalog, &moment, session, all_columns);
        // Not built anew: the names that DataFusion's functions have besides would take the dialect's places again.
        let mut state = self.base.clone();
        state.register_catalog_list(list);
        for function in rewritten.functions {
            state.register_udf(function).map_err(|error| told(&error, limit))?;
        }
        let mut statement = ast::Statement::Query(rewritten.query);
        if !parameters.is_empty() {
            let types = parameters.iter().map(|(sql_type, _)| parameters::type_of(sql_type)).collect::<Result<_, _>>()?;
            statement = ast::Statement::Prepare { name: ast::Ident::new("asked"), data_types: types, statement: Box::new(statement) };
        }
        let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement));
        let mut plan = state.statement_to_plan(statement).await.map_err(|error| told(&error, limit))?;
        let mut types = Vec::new();
        if let LogicalPlan::Statement(datafusion::logical_expr::Statement::Prepare(prepared)) = plan {
            plan = Arc::unwrap_or_clone(prepared.input);
            types = prepared.fields;
        }
        let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_queries.verify_plan(&plan).map_err(|error| told(&error, limit))?;
        Ok(Logical { state, plan, types, explain })
    }

    async fn plan(&self) -> Result<Planned, QueryError> {
        let limit = self.settings.memory_bytes;
        let Logical { state, plan, types, explain } = self.logical().await?;
        let wanted = plan.get_parameter_types().map_err(|error| told(&error, limit))?;
        let given = self.question.parameters.len();
        if let Some(name) = wanted.keys().find(|name| name.strip_prefix('$').and_then(|n| n.parse().ok()).is_none_or(|n: usize| n > given))
        {
            return Err(QueryError::user(format!("No value is given for the parameter {name}")));
        }
        let plan = match given {
            0 => plan,
            _ => {
                let given = self.question.parameters.iter().zip(&types);
                let values = given.map(|((sql_type, value), field)| scalar(value, sql_type)?.cast_to(field.data_type()));
                let values = values.collect::<Result<Vec<_>, _>>();
                let bound = values.and_then(|values| plan.with_param_values(values));
                bound.map_err(|error| told(&error, limit))?
            }
        };
        let physical = state.create_physical_plan(&plan).await.map_err(|error| told(&error, limit))?;
        Ok(Planned { state, logical: plan, physical, explain })
    }
}

/// A query that has a meaning.
struct Logical {
    state: SessionState,
    plan: LogicalPlan,
    /// Those of the parameters that were given.
    types: Vec<FieldRef>,
    explain: Option<Explain>,
}

fn columns(schema: &Schema) -> Vec<Column> {
    schema.fields().iter().map(|field| Column::new(field.name(), sql_type(field.data_type()))).collect()
}

/// The columns of the answer. Those of several sources that have one name bear their source's before it.
fn named_columns(schema: &Schema, plan: &LogicalPlan) -> Columns {
    let mut columns = columns(schema);
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    for (column, (qualifier, _)) in columns.iter_mut().zip(plan.schema().iter()) {
        let is_twice = names.iter().filter(|name| **name == column.name).count() > 1;
        if let (true, Some(qualifier)) = (is_twice, qualifier) {
            column.name = format!("{}_{}", qualifier.table(), column.name);
        }
    }
    let fields = schema.fields().iter().zip(&columns);
    let fields: Vec<_> = fields.map(|(field, column)| field.as_ref().clone().with_name(&column.name)).collect();
    (columns, Arc::new(Schema::new(fields)))
}
