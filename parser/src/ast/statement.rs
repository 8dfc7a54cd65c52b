//! Statements and queries.

use super::{DataType, Expr, Ident, IntervalUnit, Span};

/// A statement, where it stands in the script, and its text without the closing semicolon.
#[derive(Debug, Clone, PartialEq)]
pub struct SpannedStatement {
    pub statement: Statement,
    pub span: Span,
    pub text: String,
}

/// Everything that a script can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    CreateSource(CreateSource),
    CreateAs(CreateAs),
    InsertSelect(InsertSelect),
    InsertValues(InsertValues),
    Select(Query),
    AlterSource(AlterSource),
    DropSource(DropSource),
    CreateType {
        name: Ident,
        if_not_exists: bool,
        data_type: DataType,
    },
    DropType {
        name: Ident,
        if_exists: bool,
    },
    CreateConnector {
        kind: ConnectorKind,
        name: Ident,
        if_not_exists: bool,
        properties: Properties,
    },
    DropConnector {
        name: Ident,
        if_exists: bool,
    },
    Show(Show),
    Describe {
        name: Ident,
        extended: bool,
    },
    DescribeAll {
        kind: SourceKind,
        extended: bool,
    },
    DescribeFunction {
        name: Ident,
    },
    DescribeConnector {
        name: Ident,
    },
    Explain(Explain),
    Print(Print),
    /// `id: None` means ALL.
    Terminate {
        id: Option<Ident>,
    },
    Pause {
        id: Option<Ident>,
    },
    Resume {
        id: Option<Ident>,
    },
    /// `REPLAY DEAD LETTERS OF query [INTO query]`
    ReplayDeadLetters {
        of: Ident,
        into: Option<Ident>,
    },
    SetProperty {
        name: String,
        value: String,
    },
    /// `name: None` means ALL.
    UnsetProperty {
        name: Option<String>,
    },
    AlterSystem {
        name: String,
        value: String,
    },
    DefineVariable {
        name: String,
        value: String,
    },
    UndefineVariable {
        name: String,
    },
    AssertTopic {
        topic: Ident,
        exists: bool,
        properties: Properties,
        timeout: Option<Interval>,
    },
    AssertSchema {
        subject: Option<String>,
        id: Option<i64>,
        exists: bool,
        timeout: Option<Interval>,
    },
    AssertValues(AssertValues),
    /// `ASSERT NULL VALUES s (key columns) KEY (values)`: a tombstone.
    AssertTombstone(AssertValues),
    AssertSource(CreateSource),
    /// `ASSERT NO VALUES s`: its topic holds no record that was not asserted.
    AssertNoValues {
        source: Ident,
    },
    /// `ASSERT [NO] PROCESSING LOG [CONTAINS 'text']`
    AssertProcessingLog {
        exists: bool,
        contains: Option<String>,
    },
    Advance(Advance),
    RunScript {
        path: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    Stream,
    Table,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectorKind {
    Source,
    Sink,
}

/// `CREATE [OR REPLACE] [SOURCE] STREAM|TABLE [IF NOT EXISTS] name [(columns)] [WITH (…)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSource {
    pub kind: SourceKind,
    pub or_replace: bool,
    /// `CREATE SOURCE …`: read-only, and tables made so are materialized.
    pub read_only: bool,
    pub if_not_exists: bool,
    pub name: Ident,
    pub columns: Vec<ColumnDef>,
    pub properties: Properties,
}

/// `CREATE … AS query`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateAs {
    pub kind: SourceKind,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub name: Ident,
    pub properties: Properties,
    pub query: Query,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    pub name: Ident,
    pub data_type: DataType,
    pub role: ColumnRole,
}

/// What a declared column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRole {
    Value,
    Key,
    PrimaryKey,
    /// All headers of the record.
    Headers,
    /// One header, by its key.
    Header(String),
}

/// The entries of a WITH clause, in the order written, which does not count in comparisons. No name stands twice.
/// Names are upper-cased, but for those of connectors, which keep the case that they are quoted in.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    pub entries: Vec<Property>,
}

impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len() && self.entries.iter().all(|p| other.get(&p.name.name) == Some(p))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    pub name: Ident,
    /// A literal.
    pub value: Expr,
}

impl Properties {
    /// A property, by its name as kept here (upper-case, but for connectors).
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.entries.iter().find(|p| p.name.name == name)
    }
}

/// `INSERT INTO sink [WITH (QUERY_ID = …)] query`.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertSelect {
    pub target: Ident,
    pub properties: Properties,
    pub query: Query,
}

/// `INSERT INTO target [(columns)] VALUES (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertValues {
    pub target: Ident,
    /// Empty where none were named.
    pub columns: Vec<Ident>,
    pub values: Vec<Expr>,
}

/// `ASSERT [NULL] VALUES source [(columns)] VALUES|KEY (…) [, (…)]`: records of its topic, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct AssertValues {
    pub source: Ident,
    /// Empty where none were named.
    pub columns: Vec<Ident>,
    /// At least one.
    pub rows: Vec<Vec<Expr>>,
}

/// `ADVANCE STREAM TIME|WALL CLOCK TO literal | BY n unit`: in test scripts, time goes on without a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Advance {
    pub clock: TestClock,
    pub to: AdvanceTo,
}

/// What a test can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TestClock {
    StreamTime,
    WallClock,
}

/// Where a clock goes.
#[derive(Debug, Clone, PartialEq)]
pub enum AdvanceTo {
    /// Milliseconds since 1970-01-01, or a text of date and time.
    Moment(Expr),
    By(Interval),
}

/// `ALTER STREAM|TABLE name ADD [COLUMN] c type, …`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterSource {
    pub kind: SourceKind,
    pub name: Ident,
    pub add: Vec<(Ident, DataType)>,
}

/// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DropSource {
    pub kind: SourceKind,
    pub if_exists: bool,
    pub name: Ident,
    pub delete_topic: bool,
}

/// A query: persistent inside CREATE … AS and INSERT, push with EMIT, else pull.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub items: Vec<SelectItem>,
    pub from: Relation,
    pub window: Option<WindowSpec>,
    pub selection: Option<Expr>,
    pub group_by: Option<GroupBy>,
    pub partition_by: Option<PartitionBy>,
    pub having: Option<Expr>,
    pub emit: Option<Emit>,
    pub limit: Option<u64>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SelectItem {
    pub kind: SelectItemKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SelectItemKind {
    /// `*` or `source.*`.
    Wildcard { source: Option<Ident> },
    /// An expression (which may be `struct->*`), with its alias if one was given.
    Expr { expr: Expr, alias: Option<Ident> },
}

/// `GROUP BY a, b`; `parenthesized` keeps `(a, b)` apart from `a, b` for printing, and is false for a single expression.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupBy {
    pub exprs: Vec<Expr>,
    pub parenthesized: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionBy {
    pub exprs: Vec<Expr>,
    pub parenthesized: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    Changes,
    Final,
}

/// What follows FROM. Joins nest to the left: `a JOIN b JOIN c` is `(a JOIN b) JOIN c`.
#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    Source { name: Ident, alias: Option<Ident> },
    Join(Box<Join>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub left: Relation,
    /// Always a `Relation::Source`.
    pub right: Relation,
    pub kind: JoinKind,
    pub within: Option<Within>,
    pub on: Expr,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// `WITHIN n u` (before = after) or `WITHIN (before, after)`, with an optional grace period.
#[derive(Debug, Clone, PartialEq)]
pub struct Within {
    pub before: Interval,
    pub after: Interval,
    pub grace: Option<Interval>,
}

/// A duration as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    pub value: u64,
    pub unit: IntervalUnit,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WindowSpec {
    pub kind: WindowKind,
    pub retention: Option<Interval>,
    pub grace: Option<Interval>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    Tumbling { size: Interval },
    Hopping { size: Interval, advance: Interval },
    Session { gap: Interval },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    Properties,
    Topics {
        all: bool,
        extended: bool,
    },
    Streams {
        extended: bool,
    },
    Tables {
        extended: bool,
    },
    Queries {
        extended: bool,
    },
    Functions,
    Types,
    Variables,
    Connectors {
        kind: Option<ConnectorKind>,
    },
    ConnectorPlugins,
    /// The servers that share the service.
    Servers,
    /// `SHOW DEAD LETTERS [OF query] [LIMIT n]`
    DeadLetters {
        of: Option<Ident>,
        limit: Option<u64>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Explain {
    Query(Ident),
    Statement(Box<SpannedStatement>),
}

/// `PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    pub topic: Ident,
    pub from_beginning: bool,
    pub interval: Option<u64>,
    pub limit: Option<u64>,
}
