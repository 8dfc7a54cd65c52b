//! TERMINATE of a push query: it ends for its client. The command log knows nothing of push queries.

use tidemill_parser::ast::Ident;

use crate::app::App;
use crate::entities::{Common, KsqlEntity, TerminateQuery};

/// `None`: no push query has this id.
pub fn push_query(app: &App, id: Option<&Ident>, text: &str) -> Option<KsqlEntity> {
    let query = app.engine.queries().push_query_named(&id?.name)?;
    // One that has ended by itself meanwhile is as good as terminated.
    app.engine.queries().close_push_query(&query.id);
    Some(KsqlEntity::TerminateQuery(TerminateQuery { query_id: query.id, was_terminated: true, common: Common::new(text) }))
}
