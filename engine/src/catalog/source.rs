//! A stream or table as the catalog knows it.

use serde::{Deserialize, Serialize};
use tidemill_parser::ast;

use crate::plan::{FormatSpec, TimestampColumn, TopicFormat};
use crate::types::Schema;

/// Whether rows are events or the latest state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    Stream,
    Table,
}

impl SourceKind {
    /// `stream` or `table`.
    pub fn lower(self) -> &'static str {
        match self {
            SourceKind::Stream => "stream",
            SourceKind::Table => "table",
        }
    }

    /// `STREAM` or `TABLE`.
    pub fn upper(self) -> &'static str {
        match self {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        }
    }
}

impl From<ast::SourceKind> for SourceKind {
    fn from(kind: ast::SourceKind) -> Self {
        match kind {
            ast::SourceKind::Stream => SourceKind::Stream,
            ast::SourceKind::Table => SourceKind::Table,
        }
    }
}

/// Which windows the keys of a topic carry. Reading needs only [`crate::plan::WindowedKey`]; users see this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WindowType {
    Tumbling,
    Hopping,
    Session,
}

impl WindowType {
    /// As WINDOW_TYPE spells it.
    pub fn name(self) -> &'static str {
        match self {
            WindowType::Tumbling => "TUMBLING",
            WindowType::Hopping => "HOPPING",
            WindowType::Session => "SESSION",
        }
    }
}

/// A column that is filled from the record's headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderColumn {
    pub column: String,
    /// The header's key; `None` for a column of all headers.
    pub key: Option<String>,
}

/// What happens to old records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CleanupPolicy {
    Delete,
    Compact,
    CompactDelete,
}

impl CleanupPolicy {
    /// As Kafka's `cleanup.policy` spells it.
    pub fn name(self) -> &'static str {
        match self {
            CleanupPolicy::Delete => "delete",
            CleanupPolicy::Compact => "compact",
            CleanupPolicy::CompactDelete => "compact,delete",
        }
    }

    /// The policy that a source's kind calls for.
    pub fn for_source(kind: SourceKind, windowed: bool) -> Self {
        match (kind, windowed) {
            (SourceKind::Stream, _) => CleanupPolicy::Delete,
            (SourceKind::Table, false) => CleanupPolicy::Compact,
            (SourceKind::Table, true) => CleanupPolicy::CompactDelete,
        }
    }
}

/// How a source's topic is made, or was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSettings {
    pub partitions: u32,
    pub replicas: u16,
    /// `None`: the broker's default.
    pub retention_ms: Option<i64>,
    pub cleanup: CleanupPolicy,
}

/// A stream or table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    pub kind: SourceKind,
    /// Header columns stand among the value columns.
    pub schema: Schema,
    /// Names of all columns in the order they were declared in.
    pub column_order: Vec<String>,
    pub headers: Vec<HeaderColumn>,
    pub format: TopicFormat,
    /// Set where keys carry a window.
    pub window: Option<WindowType>,
    /// WRAP_SINGLE_VALUE where it was set.
    pub wrap_single_value: Option<bool>,
    pub timestamp: Option<TimestampColumn>,
    /// `CREATE SOURCE …`: nothing may be inserted.
    pub read_only: bool,
    pub topic: TopicSettings,
    /// The statement that made it, as DESCRIBE shows it.
    pub statement: String,
    /// The query that made it (CREATE … AS) or keeps it in a store (CREATE SOURCE TABLE).
    pub created_by: Option<String>,
}

impl Source {
    /// Whether keys carry a window.
    pub fn is_windowed(&self) -> bool {
        self.format.windowed_key.is_some()
    }

    /// Whether the column is filled from headers.
    pub fn is_header(&self, column: &str) -> bool {
        self.headers.iter().any(|h| h.column == column)
    }

    /// The schema of what stands in the topic's records: without header columns.
    pub fn record_schema(&self) -> Schema {
        let value = self.schema.value.iter().filter(|c| !self.is_header(&c.name)).cloned().collect();
        Schema { key: self.schema.key.clone(), value }
    }

    /// Features of the key format as DESCRIBE and the test cases name them.
    pub fn key_features(&self) -> Vec<&'static str> {
        if self.schema.key.len() == 1 && can_choose_wrapping(&self.format.key) { vec!["UNWRAP_SINGLES"] } else { vec![] }
    }

    /// Features of the value format; only where WRAP_SINGLE_VALUE was set.
    pub fn value_features(&self) -> Vec<&'static str> {
        let (wraps, unwraps) = crate::formats::by_name(&self.format.value.name).map_or((false, false), |f| f.supports_wrapping());
        match self.wrap_single_value {
            Some(true) if wraps => vec!["WRAP_SINGLES"],
            Some(false) if unwraps => vec!["UNWRAP_SINGLES"],
            _ => vec![],
        }
    }
}

/// Whether the format takes single columns both with and without an object around them.
fn can_choose_wrapping(spec: &FormatSpec) -> bool {
    crate::formats::by_name(&spec.name).is_some_and(|f| f.supports_wrapping() == (true, true))
}
