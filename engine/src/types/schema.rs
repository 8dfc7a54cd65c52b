//! Schemas: which columns a row has, and in which slot each stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SqlType;

/// A named, typed column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub sql_type: SqlType,
}

impl Column {
    pub fn new(name: impl Into<String>, sql_type: SqlType) -> Self {
        Column { name: name.into(), sql_type }
    }
}

/// Key columns and value columns of a row.
///
/// Invariant: slot `i` of a row holds key column `i`; slot `key.len() + j` holds value column `j`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    pub key: Vec<Column>,
    pub value: Vec<Column>,
}

impl Schema {
    /// How many slots a row of this schema has.
    pub fn width(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// The slot of a column. A name in both key and value means the value.
    pub fn slot(&self, name: &str) -> Option<usize> {
        self.value.iter().position(|c| c.name == name).map(|j| self.key.len() + j).or_else(|| self.key.iter().position(|c| c.name == name))
    }

    /// The column in a slot.
    pub fn column(&self, slot: usize) -> Option<&Column> {
        if slot < self.key.len() { self.key.get(slot) } else { self.value.get(slot - self.key.len()) }
    }

    /// All columns, keys first.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().chain(&self.value)
    }

    pub fn is_key(&self, name: &str) -> bool {
        self.key.iter().any(|c| c.name == name)
    }
}

impl fmt::Display for Schema {
    /// ksqlDB's spelling: `` `ID` STRING KEY, `A` INTEGER ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "`{}` {}", column.name, column.sql_type)?;
            if i < self.key.len() {
                f.write_str(" KEY")?;
            }
        }
        Ok(())
    }
}

/// Whether a name is one that the engine gives to every row (`WINDOWSTART` and `WINDOWEND` only to windowed ones).
pub fn is_pseudo_column(name: &str) -> bool {
    matches!(name, "ROWTIME" | "ROWPARTITION" | "ROWOFFSET" | "WINDOWSTART" | "WINDOWEND")
}
