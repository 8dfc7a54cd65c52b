//! Whether a table can be read on this server, and which of its partitions: nobody is given a part of it for the whole.

use super::{Engine, EngineError, PersistentQuery};
use crate::runtime::{Elsewhere, QueryState};
use crate::state::StoreReader;

/// Why a server answers nothing from its state at the moment.
pub(super) const UNSURE: &str =
    "the server is cut off from the others that share the service, or was, and does not know yet what it still has";

impl Engine {
    /// Readers of a table's stores where this server has all of its partitions.
    ///
    /// # Errors
    /// It has not, or its query failed before it had any.
    pub(crate) fn all_partitions(
        &self,
        query: &PersistentQuery,
        table: &str,
        stores: &[String],
    ) -> Result<Vec<Vec<StoreReader>>, EngineError> {
        let partitions = self.runtime.partition_readers(&query.id, stores).map_err(|elsewhere| is_elsewhere(table, &elsewhere))?;
        match query.state() {
            QueryState::Failed(failure) if partitions.is_empty() => Err(has_failed(table, &query.id, &failure.reason)),
            _ => Ok(partitions),
        }
    }

    /// Of a table whose partitions servers share: readers of its stores in those that this one has, none in the others.
    ///
    /// # Errors
    /// It is not known what this server has, or how many partitions there are.
    pub(crate) fn partitions_here(
        &self,
        query: &PersistentQuery,
        table: &str,
        stores: &[String],
    ) -> Result<Vec<Vec<StoreReader>>, EngineError> {
        self.check_member(table)?;
        let partitions = self.runtime.readers_here(&query.id, stores);
        if !partitions.is_empty() {
            return Ok(partitions);
        }
        let id = &query.id;
        Err(match query.state() {
            QueryState::Failed(failure) => has_failed(table, id, &failure.reason),
            _ => {
                EngineError::external(format!("The table {table} can't be queried yet: its query {id} is about to begin. Try again later."))
            }
        })
    }

    /// Whether this server knows what it has of a table.
    ///
    /// # Errors
    /// Others share the service, and may have it by now.
    pub fn check_member(&self, table: &str) -> Result<(), EngineError> {
        if self.share.is_none() || self.is_sure() {
            return Ok(());
        }
        Err(EngineError::external(format!("The table {table} can't be queried here at the moment: {UNSURE}. Try again later.")))
    }

    /// Whether a table can be read: nobody reads state that is not whole.
    ///
    /// # Errors
    /// It is being restored.
    pub fn check_restored(&self, query: &PersistentQuery, table: &str) -> Result<(), EngineError> {
        let handle = query.handle.read().clone();
        let Some(state) = handle.ok().and_then(|handle| handle.restoring()) else { return Ok(()) };
        self.runtime.ask_for(&query.id);
        Err(EngineError::external(format!(
            "The table {table} can't be queried yet: its state is being restored ({state}). Try again later."
        )))
    }

    /// Whether this server is known to be one of those that share the service: else others may have what it has for its own.
    pub(super) fn is_sure(&self) -> bool {
        self.runtime.tenure().lasts(self.clock.instant())
    }
}

fn has_failed(table: &str, query: &str, reason: &str) -> EngineError {
    let reason = reason.trim_end_matches('.');
    EngineError::external(format!("The table {table} can't be queried: its query {query} failed: {reason}."))
}

fn is_elsewhere(table: &str, elsewhere: &Elsewhere) -> EngineError {
    EngineError::external(format!("The table {table} can't be queried here at the moment: {elsewhere}. Try again later."))
}
