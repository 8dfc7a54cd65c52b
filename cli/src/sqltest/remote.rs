//! A test on a server: its statements go there under names of their own, which are gone when the test has ended, and records
//! are read by a query for each source that is asserted.

mod cells;
mod reader;
mod rename;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use tidemill_engine::analyze::{self, AnalysisContext};
use tidemill_engine::catalog::Catalog;
use tidemill_engine::registry::NoRegistry;
use tidemill_engine::types::{Column, Value};
use tidemill_parser::ast::{Advance, CreateSource, Expr, Ident, SpannedStatement, Statement};

use super::stage::{Record, Shape, Stage};
use crate::client::{Client, ClientError, Settings};
use reader::Reader;

/// Set by Ctrl-C: tests end, and clear up behind them.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Tells the tests of this process apart.
static NEXT: AtomicU32 = AtomicU32::new(0);
/// How long a query that has just begun gets to come to its first record.
const OPENING: Duration = Duration::from_secs(2);
/// Rounds of dropping what others do not read any more.
const MAX_ROUNDS: usize = 32;

/// How tests on a server are run.
#[derive(Clone)]
pub struct RemoteOptions {
    pub client: Client,
    /// How long a record is waited for.
    pub patience: Duration,
    /// How long queries get to work on what was inserted, before something else is done.
    pub settle: Duration,
}

/// A test's part of a server.
pub struct Remote {
    runtime: tokio::runtime::Runtime,
    options: RemoteOptions,
    /// Begins all names and topics of this test.
    prefix: String,
    properties: Settings,
    readers: HashMap<String, Reader>,
    /// The source that rows were inserted into last.
    inserted: Option<String>,
    /// Types that the test made.
    types: Vec<String>,
}

impl Remote {
    /// # Errors
    /// The machine gives no runtime.
    pub fn new(options: RemoteOptions) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("TEST_{:X}_{number}_", std::process::id());
        let (properties, readers) = (Settings::new(), HashMap::new());
        Ok(Remote { runtime, options, prefix, properties, readers, inserted: None, types: Vec::new() })
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T, ClientError>>) -> Result<T, String> {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err("interrupted".to_owned());
        }
        let patience = self.options.patience.max(Duration::from_secs(60));
        let limited = async { tokio::time::timeout(patience, future).await };
        match self.runtime.block_on(limited) {
            Ok(done) => done.map_err(|error| error.to_string().replace(&self.prefix, "")),
            Err(_) => Err(format!("the server has not answered within {} s", patience.as_secs())),
        }
    }

    fn send(&self, sql: &str) -> Result<Vec<Json>, String> {
        // Variables were put in before.
        let mut properties = self.properties.clone();
        properties.insert(tidemill_parser::SUBSTITUTION_PROPERTY.to_owned(), "false".to_owned());
        self.wait(self.options.client.statements(sql, &properties, &Settings::new()))
    }

    /// Lets queries work on what was inserted.
    fn settle(&mut self) {
        if self.inserted.take().is_some() {
            std::thread::sleep(self.options.settle);
        }
    }

    fn describe(&self, name: &str) -> Result<Json, String> {
        let name = Ident::new(format!("{}{name}", self.prefix));
        let entities = self.send(&format!("DESCRIBE {name};"))?;
        entities.into_iter().next().map(|entity| entity["sourceDescription"].clone()).ok_or_else(|| "the server says nothing".to_owned())
    }

    /// The reader of a source, which begins with its first record.
    fn reader(&mut self, shape: &Shape) -> Result<&mut Reader, String> {
        let needs_new = self.readers.get(&shape.name).is_none_or(|reader| reader.is_stale);
        if needs_new {
            let sql = reader::query(&self.prefix, shape);
            let properties = Settings::from_iter([
                ("auto.offset.reset".to_owned(), "earliest".to_owned()),
                (tidemill_parser::SUBSTITUTION_PROPERTY.to_owned(), "false".to_owned()),
            ]);
            let lines = self.wait(self.options.client.stream(&sql, &properties, &Settings::new()))?;
            let skipped = self.readers.get(&shape.name).map_or(0, |reader| reader.read.len());
            let mut reader = Reader::new(lines);
            for _ in 0..skipped {
                reader.next(&self.runtime, shape, self.options.patience)?;
            }
            self.readers.insert(shape.name.clone(), reader);
        }
        self.readers.get_mut(&shape.name).ok_or_else(|| "no reader".to_owned())
    }

    /// Names of the test's sources on the server, and whether each is a table.
    fn sources(&self) -> Result<Vec<(String, bool)>, String> {
        let mut found = Vec::new();
        for (sql, field, is_table) in [("SHOW STREAMS;", "streams", false), ("SHOW TABLES;", "tables", true)] {
            for entity in self.send(sql)? {
                let names = entity[field].as_array().into_iter().flatten().filter_map(|source| source["name"].as_str());
                found.extend(names.filter(|name| name.starts_with(&self.prefix)).map(|name| (name.to_owned(), is_table)));
            }
        }
        Ok(found)
    }

    /// Ends the test's queries, drops its sources with their topics, and its types.
    ///
    /// # Errors
    /// What could not be cleared up.
    pub fn close(&mut self) -> Result<(), String> {
        let was_interrupted = INTERRUPTED.swap(false, Ordering::Relaxed);
        let done = self.clear();
        INTERRUPTED.fetch_or(was_interrupted, Ordering::Relaxed);
        done
    }

    fn clear(&mut self) -> Result<(), String> {
        self.readers.clear();
        for entity in self.send("SHOW QUERIES;")? {
            for query in entity["queries"].as_array().into_iter().flatten() {
                let is_ours = query["sinks"].as_array().into_iter().flatten().filter_map(Json::as_str).any(|s| s.starts_with(&self.prefix));
                if let (true, Some(id)) = (is_ours, query["id"].as_str()) {
                    self.send(&format!("TERMINATE {};", Ident::new(id)))?;
                }
            }
        }
        let mut reason = String::new();
        for _ in 0..MAX_ROUNDS {
            let sources = self.sources()?;
            let mut dropped = 0;
            for (name, is_table) in &sources {
                let kind = if *is_table { "TABLE" } else { "STREAM" };
                let name = Ident::new(name.clone());
                match self
                    .send(&format!("DROP {kind} IF EXISTS {name} DELETE TOPIC;"))
                    .or_else(|_| self.send(&format!("DROP {kind} IF EXISTS {name};")))
                {
                    Ok(_) => dropped += 1,
                    Err(why) => reason = why,
                }
            }
            if sources.is_empty() {
                let types = std::mem::take(&mut self.types);
                return types
                    .iter()
                    .try_for_each(|name| self.send(&format!("DROP TYPE IF EXISTS {};", Ident::new(name.clone()))).map(|_| ()));
            }
            if dropped == 0 {
                break;
            }
        }
        Err(reason)
    }
}

impl Stage for Remote {
    fn execute(&mut self, statement: &SpannedStatement) -> Result<(), String> {
        let target = match &statement.statement {
            Statement::InsertValues(insert) => Some(insert.target.name.clone()),
            _ => None,
        };
        // Rows of one source stay in order by themselves.
        if self.inserted.is_some() && self.inserted != target {
            self.settle();
        }
        match &statement.statement {
            Statement::SetProperty { name, value } => {
                self.wait(self.options.client.check_property(name))?;
                self.properties.insert(name.clone(), value.clone());
                return Ok(());
            }
            Statement::UnsetProperty { name } => {
                match name {
                    Some(name) => drop(self.properties.shift_remove(name)),
                    None => self.properties.clear(),
                }
                return Ok(());
            }
            Statement::CreateType { name, .. } => self.types.push(name.name.clone()),
            Statement::Show(_) | Statement::Describe { .. } | Statement::DescribeAll { .. } | Statement::DescribeFunction { .. } => {
                return Ok(());
            }
            Statement::Explain(_) => return Ok(()),
            Statement::Select(_) | Statement::Print(_) => {
                return Err("A test does not look at rows: make a stream or table of the query and compare its records with ASSERT VALUES"
                    .to_owned());
            }
            Statement::CreateConnector { .. } | Statement::DropConnector { .. } | Statement::DescribeConnector { .. } => {
                return Err("A test has no Kafka Connect: insert what the connector would bring with INSERT INTO … VALUES".to_owned());
            }
            Statement::Terminate { .. } | Statement::Pause { .. } | Statement::Resume { .. } | Statement::ReplayDeadLetters { .. } => {
                return Err(
                    "On a server, a test can't know the ids of its queries: TERMINATE, PAUSE and RESUME work without --server".to_owned()
                );
            }
            _ => {}
        }
        let renamed = rename::renamed(&statement.statement, &self.prefix);
        if let Some(changed) = rename::changed(&statement.statement)
            && let Some(reader) = self.readers.get_mut(changed)
        {
            reader.is_stale = true;
        }
        self.send(&format!("{renamed};"))?;
        self.inserted = target;
        Ok(())
    }

    fn shape(&mut self, source: &Ident) -> Result<Shape, String> {
        cells::shape(&source.name, &self.prefix, &self.describe(&source.name)?)
    }

    fn constant(&mut self, value: &Expr, column: &Column) -> Result<Value, String> {
        let (catalog, properties) = (Catalog::default(), BTreeMap::new());
        let context =
            AnalysisContext { catalog: &catalog, properties: &properties, service_id: "", topic: &|_| None, registry: &NoRegistry };
        analyze::constant(value, column, &context).map_err(|e| e.to_string())
    }

    fn next(&mut self, shape: &Shape, expected: bool) -> Result<Option<Record>, String> {
        self.settle();
        self.reader(shape)?;
        let (patience, settle) = (self.options.patience, self.options.settle);
        let Some(reader) = self.readers.get_mut(&shape.name) else { return Ok(None) };
        let patience = match expected {
            true => patience,
            // It has to find its way to the first record.
            false if std::mem::take(&mut reader.is_new) => settle.max(OPENING),
            false => settle,
        };
        reader.next(&self.runtime, shape, patience)
    }

    fn read_so_far(&mut self, shape: &Shape) -> Result<Vec<Record>, String> {
        Ok(self.readers.get(&shape.name).map(|reader| reader.read.clone()).unwrap_or_default())
    }

    fn compare(&mut self, declared: &CreateSource) -> Result<(), String> {
        cells::compare(declared, &self.prefix, &self.describe(&declared.name.name)?)
    }

    fn next_complaint(&mut self) -> Result<Option<String>, String> {
        Err("The processing log of a server is that of all its queries: ASSERT PROCESSING LOG works without --server".to_owned())
    }

    fn advance(&mut self, _advance: &Advance) -> Result<(), String> {
        Err("On a server, only records move time: ADVANCE works without --server. Insert a row with a later ROWTIME".to_owned())
    }
}
