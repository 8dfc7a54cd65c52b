//! What may change of a source in place: CREATE OR REPLACE and ALTER … ADD.

use super::{Catalog, CatalogError, Source, SourceKind};
use crate::types::{Column, SqlType};

impl Source {
    /// Whether `new` may stand in this source's place: same kind, same keys, no value column changed or gone, same topic
    /// and formats.
    ///
    /// # Errors
    /// Names what differs.
    pub fn check_upgrade(&self, new: &Source) -> Result<(), CatalogError> {
        let refuse = |what: &str, old: String, new: String, detail: String| {
            Err(CatalogError(format!(
                "Cannot upgrade data source: DataSource '`{}`' has {what} = {old} which is not upgradeable to {new}{detail}",
                self.name
            )))
        };
        if self.kind != new.kind {
            return refuse("type", k_name(self.kind), k_name(new.kind), String::new());
        }
        if self.schema.key != new.schema.key {
            let missing = changed(&self.schema.key, &new.schema.key, " KEY");
            let missing = if missing.is_empty() { listed(&new.schema.key, " KEY") } else { missing };
            return refuse(
                "schema",
                self.schema.to_string(),
                new.schema.to_string(),
                format!(". (Key columns must be identical. The following key columns are changed, missing or reordered: [{missing}])"),
            );
        }
        let missing = changed(&self.schema.value, &new.schema.value, "");
        if !missing.is_empty() {
            return refuse(
                "schema",
                self.schema.to_string(),
                new.schema.to_string(),
                format!(". (The following columns are changed, missing or reordered: [{missing}])"),
            );
        }
        if self.format.topic != new.format.topic {
            return refuse("topic", self.format.topic.clone(), new.format.topic.clone(), String::new());
        }
        for (what, old, new) in [("key format", &self.format.key, &new.format.key), ("value format", &self.format.value, &new.format.value)]
        {
            if old.name != new.name {
                return refuse(what, old.name.clone(), new.name.clone(), String::new());
            }
        }
        Ok(())
    }
}

/// The class of a source, in the words that users know from ksqlDB.
fn k_name(kind: SourceKind) -> String {
    match kind {
        SourceKind::Stream => "KSTREAM".to_string(),
        SourceKind::Table => "KTABLE".to_string(),
    }
}

/// Columns of `old` that don't stand at their place in `new`.
fn changed(old: &[Column], new: &[Column], suffix: &str) -> String {
    let columns: Vec<_> = old.iter().enumerate().filter(|(i, c)| new.get(*i) != Some(*c)).map(|(_, c)| c.clone()).collect();
    listed(&columns, suffix)
}

fn listed(columns: &[Column], suffix: &str) -> String {
    columns.iter().map(|c| format!("`{}` {}{suffix}", c.name, c.sql_type)).collect::<Vec<_>>().join(", ")
}

impl Catalog {
    /// With columns appended to a source (ALTER … ADD).
    ///
    /// # Errors
    /// There is no such source of that kind, a query made it, it is read-only, or a column of that name is there.
    pub fn with_added_columns(&self, kind: SourceKind, name: &str, add: &[(String, SqlType)]) -> Result<Self, CatalogError> {
        let Some(source) = self.source(name) else {
            let near = self.near_source(name).map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
            return Err(CatalogError(format!("Source {name} does not exist.{near}")));
        };
        if source.kind != kind {
            return Err(CatalogError(format!(
                "Incompatible data source type is {}, but statement was ALTER {}",
                source.kind.upper(),
                kind.upper()
            )));
        }
        if source.read_only {
            return Err(CatalogError(format!(
                "Cannot alter {0} '{name}': ALTER operations are not supported on source {0}s.",
                kind.lower()
            )));
        }
        if source.created_by.is_some() {
            return Err(CatalogError(format!("ALTER command is not supported for CREATE ... AS statements: {name} was made by a query.")));
        }
        let mut altered = Source::clone(source);
        for (column, sql_type) in add {
            if altered.schema.columns().any(|c| c.name == *column) {
                return Err(CatalogError(format!("Cannot add column `{column}` to schema. A column with the same name already exists.")));
            }
            altered.schema.value.push(Column::new(column.clone(), sql_type.clone()));
            altered.column_order.push(column.clone());
        }
        Ok(self.with_replaced_source(altered))
    }
}
