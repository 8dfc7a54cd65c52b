//! Pull queries: what a table holds now, and what a stream's topic held when the query came.

use std::sync::Arc;

use tidemill_parser::ast::Query;

use super::{Engine, EngineError, SessionProperties};
use crate::analyze::{self, KeyConstraint, Lookup, OutputColumn, PullPlan, PullQuery, WindowBounds};
use crate::expr::{self, Compiled, Env, Eval, Scope};
use crate::operators::materialized::MaterializedReader;
use crate::row::{Row, Window};
use crate::state::StoreReader;
use crate::types::Value;
use crate::types::codec;

/// What a pull query answers.
#[derive(Debug, Clone)]
pub struct PullResult {
    pub columns: Vec<OutputColumn>,
    pub rows: Vec<Vec<Value>>,
    /// Whether the rows come from a stream's topic instead of a table's store.
    pub from_stream: bool,
}

impl Engine {
    /// Answers a pull query (a SELECT without EMIT).
    ///
    /// # Errors
    /// The statement is wrong, the table can't be looked up, or the log is away.
    pub fn pull_query(&self, query: &Query, statement: &str, session: &SessionProperties) -> Result<PullResult, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let id = super::push::transient_id(query);
        match analyze::pull_query(query, statement, &self.context(&catalog, session, &topics), &id)? {
            PullQuery::Stream(planned) => self.scan_stream(*planned, query.limit),
            PullQuery::Table(plan) => {
                let source = catalog.source(&plan.source).ok_or_else(|| EngineError::internal("the table has gone"))?;
                let query_id = source.created_by.as_deref().ok_or_else(|| not_materialized(&plan.source))?;
                let persistent = self.queries.get(query_id).ok_or_else(|| {
                    EngineError::user(format!("The table {} can't be queried: its query {query_id} has been terminated.", plan.source))
                })?;
                let reader = persistent.materialized().ok_or_else(|| not_materialized(&plan.source))?;
                let partitions = self.runtime.partition_readers(query_id, reader.stores());
                let rows = TablePull::new(&plan, reader, &partitions)?.run()?;
                Ok(PullResult { columns: plan.columns, rows, from_stream: false })
            }
        }
    }
}

fn not_materialized(table: &str) -> EngineError {
    EngineError::user(format!(
        "The `{table}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{table} AS SELECT * FROM {table}'."
    ))
}

/// One look into a table.
struct TablePull<'a> {
    plan: &'a PullPlan,
    reader: Arc<MaterializedReader>,
    /// Readers of the table's stores in each partition.
    partitions: &'a [Vec<StoreReader>],
    predicate: Option<Eval<bool>>,
    items: Vec<Compiled>,
    rows: Vec<Vec<Value>>,
}

impl<'a> TablePull<'a> {
    fn new(plan: &'a PullPlan, reader: Arc<MaterializedReader>, partitions: &'a [Vec<StoreReader>]) -> Result<Self, EngineError> {
        let scope = Scope::new(&plan.schema, plan.windowed);
        let compile = |text: &str| {
            let parsed = tidemill_parser::parse_expression(text)?;
            expr::compile(&parsed, &scope).map_err(|e| EngineError::user(e.to_string()))
        };
        let predicate = match &plan.predicate {
            Some(text) => {
                let parsed = tidemill_parser::parse_expression(text)?;
                Some(expr::compile_predicate(&parsed, &scope).map_err(|e| EngineError::user(e.to_string()))?)
            }
            None => None,
        };
        let items = plan.items.iter().map(|item| compile(&item.expr)).collect::<Result<_, _>>()?;
        Ok(TablePull { plan, reader, partitions, predicate, items, rows: Vec::new() })
    }

    fn run(mut self) -> Result<Vec<Vec<Value>>, EngineError> {
        if self.is_full() {
            return Ok(self.rows);
        }
        match &self.plan.lookup {
            Lookup::Keys(keys) => {
                for constraint in keys {
                    self.look_up(constraint)?;
                }
            }
            Lookup::Range { key, windows } => {
                let mut from = Vec::new();
                if let Some((value, _)) = &key.from {
                    codec::encode_key(std::slice::from_ref(value), &mut from);
                }
                let to = key.to.as_ref().and_then(|(value, inclusive)| {
                    let mut to = Vec::new();
                    codec::encode_key(std::slice::from_ref(value), &mut to);
                    if *inclusive { codec::prefix_end(&to) } else { Some(to) }
                });
                let after = key.from.as_ref().and_then(|(_, inclusive)| if *inclusive { None } else { codec::prefix_end(&from) });
                self.scan(after.as_deref().unwrap_or(&from), to.as_deref(), *windows)?;
            }
            Lookup::Scan { windows } => self.scan(&[], None, *windows)?,
        }
        Ok(self.rows)
    }

    fn is_full(&self) -> bool {
        self.plan.limit.is_some_and(|limit| self.rows.len() as u64 >= limit)
    }

    /// Reads one key in the store of its partition.
    fn look_up(&mut self, constraint: &KeyConstraint) -> Result<(), EngineError> {
        if self.is_full() {
            return Ok(());
        }
        let mut key = Vec::new();
        codec::encode_key(&constraint.key, &mut key);
        if self.plan.windowed {
            return self.scan(&key, codec::prefix_end(&key).as_deref(), constraint.windows);
        }
        for partition in self.partitions {
            if let Some(row) = self.reader.get(&key, partition).map_err(|e| EngineError::internal(e.0))? {
                return self.take(row);
            }
        }
        Ok(())
    }

    /// Reads a range of keys in every partition.
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, windows: WindowBounds) -> Result<(), EngineError> {
        let reader = self.reader.clone();
        for partition in self.partitions {
            let mut failed = None;
            let mut show = |row: Row| {
                if row.meta.window.is_none_or(|window| admits(windows, window)) {
                    failed = self.take(row).err();
                }
                failed.is_none() && !self.is_full()
            };
            reader.scan(from, to, partition, &mut show).map_err(|e| EngineError::internal(e.0))?;
            if let Some(error) = failed {
                return Err(error);
            }
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Applies the rest of WHERE and the projection.
    fn take(&mut self, row: Row) -> Result<(), EngineError> {
        let env = Env::new(&row.values, &row.meta);
        if let Some(predicate) = &self.predicate
            && !matches!(predicate(&env), Ok(Some(true)))
        {
            return Ok(());
        }
        // An expression that fails is null, as in a persistent query.
        let values = self.items.iter().map(|item| item.eval_value(&env).unwrap_or_default()).collect();
        self.rows.push(values);
        Ok(())
    }
}

fn admits(bounds: WindowBounds, window: Window) -> bool {
    (bounds.start_from..=bounds.start_to).contains(&window.start) && (bounds.end_from..=bounds.end_to).contains(&window.end)
}
