//! A case: sources with their rows, statements, and what the batch side says must be there in the end.

use tidemill_engine::types::{Column, SqlType, Value};

use crate::formats::{as_read, holds, keeps_nulls, key_format, value_format};
use crate::random::Random;
use crate::rows::{TAME, Wildness, any_type, spelled, tame, wild};

/// A stream or table over a topic of the same name.
#[derive(Debug)]
pub struct Source {
    pub name: String,
    pub is_table: bool,
    /// The key column is the first.
    pub columns: Vec<Column>,
    pub key_format: &'static str,
    pub value_format: &'static str,
    pub rows: Vec<Record>,
}

/// A record, as a reader of its topic sees it.
#[derive(Debug, Clone)]
pub struct Record {
    pub timestamp: i64,
    pub key: Option<Value>,
    /// `None`: a tombstone.
    pub value: Option<Vec<Value>>,
}

/// Where a column of the sink has its value from.
#[derive(Debug, Clone)]
pub enum Output {
    /// A column of the batch query's result.
    Computed(SqlType),
    /// A column of a source, in the row whose number stands in a column of the batch query's result.
    Carried { source: usize, column: usize },
}

/// How rows of the sink are compared with those of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A stream's, one after another.
    Rows,
    /// A stream's, in any order.
    AnyRows,
    /// A table's: the last one of each key.
    Table,
}

#[derive(Debug)]
pub struct Case {
    pub sources: Vec<Source>,
    /// The order in which records arrive: source and row.
    pub arrivals: Vec<(usize, usize)>,
    pub statements: Vec<String>,
    /// The stream or table that is looked at.
    pub sink: String,
    pub order: Order,
    /// For each column of the sink, its key columns first; a result's columns come in the same order, behind the window's start
    /// where `is_windowed`. A first column `is_there` says whether the row has a value, where the batch has it.
    pub outputs: Vec<Output>,
    pub is_windowed: bool,
    pub has_presence: bool,
    /// How many of the outputs are the sink's key.
    pub keys: usize,
    pub batch: String,
}

/// What sources are to be like.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    pub is_table: bool,
    /// Columns of any type that no expression names.
    pub carried: usize,
    pub rows: usize,
    pub null_keys: bool,
    pub tombstones: bool,
    /// KAFKA values can't be joined.
    pub joins: bool,
}

/// Record timestamps are below, milliseconds.
pub const LAST_TIMESTAMP: usize = 600_000;

impl Source {
    pub fn random(random: &mut Random, name: &str, key_type: &SqlType, wishes: Wishes) -> Source {
        let key = Column::new("K", key_type.clone());
        let mut columns = vec![key];
        for index in 0..1 + random.below(4) {
            columns.push(Column::new(format!("C{index}"), random.pick(TAME).clone()));
        }
        for index in 0..random.below(wishes.carried + 1) {
            columns.push(Column::new(format!("W{index}"), any_type(random, 2)));
        }
        let key_format = key_format(random, &columns[..1]);
        let value_format = value_format(random, &columns[1..], wishes.joins);
        let mut source = Source { name: name.to_owned(), is_table: wishes.is_table, columns, key_format, value_format, rows: Vec::new() };
        source.fill(random, wishes, &[value_format]);
        source
    }

    /// Rows whose values come as all of these formats in turn leave them.
    pub fn fill(&mut self, random: &mut Random, wishes: Wishes, formats: &[&'static str]) {
        let count = random.below(wishes.rows + 1);
        // An empty text may be no key at all.
        let key = |random: &mut Random| match tame(random, &self.columns[0].sql_type) {
            Value::String(text) if text.trim().is_empty() => Value::string("k"),
            other => other,
        };
        let keys: Vec<Value> = (0..5).map(|_| key(random)).collect();
        let wildness = Wildness {
            inner_nulls: formats.iter().all(|format| keeps_nulls(format)),
            is_odd: !formats.contains(&"DELIMITED") && !formats.contains(&"KAFKA"),
        };
        for _ in 0..count {
            let is_tombstone = wishes.tombstones && random.percent(10);
            let value = (!is_tombstone).then(|| self.value(random, wildness, formats));
            self.rows.push(Record {
                timestamp: random.below(LAST_TIMESTAMP) as i64,
                key: (!wishes.null_keys || random.percent(95)).then(|| random.pick(&keys).clone()),
                value,
            });
        }
    }

    fn value(&self, random: &mut Random, wildness: Wildness, formats: &[&'static str]) -> Vec<Value> {
        let is_single = self.columns.len() == 2;
        let text_is_bare = formats.contains(&"DELIMITED") || formats.contains(&"KAFKA");
        let one = |(index, column): (usize, &Column)| {
            // A single null may be a null payload, and all nulls a line with nothing in it.
            let may_be_null = !(text_is_bare && (is_single || index == 0));
            let value = match column.name.starts_with('C') {
                _ if may_be_null && random.percent(12) => Value::Null,
                true => tame(random, &column.sql_type),
                false => wild(random, &column.sql_type, wildness),
            };
            // Nothing between two commas may be an empty text or none.
            let value = match value {
                Value::String(text) if text_is_bare && text.trim().is_empty() => Value::string("z"),
                Value::Bytes(bytes) if text_is_bare && bytes.is_empty() => Value::bytes([7]),
                other => other,
            };
            formats.iter().fold(value, |value, format| as_read(format, &column.sql_type, &value))
        };
        self.columns[1..].iter().enumerate().map(one).collect()
    }

    /// Its CREATE statement.
    pub fn declaration(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let role = match index {
                    0 if self.is_table => " PRIMARY KEY",
                    0 => " KEY",
                    _ => "",
                };
                format!("{} {}{role}", column.name, spelled(&column.sql_type))
            })
            .collect();
        format!(
            "CREATE {} {} ({}) WITH (KAFKA_TOPIC='{}', KEY_FORMAT='{}', VALUE_FORMAT='{}');",
            if self.is_table { "TABLE" } else { "STREAM" },
            self.name,
            columns.join(", "),
            self.name,
            self.key_format,
            self.value_format
        )
    }

    /// Columns that expressions may name, as `prefix` qualifies them.
    pub fn scope(&self, prefix: &str) -> Vec<(String, SqlType)> {
        let tame = self.columns.iter().filter(|column| !column.name.starts_with('W'));
        tame.map(|column| (format!("{prefix}{}", column.name.to_lowercase()), column.sql_type.clone())).collect()
    }

    /// Indexes of the columns that are only carried.
    pub fn carried(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().enumerate().filter(|(_, column)| column.name.starts_with('W')).map(|(index, _)| index)
    }
}

/// The formats of a sink with these columns, as a WITH clause.
pub fn sink_formats(random: &mut Random, keys: &[SqlType], values: &[SqlType]) -> String {
    let columns = |types: &[SqlType]| -> Vec<Column> {
        types.iter().enumerate().map(|(index, sql_type)| Column::new(format!("X{index}"), sql_type.clone())).collect()
    };
    let (keys, values) = (columns(keys), columns(values));
    // An empty text is no line of DELIMITED.
    let key_format = match key_format(random, &keys) {
        "DELIMITED" if keys.iter().any(|key| key.sql_type == SqlType::String) => "JSON",
        format => format,
    };
    // What is computed may be null or empty, which not every format tells apart.
    let able: Vec<&'static str> = ["JSON", "AVRO", "JSON_SR"].into_iter().filter(|format| holds(format, &values, false)).collect();
    let value_format = *random.pick(&able);
    format!("WITH (KEY_FORMAT='{key_format}', VALUE_FORMAT='{value_format}')")
}

/// All rows of a source, then those of the next.
pub fn one_after_another(sources: &[Source]) -> Vec<(usize, usize)> {
    sources.iter().enumerate().flat_map(|(source, of)| (0..of.rows.len()).map(move |row| (source, row))).collect()
}

/// Rows of all sources mixed, each source's in its order.
pub fn mixed(random: &mut Random, sources: &[Source]) -> Vec<(usize, usize)> {
    let mut next: Vec<usize> = vec![0; sources.len()];
    let mut arrivals = Vec::new();
    loop {
        let open: Vec<usize> = (0..sources.len()).filter(|source| next[*source] < sources[*source].rows.len()).collect();
        if open.is_empty() {
            return arrivals;
        }
        let source = *random.pick(&open);
        arrivals.push((source, next[source]));
        next[source] += 1;
    }
}
