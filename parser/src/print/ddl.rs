//! Statements that make, change and fill sources, as text.

use std::fmt::{self, Display, Formatter};

use crate::ast::{
    AlterSource, AssertValues, ColumnDef, ColumnRole, ConnectorKind, CreateAs, CreateSource, DropSource, InsertSelect, InsertValues,
    Properties, Property, SourceKind,
};

use super::{BackQuoted, Joined, Quoted, needs_quotes};

impl Display for SourceKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        })
    }
}

impl Display for ConnectorKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectorKind::Source => "SOURCE",
            ConnectorKind::Sink => "SINK",
        })
    }
}

impl Display for CreateSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, self.or_replace, self.read_only, self.kind, self.if_not_exists)?;
        self.rest(f)
    }
}

impl CreateSource {
    /// From the name on.
    pub(super) fn rest(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if !self.columns.is_empty() {
            write!(f, " ({})", Joined(&self.columns, ", "))?;
        }
        with(&self.properties, f)
    }
}

impl Display for CreateAs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, self.or_replace, false, self.kind, self.if_not_exists)?;
        self.name.fmt(f)?;
        with(&self.properties, f)?;
        write!(f, " AS {}", self.query)
    }
}

fn head(f: &mut Formatter<'_>, or_replace: bool, read_only: bool, kind: SourceKind, if_not_exists: bool) -> fmt::Result {
    f.write_str(if or_replace { "CREATE OR REPLACE " } else { "CREATE " })?;
    f.write_str(if read_only { "SOURCE " } else { "" })?;
    write!(f, "{kind} ")?;
    f.write_str(if if_not_exists { "IF NOT EXISTS " } else { "" })
}

/// ` WITH (…)`, or nothing.
fn with(properties: &Properties, f: &mut Formatter<'_>) -> fmt::Result {
    if properties.entries.is_empty() { Ok(()) } else { write!(f, " WITH {properties}") }
}

impl Display for ColumnDef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.data_type)?;
        match &self.role {
            ColumnRole::Value => Ok(()),
            ColumnRole::Key => f.write_str(" KEY"),
            ColumnRole::PrimaryKey => f.write_str(" PRIMARY KEY"),
            ColumnRole::Headers => f.write_str(" HEADERS"),
            ColumnRole::Header(key) => write!(f, " HEADER({})", Quoted(key)),
        }
    }
}

impl Display for Properties {
    /// In the order of their names, in parentheses.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut entries: Vec<&Property> = self.entries.iter().collect();
        entries.sort_by(|a, b| a.name.name.cmp(&b.name.name));
        write!(f, "({})", Joined(&entries, ", "))
    }
}

impl Display for Property {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if needs_quotes(&self.name.name) {
            BackQuoted(&self.name.name).fmt(f)?;
        } else {
            f.write_str(&self.name.name)?;
        }
        write!(f, "={}", self.value)
    }
}

impl Display for InsertSelect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "INSERT INTO {}", self.target)?;
        with(&self.properties, f)?;
        write!(f, " {}", self.query)
    }
}

impl Display for InsertValues {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "INSERT INTO {} ", self.target)?;
        if !self.columns.is_empty() {
            write!(f, "({}) ", Joined(&self.columns, ", "))?;
        }
        write!(f, "VALUES ({})", Joined(&self.values, ", "))
    }
}

impl AssertValues {
    /// From the source on; `before` stands before the values.
    pub(super) fn rest(&self, before: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.source)?;
        if !self.columns.is_empty() {
            write!(f, "({}) ", Joined(&self.columns, ", "))?;
        }
        f.write_str(before)?;
        for (n, values) in self.rows.iter().enumerate() {
            write!(f, "{} ({})", if n == 0 { "" } else { "," }, Joined(values, ", "))?;
        }
        Ok(())
    }
}

impl Display for AlterSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER {} {}", self.kind, self.name)?;
        for (n, (name, data_type)) in self.add.iter().enumerate() {
            write!(f, "{} ADD COLUMN {name} {data_type}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Display for DropSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP {} ", self.kind)?;
        f.write_str(if self.if_exists { "IF EXISTS " } else { "" })?;
        self.name.fmt(f)?;
        f.write_str(if self.delete_topic { " DELETE TOPIC" } else { "" })
    }
}
