//! What a test plays on: a world in this process, or a server.

use tidemill_engine::row::Window;
use tidemill_engine::types::{Column, SqlType, Value};
use tidemill_parser::ast::{Advance, CreateSource, Expr, Ident, SpannedStatement};

/// A stream or table as assertions see it.
#[derive(Debug, Clone)]
pub struct Shape {
    pub name: String,
    pub topic: String,
    /// Key columns, then value columns.
    pub columns: Vec<Column>,
    pub key_count: usize,
    /// Names of the columns in the order of their declaration.
    pub order: Vec<String>,
    pub is_windowed: bool,
}

/// A record of a source's topic, read by its declaration.
#[derive(Debug, Clone)]
pub struct Record {
    pub timestamp: i64,
    /// `None`: where the stage does not know.
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub window: Option<Window>,
    /// False: a tombstone.
    pub has_value: bool,
    /// A value for each column of the [`Shape`].
    pub values: Vec<Value>,
    /// Why it can't be read.
    pub unreadable: Option<String>,
}

/// Where statements run and records are read.
pub trait Stage {
    /// Carries out a statement that is no assertion; whatever it sets off is done when this returns.
    fn execute(&mut self, statement: &SpannedStatement) -> Result<(), String>;
    fn shape(&mut self, source: &Ident) -> Result<Shape, String>;
    /// The value of an expression in the type of a column.
    fn constant(&mut self, value: &Expr, column: &Column) -> Result<Value, String>;
    /// The next record of a source's topic; `None`: all were read. `expected`: it is worth waiting for, where it takes time.
    fn next(&mut self, shape: &Shape, expected: bool) -> Result<Option<Record>, String>;
    /// The records of a source's topic that were read, oldest first.
    fn read_so_far(&mut self, shape: &Shape) -> Result<Vec<Record>, String>;
    /// Compares a declaration with the source of its name.
    fn compare(&mut self, declared: &CreateSource) -> Result<(), String>;
    /// The next entry of the processing log.
    fn next_complaint(&mut self) -> Result<Option<String>, String>;
    fn advance(&mut self, advance: &Advance) -> Result<(), String>;
}

impl Shape {
    /// The type of a column or pseudo-column.
    pub fn column(&self, name: &str) -> Option<Column> {
        if let Some(column) = self.columns.iter().find(|c| c.name == name) {
            return Some(column.clone());
        }
        match name {
            "ROWTIME" | "ROWOFFSET" => Some(Column::new(name, SqlType::BigInt)),
            "ROWPARTITION" => Some(Column::new(name, SqlType::Int)),
            "WINDOWSTART" | "WINDOWEND" if self.is_windowed => Some(Column::new(name, SqlType::BigInt)),
            _ => None,
        }
    }

    /// The value that a record has in a column.
    pub fn value(&self, record: &Record, name: &str) -> Value {
        if let Some(index) = self.columns.iter().position(|c| c.name == name) {
            return record.values.get(index).cloned().unwrap_or_default();
        }
        match name {
            "ROWTIME" => Value::BigInt(record.timestamp),
            "ROWPARTITION" => record.partition.map_or(Value::Null, Value::Int),
            "ROWOFFSET" => record.offset.map_or(Value::Null, Value::BigInt),
            "WINDOWSTART" => record.window.map_or(Value::Null, |w| Value::BigInt(w.start)),
            "WINDOWEND" => record.window.map_or(Value::Null, |w| Value::BigInt(w.end)),
            _ => Value::Null,
        }
    }

    pub fn is_key(&self, name: &str) -> bool {
        self.columns.iter().take(self.key_count).any(|c| c.name == name) || matches!(name, "WINDOWSTART" | "WINDOWEND")
    }
}
