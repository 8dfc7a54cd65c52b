//! SHOW QUERIES.

use std::collections::BTreeMap;

use super::{explain, queries};
use crate::app::App;
use crate::entities::{Common, KsqlEntity, QueryDescriptions, QueryList, RunningQuery};
use crate::error::ApiError;

pub fn run(app: &App, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    let persistent = app.engine.queries().persistent();
    let mut remarks = queries::remarks(&app.engine, persistent.iter().map(|query| &**query));
    if extended {
        let query_descriptions = persistent.iter().map(|query| explain::described(app, query)).collect();
        let common = Common::with_warnings(text, remarks);
        return Ok(KsqlEntity::QueryDescriptions(QueryDescriptions { query_descriptions, common }));
    }
    let push = app.engine.queries().push_queries().into_iter().map(|query| {
        remarks.extend(query.handle.remarks().iter().map(|remark| format!("{}: {remark}.", query.id)));
        let (state, is_away) = (query.handle.state(), app.engine.log().outage().is_some());
        RunningQuery {
            query_string: query.statement,
            sinks: Vec::new(),
            sink_kafka_topics: Vec::new(),
            id: query.id,
            status_count: BTreeMap::from([(queries::state_name(&state, is_away), 1)]),
            query_type: "PUSH",
            state: Some(queries::running_state_name(&state, is_away)),
            query_errors: queries::errors(&state, 0),
        }
    });
    let all = persistent.iter().map(|query| queries::listed(&app.engine, query)).chain(push).collect();
    Ok(KsqlEntity::Queries(QueryList { queries: all, common: Common::with_warnings(text, remarks) }))
}
