//! SHOW QUERIES.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_engine::engine::PersistentQuery;

use super::{explain, queries, query_metrics};
use crate::app::App;
use crate::entities::{Common, KsqlEntity, QueryDescription, QueryDescriptions, QueryList, RunningQuery};
use crate::error::ApiError;

pub fn run(app: &App, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    let persistent = app.engine.queries().persistent();
    let mut remarks = queries::remarks(&app.engine, persistent.iter().map(|query| &**query));
    if extended {
        let disk_bytes = app.engine.runtime().parts().state.disk_bytes_by_query();
        let described = |query: &Arc<PersistentQuery>| {
            let metrics = Some(query_metrics::of(query, disk_bytes.get(&query.id).copied().unwrap_or_default()));
            QueryDescription { metrics, ..explain::described(app, query) }
        };
        let query_descriptions = persistent.iter().map(described).collect();
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
