//! SHOW QUERIES.

use std::collections::BTreeMap;

use super::{explain, queries};
use crate::app::App;
use crate::entities::{Common, KsqlEntity, QueryDescriptions, QueryList, RunningQuery};
use crate::error::ApiError;

pub fn run(app: &App, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    let persistent = app.engine.queries().persistent();
    if extended {
        let query_descriptions = persistent.iter().map(|query| explain::described(app, query)).collect();
        return Ok(KsqlEntity::QueryDescriptions(QueryDescriptions { query_descriptions, common: Common::new(text) }));
    }
    let push = app.engine.queries().push_queries().into_iter().map(|query| {
        let state = query.handle.state();
        RunningQuery {
            query_string: query.statement,
            sinks: Vec::new(),
            sink_kafka_topics: Vec::new(),
            id: query.id,
            status_count: BTreeMap::from([(queries::state_name(&state), 1)]),
            query_type: "PUSH",
            state: Some(queries::running_state_name(&state)),
            query_errors: queries::errors(&state, 0),
        }
    });
    let all = persistent.iter().map(|query| queries::listed(query)).chain(push).collect();
    Ok(KsqlEntity::Queries(QueryList { queries: all, common: Common::new(text) }))
}
