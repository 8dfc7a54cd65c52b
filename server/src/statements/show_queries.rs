//! SHOW QUERIES.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_engine::engine::PersistentQuery;

use super::{explain, queries, query_metrics};
use crate::app::App;
use crate::cluster;
use crate::entities::{Common, KsqlEntity, QueryDescription, QueryDescriptions, QueryList, RunningQuery};
use crate::error::ApiError;

pub fn run(app: &App, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    // First what takes a while: queries come and go.
    let (elsewhere, of_servers) = if extended { Default::default() } else { states_elsewhere(app) };
    let persistent = app.engine.queries().persistent();
    let mut remarks = queries::remarks(&app.engine, persistent.iter().map(|query| &**query));
    remarks.extend(of_servers);
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
            query_errors: queries::errors(&state, &query.failures),
        }
    });
    let listed = |query: &Arc<PersistentQuery>| {
        let mut listed = queries::listed(&app.engine, query);
        for states in &elsewhere {
            // A server that lacks it has not heard of it yet, or has heard of its end.
            let state = states.as_ref().map_or(Some("UNRESPONSIVE"), |states| Some(known(states.get(&query.id)?)));
            if let Some(state) = state {
                *listed.status_count.entry(state).or_default() += 1;
            }
        }
        listed
    };
    let all = persistent.iter().map(listed).chain(push).collect();
    Ok(KsqlEntity::Queries(QueryList { queries: all, common: Common::with_warnings(text, remarks) }))
}

/// What each of the other servers has of queries' states, by id, `None` of one that does not say; and what is to be said of the servers.
type Elsewhere = (Vec<Option<BTreeMap<String, String>>>, Vec<String>);

fn states_elsewhere(app: &App) -> Elsewhere {
    let (mut states, mut remarks) = Elsewhere::default();
    let Some(peers) = &app.peers else { return (states, remarks) };
    remarks.extend(app.engine.sharing_problem().map(|problem| format!("{problem}.")));
    let servers = peers.wait(cluster::servers(app, false)).unwrap_or_else(|error| {
        remarks.push(format!("The other servers can't be looked at: {}.", error.message.trim_end_matches('.')));
        Vec::new()
    });
    for (server, said) in servers {
        match said {
            None => {}
            Some(Ok(own)) => {
                if let Some(remark) = own.remark {
                    remarks.push(format!("Server {} {}: {remark}.", server.id, server.url.unwrap_or_default()));
                }
                states.push(Some(own.queries));
            }
            Some(Err(reason)) => {
                let (id, at) = (server.id, server.url.unwrap_or_default());
                remarks.push(format!("Server {id} {at} does not say how its queries are: {reason}."));
                states.push(None);
            }
        }
    }
    (states, remarks)
}

/// A state's name as another server has written it.
fn known(state: &str) -> &'static str {
    const NAMES: [&str; 4] = ["RUNNING", "PAUSED", "ERROR", "STOPPED"];
    NAMES.into_iter().find(|name| *name == state).unwrap_or("UNRESPONSIVE")
}
