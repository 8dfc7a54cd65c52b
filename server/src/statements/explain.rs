//! EXPLAIN of a running query or of a statement, and the queries of SHOW QUERIES EXTENDED.

use std::collections::BTreeMap;

use tidemill_engine::engine::{Explained, PersistentQuery, PushQueryInfo};
use tidemill_engine::plan::QueryPlan;
use tidemill_parser::ast::{Ident, SpannedStatement};

use super::{Session, execution_plan, queries};
use crate::app::App;
use crate::config::shown;
use crate::entities::{
    Common, Field, KsqlEntity, OffsetsOfTopic, QueryDescription, QueryDescriptionEntity, TaskMetadata, TopicPartitionEntity,
};
use crate::error::{ApiError, ErrorCode};
use crate::request::Settings;

/// `EXPLAIN id`.
pub fn query(app: &App, id: &Ident, text: String) -> Result<KsqlEntity, ApiError> {
    let name = id.name.to_uppercase();
    let found = app.engine.queries().persistent().into_iter().find(|q| q.id.to_uppercase() == name);
    let Some(query) = found else {
        if let Some(push) = app.engine.queries().push_query_named(&id.name) {
            let query_description = described_push(app, push);
            return Ok(KsqlEntity::QueryDescription(QueryDescriptionEntity { query_description, common: Common::new(text) }));
        }
        let message = format!("Query with id:{name} does not exist, use SHOW QUERIES to view the full set of queries.");
        return Err(ApiError::statement(ErrorCode::BAD_STATEMENT, message, text));
    };
    let query_description = described(app, &query);
    let common = Common::with_warnings(text, app.engine.remarks(&query));
    Ok(KsqlEntity::QueryDescription(QueryDescriptionEntity { query_description, common }))
}

/// `EXPLAIN statement`: planned, not run.
pub fn statement(app: &App, session: &Session, inner: &SpannedStatement, text: String) -> Result<KsqlEntity, ApiError> {
    let explained = app.engine.explain(inner, session.properties()).map_err(|error| ApiError::engine(error, &text))?;
    let Explained { plan, schema, window, is_persistent } = explained;
    // What a push query would be known by to the broker; ours commits nothing, so no group comes into being.
    let consumer_group_id = if is_persistent {
        app.engine.runtime().group(&plan.query_id)
    } else {
        let names = tidemill_engine::plan::names::Names::transient(&app.engine.config().service_id, &plan.query_id);
        format!("{}_{}", names.prefix(), app.engine.clock().now_ms())
    };
    let query_description = QueryDescription {
        id: plan.query_id.clone(),
        statement_text: format!("{};", inner.text.trim_end_matches(';')),
        window_type: window.map(|w| w.name()),
        fields: Field::of_schema(&schema),
        sources: plan.sources.clone(),
        sinks: plan.sink.iter().cloned().collect(),
        topology: topology(app, &plan, is_persistent),
        execution_plan: execution_plan::text(&plan),
        overridden_properties: session.overrides().iter().map(|(name, value)| (name.clone(), shown(name, value).to_owned())).collect(),
        ksql_host_query_status: BTreeMap::new(),
        query_type: if is_persistent { "PERSISTENT" } else { "PUSH" },
        query_errors: Vec::new(),
        tasks_metadata: Vec::new(),
        consumer_group_id,
        state: None,
        metrics: None,
    };
    Ok(KsqlEntity::QueryDescription(QueryDescriptionEntity { query_description, common: Common::new(text) }))
}

/// A persistent query in full.
pub fn described(app: &App, query: &PersistentQuery) -> QueryDescription {
    let catalog = app.engine.catalog();
    let (state, is_away) = (query.state(), app.engine.log().outage().is_some());
    let (sinks, _) = queries::sinks(query);
    let schema_of = sinks.first().or(query.plan.sources.first()).and_then(|name| catalog.source(name));
    let query_errors = queries::errors(&state, &query.failures);
    let consumer_group_id = app.engine.runtime().group(&query.id);
    QueryDescription {
        id: query.id.clone(),
        statement_text: query.plan.statement.clone(),
        window_type: schema_of.and_then(|s| s.window).map(|w| w.name()),
        fields: schema_of.map(|s| Field::of_source(s)).unwrap_or_default(),
        sources: query.plan.sources.clone(),
        sinks,
        topology: topology(app, &query.plan, true),
        execution_plan: execution_plan::text(&query.plan),
        overridden_properties: overridden(app, &query.properties),
        ksql_host_query_status: BTreeMap::from([(app.host.clone(), queries::state_name(&state, is_away))]),
        query_type: "PERSISTENT",
        query_errors,
        tasks_metadata: tasks(app, query, &consumer_group_id),
        consumer_group_id,
        state: Some(queries::running_state_name(&state, is_away)),
        metrics: None,
    }
}

/// A push query in full.
fn described_push(app: &App, query: PushQueryInfo) -> QueryDescription {
    let (state, is_away) = (query.handle.state(), app.engine.log().outage().is_some());
    let names = tidemill_engine::plan::names::Names::transient(&app.engine.config().service_id, &query.id);
    QueryDescription {
        statement_text: query.statement,
        window_type: query.window.map(|w| w.name()),
        fields: Field::of_schema(&query.schema),
        sources: query.plan.sources.clone(),
        sinks: Vec::new(),
        topology: topology(app, &query.plan, false),
        execution_plan: execution_plan::text(&query.plan),
        overridden_properties: overridden(app, &query.properties),
        ksql_host_query_status: BTreeMap::from([(app.host.clone(), queries::state_name(&state, is_away))]),
        query_type: "PUSH",
        query_errors: Vec::new(),
        tasks_metadata: Vec::new(),
        consumer_group_id: names.prefix().to_owned(),
        state: Some(queries::running_state_name(&state, is_away)),
        metrics: None,
        id: query.id,
    }
}

fn topology(app: &App, plan: &QueryPlan, is_persistent: bool) -> String {
    let names = if is_persistent {
        tidemill_engine::plan::names::Names::persistent(&app.engine.config().service_id, &plan.query_id)
    } else {
        tidemill_engine::plan::names::Names::transient(&app.engine.config().service_id, &plan.query_id)
    };
    tidemill_engine::plan::explain::explain(plan, &names)
}

/// Properties that a statement was given with, as far as they are not the server's.
fn overridden(app: &App, properties: &Settings) -> Settings {
    let defaults = &app.engine.config().session_defaults;
    let own = properties.iter().filter(|(name, value)| defaults.get(*name) != Some(value));
    // What was fetched when the query began may be another value by now: it is hidden as today's is.
    own.map(|(name, value)| (name.clone(), app.config.shown(name, value).to_owned())).collect()
}

/// One task for each partition of the topics read.
fn tasks(app: &App, query: &PersistentQuery, group: &str) -> Vec<TaskMetadata> {
    let mut tasks: BTreeMap<i32, Vec<OffsetsOfTopic>> = BTreeMap::new();
    for topic in query.source_topics(&app.engine.catalog()) {
        for offsets in queries::partition_offsets(&app.engine, group, &topic) {
            tasks.entry(offsets.partition).or_default().push(OffsetsOfTopic {
                topic_partition_entity: TopicPartitionEntity { topic: topic.clone(), partition: offsets.partition },
                end_offset: offsets.log_end_offset,
                committed_offset: offsets.consumer_offset,
            });
        }
    }
    tasks
        .into_iter()
        .map(|(partition, topic_offsets)| TaskMetadata {
            task_id: format!("0_{partition}"),
            topic_offsets,
            time_current_idling_started: None,
        })
        .collect()
}
