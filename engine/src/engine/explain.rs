//! EXPLAIN: a statement planned and not run.

use std::sync::Arc;

use tidemill_parser::ast::{SpannedStatement, Statement};

use super::ddl::closed;
use super::push::transient_id;
use super::{Engine, EngineError, SessionProperties};
use crate::analyze;
use crate::catalog::{SourceKind, WindowType};
use crate::plan::QueryPlan;
use crate::state::{self, StoreCount};
use crate::types::Schema;

/// What would run.
#[derive(Debug, Clone)]
pub struct Explained {
    pub plan: QueryPlan,
    /// What would come out.
    pub schema: Schema,
    /// Windows of its keys.
    pub window: Option<WindowType>,
    /// Whether it would go on without a client.
    pub is_persistent: bool,
}

/// Entries of a store that are counted one by one, in each partition.
const MAX_COUNTED: u64 = 100_000;

impl Engine {
    /// How much each store of a query holds, the partitions together. Blocks.
    ///
    /// # Errors
    /// The storage can't be read, or a task is busy for too long.
    pub fn store_counts(&self, query: &str) -> Result<Vec<(Arc<str>, StoreCount)>, EngineError> {
        let mut counts = Vec::new();
        for (name, readers) in self.runtime.store_readers(query) {
            let mut all = StoreCount { entries: 0, bytes: 0, is_exact: true };
            for reader in readers {
                let snapshots = state::take_snapshots(&[(reader, Vec::new())])?;
                for snapshot in snapshots {
                    let count = snapshot.count(MAX_COUNTED)?;
                    all.entries = all.entries.saturating_add(count.entries);
                    all.bytes = all.bytes.saturating_add(count.bytes);
                    all.is_exact &= count.is_exact;
                }
            }
            counts.push((name, all));
        }
        Ok(counts)
    }

    /// Plans a statement that runs a query. A pull query is explained as the push query of the same text.
    ///
    /// # Errors
    /// The statement is wrong, or runs no query.
    pub fn explain(&self, statement: &SpannedStatement, session: &SessionProperties) -> Result<Explained, EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let context = self.context(&catalog, session, &topics);
        let number = self.probable_query_number();
        let text = closed(&statement.text);
        let (planned, is_persistent) = match &statement.statement {
            Statement::CreateAs(create) => {
                let prefix = if SourceKind::from(create.kind) == SourceKind::Stream { "CSAS" } else { "CTAS" };
                (analyze::create_as(create, &context, &format!("{prefix}_{}_{number}", create.name.name))?, true)
            }
            Statement::InsertSelect(insert) => {
                let id = analyze::requested_query_id(insert)?.unwrap_or_else(|| format!("INSERTQUERY_{number}"));
                (analyze::insert_select(insert, &text, &context, &id)?, true)
            }
            Statement::Select(query) => (analyze::push_query(query, &text, &context, &transient_id(query))?, false),
            _ => return Err(EngineError::user("The provided statement does not run a ksql query")),
        };
        Ok(Explained { plan: planned.plan, schema: planned.schema, window: planned.window, is_persistent })
    }
}
