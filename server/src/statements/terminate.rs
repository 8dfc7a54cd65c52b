//! TERMINATE of a push query: it ends for its client. The command log knows nothing of push queries, so nothing is changed by it.

use tidemill_engine::engine::PushQueryInfo;
use tidemill_parser::ast::Statement;

use crate::app::App;
use crate::entities::{Common, KsqlEntity, TerminateQuery};

/// The push query that a statement ends; `None`: it ends none.
pub fn push_query_of(app: &App, statement: &Statement) -> Option<PushQueryInfo> {
    let Statement::Terminate { id: Some(id) } = statement else { return None };
    app.engine.queries().push_query_named(&id.name)
}

pub fn push_query(app: &App, query: PushQueryInfo, text: &str) -> KsqlEntity {
    // One that has ended by itself meanwhile is as good as terminated.
    app.engine.queries().close_push_query(&query.id);
    KsqlEntity::TerminateQuery(TerminateQuery { query_id: query.id, was_terminated: true, common: Common::new(text) })
}
