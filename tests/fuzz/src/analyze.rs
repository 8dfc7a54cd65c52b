//! The analyzer: random statements over a catalog. A plan that comes out goes through its stored form and back.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use arbitrary::Unstructured;
use tidemill_engine::analyze::{
    AnalysisContext, AnalysisError, PlannedQuery, TopicInfo, create_as, create_source, insert_select, insert_values, pull_query, push_query,
};
use tidemill_engine::catalog::Catalog;
use tidemill_engine::plan::QueryPlan;
use tidemill_engine::registry::NoRegistry;
use tidemill_parser::ast::Statement;
use tidemill_parser::split_script;

use super::sql::statement;

/// The streams and tables that statements may name.
pub const SOURCES: &str = "
    CREATE STREAM s (id INT KEY, a INT, b BIGINT, d DOUBLE, t STRING, f BOOLEAN, m DECIMAL(6,2), ar ARRAY<INT>, mp MAP<STRING, DOUBLE>,
      st STRUCT<x INT, y STRUCT<z STRING>>, ts TIMESTAMP, da DATE, ti TIME, bt BYTES) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE STREAM r (k STRING KEY, a INT, t STRING) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
    CREATE STREAM two (k1 INT KEY, k2 STRING KEY, a INT) WITH (KAFKA_TOPIC='two', FORMAT='JSON');
    CREATE TABLE tb (id INT PRIMARY KEY, a INT, t STRING, fk STRING) WITH (KAFKA_TOPIC='tb', VALUE_FORMAT='JSON');
    CREATE TABLE tt (k STRING PRIMARY KEY, b BIGINT, t STRING) WITH (KAFKA_TOPIC='tt', VALUE_FORMAT='JSON');
    CREATE STREAM w (id INT KEY, n BIGINT) WITH (KAFKA_TOPIC='w', VALUE_FORMAT='JSON', WINDOW_TYPE='TUMBLING', WINDOW_SIZE='1 MINUTE');";

/// Bytes decide what the statements say.
pub fn analyzer(data: &[u8]) {
    let mut u = Unstructured::new(data);
    while !u.is_empty() {
        let Ok(sql) = statement(&mut u) else { return };
        one(&sql);
    }
}

fn context<'a>(catalog: &'a Catalog, properties: &'a BTreeMap<String, String>) -> AnalysisContext<'a> {
    let topic = &|_: &str| Some(TopicInfo { partitions: 1, replicas: 1, retention_ms: None });
    AnalysisContext { catalog, properties, service_id: "fuzz_", topic, registry: &NoRegistry }
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let mut catalog = Catalog::default();
        let properties = BTreeMap::new();
        for raw in split_script(SOURCES) {
            let Ok(parsed) = raw.parse() else { panic!("{}", raw.text) };
            let Statement::CreateSource(create) = parsed.statement else { panic!("{}", raw.text) };
            let declared = create_source(&create, &context(&catalog, &properties)).unwrap_or_else(|error| panic!("{}: {error}", raw.text));
            catalog = catalog.with_replaced_source(declared.source);
        }
        catalog
    })
}

/// One statement, or a script of them, each against the same catalog.
pub fn one(sql: &str) {
    let properties = BTreeMap::new();
    let ctx = context(catalog(), &properties);
    let planned = |result: Result<PlannedQuery, AnalysisError>| match result {
        Ok(planned) => stored(&planned.plan, sql),
        Err(error) => assert!(!error.to_string().is_empty(), "{sql} is refused without a word"),
    };
    for raw in split_script(sql) {
        let Ok(parsed) = raw.parse() else { continue };
        match &parsed.statement {
            Statement::CreateSource(create) => drop(create_source(create, &ctx)),
            Statement::CreateAs(create) => planned(create_as(create, &ctx, "CSAS_X_1")),
            Statement::InsertSelect(insert) => planned(insert_select(insert, &parsed.text, &ctx, "INSERTQUERY_1")),
            Statement::InsertValues(insert) => drop(insert_values(insert, &ctx)),
            Statement::Select(query) => {
                planned(push_query(query, &parsed.text, &ctx, "transient_1"));
                let _ = pull_query(query, &parsed.text, &ctx, "transient_1");
            }
            _ => {}
        }
    }
}

/// What the command log keeps of a plan is the plan.
fn stored(plan: &QueryPlan, sql: &str) {
    let text = serde_json::to_string(plan).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let read: QueryPlan = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{sql}: {error}: {text}"));
    assert_eq!(serde_json::to_string(&read).unwrap_or_default(), text, "{sql}");
}
