//! The catalog: which streams, tables and user types there are, and which queries read and write them.
//!
//! A [`Catalog`] is an immutable snapshot: every change gives a new one, which shares all that did not change. Analysis
//! works on one snapshot, so that a statement sees a consistent world. Whoever owns the current snapshot (the engine)
//! decides which change comes next.

mod source;
mod types;
mod upgrade;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use source::{CleanupPolicy, HeaderColumn, Source, SourceKind, TopicSettings, WindowType};
pub use types::{TypeError, check_size};

use crate::types::SqlType;

/// Why the catalog refuses a change. The text is for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CatalogError(pub String);

/// What a persistent query reads and writes, by the names of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryLinks {
    pub query_id: String,
    pub reads: Vec<String>,
    pub writes: Option<String>,
}

/// An immutable snapshot. Cloning it copies a reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalog {
    state: Arc<State>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    sources: BTreeMap<String, Arc<Source>>,
    user_types: BTreeMap<String, SqlType>,
    /// In the order in which they were made.
    queries: Vec<Arc<QueryLinks>>,
}

impl Catalog {
    /// The stream or table of that name (exact case).
    pub fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.state.sources.get(name)
    }

    /// All streams and tables, by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.state.sources.values()
    }

    /// The user type of that name.
    pub fn user_type(&self, name: &str) -> Option<&SqlType> {
        self.state.user_types.get(name)
    }

    /// All user types, by name.
    pub fn user_types(&self) -> impl Iterator<Item = (&str, &SqlType)> {
        self.state.user_types.iter().map(|(name, sql_type)| (name.as_str(), sql_type))
    }

    /// All persistent queries, in the order in which they were made.
    pub fn queries(&self) -> impl Iterator<Item = &QueryLinks> {
        self.state.queries.iter().map(|q| &**q)
    }

    /// The queries that read a source.
    pub fn readers<'a>(&'a self, source: &'a str) -> impl Iterator<Item = &'a QueryLinks> {
        self.queries().filter(move |q| q.reads.iter().any(|r| r == source))
    }

    /// The queries that write a source.
    pub fn writers<'a>(&'a self, source: &'a str) -> impl Iterator<Item = &'a QueryLinks> {
        self.queries().filter(move |q| q.writes.as_deref() == Some(source))
    }

    /// The name of a source near to `name`, for "did you mean".
    pub fn near_source(&self, name: &str) -> Option<&str> {
        tidemill_parser::did_you_mean(name, self.state.sources.keys().map(String::as_str))
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Self {
        let mut state = State::clone(&self.state);
        change(&mut state);
        Catalog { state: Arc::new(state) }
    }

    /// With a new source.
    ///
    /// # Errors
    /// The name is taken.
    pub fn with_source(&self, source: Source) -> Result<Self, CatalogError> {
        match self.source(&source.name) {
            Some(existing) => Err(already_exists(existing, source.kind)),
            None => Ok(self.change(|s| {
                s.sources.insert(source.name.clone(), Arc::new(source));
            })),
        }
    }

    /// With a source in place of the one of the same name, or as a new one.
    pub fn with_replaced_source(&self, source: Source) -> Self {
        self.change(|s| {
            s.sources.insert(source.name.clone(), Arc::new(source));
        })
    }

    /// Without a source.
    ///
    /// # Errors
    /// There is no such source, or queries still use it (see [`Self::check_droppable`]).
    pub fn without_source(&self, name: &str) -> Result<Self, CatalogError> {
        self.check_droppable(name)?;
        Ok(self.change(|s| {
            s.sources.remove(name);
            // The query that made a source goes with it.
            s.queries.retain(|q| q.writes.as_deref() != Some(name));
        }))
    }

    /// Whether a source can go: nothing may read it, and nothing but the query that made it may write it.
    ///
    /// # Errors
    /// Names what stands in the way.
    pub fn check_droppable(&self, name: &str) -> Result<(), CatalogError> {
        let Some(source) = self.source(name) else {
            return Err(CatalogError(format!("Source `{name}` does not exist.")));
        };
        let made_by = source.created_by.as_deref();
        let (mut made, mut reading) = (Vec::new(), Vec::new());
        for query in self.readers(name).filter(|q| Some(q.query_id.as_str()) != made_by) {
            let target = query.writes.as_deref().and_then(|w| self.source(w));
            match target {
                // A sink made by the query goes before its source.
                Some(sink) if sink.created_by.as_deref() == Some(query.query_id.as_str()) => made.push(sink.name.clone()),
                None if query.writes.is_none() => match self.sources().find(|s| s.created_by.as_deref() == Some(&query.query_id)) {
                    Some(kept) if kept.name != name => made.push(kept.name.clone()),
                    _ => reading.push(query.query_id.clone()),
                },
                _ => reading.push(query.query_id.clone()),
            }
        }
        if !made.is_empty() {
            made.sort();
            made.dedup();
            return Err(CatalogError(format!(
                "Cannot drop {name}.\nThe following streams and/or tables read from this source: [{}].\nYou need to drop them before \
                 dropping {name}.",
                made.join(", ")
            )));
        }
        let writing: Vec<_> = self.writers(name).map(|q| q.query_id.as_str()).filter(|id| Some(*id) != made_by).map(String::from).collect();
        if reading.is_empty() && writing.is_empty() {
            return Ok(());
        }
        Err(CatalogError(format!(
            "Cannot drop {name}.\nThe following queries read from this source: [{}].\nThe following queries write into this source: \
             [{}].\nYou need to terminate them before dropping {name}.",
            reading.join(", "),
            writing.join(", ")
        )))
    }

    /// Whether a source's topic may go with it.
    ///
    /// # Errors
    /// Others are over the topic, too.
    pub fn check_owns_topic(&self, source: &Source) -> Result<(), CatalogError> {
        let others = self.sources().filter(|other| other.name != source.name && other.format.topic == source.format.topic);
        let mut others: Vec<&str> = others.map(|other| other.name.as_str()).collect();
        if others.is_empty() {
            return Ok(());
        }
        others.sort_unstable();
        Err(CatalogError(format!(
            "Refusing to delete topic. Found other data sources ({}) using topic {}",
            others.join(", "),
            source.format.topic
        )))
    }

    /// Without a source, as DROP asks for it: the source and the catalog without it, or nothing where there is no such
    /// source and IF EXISTS was said.
    ///
    /// # Errors
    /// There is no such source, it is of the other kind or in use, or its topic belongs to others.
    pub fn dropped(
        &self,
        kind: SourceKind,
        name: &str,
        if_exists: bool,
        delete_topic: bool,
    ) -> Result<Option<(Arc<Source>, Self)>, CatalogError> {
        let Some(source) = self.source(name) else {
            if if_exists {
                return Ok(None);
            }
            let what = if kind == SourceKind::Stream { "Stream" } else { "Table" };
            let near = self.near_source(name).map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
            return Err(CatalogError(format!("{what} {name} does not exist.{near}")));
        };
        if source.kind != kind {
            return Err(CatalogError(format!(
                "Incompatible data source type is {}, but statement was DROP {}",
                source.kind.lower(),
                kind.lower()
            )));
        }
        if source.read_only && delete_topic {
            return Err(CatalogError(format!("Cannot delete topic for read-only source: {name}")));
        }
        if delete_topic {
            self.check_owns_topic(source)?;
        }
        Ok(Some((source.clone(), self.without_source(name)?)))
    }

    /// With a user type.
    ///
    /// # Errors
    /// The name is taken.
    pub fn with_type(&self, name: &str, sql_type: SqlType) -> Result<Self, CatalogError> {
        if let Some(existing) = self.user_type(name) {
            return Err(CatalogError(format!("Cannot register custom type '{name}' since it is already registered with type: {existing}")));
        }
        Ok(self.change(|s| {
            s.user_types.insert(name.to_string(), sql_type);
        }))
    }

    /// Without a user type. Sources keep the types that it stood for.
    ///
    /// # Errors
    /// There is no such type.
    pub fn without_type(&self, name: &str) -> Result<Self, CatalogError> {
        if self.user_type(name).is_none() {
            return Err(CatalogError(format!("Type {name} does not exist.")));
        }
        Ok(self.change(|s| {
            s.user_types.remove(name);
        }))
    }

    /// With a persistent query, in place of one of the same id.
    pub fn with_query(&self, links: QueryLinks) -> Self {
        self.change(|s| match s.queries.iter_mut().find(|q| q.query_id == links.query_id) {
            Some(existing) => *existing = Arc::new(links),
            None => s.queries.push(Arc::new(links)),
        })
    }

    /// Without a persistent query; its sink stays. No such query: no change.
    pub fn without_query(&self, query_id: &str) -> Self {
        self.change(|s| s.queries.retain(|q| q.query_id != query_id))
    }
}

/// What is said of a name that is taken.
pub(crate) fn already_exists(existing: &Source, wanted: SourceKind) -> CatalogError {
    let Source { name, kind, .. } = existing;
    CatalogError(format!("Cannot add {} '{name}': A {} with the same name already exists", wanted.lower(), kind.lower()))
}

#[cfg(test)]
mod tests;
