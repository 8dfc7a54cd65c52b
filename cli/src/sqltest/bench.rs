//! A test in this process: statements against a catalog of its own, each record through all queries before the next statement
//! runs, on a log in memory and on clocks that stand still unless the test moves them.

mod declaration;
mod pipeline;
mod topics;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use tidemill_engine::analyze;
use tidemill_engine::catalog::Source;
use tidemill_engine::clock::ManualClock;
use tidemill_engine::formats::{SlotUse, TopicReader};
use tidemill_engine::operators::header_value;
use tidemill_engine::processing_log::{ProcessingError, ProcessingLog};
use tidemill_engine::registry::SchemaRegistry;
use tidemill_engine::row::Row;
use tidemill_engine::types::text::parse_timestamp;
use tidemill_engine::types::{Column, Value};
use tidemill_parser::ast::{
    Advance, AdvanceTo, CreateSource, Expr, ExprKind, Ident, Interval, IntervalUnit, SpannedStatement, Statement, TestClock,
};

use tidemill_server::{ConfigBuilder, ServerConfig};

use super::stage::{Record, Shape, Stage};
use crate::conformance::world::World;
use pipeline::{Arrival, Pipeline};

/// A test's world.
pub struct Bench {
    world: World,
    pipeline: Pipeline,
    clock: Arc<ManualClock>,
    now_ms: i64,
    complaints: Arc<Complaints>,
    /// Entries of the processing log that were asserted.
    complaints_read: usize,
    /// The properties of a session that sets none.
    defaults: BTreeMap<String, String>,
}

/// The processing log, kept.
#[derive(Default)]
struct Complaints(Mutex<Vec<String>>);

impl ProcessingLog for Complaints {
    fn report(&self, error: ProcessingError) {
        let step = if error.step.is_empty() { String::new() } else { format!(".{}", error.step) };
        let cause: Vec<&str> = error.cause.iter().map(String::as_str).filter(|cause| !error.message.contains(*cause)).collect();
        let cause = if cause.is_empty() { String::new() } else { format!(" ({})", cause.join(": ")) };
        self.0.lock().push(format!("{}{step}: {}{cause}", error.query_id, error.message));
    }
}

impl Bench {
    pub fn new() -> Self {
        let world = World::empty(BTreeMap::new());
        let (clock, complaints) = (Arc::new(ManualClock::default()), Arc::<Complaints>::default());
        let pipeline = Pipeline::new(&world, clock.clone(), complaints.clone());
        let defaults = world.properties.clone();
        Bench { world, pipeline, clock, now_ms: 0, complaints, complaints_read: 0, defaults }
    }

    fn source(&self, name: &Ident) -> Result<Arc<Source>, String> {
        self.world.catalog.source(&name.name).cloned().ok_or_else(|| {
            let near = self.world.catalog.near_source(&name.name).map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
            format!("Source {} does not exist.{near}", name.name)
        })
    }

    fn set(&mut self, name: &str, value: &str) {
        if name.trim_start_matches("ksql.streams.") == "auto.offset.reset" {
            self.pipeline.from_beginning = value.eq_ignore_ascii_case("earliest");
        }
    }

    /// Records of a source's topic as its declaration reads them.
    fn read(&self, source: &Source, arrivals: &[Arrival]) -> Result<Vec<Record>, String> {
        let schema = source.record_schema();
        let registry: Arc<dyn SchemaRegistry> = self.world.registry.clone();
        let uses = vec![SlotUse::Read; schema.width()];
        let mut reader = TopicReader::new(&source.format, &schema, &uses, &registry)?;
        let mut row = Row::default();
        let records = arrivals.iter().map(|arrival| {
            let stored = &arrival.record;
            let read = reader.read(stored.key.as_deref(), stored.value.as_deref(), &mut row);
            let mut values = std::mem::take(&mut row.values).into_iter();
            let key = source.schema.key.iter().map(|_| values.next().unwrap_or_default()).collect::<Vec<_>>();
            let value = source.schema.value.iter().map(|column| match source.headers.iter().find(|h| h.column == column.name) {
                Some(header) => header_value(header.key.as_deref(), &stored.headers),
                None => values.next().unwrap_or_default(),
            });
            Record {
                timestamp: stored.timestamp,
                partition: Some(arrival.partition),
                offset: Some(arrival.offset.0),
                window: row.meta.window,
                has_value: read.is_err() || row.meta.has_value,
                values: key.into_iter().chain(value).collect(),
                unreadable: read.err().map(|error| error.to_string()),
            }
        });
        Ok(records.collect())
    }

    fn moment(&self, moment: &Expr) -> Result<i64, String> {
        match &moment.kind {
            ExprKind::Integer(ms) if *ms >= 0 => Ok(i64::from(*ms)),
            ExprKind::BigInt(ms) if *ms >= 0 => Ok(*ms),
            ExprKind::String(text) => {
                parse_timestamp(text).ok_or_else(|| format!("'{text}' is no date and time: write 2026-01-31T23:59:59"))
            }
            _ => Err(format!("{moment} is no moment: give milliseconds since 1970-01-01 or a text like '2026-01-31T23:59:59'")),
        }
    }
}

impl Stage for Bench {
    fn execute(&mut self, statement: &SpannedStatement) -> Result<(), String> {
        match &statement.statement {
            Statement::InsertValues(_) => {
                self.world.run_statement(statement)?;
                for record in std::mem::take(&mut self.world.inserted) {
                    self.world.append(&record)?;
                    self.pipeline.collect(&record.topic)?;
                }
                Ok(())
            }
            Statement::SetProperty { name, value } => {
                check_property(name)?;
                self.set(name, value);
                self.world.run_statement(statement)
            }
            Statement::UnsetProperty { name } => {
                match name {
                    Some(name) => {
                        self.set(name, "");
                        self.world.properties.remove(name);
                        if let Some(default) = self.defaults.get(name) {
                            self.world.properties.insert(name.clone(), default.clone());
                        }
                    }
                    None => {
                        self.pipeline.from_beginning = false;
                        self.world.properties = self.defaults.clone();
                    }
                }
                Ok(())
            }
            Statement::Pause { id } => self.pipeline.pause(id.as_ref().map(|id| id.name.as_str())),
            Statement::Resume { id } => self.pipeline.resume(id.as_ref().map(|id| id.name.as_str())),
            Statement::AssertTopic { topic, exists, properties, .. } => topics::assert_topic(&self.world, &topic.name, *exists, properties),
            Statement::AssertSchema { subject, id, exists, .. } => topics::assert_schema(&self.world, subject.as_deref(), *id, *exists),
            // They show something, and nobody looks.
            Statement::Show(_) | Statement::Describe { .. } | Statement::DescribeAll { .. } | Statement::DescribeFunction { .. } => Ok(()),
            Statement::Explain(_) => Ok(()),
            Statement::Select(_) | Statement::Print(_) => {
                Err("A test does not look at rows: make a stream or table of the query and compare its records with ASSERT VALUES"
                    .to_owned())
            }
            Statement::CreateConnector { .. } | Statement::DropConnector { .. } | Statement::DescribeConnector { .. } => {
                Err("A test has no Kafka Connect: insert what the connector would bring with INSERT INTO … VALUES".to_owned())
            }
            _ => {
                self.world.run_statement(statement)?;
                self.pipeline.follow(&self.world)
            }
        }
    }

    fn shape(&mut self, source: &Ident) -> Result<Shape, String> {
        let source = self.source(source)?;
        Ok(Shape {
            name: source.name.clone(),
            topic: source.format.topic.clone(),
            columns: source.schema.columns().cloned().collect(),
            key_count: source.schema.key.len(),
            order: source.column_order.iter().filter(|name| !source.is_header(name)).cloned().collect(),
            is_windowed: source.is_windowed(),
        })
    }

    fn constant(&mut self, value: &Expr, column: &Column) -> Result<Value, String> {
        self.world.with_context(|context| analyze::constant(value, column, context).map_err(|e| e.to_string()))
    }

    fn next(&mut self, shape: &Shape, _expected: bool) -> Result<Option<Record>, String> {
        let Some(arrival) = self.pipeline.next(&shape.topic) else { return Ok(None) };
        let source = self.source(&Ident::new(shape.name.clone()))?;
        Ok(self.read(&source, &[arrival])?.pop())
    }

    fn read_so_far(&mut self, shape: &Shape) -> Result<Vec<Record>, String> {
        let source = self.source(&Ident::new(shape.name.clone()))?;
        self.read(&source, &self.pipeline.read_so_far(&shape.topic))
    }

    fn compare(&mut self, declared: &CreateSource) -> Result<(), String> {
        let actual = self.source(&declared.name)?;
        declaration::compare(&self.world, declared, &actual)
    }

    fn next_complaint(&mut self) -> Result<Option<String>, String> {
        let entry = self.complaints.0.lock().get(self.complaints_read).cloned();
        self.complaints_read += usize::from(entry.is_some());
        Ok(entry)
    }

    fn advance(&mut self, advance: &Advance) -> Result<(), String> {
        let before = match advance.clock {
            TestClock::StreamTime => self.pipeline.stream_time,
            TestClock::WallClock => self.now_ms,
        };
        let after = match &advance.to {
            AdvanceTo::Moment(moment) => self.moment(moment)?,
            AdvanceTo::By(interval) => before.saturating_add(millis(*interval)),
        };
        if after < before {
            return Err(format!("Time only goes on: it is {before} ms since 1970-01-01 already, which is after {after}"));
        }
        match advance.clock {
            TestClock::StreamTime => self.pipeline.advance_stream_time(after),
            TestClock::WallClock => {
                self.now_ms = after;
                self.world.now_ms = after;
                self.clock.set_ms(after);
                Ok(())
            }
        }
    }
}

/// Refuses a property that no server knows.
fn check_property(name: &str) -> Result<(), String> {
    static CONFIG: LazyLock<Option<ServerConfig>> = LazyLock::new(|| ConfigBuilder::new().build().ok());
    CONFIG.as_ref().map_or(Ok(()), |config| config.overrides.check_name(name).map_err(|error| error.message()))
}

fn millis(interval: Interval) -> i64 {
    let unit = match interval.unit {
        IntervalUnit::Milliseconds => 1,
        IntervalUnit::Seconds => 1_000,
        IntervalUnit::Minutes => 60_000,
        IntervalUnit::Hours => 3_600_000,
        _ => 86_400_000,
    };
    i64::try_from(interval.value).unwrap_or(i64::MAX).saturating_mul(unit)
}
