//! A catalog that statements change, with topics that are there as soon as somebody asks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_parser::ast::{SpannedStatement, Statement};

use crate::analyze::*;
use crate::catalog::{Catalog, QueryLinks, SourceKind};
use crate::registry::{NoRegistry, SchemaRegistry};

/// What a statement gave.
#[derive(Debug)]
pub enum Outcome {
    Done,
    Source(Box<Declared>),
    Query(Box<PlannedQuery>),
    Pull(Box<PullQuery>),
    Row(Box<InsertRow>),
}

pub struct World {
    pub catalog: Catalog,
    pub properties: BTreeMap<String, String>,
    /// Topics with their partitions.
    pub topics: RefCell<BTreeMap<String, u32>>,
    /// Partitions of topics that nobody declared.
    pub default_partitions: Option<u32>,
    pub registry: Arc<dyn SchemaRegistry>,
    pub queries: usize,
}

impl World {
    pub fn new() -> Self {
        World {
            catalog: Catalog::default(),
            properties: BTreeMap::new(),
            topics: RefCell::default(),
            default_partitions: Some(1),
            registry: Arc::new(NoRegistry),
            queries: 0,
        }
    }

    /// Runs a script; every statement but the last must succeed.
    pub fn run(&mut self, script: &str) -> Result<Outcome, String> {
        let mut outcome = Ok(Outcome::Done);
        for raw in tidemill_parser::split_script(script) {
            if let Err(error) = outcome {
                panic!("{error}\nbefore: {}", raw.text);
            }
            outcome = raw.parse().map_err(|e| e.to_string()).and_then(|s| self.statement(&s));
        }
        outcome
    }

    pub fn statement(&mut self, spanned: &SpannedStatement) -> Result<Outcome, String> {
        let catalog = self.catalog.clone();
        let properties = self.properties.clone();
        let found = |name: &str| self.topics.borrow().get(name).copied().or(self.default_partitions);
        let topic = |name: &str| found(name).map(|partitions| TopicInfo { partitions, replicas: 1, retention_ms: None });
        let ctx =
            AnalysisContext { catalog: &catalog, properties: &properties, service_id: "test_", topic: &topic, registry: &*self.registry };
        let id = |kind: &str, name: &str| format!("{kind}_{name}_{}", self.queries);
        match &spanned.statement {
            Statement::CreateSource(create) => {
                let declared = create_source(create, &ctx).map_err(|e| e.to_string())?;
                if declared.action != Action::Keep {
                    self.catalog = catalog.with_replaced_source(declared.source.clone());
                }
                Ok(Outcome::Source(Box::new(declared)))
            }
            Statement::CreateAs(create) => {
                let kind = if SourceKind::from(create.kind) == SourceKind::Stream { "CSAS" } else { "CTAS" };
                let planned = create_as(create, &ctx, &id(kind, &create.name.name)).map_err(|e| e.to_string())?;
                let (source, _) = planned.sink.clone().ok_or("no sink")?;
                self.topics.borrow_mut().insert(source.format.topic.clone(), source.topic.partitions);
                self.catalog = catalog.with_replaced_source(source).with_query(links(&planned));
                self.queries += 1;
                Ok(Outcome::Query(Box::new(planned)))
            }
            Statement::InsertSelect(insert) => {
                let planned = insert_select(insert, &spanned.text, &ctx, &id("INSERTQUERY", "")).map_err(|e| e.to_string())?;
                self.catalog = catalog.with_query(links(&planned));
                self.queries += 1;
                Ok(Outcome::Query(Box::new(planned)))
            }
            Statement::InsertValues(insert) => {
                insert_values(insert, &ctx).map(|row| Outcome::Row(Box::new(row))).map_err(|e| e.to_string())
            }
            Statement::Select(query) if query.emit.is_some() => {
                let planned = push_query(query, &spanned.text, &ctx, "transient_1").map_err(|e| e.to_string())?;
                Ok(Outcome::Query(Box::new(planned)))
            }
            Statement::Select(query) => {
                let planned = pull_query(query, &spanned.text, &ctx, "transient_1").map_err(|e| e.to_string())?;
                Ok(Outcome::Pull(Box::new(planned)))
            }
            Statement::CreateType { name, data_type, .. } => {
                let sql_type = catalog.resolve_type(data_type).map_err(|e| e.to_string())?;
                self.catalog = catalog.with_type(&name.name, sql_type).map_err(|e| e.to_string())?;
                Ok(Outcome::Done)
            }
            Statement::DropType { name, .. } => {
                self.catalog = catalog.without_type(&name.name).map_err(|e| e.to_string())?;
                Ok(Outcome::Done)
            }
            Statement::DropSource(drop) => {
                let dropped = catalog.dropped(drop.kind.into(), &drop.name.name, drop.if_exists, drop.delete_topic);
                if let Some((_, changed)) = dropped.map_err(|e| e.to_string())? {
                    self.catalog = changed;
                }
                Ok(Outcome::Done)
            }
            Statement::AlterSource(alter) => {
                let add = alter.add.iter().map(|(n, t)| catalog.resolve_type(t).map(|t| (n.name.clone(), t)));
                let add: Vec<_> = add.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
                self.catalog = catalog.with_added_columns(alter.kind.into(), &alter.name.name, &add).map_err(|e| e.to_string())?;
                Ok(Outcome::Done)
            }
            other => Err(format!("not a statement of analysis: {other}")),
        }
    }
}

fn links(planned: &PlannedQuery) -> QueryLinks {
    QueryLinks { query_id: planned.plan.query_id.clone(), reads: planned.plan.sources.clone(), writes: planned.plan.sink.clone() }
}

/// The error of a script's last statement must contain `expected`.
pub fn refused(script: &str, expected: &str) {
    match World::new().run(script) {
        Err(error) if error.contains(expected) => {}
        Err(error) => panic!("{script}\nexpected: {expected}\ngot: {error}"),
        Ok(_) => panic!("{script}\nexpected: {expected}\nbut it was taken"),
    }
}

/// The script must run; the source of that name must have the schema (as ksqlDB spells it).
pub fn makes(script: &str, source: &str, schema: &str) {
    let mut world = World::new();
    if let Err(error) = world.run(script) {
        panic!("{script}\n{error}");
    }
    let found = world.catalog.source(source).map(|s| s.schema.to_string());
    assert_eq!(found.as_deref(), Some(schema), "{script}");
}
