//! EXPLAIN: a statement planned and not run.

use tidemill_parser::ast::{SpannedStatement, Statement};

use super::ddl::closed;
use super::push::transient_id;
use super::{Engine, EngineError, SessionProperties};
use crate::analyze;
use crate::catalog::{SourceKind, WindowType};
use crate::plan::QueryPlan;
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

impl Engine {
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
